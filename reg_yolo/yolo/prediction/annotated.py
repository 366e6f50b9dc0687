"""Annotated images of a prediction: an image for each image, one mp4 for a single video or a drive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from ultralytics.utils import LOGGER

from reg_yolo.drawing.annotate import Annotator
from reg_yolo.files import replace_bytes
from reg_yolo.video.pipeline import Sink
from reg_yolo.video.privacy import ReleasedPicture, release
from reg_yolo.video.sources import Source
from reg_yolo.video.writer import AnnotatedVideoWriter, encode_jpeg
from reg_yolo.yolo.prediction.blurring import BlurError, PrivateFinder, find_all
from reg_yolo.yolo.prediction.frames import PredictedFrame

_WAITING = 3


class AnnotatedPictures:
    """Context manager that blurs, draws and stores frames in a thread; many videos at once get no annotated copy.

    Args:
        folder: Where the images go; a source that lies there as well is never written over.
        class_names: In the order of their indices.
        media: The source.
        step_s: Time between two frames that come, by a video's frames/s: how long the last one is shown.
        finders: What finds faces and plates.

    Attributes:
        files: What has been written.
    """

    def __init__(
        self,
        folder: Path,
        class_names: list[str],
        media: Source,
        step_s: Callable[[float], float],
        finders: Sequence[PrivateFinder] = (),
    ) -> None:
        self.files: list[Path] = []
        self._folder = folder
        self._step_s = step_s
        self._finders = finders
        self._annotator = Annotator(class_names)
        self._draws_video = len(media.files) == 1 or media.kind == "drive"
        self._taken = {file.path.name for file in media.files if file.path.parent.resolve() == folder.resolve()}
        self._video: AnnotatedVideoWriter | None = None
        self._stack = ExitStack()
        self._sink = Sink(self._store, depth=_WAITING, name="draw")

    def __enter__(self) -> AnnotatedPictures:
        self._sink.__enter__()
        return self

    def write(self, frame: PredictedFrame) -> None:
        """Hand over one frame, whose image is drawn on and must not be used any more.

        Raises:
            MediaError: If a video cannot be encoded or written.
            BlurError: If nobody knows what to blur.
            OSError: If an image cannot be written.
        """
        if frame.frame.video is None or self._draws_video:
            self._sink.put(frame)

    def _store(self, frame: PredictedFrame) -> None:
        try:
            private = find_all(self._finders, frame.frame.picture)
        except BlurError:
            if self._video is not None:
                self._video.discard()
            raise
        released = release(frame.frame.picture, private, in_place=True)
        self._annotator.annotate(released.pixels, frame.detections, in_place=True)
        if frame.frame.video is None:
            target = self._new_target(frame.frame.path.stem, ".jpg")
            replace_bytes(target, encode_jpeg(released))
            self.files.append(target)
        else:
            self._writer_for(frame, released).write(released, frame.frame.time_s)

    def _writer_for(self, frame: PredictedFrame, picture: ReleasedPicture) -> AnnotatedVideoWriter:
        """Return the video under way; where the images' size changes, which an mp4 cannot, a new one."""
        height, width = picture.pixels.shape[:2]
        if self._video is None or (self._video.width, self._video.height) != (width, height):
            self._stack.close()
            video = frame.frame.video
            fps = 1 / self._step_s(video.fps) if video is not None and video.fps else None
            target = self._new_target(frame.frame.path.stem, ".mp4")
            self._video = self._stack.enter_context(AnnotatedVideoWriter(target, width, height, fps))
            self.files.append(target)
            LOGGER.info(self._video.codec_note)
        return self._video

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._stack:
                self._sink.__exit__(kind, error, traceback)
                if kind is not None:
                    # The video's end must know that an error is under way, so as not to add its own.
                    self._stack.__exit__(kind, error, traceback)
        finally:
            self.files[:] = [file for file in self.files if file.is_file()]

    def _new_target(self, stem: str, suffix: str) -> Path:
        """Return a path that no source and no other image of this run has; an earlier run's is replaced."""
        name, number = f"{stem}{suffix}", 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name)
        return self._folder / name
