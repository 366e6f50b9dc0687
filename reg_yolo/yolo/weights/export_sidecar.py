"""Exported models as weights: what Ultralytics stored in them, and a sidecar of what its formats cannot hold."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.nn.backends.base import BaseBackend
from ultralytics.utils import LOGGER

from reg_yolo.errors import WeightsError
from reg_yolo.files import file_sha256, replace_bytes
from reg_yolo.stored import damage_named, read_stored_json
from reg_yolo.yolo.upstream.engine_kinds import OPENVINO, PYTORCH, kind_of_file
from reg_yolo.yolo.weights.checkpoints import read_calibration, read_ranking, read_thresholds
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.stored_metadata import metadata_fault

SIDECAR_SCHEMA = "reg_yolo.export/1"
SIDECAR_NAME = "reg_yolo.json"
# Name of the additional output, and of the key in Ultralytics' description that tells of it.
DISTRIBUTIONS = "distributions"


@dataclass(frozen=True)
class ExportedModel:
    """What an exported file or folder says about itself.

    Attributes:
        class_names: Class names in the order of their indices.
        task: `detect`, `segment` or `semantic`.
        imgsz: Height and width of its input in pixels.
        precision: What it was exported for.
        stride: Of the network, in pixels.
        metadata: What reg_yolo stored with the weights behind it; empty without a sidecar.
        distributions: Whether it gives out the box distributions.
        trained_with: Ultralytics' arguments of their training, with the export's own image size.
    """

    class_names: list[str]
    task: str
    imgsz: tuple[int, int]
    precision: str
    stride: int
    metadata: dict[str, Any]
    trained_with: dict[str, Any]
    distributions: bool


def is_export(path: Path) -> bool:
    """Return whether a path is named as an export that this version runs."""
    return kind_of_file(path) is not PYTORCH


def read_export(path: Path) -> ExportedModel:
    """Read what an export says about itself, without its engine.

    Raises:
        WeightsError: If it is missing, was not made by Ultralytics, or holds another kind of model.
    """
    kind = kind_of_file(path)
    if not (path.is_dir() if kind is OPENVINO else path.is_file()):
        what = "folder" if kind is OPENVINO else "file"
        raise WeightsError(f"{path}: no such {what}; `reg-yolo export` makes one")
    stored = BaseBackend.read_metadata(path)
    try:
        values = {key: _parsed(value) for key, value in stored.items()}
        names = {int(index): str(name) for index, name in dict(values["names"]).items()}
        class_names = [names[index] for index in range(len(names))]
        height, width = (int(side) for side in values["imgsz"])
        stride = int(values.get("stride") or 32)
        task, arguments = str(values["task"]), dict(values.get("args") or {})
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: holds no description by Ultralytics, or is cut off; export the weights with `reg-yolo export`"
        ) from error
    if task not in {"detect", "segment", "semantic"} or values.get("end2end") in {True, "True"} or arguments.get("nms"):
        raise WeightsError(
            f"{path}: a model for '{task}' with suppression of its own or another output is not run by this version; "
            "expected an export of a detection model, made without nms=True"
        )
    sidecar = read_sidecar(path)
    precision = {8: "int8", 16: "f16"}.get(arguments.get("quantize") or 0, "f32")
    trained_with = {**(sidecar["trained_with"] if sidecar else {}), "imgsz": [height, width]}
    metadata = dict(sidecar["metadata"]) if sidecar else {}
    distributions = values.get(DISTRIBUTIONS) is True
    return ExportedModel(class_names, task, (height, width), precision, stride, metadata, trained_with, distributions)


def _parsed(value: Any) -> Any:
    """Return a value that a format has kept as Python text."""
    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value


def sidecar_of(exported: Path) -> Path:
    """Return the path of an export's sidecar: inside a folder, next to a file."""
    return exported / SIDECAR_NAME if exported.is_dir() else exported.with_name(f"{exported.name}.{SIDECAR_NAME}")


def write_sidecar(
    exported: Path, detector: Detector, *, precision: str, imgsz: tuple[int, int], distributions: bool = False
) -> Path:
    """Write what `predict` and `val` need to know of the weights behind an export, and return the file.

    Args:
        exported: The exported file or folder.
        detector: The weights that it was made from.
        precision: What it was exported for.
        imgsz: Height and width of its input.
        distributions: Whether it gives out the box distributions.
    """
    found = read_thresholds(detector.path, detector.metadata)
    metadata = dict(detector.metadata)
    # A number for each filter, of use to a training alone.
    metadata.pop("radii", None)
    if found is not None:
        metadata |= {"thresholds": found[0].to_dict(), **read_ranking(detector.path, detector.metadata).to_dict()}
    calibration = read_calibration(detector.path, detector.metadata)
    if calibration is not None:
        temperatures, ranking = calibration
        metadata["calibration"] = {"temperatures": temperatures.to_dict(), **ranking.to_dict()}
    content = {
        "schema": SIDECAR_SCHEMA,
        "weights": {"name": detector.path.name, "sha256": file_sha256(detector.path)},
        # A folder holds its sidecar; a file could be replaced without it.
        "sha256": None if exported.is_dir() else file_sha256(exported),
        "precision": precision,
        "imgsz": list(imgsz),
        "classes": detector.class_names,
        "distributions": distributions,
        "metadata": metadata,
        "trained_with": _plain(detector.trained_with),
    }
    path = sidecar_of(exported)
    replace_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return path


def read_sidecar(exported: Path) -> dict[str, Any] | None:
    """Return the content of an export's sidecar; None where it has none or it belongs to another file.

    Raises:
        WeightsError: If it is damaged.
    """
    path = sidecar_of(exported)
    if not path.is_file():
        return None
    remedy = "remove it or run `reg-yolo export` again"
    with damage_named(path, "a sidecar of an export", remedy, WeightsError):
        content = read_stored_json(path)
        bound = content["sha256"]
        if content["schema"] != SIDECAR_SCHEMA:
            raise ValueError("another schema")
        for key in ("metadata", "trained_with"):
            if not isinstance(content[key], dict):
                raise ValueError(f"{key}: expected keys and values, got {type(content[key]).__name__}")
        fault = metadata_fault(content["metadata"])
        if fault:
            raise ValueError(fault)
    if bound is not None and bound != file_sha256(exported):
        LOGGER.warning(f"{path} belongs to another export and is skipped; `reg-yolo export` writes it again")
        return None
    return content


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold of upstream's arguments."""
    return json.loads(json.dumps({str(key): item for key, item in value.items()}, default=str))
