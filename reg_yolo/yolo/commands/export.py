"""`export` from Python and from the command line: an exported file or folder with its sidecar."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine.exporter import export_formats
from ultralytics.utils.torch_utils import select_device

from reg_yolo.config.problems import did_you_mean
from reg_yolo.config.shipped import shipped_weights
from reg_yolo.errors import ConfigError
from reg_yolo.progress import waiting_line
from reg_yolo.yolo.engines.export import export_model, export_to
from reg_yolo.yolo.engines.int8 import MapChange, calibration_data, calibration_source, measure_change
from reg_yolo.yolo.engines.payback import usual_build_s
from reg_yolo.yolo.upstream.arguments import check_arguments, check_own_keys
from reg_yolo.yolo.upstream.engine_kinds import (
    KINDS,
    ONNXRUNTIME,
    OPENVINO,
    PYTORCH,
    TENSORRT,
    EngineKind,
    engine_kind,
    require_installed,
)
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.export_sidecar import sidecar_of
from reg_yolo.yolo.weights.opening import open_detector

# Settled by the command itself, or of no use to what reads the export again.
NOT_FOR_EXPORT = {
    "nms": "suppression stays outside, where every class has its own threshold",
    "int8": "write `int8=True` or quantize=8",
    "half": "use quantize=16",
}
OTHER_ARGUMENTS = ("opset", "simplify", "workspace")
TAKEN = ("imgsz", "batch", "dynamic", "device", "quantize", "data")


@dataclass(frozen=True)
class ExportResult:
    """What an export left.

    Attributes:
        path: The exported file or folder.
        sidecar: What `predict` and `val` read beside Ultralytics' own description.
        engine: What runs it.
        precision: What it was exported for.
        map_change: What INT8 changed; None without it.
    """

    path: Path
    sidecar: Path
    engine: str
    precision: str
    map_change: MapChange | None = None


def export(
    weights: str | Path,
    data: str | Path | None = None,
    *,
    int8: bool = False,
    distributions: bool = False,
    out: str | Path | None = None,
    trust: bool = False,
    **arguments: Any,
) -> ExportResult:
    """Export weights for another engine.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one.
        data: What INT8 is calibrated on (train) and measured on (val); by default the data set of the training.
        int8: Quantise to INT8, and measure what it costs.
        distributions: Give out the box distributions too, which `--sigma` and `--rescore` read (ONNX and OpenVINO, not
            with INT8).
        out: Folder for the export; by default that of the weights.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments: `format` (onnx, openvino, engine), `imgsz`, `batch`, `dynamic`, `quantize`,
            `opset`, `simplify`, `workspace`, `device`.

    Raises:
        RegYoloError: If weights, data or an argument is wrong, or what the format needs is not installed.
    """
    for key, why in NOT_FOR_EXPORT.items():
        if arguments.get(key) is not None:
            raise ConfigError(f"{key}: not taken by export: {why}; leave it out")
    own = check_own_keys(arguments, "export")
    kind = format_kind(str(own.pop("format", None) or "onnx"))
    detector = open_detector(weights, trust=trust, pixels=True)
    if detector.exported_precision is not None:
        raise ConfigError(f"{detector.path}: is an export already; export the .pt weights that it was made from")
    check_arguments(
        {
            "imgsz": detector.imgsz,
            **own,
            "task": "semantic" if detector.task == "semantic" else "detect",
            "mode": "export",
            "model": str(detector.path),
        }
    )
    precision = _precision(own, int8=int8)
    if detector.task == "semantic" and precision == "int8":
        raise ConfigError(
            f"int8: what it costs is measured in mAP, and {detector.path} gives each pixel a class; leave it out"
        )
    if distributions:
        _require_distributions(detector, kind, precision)
    require_installed(kind, precision)
    if kind is TENSORRT and not torch.cuda.is_available():
        raise ConfigError("format: TensorRT exports on the NVIDIA GPU that will run the engine; torch finds none here")
    settings: dict[str, Any] = {
        "imgsz": _input_size(own.get("imgsz") or detector.imgsz),
        "batch": int(own.get("batch") or 1),
        "dynamic": bool(own.get("dynamic")),
        "device": select_device(
            "0" if kind is TENSORRT and not own.get("device") else own.get("device"), verbose=False
        ),
        **{key: own[key] for key in OTHER_ARGUMENTS if own.get(key) is not None},
    }
    ignored = set(own) - {*TAKEN, *OTHER_ARGUMENTS}
    if ignored:
        raise ConfigError(f"{sorted(ignored)[0]}: has no effect on an export; leave it out")
    folder = Path(out).expanduser() if out is not None else _folder_of(detector)
    change = None
    with waiting_line(f"exporting for {kind.title} ({precision})", usual_build_s(detector.path, kind)):
        if precision == "int8":
            path, change = _export_int8(detector, folder, kind, data or own.get("data"), settings)
        else:
            path = export_to(detector, folder, kind, precision=precision, distributions=distributions, **settings)
    return ExportResult(path, sidecar_of(path), kind.name, precision, change)


def format_kind(name: str) -> EngineKind:
    """Return the engine of a format.

    Raises:
        ConfigError: If it is none that this version reads again.
    """
    formats = {kind.export_format: kind for kind in KINDS.values() if kind is not PYTORCH}
    if name.lower() in formats:
        return formats[name.lower()]
    if name.lower() in KINDS and name.lower() != PYTORCH.name:
        return engine_kind(name)
    known = ", ".join(formats)
    if name.lower() in export_formats()["Argument"]:
        raise ConfigError(
            f"format: '{name}' is not run by this version, which exports to {known}; the weights are stock ones, so "
            f"that `yolo export model=... format={name}` makes it"
        )
    raise ConfigError(f"format: got {name!r}, expected one of {known}.{did_you_mean(name, formats)}")


def _export_int8(
    detector: Detector, folder: Path, kind: EngineKind, data: str | Path | None, settings: Mapping[str, Any]
) -> tuple[Path, MapChange]:
    source = calibration_source(detector, data)
    with calibration_data(source) as calibration:
        path = export_to(detector, folder, kind, precision="int8", calibration=calibration, **settings)
    with tempfile.TemporaryDirectory(prefix="reg_yolo_export_") as workshop:
        before = export_model(detector.path, Path(workshop), kind, precision="f32", **settings)
        change = measure_change(
            before, path, source, task=detector.task, imgsz=max(settings["imgsz"]), device=str(settings["device"])
        )
    return path, change


def _require_distributions(detector: Detector, kind: EngineKind, precision: str) -> None:
    """Refuse to keep box distributions where there are none, or where nobody has checked what becomes of them."""
    if detector.task == "semantic":
        raise ConfigError(f"distributions: {detector.path} gives each pixel a class and has no boxes; leave it out")
    if kind not in (ONNXRUNTIME, OPENVINO):
        raise ConfigError(f"distributions: kept by format=onnx and format=openvino, not by {kind.title}; leave it out")
    if precision == "int8":
        raise ConfigError("distributions: INT8 would round them, and sigma with them; leave `int8` or this out")


def _precision(arguments: Mapping[str, Any], *, int8: bool) -> str:
    quantize = arguments.get("quantize")
    if int8 and quantize not in {None, 8}:
        raise ConfigError(f"quantize: got {quantize} next to `int8`; leave one of them out")
    names = {None: "f32", 32: "f32", 16: "f16", 8: "int8"}
    if quantize not in names:
        raise ConfigError(f"quantize: got {quantize!r}, expected 32, 16 or 8")
    return "int8" if int8 else names[quantize]


def _input_size(imgsz: Any) -> tuple[int, int]:
    """Return height and width; the exporter rounds them up to the network's stride."""
    sides = list(imgsz) if isinstance(imgsz, (list, tuple)) else [imgsz]
    return int(sides[0]), int(sides[-1])


def _folder_of(detector: Detector) -> Path:
    """Return the weights' folder; shipped weights belong to the installation, so theirs is the working directory."""
    if detector.path == shipped_weights(detector.path.name):
        return Path.cwd()
    return detector.path.parent
