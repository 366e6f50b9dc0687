"""`manifest.jsonl`: what became of every source of a run over many. Schema: docs/many_files.md.

The file only grows, by whole lines, so that several processes keep it together; the last record of a source counts. It
is rewritten with those alone when a run starts. A line that a killed process left unfinished is skipped.
"""

import errno
import json
import math
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from reg_yolo.errors import DataError, MediaError

SCHEMA = "reg_yolo.manifest/1"
MANIFEST_FILE = "manifest.jsonl"

SourceState = Literal["done", "failed", "set_aside"]


@dataclass(frozen=True, slots=True)
class SourceHashes:
    """What a result depends on.

    Attributes:
        quick: Digest of names, sizes and times of change of the source's files, cheap to compare.
        content: SHA-256 of what the source's files hold; empty where they could not be read.
        weights: SHA-256 of the weights file.
        settings: SHA-256 of the settings that change detections.
    """

    quick: str
    content: str
    weights: str
    settings: str


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What became of one source.

    Attributes:
        source: Its name in this run, see `work_list.WorkSource`.
        state: ``done``, ``failed``, or ``set_aside`` after failing too often.
        hashes: What the result depends on.
        error: Why it failed; None where it is done.
        attempts: Failures in a row; 0 where it is done.
        seconds: Time that it took.
        frames: Frames and images in its detections file.
        holes: Damaged stretches that were skipped, each plain data.
        engine: What ran the network; None where nothing ran.
        precision: Number format of the network, likewise.
        detections: The detections file, relative to the manifest; None where there is none.
        annotated: The annotated video or folder of images, likewise.
        shown: Digest of what was blurred in them, empty for nothing; None where nobody noted it.
        worker: Machine and process that worked on it.
        finished: When, ISO 8601 with offset.
    """

    source: str
    state: SourceState
    hashes: SourceHashes
    error: str | None = None
    attempts: int = 0
    seconds: float = 0.0
    frames: int = 0
    holes: tuple[Mapping[str, Any], ...] = ()
    engine: str | None = None
    precision: str | None = None
    detections: str | None = None
    annotated: str | None = None
    shown: str | None = None
    worker: str = ""
    finished: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("source must not be empty")
        if self.state not in get_args(SourceState):
            raise ValueError(f"state must be one of {', '.join(get_args(SourceState))}, got {self.state!r}")
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ValueError(f"{name} must be {' or '.join(kind.__name__ for kind in kinds)}, got {value!r}")
        if not (self.attempts >= 0 and self.frames >= 0 and 0 <= self.seconds < math.inf):
            raise ValueError("attempts, frames and seconds must be 0 or more")
        if not all(isinstance(hole, Mapping) for hole in self.holes):
            raise ValueError(f"holes must be objects, got {list(self.holes)[:3]}")
        if (self.state == "done") != (self.error is None):
            raise ValueError(f"error must be given for a source that is not done and only there, got {self.error!r}")

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the record; time to milliseconds."""
        holes = [dict(hole) for hole in self.holes]
        return {"record": "source", **asdict(self), "seconds": round(self.seconds, 3), "holes": holes}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "SourceRecord":
        """Read `to_record`'s object; keys of later minor versions are skipped."""
        known = {key: record[key] for key in cls.__dataclass_fields__ if key in record}
        hashes = {key: str(record["hashes"][key]) for key in SourceHashes.__dataclass_fields__}
        return cls(**{**known, "hashes": SourceHashes(**hashes), "holes": tuple(record.get("holes") or ())})


# What the fields of a record may hold, since they are read back from a file.
_TEXT, _TEXT_OR_NONE = (str,), (str, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("source", "state", "worker", "finished"), _TEXT),
    **dict.fromkeys(("error", "engine", "precision", "detections", "annotated", "shown"), _TEXT_OR_NONE),
    **dict.fromkeys(("attempts", "frames"), (int,)),
    "seconds": (int, float),
    "holes": (tuple,),
}


