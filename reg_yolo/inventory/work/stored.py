"""Outcomes of drives as a file: JSON Lines, one object a sighting, numbers exactly as they were.

The first line is the header, `{"schema": "reg_yolo.drives/3"}`; then come the outcomes, each before its sightings.
Nothing in such a file is code, so it may lie where others can write. The boxes of a sighting are most of it, and are
wanted one object at a time; a reader leaves them in the file.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.errors import DataError
from reg_yolo.files import replacing
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.drive.not_static import NotStatic
from reg_yolo.inventory.drive.stretches import Stretch
from reg_yolo.inventory.drive.unlocated import Unlocated
from reg_yolo.inventory.network.shifts import DriveErrors
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.observations import Observations, SeenAtHand, View
from reg_yolo.inventory.work.outcome import DriveOutcome

SCHEMA = "reg_yolo.drives/3"
_KINDS = {
    kind.__name__: kind
    for kind in (
        DriveErrors,
        DriveOutcome,
        Features,
        MediaFacts,
        NotStatic,
        Observations,
        Sighting,
        Stretch,
        Unlocated,
        View,
    )
}
_BROKEN = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)
_SEEN = ("observations", "view")
_NUMBERS = ("float64", "float32", "int64", "int32")
_MOST_ALIKE = 10_000_000
"""Far more boxes than an object has: a short line cannot ask for all of the memory."""


@dataclass(frozen=True, slots=True)
class SeenInFile:
    """What an object was seen by, read whenever it is asked for.

    Attributes:
        path: File of outcomes.
        offset: Of its line, in bytes.
    """

    path: Path
    offset: int

    @property
    def observations(self) -> Observations:
        """Its boxes."""
        return self._read().observations

    @property
    def view(self) -> View | None:
        """The frame that shows it best."""
        return self._read().view

    def _read(self) -> SeenAtHand:
        try:
            with self.path.open("rb") as stream:
                stream.seek(self.offset)
                found = json.loads(stream.readline())
            return SeenAtHand(*(_restored(found[name]) for name in _SEEN))
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}") from None
        except _BROKEN as error:
            raise DataError(f"{self.path} changed while it was read ({error}); build again") from None


def write_outcomes(path: Path, outcomes: Sequence[DriveOutcome]) -> None:
    """Write outcomes; an older file is replaced."""
    with replacing(path) as part, part.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps({"schema": SCHEMA}) + "\n")
        for outcome in outcomes:
            for one in (replace(outcome, sightings=[]), *outcome.sightings):
                stream.write(json.dumps(_plain(one), ensure_ascii=False, separators=(",", ":")) + "\n")


def read_outcomes(path: Path) -> list[DriveOutcome]:
    """Read outcomes; the boxes of their sightings stay in the file until they are asked for.

    Raises:
        DataError: If the file cannot be read, or is none.
    """
    outcomes: list[DriveOutcome] = []
    try:
        with path.open("rb") as stream:
            header = next(stream)
            if json.loads(header) != {"schema": SCHEMA}:
                raise ValueError(f"its first line is not the schema {SCHEMA}")
            offset = len(header)
            for line in stream:
                found = json.loads(line)
                if isinstance(found, dict) and found.get("is") == "Sighting":
                    for name in _SEEN:
                        del found[name]
                    one = _restored(found)
                    one.seen = SeenInFile(path, offset)
                else:
                    one = _restored(found)
                offset += len(line)
                if isinstance(one, DriveOutcome):
                    outcomes.append(one)
                elif isinstance(one, Sighting):
                    outcomes[-1].sightings.append(one)
                else:
                    raise ValueError(f"a line is a {type(one).__name__}")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (*_BROKEN, StopIteration) as error:
        raise DataError(f"{path} is not the outcome of a drive: {error}; remove it, and build again") from None
    return outcomes


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        found = {one.name: getattr(value, one.name) for one in fields(value)}
        if isinstance(value, Sighting):
            found |= {name: getattr(found["seen"], name) for name in _SEEN}
            del found["seen"]
        return {"is": type(value).__name__, **{name: _plain(one) for name, one in found.items()}}
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"is": "array", "of": value.dtype.name, "shape": value.shape, "bytes": content}
    if isinstance(value, dict):
        return {"is": "dict", "items": [[key, _plain(one)] for key, one in value.items()]}
    if isinstance(value, (list, tuple, set)):
        # What is the same throughout, such as the sources of an object's boxes, is stored once.
        alike = len(value) > 2 and len(set(map(str, value))) == 1 and isinstance(next(iter(value)), str)
        if alike and isinstance(value, tuple):
            return {"is": "same", "item": value[0], "times": len(value)}
        return {"is": type(value).__name__, "items": [_plain(one) for one in value]}
    return value.item() if isinstance(value, np.generic) else value


def _restored(value: Any) -> Any:
    if isinstance(value, str):
        # Names of sources and classes are few, and come with every box.
        return sys.intern(value)
    if not isinstance(value, dict):
        return value
    kind = value.pop("is")
    if kind == "array":
        if value["of"] not in _NUMBERS:
            raise ValueError(f"an array of {value['of']}")
        array = np.frombuffer(base64.b64decode(value["bytes"]), value["of"])
        return array.reshape(value["shape"]).copy()
    if kind == "same":
        if not 0 <= value["times"] <= _MOST_ALIKE:
            raise ValueError(f"{value['times']} times the same")
        return (sys.intern(value["item"]),) * value["times"]
    if kind == "dict":
        return {_restored(key): _restored(one) for key, one in value["items"]}
    if kind in ("list", "tuple", "set"):
        return {"list": list, "tuple": tuple, "set": set}[kind](_restored(one) for one in value["items"])
    return _KINDS[kind](**{key: _restored(one) for key, one in value.items()})
