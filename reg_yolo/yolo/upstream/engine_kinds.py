"""The engines that run a network: what each needs, which precisions it has here, and which come first."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.upstream.environment import without_usage_data

PRECISIONS = ("f32", "f16", "bf16", "int8")


@dataclass(frozen=True)
class EngineKind:
    """One engine.

    Attributes:
        name: As in the header of a detections file.
        title: As people write it.
        export_format: Ultralytics' name of its format.
        suffix: How its files and folders end.
        modules: What has to be importable to export and to run.
        packages: Distributions, any of which tells the version.
        extra: The extra of this package that installs them.
    """

    name: str
    title: str
    export_format: str
    suffix: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    extra: str


PYTORCH = EngineKind("pytorch", "PyTorch", "-", ".pt", ("torch",), ("torch",), "")
ONNXRUNTIME = EngineKind(
    "onnxruntime", "ONNX Runtime", "onnx", ".onnx", ("onnx", "onnxslim", "onnxruntime"),
    ("onnxruntime", "onnxruntime-gpu"), "onnx",
)  # fmt: skip
OPENVINO = EngineKind(
    "openvino", "OpenVINO", "openvino", "_openvino_model", ("openvino",), ("openvino",), "openvino"
)  # fmt: skip
TENSORRT = EngineKind(
    "tensorrt", "TensorRT", "engine", ".engine", ("tensorrt", "onnx", "onnxslim"),
    ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"), "tensorrt",
)  # fmt: skip
KINDS = {kind.name: kind for kind in (PYTORCH, ONNXRUNTIME, OPENVINO, TENSORRT)}
# Also by the names that Ultralytics gives the formats, so that both words work.
_ALIASES = {"pt": "pytorch", "torch": "pytorch", "onnx": "onnxruntime", "engine": "tensorrt", "trt": "tensorrt"}


def engine_kind(name: str) -> EngineKind:
    """Return the engine of a name, or of Ultralytics' name for its format.

    Raises:
        ConfigError: If there is none.
    """
    known = _ALIASES.get(name.lower(), name.lower())
    if known not in KINDS:
        message = f"engine: got {name!r}, expected auto, {', '.join(KINDS)}"
        raise ConfigError(with_hint(message, did_you_mean(name, ["auto", *KINDS])))
    return KINDS[known]


def kind_of_file(path: Path) -> EngineKind:
    """Return the engine that runs a weights file or an exported file or folder."""
    return next((kind for kind in KINDS.values() if path.name.endswith(kind.suffix)), PYTORCH)


def missing_modules(kind: EngineKind, precision: str | None = None) -> list[str]:
    """Return what would have to be installed for an engine, and for INT8 with it."""
    extra = ("nncf",) if kind is OPENVINO and precision == "int8" else ()
    if kind is TENSORRT and precision == "int8":
        extra = ("onnxruntime",)
    return [name for name in (*kind.modules, *extra) if importlib.util.find_spec(name) is None]


def require_installed(kind: EngineKind, precision: str | None = None) -> None:
    """Check that what an engine needs is installed.

    Raises:
        ConfigError: Naming the extra that installs it.
    """
    missing = missing_modules(kind, precision)
    if missing:
        raise ConfigError(
            f"{kind.title} needs {' and '.join(missing)}, which is not installed; "
            f'install it with: pip install "reg-yolo[{kind.extra}]"'
        )


def engine_version(kind: EngineKind) -> str:
    """Return the installed version of an engine, which is part of what an export depends on."""
    for package in kind.packages:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return f"{kind.name} of unknown version"


@lru_cache(maxsize=1)
def openvino_cpu_precisions() -> tuple[str, ...]:
    """Return the precisions of OpenVINO on this processor, the one that it takes by itself first."""
    with without_usage_data():
        import openvino

    core = openvino.Core()
    by_itself = precision_name(core.get_property("CPU", "INFERENCE_PRECISION_HINT"))
    able = {"FP32": "f32", "BF16": "bf16", "FP16": "f16", "INT8": "int8"}
    found = [able[word] for word in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") if word in able]
    return (by_itself, *(name for name in dict.fromkeys(["f32", *found]) if name != by_itself))


def precision_name(openvino_type: object) -> str:
    """Return our name of an OpenVINO element type such as ``<Type: 'bfloat16'>``."""
    text = str(openvino_type)
    return "bf16" if "bfloat16" in text or "bf16" in text else "f16" if "float16" in text or "f16" in text else "f32"


def precisions_of(kind: EngineKind, device: torch.device) -> tuple[str, ...]:
    """Return the precisions that an engine has on a device, the one that it takes by itself first."""
    cuda = device.type == "cuda"
    if kind is OPENVINO:
        return openvino_cpu_precisions() if not cuda else ()
    if kind is TENSORRT:
        return ("f16", "f32", "int8") if cuda else ()
    if kind is ONNXRUNTIME:
        return ("f32", "f16") if cuda else ("f32", "int8")
    return ("f32", "f16") if cuda else ("f32",)


def candidates(device: torch.device, precision: str | None) -> list[EngineKind]:
    """Return the engines other than PyTorch that are installed and have the precision on the device, likeliest first.

    On x86 processors OpenVINO leads, on others and on accelerators the order is a guess that the measurement corrects.
    """
    if device.type == "cuda":
        order = [TENSORRT, *([ONNXRUNTIME] if onnxruntime_has_cuda() else [])]
    elif device.type == "cpu":
        order = [OPENVINO, ONNXRUNTIME]
    else:
        order = []
    usable = [kind for kind in order if not missing_modules(kind, precision)]
    return [kind for kind in usable if precision is None or precision in precisions_of(kind, device)]


def onnxruntime_has_cuda() -> bool:
    """Return whether the installed ONNX Runtime is a build that runs on CUDA devices."""
    if missing_modules(ONNXRUNTIME):
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def processor_name(device: torch.device) -> str:
    """Return what an export and its measurement depend on: the GPU, or the processor with its instruction sets."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} sm_{major}{minor} cuda {torch.version.cuda}"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
        values = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
        described = " ".join(" ".join(sorted(values[key].split())) for key in wanted if key in values)
        return f"{platform.machine()} {described}"
    return f"{platform.machine()} {platform.processor()}"
