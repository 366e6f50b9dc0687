"""Write annotated video: H.264 where this machine's OpenCV can encode it, MPEG-4 Part 2 otherwise."""

import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import MediaError
from reg_yolo.video.quiet_opencv import quiet_opencv

DEFAULT_FPS = 25.0  # for sources that name none


class AnnotatedVideoWriter:
    """Context manager that encodes frames into an mp4.

    The file grows under a hidden name and is renamed at the end, also when the block is left by an exception, Ctrl-C
    included: what was written until then is playable. Without any frame no file is left.

    Args:
        path: The final file, ending in ``.mp4``.
        width: Width of the frames in pixels. Encoders want even numbers: an odd size gets one more column or row, a
            copy of the last.
        height: Height of the frames in pixels.
        fps: Frames per second; None for 25.

    Attributes:
        codec: ``avc1`` (H.264) or ``mp4v`` (MPEG-4 Part 2), known inside the block.
        frames: Frames written so far.

    Raises:
        MediaError: If the file cannot be written.
        ValueError: If the path has another suffix or a number is out of range.
    """

    def __init__(self, path: str | Path, width: int, height: int, fps: float | None = None) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ValueError(f"path must end in .mp4, got {self.path.name}")
        if width < 1 or height < 1:
            raise ValueError(f"frame size must be at least 1x1 pixels, got {width}x{height}")
        self.fps = DEFAULT_FPS if fps is None else float(fps)
        if not 0 < self.fps <= 1000:
            raise ValueError(f"fps must be in (0, 1000], got {fps}")
        self.width, self.height = width, height
        self.codec = ""
        self.frames = 0
        self._part = self.path.with_name(f".{self.path.stem}.part.mp4")
        self._writer: cv2.VideoWriter | None = None

    @property
    def codec_note(self) -> str:
        """A sentence for the log that says what was encoded and who plays it."""
        if self.codec == "avc1":
            return "Video is encoded as H.264, which browsers play."
        return "Video is encoded as MPEG-4 Part 2: OpenCV has no H.264 encoder here. Players show it, browsers may not."

    def __enter__(self) -> "AnnotatedVideoWriter":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()  # OpenCV would fail without a reason
        except OSError as error:
            raise MediaError(f"{self.path} cannot be written: {error.strerror}.") from None
        size = (self.width + self.width % 2, self.height + self.height % 2)
        for codec in ("avc1", "mp4v"):
            if codec == "avc1" and not h264_is_available():
                continue
            with quiet_opencv():
                writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*codec), self.fps, size)
            if writer.isOpened():
                self.codec, self._writer = codec, writer
                return self
            writer.release()
        self._part.unlink(missing_ok=True)
        raise MediaError(f"{self.path} cannot be written: OpenCV opens no encoder for {size[0]}x{size[1]} pixels.")

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append a BGR frame, shape (height, width, 3), uint8.

        Raises:
            ValueError: If the frame's shape does not fit.
        """
        if self._writer is None:
            raise ValueError("write must be called inside the writer's 'with' block")
        expected = (self.height, self.width, 3)
        if frame.shape != expected or frame.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 with shape {expected}, got {frame.dtype} with {frame.shape}")
        if self.width % 2 or self.height % 2:
            frame = np.pad(frame, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        self._writer.write(frame)
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        with quiet_opencv():
            writer.release()
        # One more than counted, where an interruption came between the storing of a frame and its counting.
        if self.frames and _frame_count(self._part) >= self.frames:
            self._part.replace(self.path)
            return
        # OpenCV reports no error of the disk; an index that lacks frames is how a full one shows.
        self._part.unlink(missing_ok=True)
        if self.frames and kind is None:
            raise MediaError(
                f"{self.path} could not be completed: not all {self.frames} frames were stored; is the disk full?"
            )


@cache
def h264_is_available() -> bool:
    """Return whether OpenCV encodes H.264 here, by encoding three frames and reading them back."""
    with tempfile.TemporaryDirectory() as folder, quiet_opencv():
        trial = Path(folder) / "trial.mp4"
        writer = cv2.VideoWriter(str(trial), cv2.VideoWriter.fourcc(*"avc1"), 25.0, (320, 240))
        if not writer.isOpened():
            return False
        for _ in range(3):
            writer.write(np.zeros((240, 320, 3), np.uint8))
        writer.release()
        return _frame_count(trial) == 3


def _frame_count(path: Path) -> int:
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path))
        try:
            return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        finally:
            capture.release()
