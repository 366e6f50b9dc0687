"""The frames of a source with their results, in order, while the next ones are decoded, prepared and inferred."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.engine.results import Results

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join
from reg_yolo.video.pipeline import Stage
from reg_yolo.video.reading import SourceFrame, SourceItem, Unreadable
from reg_yolo.video.tiles import Crop, View
from reg_yolo.yolo.prediction.networks import inference_calls, one_thread, prepare, thread_count_kept
from reg_yolo.yolo.prediction.results import detections_of

_DECODED_AHEAD, _PREPARED_AHEAD = 3, 2


@dataclass(frozen=True)
class PredictedFrame:
    """One frame or image with what was found on it.

    Attributes:
        detections: The objects.
        frame: The frame, with its image.
    """

    detections: FrameDetections
    frame: SourceFrame


@dataclass
class _Part:
    """Pieces of frames that go through the network together."""

    places: list[tuple[int, Crop]]
    pictures: list[NDArray[np.uint8]]
    batch: Tensor | None = None
    raw: Any = None


@dataclass
class _Work:
    """Frames of one file that go through the pipeline together."""

    frames: list[SourceFrame]
    parts: list[_Part] = field(default_factory=list)


PredictedItem = PredictedFrame | Chapter | Hole | Join | Unreadable


def predicted_frames(
    items: Iterable[SourceItem], predictor: Any, class_names: list[str], view: View, polygons: bool = False
) -> Generator[PredictedItem, None, None]:
    """Yield every frame with what was found on it, and everything else that the source holds in its place.

    Closing the iterator ends all threads. What a stage fails with is raised here, after the frames before it.

    Args:
        items: What `read_source` yields.
        predictor: Upstream's predictor of any task, after `set_up`.
        class_names: In the order of their indices.
        view: What the network sees of each frame.
        polygons: Give masks as polygons too.
    """
    size = int(predictor.args.batch)
    groups = _grouped(items, size)

    def prepare_work(work: _Work | PredictedItem) -> _Work | PredictedItem:
        if isinstance(work, _Work):
            work.parts = _parts(work.frames, view, size)
            with one_thread():
                for part in work.parts:
                    part.batch = prepare(predictor, part.pictures)
        return work

    def inferring(call: Callable[[Tensor], Any]) -> Callable[[_Work | PredictedItem], _Work | PredictedItem]:
        def infer(work: _Work | PredictedItem) -> _Work | PredictedItem:
            if isinstance(work, _Work):
                for part in work.parts:
                    part.raw = call(part.batch)  # type: ignore[arg-type]
            return work

        return infer

    calls = inference_calls(predictor)
    decoded: Stage[_Work | PredictedItem] = Stage(groups, depth=max(1, _DECODED_AHEAD // size), name="decode")
    prepared = Stage(decoded, [prepare_work], depth=_PREPARED_AHEAD, name="prepare")
    with (
        thread_count_kept(),
        Stage(prepared, [inferring(call) for call in calls], depth=len(calls), name="infer") as inferred,
    ):
        for work in inferred:
            if not isinstance(work, _Work):
                yield work
                continue
            with one_thread():
                results = _results(work, predictor, class_names, polygons)
            for number, found in enumerate(results):
                yield PredictedFrame(found, work.frames[number])
            del work, results


def _grouped(items: Iterable[SourceItem], size: int) -> Iterator[_Work | PredictedItem]:
    """Yield up to `size` frames together, of one video or all images; whatever else comes ends a group."""
    group: list[SourceFrame] = []
    for item in items:
        if group and (not isinstance(item, SourceFrame) or _belongs_elsewhere(item, group[0])):
            yield _Work(group)
            group = []
        if isinstance(item, SourceFrame):
            group.append(item)
        else:
            yield item
        if len(group) == size:
            yield _Work(group)
            group = []
        del item
    if group:
        yield _Work(group)


def _belongs_elsewhere(frame: SourceFrame, first: SourceFrame) -> bool:
    return frame.video is not first.video or (frame.video is not None and frame.picture.shape != first.picture.shape)


def _parts(frames: Sequence[SourceFrame], view: View, size: int) -> list[_Part]:
    """Cut frames into what goes through the network: whole frames together, tiles in batches of one size."""
    places: list[tuple[int, Crop]] = []
    for number, frame in enumerate(frames):
        height, width = frame.picture.shape[:2]
        places += [(number, crop) for crop in view.crops(width, height)]
    pictures = [crop.of(frames[number].picture) for number, crop in places]
    if view.tile is None:
        return [_Part(places, pictures)]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index, picture in enumerate(pictures):
        by_shape.setdefault(picture.shape, []).append(index)
    return [
        _Part([places[index] for index in some], [pictures[index] for index in some])
        for alike in by_shape.values()
        for some in (alike[start : start + size] for start in range(0, len(alike), size))
    ]


@torch.inference_mode()
def _results(work: _Work, predictor: Any, class_names: list[str], polygons: bool) -> list[FrameDetections]:
    found: list[list[tuple[Crop, Results]]] = [[] for _ in work.frames]
    for part in work.parts:
        predictor.batch = ([str(work.frames[number].path) for number, _ in part.places], None, None)
        for (number, crop), result in zip(
            part.places, predictor.postprocess(part.raw, part.batch, part.pictures), strict=True
        ):
            found[number].append((crop, result))
    iou = float(predictor.args.iou)
    return [
        detections_of(pieces, frame, class_names, iou, polygons=polygons)
        for pieces, frame in zip(found, work.frames, strict=True)
    ]
