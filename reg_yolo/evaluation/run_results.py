"""What a finished run says about itself: task, model, validation data, and the results of its final validation."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reg_yolo.config.yaml_text import read_yaml
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.stored import damage_named, read_stored_json, read_stored_text

SETTINGS_FILE = "reg.yaml"
BOX_FILE = "per_class.json"
MASK_FILE = "per_class_masks.json"
# Settings that say where or with which dice a run was trained, not what was trained.
_NOT_OF_THE_METHOD = ("seed", "device", "workers")


@dataclass(frozen=True)
class RunResult:
    """Results of one training run.

    Attributes:
        label: What the run is called in tables.
        folder: The run directory.
        task: ``detect``, ``segment`` or ``joint``.
        model: Name of the network, such as ``yolov8n``.
        boxes: Per-class results of the boxes.
        masks: Per-class results of the masks; None for a detection run.
        mask_classes: Names of the classes that have masks; empty for a detection run.
        settings: Content of reg.yaml.
        data: Content of the data YAML that was validated on; empty where the run does not say.
        imgsz: Image size in pixels; None where the run does not say.
        epochs: Epochs that were trained; None where the run does not say.
        size_mb: Size of the weights file in megabytes (10^6 bytes); None without weights.
        parameters: Parameters of the network; None where nobody has counted them.
    """

    label: str
    folder: Path
    task: str
    model: str
    boxes: DetectionReport
    masks: DetectionReport | None
    mask_classes: tuple[str, ...]
    settings: dict[str, Any]
    data: dict[str, Any]
    imgsz: int | None = None
    epochs: int | None = None
    size_mb: float | None = None
    parameters: int | None = None

    @property
    def weights(self) -> Path:
        """The weights that were validated."""
        return self.folder / "weights" / "best.pt"

    @property
    def method(self) -> str:
        """What was trained, as text that is the same for runs that differ in seed, device and workers only."""
        settings = {key: value for key, value in self.settings.items() if key != "train"}
        train = {k: v for k, v in (self.settings.get("train") or {}).items() if k not in _NOT_OF_THE_METHOD}
        return json.dumps({**settings, "train": train}, sort_keys=True, default=str)


def read_runs(folders: Sequence[str | Path], labels: Sequence[str] | None = None) -> list[RunResult]:
    """Read finished runs of detection and instance segmentation; see `named_runs`.

    Raises:
        ConfigError: If no run is given, a run is given twice, or the labels do not fit.
        DataError: If a folder is not a run, or its final validation is missing.
    """
    return [read_run(place, name) for place, name in named_runs(folders, labels)]


def named_runs(folders: Sequence[str | Path], labels: Sequence[str] | None = None) -> list[tuple[Path, str]]:
    """Return the folder and the label of each run.

    Args:
        folders: Run directories, or weights in them.
        labels: One for each run; by default the names of the folders, with as many parents as tell them apart.

    Raises:
        ConfigError: If no run is given, a run is given twice, or the labels do not fit.
    """
    if not folders:
        raise ConfigError("report: no run named; expected folders such as runs/detect/train")
    places = [_run_folder(Path(folder)) for folder in folders]
    twice = next((place for index, place in enumerate(places) if place in places[:index]), None)
    if twice is not None:
        raise ConfigError(f"report: {twice} is given twice")
    names = _distinct_names(places) if labels is None else [label.strip() for label in labels]
    if len(names) != len(places):
        raise ConfigError(
            f"`labels`: got {len(names)} for {len(places)} runs; expected one for each, with commas between"
        )
    if not all(names) or len(set(names)) != len(names):
        raise ConfigError(f"`labels`: every run needs a label of its own, got {', '.join(map(repr, names))}")
    return list(zip(places, names, strict=True))


def task_of_run(folder: Path) -> str:
    """Return the task of a run; detect where it does not say.

    Raises:
        DataError: If its settings are damaged.
    """
    return str(_read_yaml(folder / SETTINGS_FILE).get("task", "detect"))


def read_run(folder: Path, label: str) -> RunResult:
    """Read one finished run.

    Raises:
        DataError: If the folder is not a run, a file in it is damaged, or its final validation is missing.
    """
    settings = read_settings(folder)
    task = str(settings.get("task", "detect"))
    if task not in {"detect", "segment", "joint"}:
        raise DataError(f"{folder / SETTINGS_FILE}: task {task} has no table; expected detect, segment or joint")
    boxes = _read_report(folder, BOX_FILE)
    masks = None if task == "detect" else _read_report(folder, MASK_FILE)
    named = settings.get("mask_classes") if task == "joint" else None
    mask_classes = tuple(named or (result.name for result in masks.classes)) if masks else ()
    arguments = _read_yaml(folder / "args.yaml")
    weights = folder / "weights" / "best.pt"
    imgsz = arguments.get("imgsz")
    return RunResult(
        label=label,
        folder=folder,
        task=task,
        model=Path(str(settings.get("model", ""))).stem,
        boxes=boxes,
        masks=None if masks is None else of_classes(masks, mask_classes),
        mask_classes=mask_classes,
        settings=settings,
        data=_read_yaml(folder / "data.yaml"),
        imgsz=int(imgsz) if isinstance(imgsz, (int, float)) else None,
        epochs=_trained_epochs(folder / "results.csv"),
        size_mb=weights.stat().st_size / 1e6 if weights.is_file() else None,
    )


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what a run's reg.yaml says.

    Raises:
        DataError: If the folder is not a run, or the file is damaged.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected the directory of a run such as runs/detect/train")
    settings = _read_yaml(folder / SETTINGS_FILE)
    if not settings:
        raise DataError(
            f"{folder / SETTINGS_FILE} is missing or empty; expected the directory of a run that `reg-yolo train` made"
        )
    return settings


def of_classes(report: DetectionReport, names: Sequence[str]) -> DetectionReport:
    """Return the part of a report that is about some classes; its mean is theirs."""
    kept = set(names)
    return replace(report, classes=tuple(result for result in report.classes if result.name in kept))


def without_seed(label: str) -> str:
    """Return a run's label without what numbers it: `reg-seed0` and `reg_2` are both `reg`."""
    return re.sub(r"[-_ .]?(seed|s)?[-_ .=]?\d+$", "", label) or label


