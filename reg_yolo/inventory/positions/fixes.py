"""Position fixes as every reader returns them, and what is dropped before they are used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MAX_DOP = 8.0


@dataclass(frozen=True)
class Fixes:
    """Fixes of one receiver in the order of their times.

    Attributes:
        time_s: Shape (N,), POSIX seconds UTC; NaN where the positions belong to named images instead.
        longitude_deg, latitude_deg: Shape (N,), WGS 84.
        elevation_m: Shape (N,), NaN where unknown.
        dop: Shape (N,), dilution of precision, NaN where unknown.
        fix_type: Shape (N,), 0 none, 2 or 3 dimensions; -1 where unknown.
        segment: Shape (N,), number of the stretch; positions are never interpolated from one to the next.
        names: File names of images, one a fix; empty for positions by time.
        source: The file.
        dropped: How many fixes were left out, by reason.
        heading_deg: Shape (N,), clockwise from true north, where a survey vehicle measures it; NaN where unknown.
        pitch_deg, roll_deg: Shape (N,), against the horizontal: nose up, leaning to the right; NaN where unknown.
        starts: POSIX time at which the clock of each video that carries them was zero, by file name.
    """

    time_s: FloatArray
    longitude_deg: FloatArray
    latitude_deg: FloatArray
    elevation_m: FloatArray
    dop: FloatArray
    fix_type: NDArray[np.int64]
    segment: NDArray[np.int64]
    source: str
    names: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    heading_deg: FloatArray = field(default_factory=lambda: np.zeros(0))
    pitch_deg: FloatArray = field(default_factory=lambda: np.zeros(0))
    roll_deg: FloatArray = field(default_factory=lambda: np.zeros(0))
    starts: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("heading_deg", "pitch_deg", "roll_deg"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self.time_s), np.nan))

    def __len__(self) -> int:
        return len(self.time_s)

    def take(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Fixes:
        """Return the chosen fixes."""
        rows = np.arange(len(self))[kept]
        return replace(
            self,
            time_s=self.time_s[rows],
            longitude_deg=self.longitude_deg[rows],
            latitude_deg=self.latitude_deg[rows],
            elevation_m=self.elevation_m[rows],
            dop=self.dop[rows],
            fix_type=self.fix_type[rows],
            segment=self.segment[rows],
            names=tuple(self.names[row] for row in rows) if self.names else (),
            heading_deg=self.heading_deg[rows],
            pitch_deg=self.pitch_deg[rows],
            roll_deg=self.roll_deg[rows],
        )

    @classmethod
    def from_columns(
        cls,
        source: str,
        time_s: list[float],
        longitude_deg: list[float],
        latitude_deg: list[float],
        *,
        elevation_m: list[float] | None = None,
        dop: list[float] | None = None,
        fix_type: list[int] | None = None,
        segment: list[int] | None = None,
        names: tuple[str, ...] = (),
        heading_deg: list[float] | None = None,
        pitch_deg: list[float] | None = None,
        roll_deg: list[float] | None = None,
    ) -> Fixes:
        """Build from lists; unknown columns become NaN, and fix types -1."""
        count = len(time_s)
        unknown = [float("nan")] * count
        return cls(
            np.asarray(time_s, np.float64),
            np.asarray(longitude_deg, np.float64),
            np.asarray(latitude_deg, np.float64),
            np.asarray(elevation_m if elevation_m is not None else unknown, np.float64),
            np.asarray(dop if dop is not None else unknown, np.float64),
            np.asarray(fix_type if fix_type is not None else [-1] * count, np.int64),
            np.asarray(segment if segment is not None else [0] * count, np.int64),
            source,
            names,
            heading_deg=np.asarray(heading_deg if heading_deg is not None else unknown, np.float64),
            pitch_deg=np.asarray(pitch_deg if pitch_deg is not None else unknown, np.float64),
            roll_deg=np.asarray(roll_deg if roll_deg is not None else unknown, np.float64),
        )


def joined(parts: list[Fixes], source: str) -> Fixes:
    """Return the fixes of a camera's chapters as those of one receiver; counts of dropped fixes add up.

    Args:
        parts: At least one.
        source: What they are called together.
    """
    dropped: dict[str, int] = {}
    for part in parts:
        for reason, count in part.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    columns = ("time_s", "longitude_deg", "latitude_deg", "elevation_m", "dop", "fix_type", "segment")
    angles = ("heading_deg", "pitch_deg", "roll_deg")
    return Fixes(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns + angles},
        source=source,
        names=tuple(name for part in parts for name in part.names),
        dropped=dropped,
        starts={name: start for part in parts for name, start in part.starts.items()},
    )


def usable(fixes: Fixes, max_dop: float = MAX_DOP) -> Fixes:
    """Leave out what is not a position and put the rest in the order of time; `dropped` counts each reason.

    Args:
        fixes: As read.
        max_dop: Highest dilution of precision that is kept.
    """
    longitude, latitude = fixes.longitude_deg, fixes.latitude_deg
    finite = np.isfinite(longitude) & np.isfinite(latitude)
    inside = finite & (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    reasons = {
        "no position": ~inside,
        "at 0,0": inside & (np.abs(longitude) < 1e-6) & (np.abs(latitude) < 1e-6),
        "no fix": (fixes.fix_type == 0) | (fixes.fix_type == 1),
        f"DOP above {max_dop:g}": np.nan_to_num(fixes.dop, nan=0.0) > max_dop,
    }
    if not fixes.names:
        reasons["no time"] = ~np.isfinite(fixes.time_s)
    bad = np.zeros(len(fixes), np.bool_)
    dropped = dict(fixes.dropped)
    for reason, rows in reasons.items():
        new = rows & ~bad
        if new.any():
            dropped[reason] = dropped.get(reason, 0) + int(new.sum())
        bad |= rows
    kept = fixes.take(~bad)
    if not kept.names:
        kept = kept.take(np.argsort(kept.time_s, kind="stable"))
        again = np.concatenate(([False], np.diff(kept.time_s) <= 0)) if len(kept) else np.zeros(0, np.bool_)
        if again.any():
            dropped["time given twice"] = dropped.get("time given twice", 0) + int(again.sum())
            kept = kept.take(~again)
    return replace(kept, dropped=dropped)
