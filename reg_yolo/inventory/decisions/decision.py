"""What a reviewer decides about an asset, in terms of what was seen: it outlives the inventory it was made on."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SCHEMA = "reg_yolo.decisions/1"
ACCEPT, REJECT, MOVE, RECLASSIFY, MERGE, SPLIT, UNDO = ACTIONS = (
    "accept", "reject", "move", "reclassify", "merge", "split", "undo"
)  # fmt: skip
REGROUPING = (MERGE, SPLIT)
"""Actions that name two or more assets, or parts of one."""


@dataclass(frozen=True)
class Seen:
    """An observation: a box in a frame of a source.

    Attributes:
        source: File, as the detections file names it.
        frame: Index of the frame as the detections file counts it.
        xyxy: Pixels.
    """

    source: str
    frame: int
    xyxy: tuple[float, float, float, float]

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"source": self.source, "frame": self.frame, "xyxy": [round(side, 2) for side in self.xyxy]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Seen:
        """Read `to_record`'s object; further keys, such as those of observations.jsonl, are left out."""
        x1, y1, x2, y2 = (float(side) for side in record["xyxy"])
        if not (all(map(math.isfinite, (x1, y1, x2, y2))) and x1 < x2 and y1 < y2):
            raise ValueError(f"xyxy must be left, top, right, bottom in pixels, got {record['xyxy']}")
        if not isinstance(record["source"], str) or not isinstance(record["frame"], int):
            raise ValueError(
                f"source must be a text and frame an integer, got {record['source']!r}, {record['frame']!r}"
            )
        return cls(record["source"], record["frame"], (x1, y1, x2, y2))


@dataclass(frozen=True)
class Place:
    """Where a reviewer put an asset.

    Attributes:
        longitude_deg, latitude_deg: WGS 84.
        sigma_m: Deviation on each axis.
    """

    longitude_deg: float
    latitude_deg: float
    sigma_m: float

    def __post_init__(self) -> None:
        if not (-180 <= self.longitude_deg <= 180 and -90 <= self.latitude_deg <= 90):
            raise ValueError(
                f"longitude and latitude must be degrees, got {self.longitude_deg:g}, {self.latitude_deg:g}"
            )
        if not 0 < self.sigma_m < 1000:
            raise ValueError(f"sigma_m must be metres in (0, 1000), got {self.sigma_m:g}")


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        who: Who decided.
        action: One of `ACTIONS`.
        parts: Observations of each asset that is meant: one for accept, reject, move and reclassify; two or more for
            merge and split; none for undo.
        why: In the reviewer's words.
        when: ISO 8601 in UTC.
        decision_id: Its name, which undo refers to.
        place: Of a move.
        class_name: Of a reclassification.
        undoes: `decision_id` of what an undo takes back.
        asset_ids: What the parts were called in the inventory that was reviewed: for people and a quick search. What a
            decision is about, its observations say.
        read_from: FILE:LINE where it was read; "" where it was not.

    Raises:
        ValueError: If what the action needs is missing, or something does not go with it.

    Example:
        >>> seen = Seen("drive.mp4", 120, (10.0, 20.0, 40.0, 60.0))
        >>> decision = Decision("somchai", "accept", ((seen,),), when="2024-05-02T08:15:30.000Z", decision_id="a1")
        >>> Decision.from_record(decision.to_record()) == decision
        True
    """

    who: str
    action: str
    parts: tuple[tuple[Seen, ...], ...] = ()
    why: str = ""
    when: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    decision_id: str = field(default_factory=lambda: secrets.token_hex(8))
    place: Place | None = None
    class_name: str | None = None
    undoes: str | None = None
    asset_ids: tuple[str, ...] = ()
    read_from: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}, got {self.action!r}")
        if not self.who.strip():
            raise ValueError("who must name a person, got nothing")
        if not self.decision_id:
            raise ValueError("id must not be empty")
        if datetime.fromisoformat(self.when).tzinfo is None:
            raise ValueError(f"when must be a time with its offset, such as 2024-05-02T08:15:30Z, got {self.when!r}")
        least, most = {UNDO: (0, 0), MERGE: (2, None), SPLIT: (2, None)}.get(self.action, (1, 1))
        if len(self.parts) < least or (most is not None and len(self.parts) > most):
            wanted = "two or more parts" if most is None else "one list of observations" if most else "no observations"
            raise ValueError(f"{self.action} needs {wanted}, got {len(self.parts)}")
        if not all(self.parts):
            raise ValueError(f"{self.action}: observations must not be empty")
        for action, name, value in (
            (MOVE, "longitude, latitude and sigma_m", self.place),
            (RECLASSIFY, "class", self.class_name),
            (UNDO, "undoes", self.undoes),
        ):
            if (value is not None and value != "") != (self.action == action):
                raise ValueError(f"{name} must be given with {action}, and with nothing else; got {self.action}")

    @property
    def time_s(self) -> float:
        """POSIX time."""
        return datetime.fromisoformat(self.when).timestamp()

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object; docs/inventory.md describes it."""
        record: dict[str, Any] = {
            "schema": SCHEMA, "id": self.decision_id, "who": self.who, "when": self.when, "why": self.why,
            "action": self.action,
        }  # fmt: skip
        parts = [[seen.to_record() for seen in part] for part in self.parts]
        if self.action in REGROUPING:
            record["parts"] = parts
        elif parts:
            record["observations"] = parts[0]
        if self.place is not None:
            record |= {
                "longitude": self.place.longitude_deg,
                "latitude": self.place.latitude_deg,
                "sigma_m": self.place.sigma_m,
            }
        if self.class_name is not None:
            record["class"] = self.class_name
        if self.undoes is not None:
            record["undoes"] = self.undoes
        if self.asset_ids:
            record["assets"] = list(self.asset_ids)
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any], read_from: str = "") -> Decision:
        """Read `to_record`'s object.

        Raises:
            ValueError, KeyError, TypeError: If it is not one; the schema of a later version included.
        """
        if record["schema"] != SCHEMA:
            raise ValueError(f"schema is {record['schema']!r}; this version of reg_yolo reads {SCHEMA!r}")
        key = "parts" if record["action"] in REGROUPING else "observations"
        given = record.get(key) or []
        parts = given if key == "parts" else [given] if given else []
        place = None
        if record["action"] == MOVE:
            place = Place(float(record["longitude"]), float(record["latitude"]), float(record["sigma_m"]))
        return cls(
            str(record["who"]),
            str(record["action"]),
            tuple(tuple(Seen.from_record(seen) for seen in part) for part in parts),
            str(record.get("why") or ""),
            str(record["when"]),
            str(record["id"]),
            place,
            None if record.get("class") is None else str(record["class"]),
            None if record.get("undoes") is None else str(record["undoes"]),
            tuple(str(asset_id) for asset_id in record.get("assets") or ()),
            read_from,
        )


@dataclass(frozen=True)
class NotApplied:
    """A decision, or a line of a decisions file, that an inventory does not follow.

    Attributes:
        decision: The decision; None for a line that could not be read.
        reason: Why.
        read_from: FILE:LINE.
    """

    decision: Decision | None
    reason: str
    read_from: str

    @classmethod
    def of(cls, decision: Decision, reason: str) -> NotApplied:
        """Return one for a decision that was read."""
        return cls(decision, reason, decision.read_from)