def _run_folder(given: Path) -> Path:
    if given.suffix == ".pt":
        given = given.parent.parent if given.parent.name == "weights" else given.parent
    return Path(given).absolute()


def _distinct_names(places: Sequence[Path]) -> list[str]:
    """Return the shortest tails of the paths that differ from each other."""
    for depth in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _read_report(folder: Path, name: str) -> DetectionReport:
    path = report_file(folder, name)
    with damage_named(path, "a per-class report", "`reg-yolo val` writes it again"):
        return DetectionReport.from_dict(read_stored_json(path))


def report_file(folder: Path, name: str) -> Path:
    """Return the path of a run's stored report.

    Raises:
        DataError: If it is missing, with what makes it.
    """
    path = folder / name
    if not path.is_file():
        weights = next((w for w in ("best.pt", "last.pt") if (folder / "weights" / w).is_file()), None)
        cure = (
            f"measure it with `reg-yolo val {folder / 'weights' / weights} --out {folder}`, or finish it with "
            f"`reg-yolo train --resume {folder}`"
            if weights
            else "it has no weights either, so train it again"
        )
        raise DataError(f"{path} is missing: the run did not get to its final validation; {cure}")
    return path


def _read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML mapping; empty where the file does not exist.

    Raises:
        DataError: If the file is damaged.
    """
    try:
        with damage_named(path, "a YAML file of a run", "restore it from a copy, or train again"):
            content = read_yaml(read_stored_text(path), str(path), number_keys=True).value
    except FileNotFoundError:
        return {}
    except ConfigError as error:
        raise DataError(str(error)) from None
    if content is not None and not isinstance(content, Mapping):
        raise DataError(f"{path}: expected keys and values, got {type(content).__name__}")
    return dict(content or {})


def _trained_epochs(path: Path) -> int | None:
    """Return the last epoch of a results.csv; None where the file does not exist or says nothing."""
    if not path.is_file():
        return None
    with damage_named(path, "a table of epochs", "restore it from a copy, or train again"):
        rows = csv.DictReader(io.StringIO(read_stored_text(path)), skipinitialspace=True)
        try:
            epochs = [row.get("epoch") or "" for row in rows]
        except csv.Error as error:
            raise ValueError(str(error)) from None
    numbers = [int(epoch) for epoch in epochs if epoch.strip().isdigit()]
    return max(numbers) if numbers else None
