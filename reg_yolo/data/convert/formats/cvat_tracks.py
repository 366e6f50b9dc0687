"""CVAT XML 1.1 for video: tracks of shapes, interpolated between keyframes as CVAT does it.

CVAT writes every frame of a track into this format, interpolated ones with `keyframe="0"`; those are taken as they
stand. Where a file has keyframes only, the frames between two of them are interpolated: boxes linearly with the
rotation along the shorter way, polygons corner by corner where both have the same number, otherwise by their share of
the outline's length from the first corner; masks are held. `outside="1"` ends a track until its next keyframe. A track
that no such frame ends goes on to the end of the video, as in CVAT.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from reg_yolo.data.convert.formats.cvat_shapes import NO_AREA, read_points, shape_object, shapes_of
from reg_yolo.data.convert.formats.entries import bad_object_skipped
from reg_yolo.data.convert.formats.reading import as_number, as_size, as_text
from reg_yolo.data.dataset.image_finder import ImageFinder, walk_files
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import (
    AnnotatedImage,
    AnnotatedSet,
    ImageSource,
    ObjectAnnotation,
    Remark,
    Ring,
)
from reg_yolo.errors import DataError

VIDEO_SUFFIXES = frozenset({"asf", "avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ts", "wmv", "webm"})
# Nine hours at 30 frames a second; a forged number must not take hours to interpolate.
_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class _Clip:
    """What the file says about the video: frames from `start` to `stop`, every `step`-th."""

    start: int
    stop: int
    step: int
    size: tuple[float, float] | None
    name: str
    split: str | None


def read_tracks(document: Element, path: Path, root: Path, finder: ImageFinder, result: AnnotatedSet) -> None:
    """Add the frames of one video to `result`, each with what is visible in it.

    Raises:
        DataError: If a shape cannot be read, or neither frames nor a video are found.
    """
    if len(document.findall("meta//task")) > 1:
        raise DataError(f"{path} holds the tracks of several tasks, whose frames it does not tell apart; export each.")
    clip = _read_clip(document, path)
    stem = Path(clip.name).stem or path.stem
    dense = any(shape.get("keyframe") == "0" for track in document.iterfind("track") for shape in track)
    objects: defaultdict[int, list[ObjectAnnotation]] = defaultdict(list)
    left_out: defaultdict[int, list[Remark]] = defaultdict(list)
    open_ended: list[str] = []
    for index, track in enumerate(document.iterfind("track")):
        number = track.get("id", str(index))
        where = f"{path}: track {number}"
        name, shapes = "", []
        with bad_object_skipped(result.remarks, path.name, f"track {number}", where):
            name = as_text(track.get("label"), f"{where} label")
            shapes = _track_shapes(track, where, name, result.remarks, dense=dense)
        if shapes and not dense and shapes[-1][1].get("outside") != "1" and shapes[-1][0] < clip.stop:
            open_ended.append(number)
        for frame, element in _visible(shapes, clip, dense, where):
            frame_name, place, at = f"{stem}_{frame:06d}", f"track {number}", f"{where} frame {frame}"
            if element.tag in NO_AREA:
                left_out[frame].append(Remark("dropped", frame_name, place, name, NO_AREA[element.tag]))
                continue
            with bad_object_skipped(left_out[frame], frame_name, place, at, name):
                objects[frame].append(shape_object(element, name, at, place))
    if open_ended:
        shown = ", ".join(open_ended[:5]) + (", ..." if len(open_ended) > 5 else "")
        result.notes.append(
            f"{path.name}: tracks without a closing 'outside': {len(open_ended)} ({shown}), carried to frame "
            f"{clip.stop}, as CVAT does."
        )
    last = clip.stop if clip.stop >= 0 else max([*objects, *left_out], default=-1)
    frames = sorted({*range(clip.start, last + 1, clip.step), *objects, *left_out})
    sources = _frame_sources(frames, clip, path, root, finder, result)
    for frame in frames:
        source = sources.get(frame)
        if source is None and not objects[frame] and not left_out[frame]:
            # Only the annotated frames of a video are kept often.
            continue
        missing = "" if source else f"frame {frame} has no image"
        image = AnnotatedImage(f"{stem}_{frame:06d}", path, source, clip.size, clip.split, missing=missing)
        image.objects, image.left_out = objects[frame], left_out[frame]
        result.images.append(image)


def _read_clip(document: Element, path: Path) -> _Clip:
    def value(tag: str) -> str | None:
        found = document.find(f"meta//{tag}")
        return found.text if found is not None else None

    def whole(tag: str, default: int) -> int:
        number = as_number(value(tag) or default, f"{path}: meta {tag}")
        if not -1 <= number <= _MOST_FRAMES:
            raise DataError(f"{path}: meta {tag}: {number:g} is not a number of frames.")
        return int(number)

    start = whole("start_frame", 0)
    size = whole("size", 0)
    found = re.fullmatch(r"\s*step\s*=\s*(\d{1,6})\s*", value("frame_filter") or "")
    step = max(1, int(found.group(1))) if found else 1
    stop = whole("stop_frame", start + (size - 1) * step if size else -1)
    picture = as_size(value("original_size/width"), value("original_size/height"), f"{path}: meta original_size")
    return _Clip(start, stop, step, picture, (value("source") or "").strip(), split_of(value("subset") or ""))


def _track_shapes(
    track: Element, where: str, name: str, remarks: list[Remark], *, dense: bool
) -> list[tuple[int, Element]]:
    """Return the shapes of a track by frame; a keyframe that cannot be read is skipped, and its neighbours joined."""
    shapes: dict[int, Element] = {}
    for element, place, _, _ in shapes_of(track, where):
        with bad_object_skipped(remarks, where.rpartition(": ")[2], place, f"{where} {place}", name):
            frame = as_number(element.get("frame"), f"{where} {place} frame")
            if not (0 <= frame <= _MOST_FRAMES and frame.is_integer()):
                raise DataError(f"{where} {place} frame: expected a whole number, got {element.get('frame')}.")
            if not dense and element.tag in ("box", "polygon", "ellipse"):
                shape_object(element, name, f"{where} {place}", place)
            shapes[int(frame)] = element
    return sorted(shapes.items())


def _visible(shapes: list[tuple[int, Element]], clip: _Clip, dense: bool, where: str) -> Iterator[tuple[int, Element]]:
    """Yield the frames in which a track is seen, with its shape there."""
    for index, (frame, shape) in enumerate(shapes):
        if shape.get("outside") == "1":
            continue
        yield frame, shape
        if dense:
            continue
        if index + 1 == len(shapes):
            yield from ((later, shape) for later in range(frame + clip.step, clip.stop + 1, clip.step))
            continue
        end, following = shapes[index + 1]
        for between in range(frame + clip.step, end, clip.step):
            share = (between - frame) / (end - frame)
            yield between, _between(shape, following, share, f"{where} frame {between}")


def _between(first: Element, second: Element, share: float, where: str) -> Element:
    # Towards an `outside` keyframe the shape moves as well: CVAT interpolates positions first and hides later.
    if first.tag != second.tag or first.tag not in ("box", "polygon", "ellipse"):
        return first
    if first.tag == "polygon":
        ring = _between_rings(read_points(first.get("points"), where), read_points(second.get("points"), where), share)
        return Element("polygon", {"points": ";".join(f"{x:.6f},{y:.6f}" for x, y in ring)})
    values: dict[str, str] = {}
    for key in ("xtl", "ytl", "xbr", "ybr") if first.tag == "box" else ("cx", "cy", "rx", "ry"):
        start, end = (as_number(shape.get(key), f"{where} {key}") for shape in (first, second))
        values[key] = repr(start + (end - start) * share)
    start, end = (as_number(shape.get("rotation", 0), f"{where} rotation") for shape in (first, second))
    values["rotation"] = repr(start + ((end - start + 180) % 360 - 180) * share)
    return Element(first.tag, values)


def _between_rings(first: Ring, second: Ring, share: float) -> Ring:
    if len(first) != len(second):
        shares = np.union1d(_shares(first), _shares(second))
        first, second = _resampled(first, shares), _resampled(second, shares)
    return np.asarray(first + (second - first) * share)


def _shares(ring: Ring) -> Ring:
    """Of every corner, its way along the outline as a share of the whole."""
    lengths = np.hypot(*(np.roll(ring, -1, axis=0) - ring).T)
    return np.concatenate([[0.0], np.cumsum(lengths)[:-1]]) / max(float(lengths.sum()), 1e-12)


def _resampled(ring: Ring, shares: Ring) -> Ring:
    own = np.append(_shares(ring), 1.0)
    closed = np.vstack([ring, ring[:1]])
    return np.stack([np.interp(shares, own, closed[:, axis]) for axis in (0, 1)], axis=1)


def _frame_sources(
    frames: list[int], clip: _Clip, path: Path, root: Path, finder: ImageFinder, result: AnnotatedSet
) -> dict[int, ImageSource]:
    """Find the image of each frame: by the number in its name, by its rank, or in the video."""
    folder = path.parent
    candidates = [picture for picture in finder.paths if picture.is_relative_to(folder)] or finder.paths
    numbered: dict[int, Path] = {}
    for picture in candidates:
        digits = re.search(r"(\d{1,12})$", picture.stem)
        if digits:
            numbered.setdefault(int(digits.group(1)), picture)
    if frames[:1] == [0] and clip.step == 1 and sorted(numbered) == list(range(1, len(frames) + 1)):
        result.notes.append(f"{path.name}: images are numbered from 1, frames from 0: image 1 is taken as frame 0.")
        return {number - 1: ImageSource(picture) for number, picture in numbered.items()}
    by_number = {frame: ImageSource(numbered[frame]) for frame in frames if frame in numbered}
    if candidates and not by_number and len(candidates) == len(frames):
        result.notes.append(f"{path.name}: images are taken as frames in the order of their names.")
        return {frame: ImageSource(picture) for frame, picture in zip(frames, candidates, strict=True)}
    video = _find_video(clip, path, root)
    # Where both are there, images that are only some of the frames may be no frames at all.
    if video is not None and len(by_number) < len(frames):
        return {frame: ImageSource(video, frame=frame) for frame in frames}
    if by_number:
        return by_number
    raise DataError(
        f"{path}: found neither the video {clip.name or '(the file does not name it)'} nor images of its "
        f"{len(frames)} frames; put frame_000000.png, frame_000001.png ... beside it, or name their folder as images"
    )


def _find_video(clip: _Clip, path: Path, root: Path) -> Path | None:
    folders = [path.parent] if path.parent.is_relative_to(root) else []
    videos = [
        file
        for folder in [*folders, root if root.is_dir() else root.parent]
        for file in walk_files(folder)
        if file.suffix[1:].lower() in VIDEO_SUFFIXES
    ]
    wanted = re.split(r"[/\\]", clip.name)[-1].casefold()
    for video in videos:
        if video.name.casefold() == wanted:
            return video
    return videos[0] if len(set(videos)) == 1 else None
