"""Detections of a video as the tracks of CVAT XML 1.1 for video.

A track is hidden (`outside`) in the first frame that was looked at and in which it was not found, and at its end. Of
boxes only those are keyframes from which CVAT's linear interpolation gives the others within some pixels, so that a
person who corrects one keyframe has corrected its neighbours. Outlines change their corners from frame to frame: each
is a keyframe. An object without a track is a track of one frame, as CVAT writes it.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from reg_yolo.data.export.cvat import add_shape
from reg_yolo.data.objects.annotations import Box, ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import bounds, join_rings

OTHER_CLASS = "object of another class than most of its track: labelled as the track"
NO_OUTLINE = "outline in a track that has boxes, too: kept as a box"
SECOND = "second object of a track in one frame: a track of its own"


def track_elements(
    looked_at: Sequence[int],
    objects: Mapping[int, Sequence[tuple[ObjectAnnotation, int | None]]],
    keyframe_px: float,
    skipped: Counter[str],
) -> list[Element]:
    """Return the `track` elements of one video.

    Args:
        looked_at: Frames that were looked at, ascending; only these are named, so that a task with a frame step works.
        objects: By frame, its objects and the track of each.
        keyframe_px: Pixels by which an interpolated side of a box may be off; 0 makes every frame a keyframe.
        skipped: Counts what is changed, by reason.
    """
    tracks: dict[int, dict[int, ObjectAnnotation]] = defaultdict(dict)
    single: list[dict[int, ObjectAnnotation]] = []
    for frame in looked_at:
        for item, track in objects.get(frame, ()):
            if track is None or frame in tracks[track]:
                skipped[SECOND] += track is not None
                single.append({frame: item})
            else:
                tracks[track][frame] = item
    following = dict(itertools.pairwise(looked_at))
    ordered = sorted([*tracks.values(), *single], key=lambda shapes: min(shapes))
    return [_track(str(number), shapes, following, keyframe_px, skipped) for number, shapes in enumerate(ordered)]


def _track(
    number: str,
    shapes: Mapping[int, ObjectAnnotation],
    following: Mapping[int, int],
    keyframe_px: float,
    skipped: Counter[str],
) -> Element:
    confidence: defaultdict[str, float] = defaultdict(float)
    for item in shapes.values():
        confidence[item.class_name] += item.score or 0.0
    name = max(sorted(confidence), key=lambda key: confidence[key])
    skipped[OTHER_CLASS] += sum(item.class_name != name for item in shapes.values())
    outlined = all(item.parts for item in shapes.values())
    if not outlined:
        skipped[NO_OUTLINE] += sum(bool(item.parts) for item in shapes.values())
    element = Element("track", {"id": number, "label": name, "source": "auto"})
    for run in _runs(sorted(shapes), following):
        drawn = [_shape(shapes[frame], outlined) for frame in run]
        keys = range(len(run)) if outlined else keyframes(run, drawn, keyframe_px)  # type: ignore[arg-type]
        for index in keys:
            _add(element, run[index], drawn[index], shapes[run[index]], outside=False)
        if run[-1] in following:
            _add(element, following[run[-1]], drawn[-1], ObjectAnnotation(name, ""), outside=True)
    return element


def _add(parent: Element, frame: int, shape: Box | Ring, item: ObjectAnnotation, *, outside: bool) -> None:
    attributes = {"frame": str(frame), "keyframe": "1", "outside": str(int(outside)), "occluded": "0"}
    add_shape(parent, attributes, shape, item)


def _shape(item: ObjectAnnotation, outlined: bool) -> Box | Ring:
    if outlined:
        return join_rings(item.parts, item.holes)
    return item.box if item.box is not None else bounds(item.parts)


def _runs(frames: Sequence[int], following: Mapping[int, int]) -> list[list[int]]:
    """Part frames where one that was looked at lies between two of them."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and following.get(runs[-1][-1]) == frame:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    return runs


def keyframes(frames: Sequence[int], boxes: Sequence[Box], most_px: float) -> list[int]:
    """Return the places of the boxes from which linear interpolation gives all others within `most_px` pixels.

    Args:
        frames: Frame numbers, ascending.
        boxes: As many boxes.
        most_px: Pixels by which a side may be off.

    Example:
        >>> keyframes([0, 1, 2, 3], [(0, 0, 10, 10), (2, 0, 12, 10), (4, 0, 14, 10), (9, 0, 19, 10)], 1.0)
        [0, 2, 3]
    """
    times, sides = np.array(frames, np.float64), np.array(boxes, np.float64)
    kept, start = [0], 0
    while start < len(frames) - 1:
        end = start + 1
        while end + 1 < len(frames):
            share = (times[start + 1 : end + 1] - times[start]) / (times[end + 1] - times[start])
            line = sides[start] + share[:, None] * (sides[end + 1] - sides[start])
            if np.abs(line - sides[start + 1 : end + 1]).max() > most_px:
                break
            end += 1
        kept.append(end)
        start = end
    return kept
