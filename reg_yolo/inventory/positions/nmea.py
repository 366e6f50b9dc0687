"""NMEA logs of a receiver: RMC sentences give date, time and place, GGA sentences fix type, DOP and height."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.fixes import Fixes


def read_nmea(path: Path) -> Fixes:
    """Read a log; lines with a wrong checksum are counted in `dropped`.

    Raises:
        DataError: If it cannot be read or holds no RMC sentence.
    """
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    nan = float("nan")
    time, longitude, latitude, elevation, dop, kinds = [], [], [], [], [], []
    wrong = 0
    quality: dict[str, tuple[int, float, float]] = {}
    found: list[tuple[str, float, float, float, bool]] = []
    for line in lines:
        start = line.find("$")
        body, _, checksum = line[start + 1 :].partition("*") if start >= 0 else ("", "", "")
        if not body:
            continue
        if checksum.strip() and _checksum(body) != checksum.strip()[:2].upper():
            wrong += 1
            continue
        cells = body.split(",")
        try:
            if cells[0][2:] == "GGA":
                quality[cells[1]] = (3 if int(cells[6] or 0) else 0, _number(cells[8]), _number(cells[9]))
            elif cells[0][2:] == "RMC":
                moment = datetime.strptime(cells[9] + cells[1].split(".")[0], "%d%m%y%H%M%S").replace(tzinfo=UTC)
                seconds = moment.timestamp() + float("0." + [*cells[1].split("."), "0"][1])
                place = _degrees(cells[5], cells[6]), _degrees(cells[3], cells[4])
                found.append((cells[1], seconds, *place, cells[2] == "A"))
        except (ValueError, IndexError):
            wrong += 1
    for stamp, seconds, east, north, valid in found:
        kind, precision, height = quality.get(stamp, (-1, nan, nan))
        time.append(seconds)
        longitude.append(east)
        latitude.append(north)
        elevation.append(height)
        dop.append(precision)
        kinds.append(kind if valid else 0)
    if not found:
        raise DataError(f"{path} is not an NMEA log: it holds no RMC sentence, which gives date, time and place")
    fixes = Fixes.from_columns(str(path), time, longitude, latitude, elevation_m=elevation, dop=dop, fix_type=kinds)
    if wrong:
        fixes.dropped["damaged sentence"] = wrong
    return fixes


def _checksum(body: str) -> str:
    value = 0
    for byte in body.encode("ascii", errors="replace"):
        value ^= byte
    return f"{value:02X}"


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")


def _degrees(cell: str, hemisphere: str) -> float:
    """Degrees of NMEA's dddmm.mmmm."""
    if not cell:
        return float("nan")
    whole = int(float(cell) // 100)
    value = whole + (float(cell) - 100 * whole) / 60
    return -value if hemisphere in ("S", "W") else value
