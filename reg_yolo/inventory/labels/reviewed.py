"""The assets of a build, what they were seen by, and what reviewers say of them."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.decisions.applying import counted
from reg_yolo.inventory.decisions.decision import ACCEPT, REGROUPING, Decision, NotApplied
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.decisions.grouping import Observed
from reg_yolo.inventory.decisions.matching import Sources, refuse_other_drives
from reg_yolo.inventory.decisions.rulings import rule
from reg_yolo.inventory.decisions.standing import standing_decisions
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.observations import Observations
from reg_yolo.inventory.outputs.observed import SCHEMA

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"
FILE = "observations.jsonl"
_COLUMNS = 11


@dataclass(frozen=True)
class ReviewedAsset:
    """An asset.

    Attributes:
        asset_id: Its name.
        class_name: Its class, as the build or a reviewer says.
        verdict: `accepted`, `rejected` or `undecided`.
    """

    asset_id: str
    class_name: str
    verdict: str


@dataclass(frozen=True)
class ReviewedAssets:
    """Assets, and the N boxes that they were seen by.

    Attributes:
        assets: All of them.
        sources: Files, as the detections name them.
        asset, source: Number of the asset and of the source of each box, shape (N,).
        frame: Index of its frame as the detections file counts it, shape (N,).
        time_s: Time of its frame in its own file, shape (N,); NaN for an image.
        xyxy: Pixels, shape (N, 4).
        confidence: Shape (N,).
        size: Width and height of its frame, shape (N, 2); 0 where an earlier version has not noted it.
        media: What is known of the sources.
    """

    assets: list[ReviewedAsset]
    sources: list[str]
    asset: IntArray
    source: IntArray
    frame: IntArray
    time_s: FloatArray
    xyxy: FloatArray
    confidence: FloatArray
    size: IntArray
    media: MediaFacts


@dataclass
class _Columns:
    assets: list[ReviewedAsset] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)
    # A month has millions of boxes: as Python numbers they would not fit.
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, record: dict[str, Any]) -> None:
        verdict = {"rejected": REJECTED}.get(record["status"], ACCEPTED if record.get("reviewed_by") else UNDECIDED)
        number = len(self.assets)
        self.assets.append(ReviewedAsset(str(record["asset_id"]), str(record["class"]), verdict))
        usual = record.get("size") or (0, 0)
        for seen in record["observations"]:
            source = self.sources.setdefault(str(seen["source"]), len(self.sources))
            time_s = float("nan") if seen["time_s"] is None else float(seen["time_s"])
            x1, y1, x2, y2 = seen["xyxy"]
            width, height = seen.get("size") or usual
            self.values.extend(
                (number, source, seen["frame"], time_s, x1, y1, x2, y2, seen["confidence"], width, height)
            )


def read_reviewed(
    folder: Path, decisions: Sequence[Path] = (), say: Callable[[str], None] = lambda _line: None
) -> tuple[ReviewedAssets, list[NotApplied]]:
    """Read the assets of a build with what reviewers have decided.

    What the build knows (`reviewed_by`, the rejected ones) counts, and above it what the files say.

    Args:
        folder: Of an inventory.
        decisions: Further decisions files.
        say: Called with each line that the user should read.

    Returns:
        The assets, and the decisions that are not followed.

    Raises:
        DataError: If a file cannot be read, or decisions are for another drive.
    """
    path = folder / FILE if folder.is_dir() else folder
    columns, media = _Columns(), MediaFacts()
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                record = json.loads(line)
                if number == 1:
                    if record.get("schema") != SCHEMA:
                        raise DataError(f"{path} is not the observations of an inventory: expected schema {SCHEMA!r}")
                    media = _media(record)
                else:
                    columns.add(record)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; give the folder that inventory build has written"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path}:{number} is no asset with its observations; build the inventory again") from None
    table = np.frombuffer(columns.values, np.float64).reshape(-1, _COLUMNS)
    asset, source, frame, width, height = (table[:, n].astype(np.int64) for n in (0, 1, 2, 9, 10))
    reviewed = ReviewedAssets(
        columns.assets, list(columns.sources), asset, source, frame, table[:, 3], table[:, 4:8], table[:, 8],
        np.stack([width, height], 1), media,
    )  # fmt: skip
    return _decided(reviewed, decisions, say) if decisions else (reviewed, [])


def _media(header: dict[str, Any]) -> MediaFacts:
    return MediaFacts(
        dict(header.get("frame_counts") or {}), set(header.get("disturbed") or ()), dict(header.get("chapters") or {}),
        set(header.get("blur") or ()),
    )  # fmt: skip


def _decided(
    reviewed: ReviewedAssets, paths: Sequence[Path], say: Callable[[str], None]
) -> tuple[ReviewedAssets, list[NotApplied]]:
    read, dropped = read_decisions(paths)
    refuse_other_drives(paths, read, reviewed.sources)
    standing, contradicting = standing_decisions(read)
    plain = [one for decision in standing for one in _confirmed(decision)]
    sources = Sources(reviewed.sources)
    observed = _observed(reviewed, plain, sources)
    rulings, not_followed = rule(plain, observed, [[n] for n in range(len(observed))], sources, lambda _name: False)
    assets = list(reviewed.assets)
    for number, ruling in rulings.items():
        asset, verdict = assets[number], ACCEPTED if ruling.exists else REJECTED
        assets[number] = replace(asset, verdict=verdict, class_name=ruling.class_name or asset.class_name)
    dropped = [*dropped, *contradicting, *not_followed]
    say(f"{len(read)} decisions: {len(rulings)} assets reviewed")
    if dropped:
        say(counted(dropped))
    return replace(reviewed, assets=assets), dropped


def _confirmed(decision: Decision) -> list[Decision]:
    """Return what a decision says of boxes: a merge or split says of each part that it is a real object."""
    if decision.action not in REGROUPING:
        return [decision]
    return [
        replace(decision, action=ACCEPT, parts=(part,), decision_id=f"{decision.decision_id}/{number}")
        for number, part in enumerate(decision.parts)
    ]


@dataclass(frozen=True)
class _Observed:
    observations: Observations
    ends_m: FloatArray | None = None


def _observed(reviewed: ReviewedAssets, decisions: Sequence[Decision], sources: Sources) -> list[Observed]:
    """Return for each asset those of its boxes that are in a frame of a decision; no others are asked for."""
    wanted = {
        (sources.named(seen.source), seen.frame) for decision in decisions for part in decision.parts for seen in part
    }
    rows: dict[int, list[int]] = {}
    # A month has millions of boxes, of which few are in frames with these numbers.
    for row in np.flatnonzero(np.isin(reviewed.frame, [frame for _, frame in wanted])).tolist():
        if (reviewed.sources[reviewed.source[row]], int(reviewed.frame[row])) in wanted:
            rows.setdefault(int(reviewed.asset[row]), []).append(row)
    nothing = _Observed(Observations.none())
    return [_of_rows(reviewed, rows[n]) if n in rows else nothing for n in range(len(reviewed.assets))]


def _of_rows(reviewed: ReviewedAssets, rows: Sequence[int]) -> _Observed:
    return _Observed(
        Observations(
            tuple(reviewed.sources[reviewed.source[row]] for row in rows),
            reviewed.frame[rows].astype(np.int32),
            reviewed.time_s[rows],
            reviewed.xyxy[rows].astype(np.float32),
            reviewed.confidence[rows].astype(np.float32),
            ("",) * len(rows),
        )
    )
