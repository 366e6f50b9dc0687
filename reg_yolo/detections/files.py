"""Write and read detections: JSON Lines in the versioned schema, and CSV with one row for each object.

Both writers fill ``<name>.part`` and rename it at the end. When processing is interrupted they still close the file in
order, and say so in it; after a hard kill the ``.part`` file holds every whole frame.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.header import SCHEMA, DetectionsHeader
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join
from reg_yolo.detections.part_file import PartFile
from reg_yolo.errors import DataError
from reg_yolo.text_tables import csv_text

_Record = TypeVar("_Record", DetectionsHeader, FrameDetections, Hole, Join, Chapter)

CSV_COLUMNS = ("source", "frame", "time_s", "class", "class_id", "confidence", "x1", "y1", "x2", "y2", "track")


class DetectionsWriter:
    """Context manager that writes one detections file.

    Leaving the block normally closes the file as complete. Leaving it by an exception, Ctrl-C included, closes it as
    incomplete with the reason; either way it is valid under its final name.

    Args:
        path: The final file; an older one is replaced at the end.
        header: The first record.

    Raises:
        MediaError: If the file cannot be written.
    """

    def __init__(self, path: str | Path, header: DetectionsHeader) -> None:
        self.path = Path(path)
        self.header = header
        self.frames = 0
        self.detections = 0
        self.holes = 0
        self._file: PartFile | None = None

    def __enter__(self) -> "DetectionsWriter":
        self._file = PartFile(self.path, first_line=_json_line(self.header.to_record()))
        return self

    def write(self, frame: FrameDetections) -> None:
        """Append one frame; frames without objects belong in the file too.

        Raises:
            ValueError: If a detection's class is not the header's.
            MediaError: If the file cannot be written.
        """
        if self._file is None:
            raise ValueError("write must be called inside the writer's 'with' block")
        for detection in frame.detections:
            known = self.header.classes
            if detection.class_id >= len(known) or known[detection.class_id] != detection.class_name:
                raise ValueError(
                    f"class {detection.class_id} is {detection.class_name!r} in frame {frame.frame}, but the header "
                    f"has {list(known)}"
                )
        self._file.write_line(_json_line(frame.to_record()))
        self.frames += 1
        self.detections += len(frame.detections)

    def write_event(self, event: Hole | Join | Chapter) -> None:
        """Append what lies between frames: a hole, a join, or where the next file of a drive starts."""
        if self._file is None:
            raise ValueError("write_event must be called inside the writer's 'with' block")
        self._file.write_line(_json_line(event.to_record()))
        self.holes += isinstance(event, Hole)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        end: dict[str, Any] = {
            "record": "end",
            "frames": self.frames,
            "detections": self.detections,
            "complete": kind is None,
        }
        if self.holes:
            end["holes"] = self.holes
        if kind is not None:
            end["error"] = f"{kind.__name__}: {error}".rstrip(": ")
        file, self._file = self._file, None
        try:
            file.write_line(_json_line(end))
        finally:
            # Without room for the end record the whole frames are kept; a reader is told by its absence.
            file.finish()


class CsvWriter:
    """Context manager that writes one row for each detection, in the columns `CSV_COLUMNS`.

    An interrupted file keeps the rows written so far under its final name.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: PartFile | None = None

    def __enter__(self) -> "CsvWriter":
        self._file = PartFile(self.path, first_line=_csv_lines([CSV_COLUMNS]))
        return self

    def write(self, frame: FrameDetections) -> None:
        """Append the detections of a frame; a frame without objects adds no row."""
        if self._file is None:
            raise ValueError("write must be called inside the writer's 'with' block")
        record = frame.to_record()
        place = (record["source"], record["frame"], "" if record["time_s"] is None else record["time_s"])
        rows = []
        for found in record["detections"]:
            track = "" if found["track"] is None else found["track"]
            rows.append((*place, found["class"], found["class_id"], found["confidence"], *found["xyxy"], track))
        if rows:
            # A frame's rows at once: a call of the system for each would take as long as drawing them.
            self._file.write_line(_csv_lines(rows))

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.finish()


