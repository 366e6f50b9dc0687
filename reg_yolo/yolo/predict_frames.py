"""The frames of a source with their results, one after the other, with index and time from the container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ultralytics.data.loaders import LoadImagesAndVideos, SourceTypes
from ultralytics.engine.results import Results
from ultralytics.utils import LOGGER

from reg_yolo.errors import MediaError
from reg_yolo.video.detections import FrameDetections
from reg_yolo.video.sources import Source, VideoInfo, probe_image, probe_video
from reg_yolo.yolo.predictor import RegDetectionPredictor


@dataclass(frozen=True)
class PredictedFrame:
    """One frame or image with what was found on it.

    Attributes:
        detections: The objects.
        picture: BGR, shape (H, W, 3), uint8.
        video: The video it is from; None for an image.
    """

    detections: FrameDetections
    picture: NDArray[np.uint8]
    video: VideoInfo | None


def predicted_frames(
    media: Source, predictor: RegDetectionPredictor, class_names: list[str], failed: dict[Path, str]
) -> Iterator[PredictedFrame]:
    """Yield every frame of every file: the images as one stream, then each video by itself.

    Upstream would mix the frame numbers of several videos, and passes over a file that does not decode.

    Args:
        media: What to run over.
        predictor: Upstream's predictor with the model set up.
        class_names: In the order of their indices.
        failed: Gets the files that cannot be read, with the reason.
    """
    if media.images:
        missing = set(media.images)
        with closing(predictor(image_loader(media.images, predictor), stream=True)) as results:
            for result in results:
                missing.discard(Path(result.path))
                yield PredictedFrame(detections_of(result, 0, None, class_names), result.orig_img, None)
        for path in sorted(missing):
            _note_failure(path, failed)
    for path in media.videos:
        try:
            info = probe_video(path)
        except MediaError as error:
            failed[path] = str(error)
            LOGGER.warning(str(error))
            continue
        with closing(predictor(str(path), stream=True)) as results:
            for result in results:
                index, time_s = predictor.clock.next_frame() if predictor.clock else (0, None)
                yield PredictedFrame(detections_of(result, index, time_s, class_names), result.orig_img, info)


def image_loader(images: list[Path], predictor: RegDetectionPredictor) -> LoadImagesAndVideos:
    """Return upstream's loader of files, which reads them one by one; a list of names it would read all at once."""
    loader = LoadImagesAndVideos(
        [str(path) for path in images], batch=predictor.args.batch, channels=getattr(predictor.model, "channels", 3)
    )
    loader.source_type = SourceTypes()
    return loader


def expected_frames(media: Source, stride: int) -> int | None:
    """Return how many frames the containers announce, images included; None where one does not say."""
    total = len(media.images)
    for path in media.videos:
        try:
            count = probe_video(path).frame_count
        except MediaError:
            continue
        if count is None:
            return None
        total += count // stride
    return total


def detections_of(result: Results, index: int, time_s: float | None, class_names: list[str]) -> FrameDetections:
    """Return upstream's result as our detections, boxes in pixels of the full frame."""
    height, width = result.orig_shape
    boxes = result.boxes.cpu().numpy()
    return FrameDetections.from_arrays(
        str(result.path), index, time_s, width, height,
        boxes_xyxy=boxes.xyxy, confidences=boxes.conf, class_ids=boxes.cls, class_names=class_names,
    )  # fmt: skip


def _note_failure(path: Path, failed: dict[Path, str]) -> None:
    try:
        probe_image(path)
        failed[path] = f"{path} was passed over by Ultralytics' reader, although it decodes."
    except MediaError as error:
        failed[path] = str(error)
