"""What a filled row says, checked against the audit that it belongs to."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely

from reg_yolo.errors import DataError
from reg_yolo.inventory.audit.filled import TypedRow
from reg_yolo.inventory.audit.forms import ASSETS, DECIDER, DISPUTED, KIND, LISTED, NOTHING, STRETCHES, people
from reg_yolo.inventory.audit.plan import Plan
from reg_yolo.inventory.projection import LocalProjection, import_pyproj

_YES = {"yes", "y", "true", "1", "x", "ใช่", "มี", "ถูก"}
_NO = {"no", "n", "false", "0", "double", "duplicate", "ไม่", "ไม่ใช่", "ไม่มี", "ผิด", "ซ้ำ"}
_UNSURE = {"unsure", "unknown", "?", "ไม่แน่ใจ"}
_NOTHING = {NOTHING, "nothing", "-", "0", "ไม่มี"}
_MOVED_M = 0.05
_ID_DIGITS = 8


@dataclass(frozen=True)
class Answer:
    """What one person says of one thing.

    Attributes:
        kind: `assets`, `stretches` (what stands along one: one answer for each thing, or one without a class where
            nothing stands there) or `disputed`.
        form: Whose: `a`, `b`, or `c` who decides.
        item: Id of the asset, the stretch, or what was listed.
        yes: Whether the asset is right, or what was listed stands; None where unsure, or for stretches.
        class_name: What was listed; "" for nothing. Of an asset: what stands there instead.
        longitude, latitude: Where something that was listed stands.
        error_m: How far from its true place an asset is listed; None where it was not measured.
        auditor, checked_on, remark: As typed.
    """

    kind: str
    form: str
    item: str
    yes: bool | None = None
    class_name: str = ""
    longitude: float | None = None
    latitude: float | None = None
    error_m: float | None = None
    auditor: str = ""
    checked_on: str = ""
    remark: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)


def listed_id(stretch_id: str, class_name: str, longitude: float, latitude: float) -> str:
    """Return the name of something that was listed, the same for the same place and class."""
    text = f"{stretch_id} {class_name} {longitude:.6f} {latitude:.6f}"
    return f"{stretch_id}-{hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]}"


class Checker:
    """Turns rows into answers to one audit's questions."""

    def __init__(self, plan: Plan, disputed: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            plan: The audit.
            disputed: Class by id of what was listed so far, which may be decided.
        """
        self.plan = plan
        self.disputed = disputed
        self.assets = {asset.asset_id: asset for asset in plan.assets}
        self.stretches = {stretch.stretch_id: stretch for stretch in plan.stretches}
        points = np.array([point for stretch in plan.stretches for point in stretch.line])
        self.projection = LocalProjection.around(points[:, 0], points[:, 1])
        self.lines = {
            name: shapely.LineString(self.projection.to_metres(*np.array(stretch.line).T))
            for name, stretch in self.stretches.items()
        }
        self.classes = {name.casefold(): name for name in plan.all_classes}

    def answer(self, row: TypedRow) -> Answer | None:
        """Return what a row says, None where it is not filled.

        Raises:
            DataError: In one line, if it is not of this audit or an answer is not one.
        """
        if row.text("audit") != self.plan.audit:
            raise DataError(
                f"{row.where}: a form of audit {row.text('audit') or 'none'}, but this one is {self.plan.audit}"
            )
        form = row.text("form").casefold()
        allowed = (
            (DECIDER,) if row.kind == DISPUTED else (*people(self.plan), *((DECIDER,) if row.kind == ASSETS else ()))
        )
        if form not in allowed:
            raise DataError(f"{row.where}: form: expected {' or '.join(allowed)}, got {row.text('form')!r}")
        if row.kind == ASSETS:
            return self._asset(row, form)
        if row.kind == DISPUTED:
            return self._disputed(row, form)
        return self._stretch(row, form)

    def _asset(self, row: TypedRow, form: str) -> Answer | None:
        item = row.text("asset_id")
        asset = self.assets.get(item)
        if asset is None:
            raise DataError(f"{row.where}: asset_id {item!r} is not in the sample of this audit")
        answers = ("true_class", "error_m", "true_longitude", "true_latitude", "remark")
        moved = self._moved(row, asset.longitude, asset.latitude)
        if not row.text("correct"):
            typed = next((name for name in answers if row.text(name)), "the moved point" if moved else None)
            if typed:
                raise DataError(f"{row.where}: correct is empty but {typed} is filled; expected yes, no or unsure")
            return None
        yes = _judged(row, "correct")
        error = row.number("error_m")
        if error is not None and error < 0:
            raise DataError(f"{row.where}: error_m: expected metres from 0 on, got {row.text('error_m')}")
        if error is None:
            place = self._pair(row, "true_longitude", "true_latitude")
            error = moved if place is None else _metres((asset.longitude, asset.latitude), place)
            if error is not None and error > 1000:
                raise DataError(
                    f"{row.where}: the true place lies {error:.0f} m away; are longitude and latitude swapped?"
                )
        return Answer(
            ASSETS, form, item, yes, self._class(row.text("true_class")), error_m=error if yes else None,
            **_signed(row),
        )  # fmt: skip

    def _moved(self, row: TypedRow, longitude: float, latitude: float) -> float | None:
        """How far a point was moved in a GIS; None where it was not."""
        if not row.text("drawn_longitude"):
            return None
        drawn = float(row.text("drawn_longitude")), float(row.text("drawn_latitude"))
        away = _metres((longitude, latitude), drawn)
        return away if away > _MOVED_M else None

    def _disputed(self, row: TypedRow, form: str) -> Answer | None:
        item = row.text("listed_id")
        if item not in self.disputed:
            raise DataError(f"{row.where}: listed_id {item!r} was listed by nobody in this audit")
        if not row.text("stands"):
            if row.text("remark"):
                raise DataError(f"{row.where}: stands is empty but remark is filled; expected yes, no or unsure")
            return None
        return Answer(DISPUTED, form, item, _judged(row, "stands"), self.disputed[item], **_signed(row))

    def _stretch(self, row: TypedRow, form: str) -> Answer | None:
        item, drawn = row.text("stretch_id"), row.kind == LISTED
        if drawn and not item:
            item = self._nearest(row)
        if item not in self.stretches:
            raise DataError(f"{row.where}: stretch_id {item!r} is not in the sample of this audit")
        if row.is_mark:
            checked = bool(row.text("checked")) and _judged(row, "checked")
            return Answer(STRETCHES, form, item, **_signed(row)) if checked else None
        name = row.text("class")
        if not name:
            typed = next((key for key in KIND[STRETCHES].answers if row.text(key) and key not in _QUIET), None)
            if typed or drawn:
                raise DataError(f"{row.where}: class is empty; expected what stands there, or {NOTHING}")
            return None
        if name.casefold() in _NOTHING:
            return Answer(STRETCHES, form, item, **_signed(row))
        longitude, latitude = self._place(row, item, drawn)
        return Answer(
            STRETCHES, form, item, None, self._class(name), round(longitude, 7), round(latitude, 7), **_signed(row)
        )  # fmt: skip

    def _place(self, row: TypedRow, item: str, drawn: bool) -> tuple[float, float]:
        line = self.lines[item]
        place = self._pair(row, *(("drawn_longitude", "drawn_latitude") if drawn else ("longitude", "latitude")))
        if place is None:
            along, offset = row.number("along_m"), row.number("offset_m")
            if along is None or offset is None:
                raise DataError(f"{row.where}: no place; expected longitude and latitude, or along_m and offset_m")
            on = min(max(along, 0.0), line.length)
            base, ahead, behind = (
                np.array(line.interpolate(at).coords[0]) for at in (on, min(on + 1, line.length), max(on - 1, 0.0))
            )
            way = (ahead - behind) / max(float(np.linalg.norm(ahead - behind)), 1e-9)
            metres = base + way * (along - on) + offset * np.array([way[1], -way[0]])
        else:
            metres = self.projection.to_metres(*place)[0]
        away, most = float(line.distance(shapely.Point(metres))), self.plan.terms.reach_m + self.plan.terms.within_m
        if not away <= most:
            raise DataError(f"{row.where}: lies {away:.0f} m from stretch {item}, expected {most:g} m at most")
        degrees = self.projection.to_degrees(metres)[0]
        return float(degrees[0]), float(degrees[1])

    def _nearest(self, row: TypedRow) -> str:
        place = self._pair(row, "drawn_longitude", "drawn_latitude")
        assert place is not None
        point = shapely.Point(self.projection.to_metres(*place)[0])
        return min(self.lines, key=lambda name: float(self.lines[name].distance(point)))

    def _pair(self, row: TypedRow, first: str, second: str) -> tuple[float, float] | None:
        longitude, latitude = row.number(first), row.number(second)
        if longitude is None and latitude is None:
            return None
        if longitude is None or latitude is None:
            raise DataError(f"{row.where}: expected both {first} and {second}")
        if abs(longitude) > 180 or abs(latitude) > 90:
            raise DataError(f"{row.where}: longitude {longitude:g} and latitude {latitude:g} are out of range")
        return longitude, latitude

    def _class(self, name: str) -> str:
        """The class as the inventory writes it."""
        return self.classes.get(name.casefold(), name)


_QUIET = ("class", "auditor", "checked_on")


def _judged(row: TypedRow, column: str) -> bool | None:
    text = row.text(column).casefold()
    if text in _YES:
        return True
    if text in _NO:
        return False
    if text in _UNSURE:
        return None
    raise DataError(f"{row.where}: {column}: expected yes, no or unsure, got {row.text(column)!r}")


def _signed(row: TypedRow) -> dict[str, Any]:
    return {name: row.text(name) for name in ("auditor", "checked_on", "remark")}


def _metres(first: tuple[float, float], second: tuple[float, float]) -> float:
    _, _, away = import_pyproj().Geod(ellps="WGS84").inv(*first, *second)
    return round(float(away), 2) if math.isfinite(away) else math.inf
