"""Positions that exiftool read out of videos or images: `exiftool -ee -G3 -j -n` as JSON, or with -csv instead of -j.

What stands in one file is numbered Doc1, Doc2, ...: a fix each. A file with a place of its own, such as an image, gives
a position by file name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.timing import parse_time

_NAN = float("nan")
_ANGLE = re.compile(r"""([-+]?[\d.]+)\s*(?:deg|°)\s*(?:([\d.]+)\s*'\s*)?(?:([\d.]+)\s*"\s*)?([NSEW])?""")
_DOCUMENT = re.compile(r"Doc\d+(-\d+)*")
_HOW = "expected what exiftool -ee -G3 -j -n prints"


def read_exiftool(path: Path) -> Fixes:
    """Read exiftool's JSON.

    Raises:
        DataError: If it cannot be read, is something else, or has no position.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, list) or not all(isinstance(entry, dict) and "SourceFile" in entry for entry in content):
        raise DataError(f"{path}: {_HOW}, a list of objects with SourceFile")
    return fixes_of_files(str(path), content)


def fixes_of_files(source: str, files: Sequence[Mapping[str, Any]]) -> Fixes:
    """Return the positions of files as exiftool lists them, a mapping of tags each.

    Args:
        source: Where the list was read from, for messages.
        files: Tags by name, with or without groups before it, and `SourceFile`.

    Raises:
        DataError: If none has a position, or a value is not understood.
    """
    columns: list[tuple[float, float, float, float, float, int]] = []
    segments: list[int] = []
    starts: dict[str, float] = {}
    for number, tags in enumerate(files):
        documents = [document for name, document in _documents(tags).items() if name and "GPSLatitude" in document]
        name = Path(str(tags["SourceFile"])).name
        fixes = [_fix(f"{source}: {name}", document) for document in documents]
        clock = np.array([_seconds(document.get("SampleTime")) for document in documents])
        ahead = np.array([fix[0] for fix in fixes]) - clock
        good = np.array([fix[5] not in (0, 1) for fix in fixes], np.bool_) & np.isfinite(ahead)
        if good.any():
            # Fixes lie on the video's clock: the receiver's jumps while it locks on, or has whole seconds only.
            starts[name] = float(np.median(ahead[good]))
            fixes = [
                (starts[name] + at if np.isfinite(at) else fix[0], *fix[1:])
                for at, fix in zip(clock.tolist(), fixes, strict=True)
            ]
        columns += fixes
        segments += [number] * len(fixes)
    names: tuple[str, ...] = ()
    if not columns:
        own = [(str(tags["SourceFile"]), _documents(tags).get("", {})) for tags in files]
        placed = [(name, tags) for name, tags in own if "GPSLatitude" in tags]
        if len(placed) < 2:
            raise DataError(
                f"{source}: no positions over time and fewer than two files with one; {_HOW} (with -ee and -G3)"
            )
        columns = [_fix(f"{source}: {Path(name).name}", tags) for name, tags in placed]
        names, segments = tuple(Path(name).name for name, _ in placed), [0] * len(placed)
    time, longitude, latitude, elevation, dop, kind = (list(column) for column in zip(*columns, strict=True))
    found = Fixes.from_columns(
        source, time, longitude, latitude, elevation_m=elevation, dop=dop, fix_type=kind, segment=segments, names=names
    )  # fmt: skip
    return replace(found, starts=starts)


def degrees(value: object) -> float:
    """Return degrees of `13.75`, `13 deg 45' 0.00" N` or an empty cell, which gives NaN.

    Raises:
        ValueError: If it is neither.
    """
    text = str(value).strip()
    found = _ANGLE.fullmatch(text)
    if not found:
        return float(text) if text else _NAN
    whole, minutes, seconds, hemisphere = found.groups()
    size = abs(float(whole)) + float(minutes or 0) / 60 + float(seconds or 0) / 3600
    return -size if hemisphere in ("S", "W") or whole.startswith("-") else size


def fix_type(value: object) -> int:
    """Return 0 (none), 2 or 3 of `3`, `3D` or `3-Dimensional Measurement`; -1 where nothing is said."""
    text = str(value).strip().lower()
    digit = re.search(r"\d", text)
    if digit:
        return int(digit[0])
    return 0 if text in ("none", "void", "no fix") else -1


def header_of(cells: Iterable[str]) -> list[str]:
    """Return the columns of a line that `exiftool -ee -p` printed without -n, known by date and hemisphere.

    The list is empty where time, latitude or longitude is not among them.
    """
    kinds = {"time": r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d.*", "latitude": r"\d.* ?[NS]", "longitude": r"\d.* ?[EW]"}
    header = [next((kind for kind, form in kinds.items() if re.fullmatch(form, cell.strip())), "") for cell in cells]
    return header if set(kinds) <= set(header) else []


def _documents(tags: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Tags by document: '' is the file's own. Composite ones, which have a sign, win over raw ones."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in tags.items():
        if value is None or value == "":
            continue
        *groups, tag = key.split(":")
        document = next((group for group in groups if _DOCUMENT.fullmatch(group)), "")
        group = found.setdefault(document, {})
        if tag not in group or "Composite" in groups:
            group[tag] = value
    return found


def _fix(where: str, tags: Mapping[str, Any]) -> tuple[float, float, float, float, float, int]:
    """Time, longitude, latitude, elevation, DOP and fix type."""
    try:
        places = []
        for tag, negative in (("GPSLongitude", "W"), ("GPSLatitude", "S")):
            value = degrees(tags.get(tag, ""))
            against = str(tags.get(f"{tag}Ref", "")).upper().startswith(negative)
            places.append(-value if against and value > 0 else value)
        stamp = tags.get("GPSDateTime") or " ".join(str(tags.get(f"GPS{part}Stamp", "")) for part in ("Date", "Time"))
        time = parse_time(str(stamp)) if len(str(stamp)) > 12 else _NAN
        height = re.match(r"[-+]?[\d.]+", str(tags.get("GPSAltitude", "")))
        # GoPro's dilution comes under the name of an error in metres; only GoPro has the speed in three dimensions.
        dop = tags.get("GPSDOP", tags.get("GPSHPositioningError", _NAN) if "GPSSpeed3D" in tags else _NAN)
        void = str(tags.get("GPSStatus", "")).strip() in ("V", "Measurement Void")
        kind = 0 if void else fix_type(tags.get("GPSMeasureMode", ""))
        return time, places[0], places[1], float(height[0]) if height else _NAN, float(dop), kind
    except (ValueError, ConfigError) as error:
        raise DataError(f"{where}: {error}") from None


def _seconds(value: object) -> float:
    """Seconds of `1.5`, `1.50 s` or `0:01:02`; NaN where it is neither."""
    parts = str(value).removesuffix(" s").split(":")
    try:
        return sum(float(part) * 60**place for place, part in enumerate(reversed(parts)))
    except ValueError:
        return _NAN
