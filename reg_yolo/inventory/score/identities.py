"""Identities of an inventory against those of the truth, frame by frame: HOTA and IDF1, as `trackers` computes them.

HOTA is that of Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 129, 2021; IDF1 is
that of Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.outputs.observed import SCHEMA

FRAMES_SCHEMAS = ("reg-yolo/scenes-frames/1", "reg-yolo/scenes-frames/2")
OBSERVED, FRAMES = "observations.jsonl", "frames.jsonl"
INSTALL = 'pip install "trackers>=2.6"'

Key = tuple[str, int]
Boxes = dict[str, tuple[str, list[float]]]
"""Class and box in one frame by identity."""


@dataclass(frozen=True)
class IdentityScore:
    """What an inventory's identities are worth.

    Attributes:
        hota, det_a, ass_a: HOTA with its parts, detection and association accuracy, means over IoU 0.05 to 0.95.
        idf1: At an IoU of 0.5.
        frames: Frames that were compared.
        built, true: Boxes in them.
        unplaced: Boxes of the inventory whose source is none of the truth's frames; they are left out.
    """

    hota: float
    det_a: float
    ass_a: float
    idf1: float
    frames: int
    built: int
    true: int
    unplaced: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data for JSON."""
        return asdict(self)

    def as_text(self) -> str:
        """Return the figures in a line or two."""
        parts = f"DetA {self.det_a:.3f}, AssA {self.ass_a:.3f}"
        lines = [f"identities over {self.frames} frames: HOTA {self.hota:.3f} ({parts}), IDF1 {self.idf1:.3f}"]
        if self.unplaced:
            lines.append(f"{self.unplaced} boxes of the inventory are of frames that the truth does not have")
        return "\n".join(lines)


@dataclass
class _Truth:
    """The truth's frames: boxes by direction and number, and where each file's frames are."""

    boxes: dict[Key, Boxes] = field(default_factory=dict)
    files: dict[str, dict[str, dict[int, int]]] = field(default_factory=dict)
    """By file, direction and index in the file: the frame's number."""


def score_identities(built: Path, truth: Path) -> IdentityScore | str | None:
    """Score the identities of an inventory, where both sides have them frame by frame.

    These are `observations.jsonl` next to the inventory, and `*/frames.jsonl` next to the true assets, as drives of
    `reg-yolo scenes` have them. A box of the inventory matches a true one of its class only; signs on vehicles are no
    true assets. All passes are one sequence, so an asset that two passes list twice costs association accuracy.

    Args:
        built: inventory.geojson.
        truth: GeoJSON of the true assets.

    Returns:
        The score; a line that says why there is none; None where the truth has no frames.

    Raises:
        DataError: If a file is malformed.
    """
    tables = sorted(truth.parent.glob(f"*/{FRAMES}"))
    if not tables:
        return None
    observed = built.parent / OBSERVED
    if not observed.is_file():
        return f"identities are not scored: there is no {OBSERVED} next to {built}"
    try:
        from trackers.eval import box_iou, compute_hota_metrics, compute_identity_metrics
    except ImportError as error:
        return f"identities are not scored: {error}; {INSTALL}"
    found = _Truth()
    for table in tables:
        _read_truth(table, found)
    ours, unplaced = _read_observations(observed, found)
    directions = {direction for direction, _ in ours}
    frames = sorted(key for key in found.boxes if key[0] in directions)
    if not frames:
        return f"identities are not scored: no source in {observed} is a file of {truth.parent}"
    true_ids, our_ids, similarities = [], [], []
    numbers: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for key in frames:
        true, own = found.boxes[key], ours.get(key, {})
        true_ids.append(_numbered(true, numbers[0]))
        our_ids.append(_numbered(own, numbers[1]))
        similarity = box_iou(_boxes(true), _boxes(own))
        classes = [np.array([name for name, _ in side.values()], dtype=object) for side in (true, own)]
        similarities.append(np.where(classes[0][:, None] == classes[1][None, :], similarity, 0.0))
    hota = compute_hota_metrics(true_ids, our_ids, similarities)
    identity = compute_identity_metrics(true_ids, our_ids, similarities)
    ours_in_all, true_in_all = (sum(map(len, side)) for side in (our_ids, true_ids))
    return IdentityScore(
        hota["HOTA"], hota["DetA"], hota["AssA"], identity["IDF1"], len(frames), ours_in_all, true_in_all, unplaced
    )


