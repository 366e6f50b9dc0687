"""Annotated pictures of a prediction: an image for each image, one mp4 for a single video."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
from ultralytics.utils import LOGGER

from reg_yolo.video.annotate import Annotator
from reg_yolo.video.sources import Source
from reg_yolo.video.writer import AnnotatedVideoWriter
from reg_yolo.yolo.checkpoints import replace_file
from reg_yolo.yolo.predict_frames import PredictedFrame

JPEG_QUALITY = 92


class AnnotatedPictures:
    """Context manager that draws frames and writes them; many videos at once get no annotated copy.

    Args:
        folder: Where the pictures go; a source that lies there as well is never written over.
        class_names: In the order of their indices.
        media: The source.
        stride: Only every n-th frame of a video comes, which makes the copy as much slower.

    Attributes:
        files: What has been written.
    """

    def __init__(self, folder: Path, class_names: list[str], media: Source, stride: int = 1) -> None:
        self.files: list[Path] = []
        self._folder = folder
        self._stride = stride
        self._annotator = Annotator(class_names)
        self._draws_video = len(media.files) == 1
        self._taken = {file.path.name for file in media.files if file.path.parent.resolve() == folder.resolve()}
        self._video: AnnotatedVideoWriter | None = None
        self._stack = ExitStack()

    def __enter__(self) -> AnnotatedPictures:
        return self

    def write(self, frame: PredictedFrame) -> None:
        """Draw and write one frame.

        Raises:
            MediaError: If a video cannot be encoded or written.
            OSError: If an image cannot be written.
        """
        stem = Path(frame.detections.source).stem
        if frame.video is None:
            picture = self._annotator.annotate(frame.picture, frame.detections)
            content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            target = self._new_target(stem, ".jpg")
            replace_file(target, content.tobytes())
            self.files.append(target)
            return
        if not self._draws_video:
            return
        if self._video is None:
            fps = frame.video.fps / self._stride if frame.video.fps else None
            target = self._new_target(stem, ".mp4")
            size = (frame.detections.width, frame.detections.height)
            self._video = self._stack.enter_context(AnnotatedVideoWriter(target, *size, fps))
            self.files.append(target)
            LOGGER.info(self._video.codec_note)
        self._video.write(self._annotator.annotate(frame.picture, frame.detections))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def _new_target(self, stem: str, suffix: str) -> Path:
        """Return a path that no source and no other picture of this run has; an earlier run's is replaced."""
        name, number = f"{stem}{suffix}", 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name)
        return self._folder / name
