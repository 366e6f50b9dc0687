"""What somebody changed in an inventory's GeoPackage, in QGIS, read back as decisions."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.decisions.decision import ACCEPT, MOVE, RECLASSIFY, REJECT, Decision, Place, Seen
from reg_yolo.inventory.decisions.files import DecisionLog, read_decisions
from reg_yolo.inventory.outputs.fields import FieldMapping, read_fields
from reg_yolo.inventory.review.catalogue import Catalogue, Entry
from reg_yolo.inventory.review.edited_rows import Row, read_rows
from reg_yolo.inventory.review.naming import naming

_SAME_PLACE_M = 0.05
"""inventory.geojson has seven digits, which is a centimetre."""
_METRES_PER_DEGREE = 111_320.0
_HELD = {"asset_id", "class", "reviewed_by"}
# Follow from the place or are filled by the build, so that a change says nothing.
_FOLLOWING = {"decisions", "thumbnail"}


@dataclass(frozen=True)
class EditOptions:
    """How edits are read.

    Attributes:
        reviewer: Who made those of rows whose `reviewed_by` was not changed; None if there must be none.
        sigma_m: Deviation of a moved place on each axis.
        fields: The `--fields` file of the build, where columns were renamed.
    """

    reviewer: str | None = None
    sigma_m: float = 1.0
    fields: Path | None = None


@dataclass
class Edits:
    """What was read.

    Attributes:
        decisions: Those that are new to the file.
        known: How many the file had already.
        left: Edits that no decision can hold, one line each.
    """

    decisions: list[Decision] = field(default_factory=list)
    known: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Decisions by what they do."""
        return Counter(one.action for one in self.decisions)


def import_edits(edited: Path, folder: Path, out: Path, options: EditOptions | None = None) -> Edits:
    """Compare an edited GeoPackage with the inventory as it was built, and append what was changed to a file.

    A row that is gone is rejected, a point elsewhere moved, another class reclassified; a row whose `reviewed_by` alone
    was filled is accepted. Reading the same file once more adds nothing.

    Args:
        edited: The GeoPackage; `inventory.gpkg` itself, where it was edited in place.
        folder: Of the inventory.
        out: The decisions file.
        options: How.

    Raises:
        ConfigError: If nobody is named who made an edit.
        DataError: If a file cannot be read, or is of another build.
        OutputError: If the decisions file cannot be written.
    """
    options = options or EditOptions()
    mapping = read_fields(options.fields) if options.fields else FieldMapping()
    rows, layers = read_rows(edited, mapping)
    with Catalogue(folder) as catalogue:
        edits = _compared(edited, rows, layers, catalogue, options)
    with DecisionLog(out) as log:
        known = {one.decision_id for one in read_decisions([out])[0]}
        new = [one for one in edits.decisions if one.decision_id not in known]
        for decision in new:
            log.append(decision)
    return Edits(new, len(edits.decisions) - len(new), edits.left)


def _compared(edited: Path, rows: list[Row], layers: set[str], catalogue: Catalogue, options: EditOptions) -> Edits:
    by_id: dict[str, Row] = {}
    edits = Edits()
    for row in rows:
        asset_id = row.text("asset_id")
        if asset_id in by_id:
            edits.left.append(f"{row.where}: {asset_id} stands there twice; split it in the review")
        elif catalogue.rank_of(asset_id) is None:
            edits.left.append(f"{row.where}: {asset_id or 'a row without asset_id'} is new; nothing was seen of it")
        else:
            by_id[asset_id] = row
    if 2 * len(by_id) < len(rows) or (rows and not by_id):
        raise DataError(
            f"{edited} is of another build: {len(by_id)} of its {len(rows)} assets are in {catalogue.folder}; name the "
            "folder that it was built into"
        )
    for entry in catalogue.entries():
        _compare(edited, catalogue, entry, by_id.get(entry.asset_id), layers, edits, options)
    return edits


def _compare(
    edited: Path,
    catalogue: Catalogue,
    entry: Entry,
    row: Row | None,
    layers: set[str],
    edits: Edits,
    options: EditOptions,
) -> None:
    was = entry.feature["properties"]
    layer = f"{was['geometry_kind']}s"
    if row is None:
        if layer not in layers:
            raise DataError(f"{edited} has no layer {layer}; export all layers, or edit inventory.gpkg itself")
        who = _who(None, was, entry, options)
        edits.decisions.append(_decision(catalogue, entry, who, REJECT, why="deleted in QGIS"))
        return
    done: list[tuple[str, dict[str, Any]]] = []
    if row.text("class") != entry.class_name and row.text("class"):
        done.append((RECLASSIFY, {"class_name": row.text("class")}))
    place = _moved(entry, row)
    if place is not None:
        done.append((MOVE, {"place": Place(*place, options.sigma_m)}))
    elif _reshaped(entry, row):
        edits.left.append(f"{row.where}: {entry.asset_id} has another shape; a decision moves its middle only")
    signed = row.text("reviewed_by")
    if not done and signed and signed != str(was.get("reviewed_by") or ""):
        done.append((ACCEPT, {}))
    for action, more in done:
        edits.decisions.append(_decision(catalogue, entry, _who(row, was, entry, options), action, **more))
    other = [name for name in COLUMNS if name not in _HELD | _FOLLOWING and row.differs(name, was.get(name))]
    if other:
        edits.left.append(f"{row.where}: {entry.asset_id} has another {', '.join(other)}; no decision holds that")


def _who(row: Row | None, was: Mapping[str, Any], entry: Entry, options: EditOptions) -> str:
    signed = row.text("reviewed_by") if row is not None else ""
    if signed and signed != str(was.get("reviewed_by") or ""):
        return signed
    if options.reviewer is None:
        raise ConfigError(
            f"--reviewer: {entry.asset_id} was edited and its reviewed_by was not; say with --reviewer who did that"
        )
    return options.reviewer


def _decision(catalogue: Catalogue, entry: Entry, who: str, action: str, **more: Any) -> Decision:
    record = catalogue.observed(entry.asset_id)
    assert record is not None
    part = tuple(map(Seen.from_record, naming(record)))
    # The same edit, read twice, is one decision.
    text = repr((entry.asset_id, part, who, action, sorted(more.items(), key=lambda one: one[0])))
    name = f"gpkg-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return Decision(who, action, (part,), decision_id=name, asset_ids=(entry.asset_id,), **more)


def _moved(entry: Entry, row: Row) -> tuple[float, float] | None:
    """Longitude and latitude of where the middle stands now, or None where it stayed."""
    was = _points(entry)
    middle, now = (was[0] + was[-1]) / 2, (row.points[0] + row.points[-1]) / 2
    if _metres(now - middle, middle[1]) <= _SAME_PLACE_M:
        return None
    return float(now[0]), float(now[1])


def _reshaped(entry: Entry, row: Row) -> bool:
    was = _points(entry)
    if was.shape != row.points.shape:
        return True
    return any(_metres(apart, was[0, 1]) > _SAME_PLACE_M for apart in row.points - was)


def _points(entry: Entry) -> Any:
    return np.array(entry.feature["geometry"]["coordinates"], np.float64).reshape(-1, 2)


def _metres(apart: Any, latitude_deg: float) -> float:
    return math.hypot(apart[0] * math.cos(math.radians(latitude_deg)), apart[1]) * _METRES_PER_DEGREE