def _read_truth(path: Path, truth: _Truth) -> None:
    direction = path.parent.name
    for place, record in _records(path, FRAMES_SCHEMAS):
        try:
            number = int(record["frame"])
            truth.boxes[direction, number] = {
                one["asset_id"]: (one["class"], one["xyxy"]) for one in record["objects"] if not one.get("on_vehicle")
            }
            # Detections may also be of the table itself, as those are that are made from true boxes.
            for file, index in ((record["file"], int(record["chapter_frame"])), (FRAMES, number)):
                truth.files.setdefault(file, {}).setdefault(direction, {})[index] = number
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{place} is not a frame of a drive: {error!r}") from None


def _read_observations(path: Path, truth: _Truth) -> tuple[dict[Key, Boxes], int]:
    """Boxes of the listed assets by frame, and how many are of other frames.

    Where an asset has two boxes in a frame (two classes on one object) the more confident one counts.
    """
    found: dict[Key, Boxes] = {}
    certain: dict[tuple[Key, str], float] = {}
    unplaced = 0
    chapters: dict[str, int] = {}
    for place, record in _records(path, (SCHEMA,), header=True):
        try:
            if record["record"] == "header":
                chapters = record["chapters"]
                continue
            if record["status"] != "listed":
                continue
            name = record["asset_id"]
            for one in record["observations"]:
                key = _placed(one["source"], one["frame"] - chapters.get(one["source"], 0), truth)
                if key is None:
                    unplaced += 1
                elif one["confidence"] > certain.get((key, name), -1.0):
                    certain[key, name] = one["confidence"]
                    found.setdefault(key, {})[name] = (record["class"], one["xyxy"])
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{place} is not an asset with observations: {error!r}") from None
    return found, unplaced


def _placed(source: str, index: int, truth: _Truth) -> Key | None:
    """Direction and number of a frame: its file is known by the end of its path, as a drive may have been moved."""
    parts = PurePosixPath(source.replace("\\", "/")).parts
    for count in (2, 1):
        directions = truth.files.get("/".join(parts[-count:]), {})
        if not directions:
            continue
        own = parts[-count - 1] if len(parts) > count else ""
        if own not in directions and len(directions) > 1:
            return None
        direction = own if own in directions else next(iter(directions))
        numbers = directions[direction]
        # Single frames are files of their own, whose only frame an image's detections count as 0.
        number = next(iter(numbers.values())) if len(numbers) == 1 else numbers.get(index)
        return None if number is None else (direction, number)
    return None


def _records(path: Path, schemas: tuple[str, ...], header: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and content of each line behind the header of a JSONL file, whose schema is checked.

    Args:
        header: Yield the header, too.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                place = f"{path}:{number}"
                try:
                    record = json.loads(line)
                except ValueError:
                    raise DataError(f"{place} is not JSON; was its writing cut off?") from None
                if number == 1:
                    schema = record.get("schema") if isinstance(record, dict) else None
                    if schema not in schemas:
                        raise DataError(f"{place}: schema must be {' or '.join(schemas)}, got {schema!r}")
                if number > 1 or header:
                    yield place, record
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _numbered(boxes: Boxes, numbers: dict[str, int]) -> NDArray[np.int64]:
    return np.array([numbers.setdefault(name, len(numbers)) for name in boxes], np.int64)


def _boxes(boxes: Boxes) -> NDArray[np.float64]:
    return np.array([box for _, box in boxes.values()], np.float64).reshape(-1, 4)
