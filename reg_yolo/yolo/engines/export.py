"""Exporting weights through Ultralytics into a folder of our choice."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ultralytics.engine.exporter import Exporter
from ultralytics.nn.tasks import load_checkpoint

from reg_yolo.errors import ConfigError, WeightsError, first_line
from reg_yolo.yolo.engines.backend import only_warnings
from reg_yolo.yolo.engines.distributions import give_out_distributions, name_distributions
from reg_yolo.yolo.upstream.engine_kinds import ONNXRUNTIME, OPENVINO, PYTORCH, TENSORRT, EngineKind
from reg_yolo.yolo.upstream.environment import without_usage_data
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.export_sidecar import write_sidecar

# Upstream's numbers for what an export shall compute with.
QUANTIZE = {"f32": None, "bf16": None, "f16": 16, "int8": 8}


@dataclass(frozen=True)
class CalibrationData:
    """Images that INT8 ranges are measured on.

    Attributes:
        yaml_path: A data-set YAML with absolute paths.
        split: The split to take.
        fraction: Share of its images, in (0, 1].
        fingerprint: Changes with the images.
    """

    yaml_path: Path
    split: str
    fraction: float
    fingerprint: str


def export_model(
    weights: Path,
    folder: Path,
    kind: EngineKind,
    *,
    precision: str,
    imgsz: tuple[int, int],
    batch: int = 1,
    dynamic: bool = False,
    device: torch.device | str = "cpu",
    calibration: CalibrationData | None = None,
    distributions: bool = False,
    stem: str = "model",
    **arguments: Any,
) -> Path:
    """Export weights into `folder` and return the file or folder made; nothing is written anywhere else.

    Args:
        weights: A checkpoint.
        folder: An existing folder, empty or with other exports.
        kind: The engine to export for.
        precision: What it shall compute with; `bf16` is a matter of running, its export is that of `f32`.
        imgsz: Height and width of the network's input, multiples of its stride.
        batch: Images a call.
        dynamic: Let height, width and batch vary.
        device: TensorRT exports on the GPU that will run them.
        calibration: Images for INT8.
        distributions: Give out the logits of the box distributions too, Tensor[B, 4 R, A], as the last output.
        stem: Name of what is made.
        arguments: Further export arguments of Ultralytics, such as `nms` or `opset`.

    Raises:
        ConfigError: If there are no distributions to give out.
        WeightsError: If Ultralytics cannot export it, with its reason.
    """
    overrides: dict[str, Any] = {
        **arguments,
        "format": kind.export_format,
        "imgsz": list(imgsz),
        "batch": batch,
        "dynamic": dynamic,
        # OpenVINO's and ONNX' graphs are the same wherever they are traced.
        "device": str(device) if kind is TENSORRT or (kind is ONNXRUNTIME and precision == "f16") else "cpu",
        "quantize": QUANTIZE[precision],
        "verbose": False,
    }
    if calibration is not None:
        overrides |= {"data": str(calibration.yaml_path), "split": calibration.split, "fraction": calibration.fraction}
    model, _ = load_checkpoint(str(weights))
    # Upstream writes beside the file that the model says it came from.
    model.pt_path = str(folder / f"{stem}.pt")
    try:
        with without_usage_data(), only_warnings(), warnings.catch_warnings():
            # torch's advice to the exporter's authors.
            warnings.simplefilter("ignore")
            if calibration is not None and kind is OPENVINO:
                # One line for each node of the graph that it leaves alone.
                import nncf

                nncf.set_log_level(logging.ERROR)
            exporter = Exporter(overrides=overrides)
            if distributions:
                give_out_distributions(exporter, model)
            made = Path(str(exporter(model)).rstrip("/\\"))
            if distributions:
                name_distributions(made, kind)
    except (KeyboardInterrupt, MemoryError, ConfigError):
        raise
    except Exception as error:
        raise WeightsError(
            f"{weights}: Ultralytics cannot export it for {kind.title} ({type(error).__name__}: {first_line(error)})"
        ) from error
    return made


def export_to(
    detector: Detector,
    target_folder: Path,
    kind: EngineKind,
    *,
    precision: str,
    imgsz: tuple[int, int],
    distributions: bool = False,
    **options: Any,
) -> Path:
    """Export beside others: built in a temporary folder, given its sidecar, then renamed into `target_folder`.

    Args:
        detector: The weights.
        target_folder: Where the export goes; an earlier one of the same name is replaced.
        kind: The engine.
        precision: What it shall compute with.
        imgsz: Height and width of the network's input.
        distributions: Give out the box distributions too.
        options: Further arguments of `export_model`.

    Raises:
        ConfigError: If there is nothing to export or the folder cannot be written to.
        WeightsError: If Ultralytics cannot export it.
    """
    if kind is PYTORCH:
        raise ConfigError(f"{detector.path} is in PyTorch's format already")
    told: dict[str, Any] = {"precision": precision, "imgsz": imgsz, "distributions": distributions}
    try:
        target_folder.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=".export.", suffix=".part", dir=target_folder))
    except OSError as error:
        raise ConfigError(f"{target_folder}: cannot be written to ({error.strerror}); write `out=FOLDER`") from error
    try:
        made = export_model(detector.path, workshop, kind, stem=detector.path.stem, **told, **options)
        target = target_folder / made.name
        if made.is_dir():
            write_sidecar(made, detector, **told)
            shutil.rmtree(target, ignore_errors=True)
        made.replace(target)
        if target.is_file():
            write_sidecar(target, detector, **told)
        return target
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