class Manifest:
    """A manifest that this process follows, and with a lock also writes.

    Args:
        path: The file; it need not be there yet.
        lock: Gives the context in which this process alone writes it, see `claims.Claims.manifest`.

    Attributes:
        records: The last record of every source, by its name.
        begun: Sources that a process has begun and neither finished nor given back: it is at work, or was killed.
        torn: Lines that are no JSON, of which each was cut off by a kill.

    Raises:
        DataError: If the file is not a manifest of this schema.
    """

    def __init__(self, path: Path, lock: Callable[[], AbstractContextManager[Any]] = nullcontext) -> None:
        self.path = path
        self._lock = lock
        self._forget(b"")
        self.refresh()

    def refresh(self) -> None:
        """Read what has been appended since, by whichever process.

        Raises:
            DataError: If a record is malformed.
        """
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            self._forget(b"")
            return
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}.") from None
        with stream:
            first = stream.readline()
            if first != self._first:  # rewritten: every rewriting has a header of its own
                self._forget(first)
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._lines += 1
                self._take(line)

    def append(self, record: SourceRecord) -> None:
        """Write what became of a source.

        Raises:
            MediaError: If the file cannot be written; it is then as it was.
        """
        self._append(record.to_record())

    def begin(self, source: str, hashes: SourceHashes, worker: str) -> None:
        """Write that a source is being worked on, so that a kill in the middle counts as an attempt."""
        self._append({"record": "begun", "source": source, "hashes": asdict(hashes), "worker": worker})

    def give_back(self, source: str) -> None:
        """Write that a source that was begun is left undone on purpose, as on Ctrl-C."""
        self._append({"record": "given_back", "source": source})

    def compact(self) -> None:
        """Rewrite the file with the last record of every source, if it holds anything else."""
        with self._lock():
            self.refresh()
            if self._lines <= 1 + len(self.records) + len(self.begun) and not self.torn:
                return
            lines = [_header()]
            lines += [_json_line(record.to_record()) for record in self.records.values()]
            lines += [_json_line(record) for record in self.begun.values()]
            part = self.path.with_name(f"{self.path.name}.part")
            try:
                with part.open("wb") as stream:
                    stream.write(b"".join(lines))
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(self.path)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise MediaError(f"{self.path} cannot be written: {error.strerror}.") from None
            self.refresh()

    def _append(self, record: dict[str, Any]) -> None:
        with self._lock():
            try:
                self._write(_json_line(record))
            except OSError as error:
                raise MediaError(f"{self.path} cannot be written: {error.strerror}.") from None
            self.refresh()

    def _write(self, line: bytes) -> None:
        self.refresh()
        with self.path.open("a+b", buffering=0) as stream:
            size = stream.seek(0, os.SEEK_END)
            if not self._has_header:
                line = _header() + line
            if size:
                stream.seek(size - 1)
                line = line if stream.read(1) == b"\n" else b"\n" + line  # ends what a killed process left
            try:
                # One call for the whole line: a reader sees all of it or none.
                if stream.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(stream.fileno())
            except BaseException:
                stream.truncate(size)
                raise

    def _forget(self, first: bytes) -> None:
        self.records: dict[str, SourceRecord] = {}
        self.begun: dict[str, dict[str, Any]] = {}
        self.torn = 0
        self._first, self._offset, self._lines = first, 0, 0
        self._has_header = False

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            self.torn += 1
            return
        kind = record.get("record") if isinstance(record, dict) else None
        if not self._has_header:
            if kind != "manifest" or record.get("schema") != SCHEMA:
                raise DataError(
                    f"{self.path}:{self._lines} is not a header of a manifest; expected the schema {SCHEMA}."
                )
            self._has_header = True
            return
        try:
            if kind == "source":
                read = SourceRecord.from_record(record)
                self.records[read.source] = read
                self.begun.pop(read.source, None)
            elif kind == "begun":
                hashes = {key: str(record["hashes"][key]) for key in SourceHashes.__dataclass_fields__}
                self.begun[str(record["source"])] = {**record, "hashes": hashes}
            elif kind == "given_back":
                self.begun.pop(str(record["source"]), None)
        except KeyError as error:
            raise DataError(f"{self.path}:{self._lines} has no key {error}.") from None
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            raise DataError(f"{self.path}:{self._lines} is malformed: {error}.") from None


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest, given the file or the folder that it lies in.

    Raises:
        DataError: If it is missing, of another schema or malformed (with the line).
    """
    path = Path(path)
    path = path / MANIFEST_FILE if path.is_dir() else path
    if not path.is_file():
        raise DataError(f"The manifest {path} does not exist.")
    return Manifest(path)


def _header() -> bytes:
    return _json_line({"record": "manifest", "schema": SCHEMA, "generation": uuid.uuid4().hex})


def _json_line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A file name that is not UTF-8 holds lone surrogates, which become valid JSON escapes here.
    return (text + "\n").encode("utf-8", errors="backslashreplace")