class DetectionsReader:
    """A detections file: its header, its frames one by one, and after them its end.

    Iterating yields `FrameDetections` without holding the file in memory; it can be repeated.

    Attributes:
        path: The file.
        header: Its first record.
        end: Its last record once the frames are read; None before, and where it is missing.
        holes: What damaged sources lack, as far as the file has been read.
        joins: Where timestamps start again in a source, likewise.
        chapters: Where the files of a drive start, likewise.
        tolerate_cut: Whether a file that breaks off is read up to its last whole line instead of being an error.
    """

    def __init__(self, path: Path, tolerate_cut: bool) -> None:
        self.path = path
        self.tolerate_cut = tolerate_cut
        self.end: dict[str, Any] | None = None
        self.holes: list[Hole] = []
        self.joins: list[Join] = []
        self.chapters: list[Chapter] = []
        try:
            with path.open("rb") as stream:
                first = stream.readline()
        except FileNotFoundError:
            raise DataError(f"The detections file {path} does not exist.") from None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from None
        record = _parse(first, path, 1)
        if record.get("record") != "header":
            raise DataError(f"{path}:1 is not a header of a detections file; expected the schema {SCHEMA}.")
        schema = record.get("schema")
        if schema != SCHEMA:
            raise DataError(f"{path} has the schema {schema!r}; this version of reg_yolo reads {SCHEMA!r}.")
        self.header = _build(DetectionsHeader, record, path, 1)

    @property
    def is_complete(self) -> bool:
        """Whether the frames have been read up to an end record that calls them complete."""
        return self.end is not None and bool(self.end.get("complete"))

    def __iter__(self) -> Iterator[FrameDetections]:
        for frame, _ in self.with_records():
            yield frame

    def with_records(self) -> Iterator[tuple[FrameDetections, dict[str, Any]]]:
        """Yield each frame with its JSON object, which may hold keys of later minor versions."""
        self.end = None
        self.holes, self.joins, self.chapters = [], [], []
        with self.path.open("rb") as stream:
            stream.readline()
            for number, line in enumerate(stream, start=2):
                if not line.endswith(b"\n"):
                    break
                record = _parse(line, self.path, number)
                kind = record.get("record")
                if kind == "frame":
                    yield _build(FrameDetections, record, self.path, number), record
                elif kind == "hole":
                    self.holes.append(_build(Hole, record, self.path, number))
                elif kind == "join":
                    self.joins.append(_build(Join, record, self.path, number))
                elif kind == "chapter":
                    self.chapters.append(_build(Chapter, record, self.path, number))
                elif kind == "end":
                    self.end = record
                    return
                # Other records are a later minor version's; the schema lets readers pass over them.
        if not self.tolerate_cut:
            raise DataError(
                f"{self.path} breaks off before its end record: the program that wrote it was killed or its disk was "
                "full. Read it with tolerate_cut to get the whole frames."
            )


def read_detections(path: str | Path, *, tolerate_cut: bool = False) -> DetectionsReader:
    """Open a detections file for reading, frame by frame.

    Args:
        path: The file.
        tolerate_cut: Accept a file without its end record, or with a last line that is cut off.

    Raises:
        DataError: If the file is missing, of another schema or malformed (with the line), here or while iterating.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> header = DetectionsHeader(
        ...     "road.mp4", ("sign",), "best.pt", "0" * 64, "pytorch", "f32", (640, 640), "cpu", {"sign": 0.25}, "0.1.0"
        ... )
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "detections.jsonl"
        ...     with DetectionsWriter(file, header) as writer:
        ...         writer.write(FrameDetections("road.mp4", 0, 0.0, 1280, 720))
        ...     [(frame.frame, len(frame.detections)) for frame in read_detections(file)]
        [(0, 0)]
    """
    return DetectionsReader(Path(path), tolerate_cut)


def _json_line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _csv_lines(rows: Sequence[Sequence[Any]]) -> str:
    return csv_text(rows).removesuffix("\n")


def _parse(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{path}:{number} is not JSON.") from None
    if not isinstance(record, dict):
        raise DataError(f"{path}:{number} is not a record of a detections file.")
    return record


def _build(kind: type[_Record], record: dict[str, Any], path: Path, number: int) -> _Record:
    try:
        return kind.from_record(record)
    except KeyError as error:
        raise DataError(f"{path}:{number} has no key {error}.") from None
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise DataError(f"{path}:{number} is malformed: {error}.") from None
