"""A drive's detections as columns: frames, and the looks at objects in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import DataError
from reg_yolo.inventory.drive.overlaps import Least, surest_on_each

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class MediaFacts:
    """What detections files say of their sources.

    Attributes:
        frame_counts: Frames that the container of a video announced, by source; only where it is known.
        disturbed: Sources with damage, or of parts with clocks of their own.
        chapters: Index of the first frame of each source that is a chapter of a drive.
        blur: What their images were blurred by, `WEIGHTS:CLASS,CLASS`, where any were stored.
    """

    frame_counts: dict[str, int] = field(default_factory=dict)
    disturbed: set[str] = field(default_factory=set)
    chapters: dict[str, int] = field(default_factory=dict)
    blur: set[str] = field(default_factory=set)

    def add(self, other: MediaFacts) -> None:
        """Add what is known of further sources."""
        self.frame_counts.update(other.frame_counts)
        self.disturbed.update(other.disturbed)
        self.chapters.update(other.chapters)
        self.blur.update(other.blur)


@dataclass(frozen=True)
class DriveLooks:
    """All frames of a drive and all boxes in them.

    Attributes:
        classes: Class names in the order of their indices.
        width, height: Size of the frames in pixels.
        sources: File of each frame, shape (F,).
        frame: Index of each frame in its file, shape (F,).
        time_s: Time of each frame on the video's clock, shape (F,); NaN for images.
        file_frame: Index of each frame within its own file, shape (F,): `frame` counts over the chapters of a drive.
        file_time_s: Time of each frame within its own file, shape (F,); NaN for images.
        of_frame: Row of the frame that each look belongs to, shape (M,), not falling.
        class_id, track: Shape (M,); a track of -1 is none.
        confidence: Shape (M,).
        strong: Whether it reaches the threshold of its class, where the file holds weak detections as well, shape (M,).
        xyxy: Shape (M, 4) in pixels.
        sigma: Shape (M, 4), stated deviation of each side in pixels; NaN where not stated.
        digests: SHA-256 of the weights that made the files.
        holes: How many stretches without sound frames the sources have.
        files: The detections files.
        media: What is known of the sources themselves.
        weak_left_out: How many weak boxes were not believed.
        doubles_left_out: How many boxes lay on a surer one of their class, of files that hold weak detections as well.
    """

    classes: tuple[str, ...]
    width: int
    height: int
    sources: tuple[str, ...]
    frame: IntArray
    time_s: FloatArray
    file_frame: IntArray
    file_time_s: FloatArray
    of_frame: IntArray
    class_id: IntArray
    track: IntArray
    confidence: FloatArray
    strong: NDArray[np.bool_]
    xyxy: FloatArray
    sigma: FloatArray
    digests: tuple[str, ...]
    holes: int
    files: tuple[str, ...]
    media: MediaFacts = field(default_factory=MediaFacts)
    weak_left_out: int = 0
    doubles_left_out: int = 0

    def __len__(self) -> int:
        return len(self.class_id)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.frame)


@dataclass
class _Columns:
    sources: list[str] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    time_s: list[float] = field(default_factory=list)
    file_frame: list[int] = field(default_factory=list)
    file_time_s: list[float] = field(default_factory=list)
    of_frame: list[int] = field(default_factory=list)
    class_id: list[int] = field(default_factory=list)
    track: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    strong: list[bool] = field(default_factory=list)
    has_weak: list[bool] = field(default_factory=list)
    xyxy: list[Sequence[float]] = field(default_factory=list)
    sigma: list[Sequence[float]] = field(default_factory=list)
    seen: set[tuple[str, int]] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    media: MediaFacts = field(default_factory=MediaFacts)


_WEAK_SHARE = 0.25
"""Weak boxes of a class that count for each strong one."""
_DOUBLE = Least(same_class=0.5, other_class=1.0)
"""Where weak detections are kept, several boxes lie on and around one object, and not only the weak ones: they would
make objects of their own, or lead others astray. It costs a few of the poles that stand in line."""
_NO_SIGMA = (float("nan"),) * 4


def read_drive(paths: Sequence[Path]) -> DriveLooks:
    """Read the detections files of one drive, chapters in their order.

    A frame that was given before (a file named twice) is left out.

    Raises:
        DataError: If a file is malformed, the frames' sizes differ, or no frame is found.
    """
    columns = _Columns()
    classes: list[str] = []
    size: tuple[int, int] | None = None
    digests: list[str] = []
    holes, offset, track_offset = 0, 0.0, 0
    for path in paths:
        reader = read_detections(path, tolerate_cut=True)
        header = reader.header
        classes += [name for name in header.classes if name not in classes]
        class_ids = {name: classes.index(name) for name in header.classes}
        if header.weights_sha256 not in digests:
            digests.append(header.weights_sha256)
        stated = header.extra.get("blur")
        columns.media.blur.update(map(str, stated if isinstance(stated, list) else []))
        thresholds = _thresholds(path, header.extra.get("stored_thresholds"))
        latest, highest = None, -1
        chapter: Chapter | None = None
        for frame, record in reader.with_records():
            if size is None:
                size = (frame.width, frame.height)
            elif size != (frame.width, frame.height):
                raise DataError(
                    f"{path}: frame {frame.frame} of {frame.source} is {frame.width}x{frame.height}, but the drive's "
                    f"first is {size[0]}x{size[1]}; one camera per drive"
                )
            key = (frame.source, frame.frame)
            if key in columns.seen:
                continue
            columns.seen.add(key)
            if frame.time_s is not None:
                latest = frame.time_s
            row = len(columns.frame)
            if reader.chapters:
                chapter = reader.chapters[-1]
            elif header.frame_count is not None:
                columns.media.frame_counts[frame.source] = header.frame_count
            first, start_s = (0, 0.0) if chapter is None else (chapter.frame, chapter.start_s)
            columns.file_frame.append(frame.frame - first)
            columns.file_time_s.append(float("nan") if frame.time_s is None else frame.time_s - start_s)
            # One text for all frames of a file: observations keep it.
            columns.sources.append(columns.names.setdefault(frame.source, frame.source))
            columns.frame.append(frame.frame)
            columns.time_s.append(float("nan") if frame.time_s is None else frame.time_s + offset)
            for found, stored in zip(frame.detections, record["detections"], strict=True):
                columns.of_frame.append(row)
                columns.class_id.append(class_ids[found.class_name])
                columns.track.append(-1 if found.track is None else found.track + track_offset)
                columns.confidence.append(found.confidence)
                columns.strong.append(found.confidence >= thresholds.get(found.class_name, 0.0))
                columns.has_weak.append(bool(thresholds))
                columns.xyxy.append(found.box_xyxy)
                columns.sigma.append(_row(path, stored, "sigma_xyxy", 4, _NO_SIGMA))
                highest = max(highest, -1 if found.track is None else found.track)
        holes += len(reader.holes)
        columns.media.chapters.update((str(one.path), one.frame) for one in reader.chapters)
        columns.media.disturbed.update(hole.source for hole in reader.holes)
        columns.media.disturbed.update(join.source for join in reader.joins)
        if latest is not None:
            offset += latest + 1 / (header.fps or 25.0)
        track_offset += highest + 1
    if size is None:
        raise DataError(f"{', '.join(map(str, paths))}: no frame in it")
    return _finished(columns, classes, size, digests, holes, paths)


def _finished(
    columns: _Columns,
    classes: list[str],
    size: tuple[int, int],
    digests: list[str],
    holes: int,
    paths: Sequence[Path],
) -> DriveLooks:
    of_frame, class_id = np.array(columns.of_frame, np.int64), np.array(columns.class_id, np.int64)
    confidence, strong = np.array(columns.confidence, np.float64), np.array(columns.strong, np.bool_)
    xyxy = np.array(columns.xyxy, np.float64).reshape(-1, 4)
    double = _doubles(np.flatnonzero(columns.has_weak), of_frame, xyxy, class_id, confidence)
    kept = np.flatnonzero(~double)
    kept = kept[_believable(class_id[kept], confidence[kept], strong[kept])]
    return DriveLooks(
        tuple(classes),
        *size,
        tuple(columns.sources),
        np.array(columns.frame, np.int64),
        np.array(columns.time_s, np.float64),
        np.array(columns.file_frame, np.int64),
        np.array(columns.file_time_s, np.float64),
        of_frame[kept],
        class_id[kept],
        np.array(columns.track, np.int64)[kept],
        confidence[kept],
        strong[kept],
        xyxy[kept],
        np.array(columns.sigma, np.float64).reshape(-1, 4)[kept],
        tuple(digests),
        holes,
        tuple(str(path) for path in paths),
        columns.media,
        len(strong) - int(np.count_nonzero(double)) - len(kept),
        int(np.count_nonzero(double)),
    )


def _doubles(
    rows: IntArray, of_frame: IntArray, xyxy: FloatArray, class_id: IntArray, confidence: FloatArray
) -> NDArray[np.bool_]:
    """Which boxes lie on a surer one of their class; only `rows` are asked about."""
    double = np.zeros(len(of_frame), np.bool_)
    # Class by class there are far fewer pairs: files with weak boxes hold a hundred a frame.
    for number in np.unique(class_id[rows]).tolist():
        own = rows[class_id[rows] == number]
        surest = surest_on_each(of_frame[own], xyxy[own], class_id[own], confidence[own], _DOUBLE)
        double[own] = confidence[own] < confidence[own[surest]]
    return double


def _believable(class_id: IntArray, confidence: FloatArray, strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which looks count: all strong ones, and of each class the surest weak ones, so many for each strong one.

    How far below its threshold a detector still sees something differs: some hardly go below it, and others, trained
    with losses that leave the background at 0.1 or 0.2, find a hundred boxes in every frame.
    """
    kept = strong.copy()
    for number in np.unique(class_id[~strong]).tolist():
        weak = np.flatnonzero(~strong & (class_id == number))
        most = round(_WEAK_SHARE * np.count_nonzero(strong & (class_id == number)))
        kept[weak[np.argsort(-confidence[weak], kind="stable")[:most]]] = True
    return kept


def _thresholds(path: Path, stated: object) -> dict[str, float]:
    """The thresholds of the weights, which a file with weak detections states."""
    if stated is None:
        return {}
    if not isinstance(stated, dict) or not all(isinstance(value, (int, float)) for value in stated.values()):
        raise DataError(f"{path}: stored_thresholds must give a number for each class, got {stated!r}")
    return {str(name): float(value) for name, value in stated.items()}


def _row(path: Path, record: dict[str, object], key: str, length: int, missing: tuple[float, ...]) -> Sequence[float]:
    value = record.get(key)
    if value is None:
        return missing
    if not isinstance(value, list) or len(value) != length or not all(isinstance(v, (int, float)) for v in value):
        raise DataError(f"{path}: {key} must be a list of {length} numbers, got {value!r}")
    return value
