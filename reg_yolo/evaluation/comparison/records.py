"""The record of one run of a comparison: what was trained, on what, with which result. Schema: docs/compare.md."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.config.merging import flattened
from reg_yolo.files import make_folder, replace_text
from reg_yolo.stored import read_stored_json

SCHEMA = "reg_yolo.compare_record/1"
RECORDS = "records"


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class in one run.

    Attributes:
        name: Class name.
        train: Labelled objects in the training split.
        objects: Labelled objects among those that were evaluated.
        ap: Average precision over IoU 0.5 to 0.95; None without objects, as are the next three.
        ap50: Average precision at IoU 0.5.
        f1_best: The highest F1 over all thresholds, at IoU 0.5.
        f1_025: F1 of detections of at least 0.25, at IoU 0.5.
        threshold: Confidence of the highest F1; None where nothing is found.
    """

    name: str
    train: int
    objects: int
    ap: float | None
    ap50: float | None
    f1_best: float | None
    f1_025: float | None
    threshold: float | None


@dataclass(frozen=True)
class RunRecord:
    """What one run of a comparison left.

    Attributes:
        set_name, arm, seed: Which run of the plan.
        run_hash: Digest of `content`, the seed left out.
        plan_hash: Digest of all runs of the plan that it was made for.
        content: What was trained on what: every setting, digests of the data and of weights that it started from.
        environment: Device, precision, threads, loader workers, processor and versions.
        initial_weights: Digest of the weights before the first step.
        draws: Digest of the batches and of what augmentation made of them.
        steps: Optimizer steps.
        seconds: Of `training`, of `evaluation` and of the whole run.
        losses: Terms of the loss and further logged figures of the last epoch.
        boxes: By class, in the order of class indices.
        masks: The same for masks; empty where the task has none.
        matches: File of matched detections by kind, relative to the record's folder.
        images: Images that were evaluated, and a digest of their names.
        finished: When, ISO 8601.
    """

    set_name: str
    arm: str
    seed: int
    run_hash: str
    plan_hash: str
    content: dict[str, Any]
    environment: dict[str, Any]
    initial_weights: str
    draws: str
    steps: int
    seconds: dict[str, float]
    losses: dict[str, float]
    boxes: tuple[ClassFigures, ...]
    masks: tuple[ClassFigures, ...]
    matches: dict[str, str]
    images: dict[str, Any]
    finished: str
    path: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """What the run is called in messages."""
        return run_name(self.set_name, self.arm, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        content = asdict(self)
        del content["path"]
        return {"schema": SCHEMA, **content}

    def write(self, path: Path) -> None:
        """Write the record by way of a temporary file."""
        make_folder(path.parent)
        replace_text(path, json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def run_name(set_name: str, arm: str, seed: int) -> str:
    """Return what a run is called in messages."""
    return f"{set_name}/{arm}/seed{seed}"


def record_path(out: Path, set_name: str, arm: str, seed: int, run_hash: str) -> Path:
    """Return where a run's record lies; runs with other settings have other files."""
    return out / RECORDS / set_name / arm / f"seed{seed}-{run_hash[:8]}.json"


def read_record(path: Path) -> RunRecord:
    """Read a record.

    Raises:
        ValueError: If the file is not a record, or of another schema.
    """
    content = read_stored_json(path)
    if content.get("schema") != SCHEMA:
        raise ValueError(f"no record of schema {SCHEMA}")
    values = {key: value for key, value in content.items() if key != "schema"}
    try:
        for kind in ("boxes", "masks"):
            values[kind] = tuple(ClassFigures(**row) for row in values[kind])
        return RunRecord(**values, path=path)
    except (TypeError, KeyError) as error:
        raise ValueError(f"a damaged record ({error})") from None


def read_records(out: Path) -> tuple[list[RunRecord], list[str]]:
    """Read all records of a folder.

    Returns:
        The records, sorted by path, and a sentence for each file that is not a record.
    """
    records, faults = [], []
    for path in sorted((out / RECORDS).rglob("*.json")):
        try:
            records.append(read_record(path))
        except (OSError, ValueError) as error:
            faults.append(f"{path}: skipped, {error}")
    return records, faults


def find_record(
    out: Path, key: tuple[str, str, int], run_hash: str, content: Mapping[str, Any], defaults: Mapping[str, Any]
) -> RunRecord | None:
    """Return the record of a run; None where it is missing or cannot be read.

    Args:
        out: Folder of the comparison.
        key: Set, arm and seed.
        run_hash: Digest of `content`.
        content: What the run trains on what.
        defaults: Every setting at its default, see `content_differences`.
    """
    exact = record_path(out, *key, run_hash)
    for path in dict.fromkeys([exact, *sorted(exact.parent.glob(f"seed{key[2]}-*.json"))]):
        try:
            record = read_record(path)
        except (OSError, ValueError):
            continue
        if record.run_hash == run_hash or not content_differences(record.content, content, defaults):
            return record
    return None


def content_differences(
    recorded: Mapping[str, Any], planned: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[str]:
    """Return where a record's settings depart from the plan's, `reg.focal.gamma: 1.5, now 2.0`; empty where nowhere.

    A setting that only one of them has does not count at its default: it came to the program after the record.
    """
    left, right, usual = flattened(recorded), flattened(planned), flattened(defaults)
    found = []
    for key in dict.fromkeys([*left, *right]):
        values = [side.get(key, usual.get(key)) for side in (left, right)]
        # The name of the loss does not count: what it fills in is compared.
        if values[0] != values[1] and key != "reg.preset":
            found.append(f"{key}: {values[0]!r}, now {values[1]!r}")
    return found


def known(value: float) -> float | None:
    """Return a figure for JSON: None where there is none."""
    return float(value) if math.isfinite(value) else None
