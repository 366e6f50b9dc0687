"""The frames of detections files, each with where it is, what a labelling tool calls it and which drive it is from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from reg_yolo.data.dataset.frame_file_names import FrameNames
from reg_yolo.data.dataset.frame_names import drive_in_name
from reg_yolo.data.dataset.image_finder import ImageFinder
from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsReader, read_detections
from reg_yolo.errors import DataError

TWICE = "frame that stands in the files a second time"


@dataclass(frozen=True, slots=True)
class DetectedFrame:
    """A frame of a video, or an image, and what was found in it.

    Attributes:
        source: Its file, as the detections file has it.
        found: Where that file is, or None.
        frame: Index of the frame in its file; None for an image.
        time_s: Seconds from the start of its video or drive; None for an image.
        size: Width and height in pixels.
        name: File name that a labelling tool sees, unique among all.
        drive: What it belongs to: a video, or the images whose names tell one drive.
        detections: What was found.
        thresholds: By class, the confidence from which an object counts as found.
    """

    source: Path
    found: Path | None
    frame: int | None
    time_s: float | None
    size: tuple[int, int]
    name: str
    drive: str
    detections: tuple[Detection, ...]
    thresholds: Mapping[str, float]

    @property
    def name_stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def place(self) -> str:
        """The frame in words."""
        return str(self.source) if self.frame is None else f"{self.source} frame {self.frame}"


@dataclass
class DetectedFrames:
    """All frames of some detections files.

    Attributes:
        frames: In the order of the files.
        class_names: Classes of all files, in the order in which they come.
        model: Names of the weights.
        video_stems: By video, its name in a labelling tool, without a suffix.
        frame_counts: By video, how many frames its container announces, where that is known.
        skipped: What was left out, by reason.
        notes: Sentences about the files.
    """

    frames: list[DetectedFrame] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
    model: str = ""
    video_stems: dict[Path, str] = field(default_factory=dict)
    frame_counts: dict[Path, int] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def read_detected_frames(
    files: Sequence[Path],
    images: Path | None = None,
    threshold: float | None = None,
) -> DetectedFrames:
    """Read detections files, for images and videos alike, as one list of frames.

    A file that breaks off is read up to its last whole frame, and a note says so.

    Args:
        files: JSON Lines as `predict` writes them.
        images: A further folder in which images and videos are looked for.
        threshold: Confidence from which an object counts as found; None takes those of each file.

    Raises:
        DataError: If a file is missing or malformed, or there is no frame in any.
    """
    result = DetectedFrames()
    finder = ImageFinder([images]) if images is not None else None
    names = FrameNames()
    seen: set[tuple[Path, int | None]] = set()
    models: dict[str, None] = {}
    for path in files:
        reader = read_detections(path, tolerate_cut=True)
        header = reader.header
        models[header.weights_name] = None
        result.class_names += [name for name in header.classes if name not in result.class_names]
        thresholds = {**header.thresholds, **header.extra.get("stored_thresholds", {})}
        if threshold is not None:
            thresholds = dict.fromkeys(header.classes, threshold)
        places: dict[str, Path | None] = {}
        for frame in reader:
            source, index = Path(frame.source), _index_in_file(frame, reader)
            if (source, index) in seen:
                result.skipped[TWICE] += 1
                continue
            seen.add((source, index))
            if frame.source not in places:
                places[frame.source] = _find(source, path.parent, images, finder)
            result.frames.append(_detected(frame, source, places[frame.source], index, names, thresholds))
            if index is not None and header.frame_count and not reader.chapters:
                result.frame_counts[source] = header.frame_count
        if not reader.is_complete:
            result.notes.append(f"{path} is not complete: what it holds is taken")
    if not result.frames:
        raise DataError(f"{files[0]}: no frame in {'it' if len(files) == 1 else f'any of {len(files)} files'}")
    result.model = " + ".join(models)
    result.video_stems = names.video_stems
    return result


def _detected(
    frame: FrameDetections,
    source: Path,
    found: Path | None,
    index: int | None,
    names: FrameNames,
    thresholds: Mapping[str, float],
) -> DetectedFrame:
    drive = str(source) if index is not None else drive_in_name(PurePosixPath(source.as_posix()))
    return DetectedFrame(
        source,
        found,
        index,
        frame.time_s,
        (frame.width, frame.height),
        names.of(source, index),
        drive,
        frame.detections,
        thresholds,
    )


def _index_in_file(frame: FrameDetections, reader: DetectionsReader) -> int | None:
    """Return the index of a frame in its own file; of a drive's chapters the frames count on."""
    if frame.time_s is None:
        return None
    starts = [chapter.frame for chapter in reader.chapters if str(chapter.path) == frame.source]
    return frame.frame - (starts[-1] if starts else 0)


def _find(source: Path, near: Path, images: Path | None, finder: ImageFinder | None) -> Path | None:
    if finder is not None and images is not None:
        found = finder.find(source.as_posix(), images).path
        if found is not None:
            return found
        if (images / source.name).is_file():
            return images / source.name
    return next((place for place in (source, near / source) if place.is_file()), None)
