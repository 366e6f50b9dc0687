"""The only place that stores images: annotated video as H.264 where it can be encoded, and JPEG.

Both take what `reg_yolo.video.privacy.release` let pass, and write bare pixels without metadata.
"""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import MediaError
from reg_yolo.video.privacy import ReleasedPicture

DEFAULT_FPS = 25.0  # for sources that name none
JPEG_QUALITY = 92
# Divides the usual frame rates, is fine enough for all others, and within what MPEG-4 Part 2 can count.
_TIME_BASE = Fraction(1, 60_000)
_SMALLEST_SIDE = 16
# Measured at 1280x720 on one core: ultrafast 2.2 to 2.9 ms a frame (CRF 28 to 23), superfast 5.7, veryfast 8.6, MPEG-4
# Part 2 by OpenCV 2.9. On 60 frames of the embedded highway CRF 26 took 1.7 MB at 39.8 dB, MPEG-4 2.0 MB at 40.0 dB.
_H264_OPTIONS = {"preset": "ultrafast", "crf": "26", "bf": "0"}
_MPEG4_OPTIONS = {"qmin": "3", "qmax": "5"}
_KEY_FRAME_SECONDS = 2
_MOST_ENCODER_THREADS = 4


class AnnotatedVideoWriter:
    """Context manager that encodes frames into an mp4, with its index in front so that browsers start at once.

    The file grows under a hidden name and is renamed at the end, also when the block is left by an exception, Ctrl-C
    included: what was written until then is playable. Without any frame no file is left.

    Args:
        path: The final file, ending in ``.mp4``.
        width: Width of the frames in pixels. Encoders want even numbers: an odd size gets one more column or row, a
            copy of the last; so does a side below 16 pixels.
        height: Height of the frames in pixels.
        fps: Frames per second, for frames without a time and for how long the last one is shown; None for 25.

    Attributes:
        codec: ``h264`` or ``mpeg4`` (MPEG-4 Part 2), known inside the block.
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
        self._even = (max(_SMALLEST_SIDE, width + width % 2), max(_SMALLEST_SIDE, height + height % 2))
        self._part = self.path.with_name(f".{self.path.stem}.part.mp4")
        self._container: Any = None
        self._stream: Any = None
        self._last_pts = -1
        self._first_s: float | None = None

    @property
    def codec_note(self) -> str:
        """A sentence for the log that says what was encoded and who plays it."""
        if self.codec == "h264":
            return "Video is encoded as H.264, which browsers play."
        return "Video is encoded as MPEG-4 Part 2: FFmpeg has no H.264 encoder here. Players show it, browsers may not."

    def __enter__(self) -> AnnotatedVideoWriter:
        self.codec = "h264" if h264_is_available() else "mpeg4"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # What a killed run left; then exclusively, so that a link in its place is never followed.
            self._part.unlink(missing_ok=True)
            os.close(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            raise MediaError(f"{self.path} cannot be written: {error.strerror}.") from None
        try:
            self._container, self._stream = _open_encoder(self._part, self.codec, self._even, self.fps)
        except (av.FFmpegError, ValueError):
            self._part.unlink(missing_ok=True)
            raise MediaError(
                f"{self.path} cannot be written: no encoder opens for {self._even[0]}x{self._even[1]} pixels."
            ) from None
        return self

    def write(self, picture: ReleasedPicture, time_s: float | None = None) -> None:
        """Append a frame, at its own time or one period after the last.

        Args:
            picture: Of the writer's size.
            time_s: Seconds, on any clock that rises; the first frame's time is the start.

        Raises:
            ValueError: If the frame's shape does not fit.
        """
        if self._container is None:
            raise ValueError("write must be called inside the writer's 'with' block")
        pixels = picture.pixels
        expected = (self.height, self.width, 3)
        if pixels.shape != expected or pixels.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 with shape {expected}, got {pixels.dtype} with {pixels.shape}")
        frame = av.VideoFrame.from_numpy_buffer(self._planes(pixels), format="yuv420p")
        frame.pts, frame.time_base = self._next_pts(time_s), _TIME_BASE
        frame.duration = round(1 / self.fps / _TIME_BASE)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.frames += 1

    def _planes(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame as planes of brightness and colour, shape (1.5 H, W): OpenCV is fastest at that."""
        if self._even != (self.width, self.height):
            right, below = self._even[0] - self.width, self._even[1] - self.height
            pixels = np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def _next_pts(self, time_s: float | None) -> int:
        if time_s is None:
            time_s = self.frames / self.fps
        if self._first_s is None:
            self._first_s = time_s
        # A damaged container may repeat a time; an encoder must not see one twice.
        self._last_pts = max(self._last_pts + 1, round((time_s - self._first_s) / _TIME_BASE))
        return self._last_pts

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        container, self._container = self._container, None
        stored = 0
        try:
            if self.frames:
                for packet in self._stream.encode():
                    container.mux(packet)
            container.close()
            stored = _frame_count(self._part)
        except (av.FFmpegError, OSError):
            # Told below, unless an error is under way already.
            pass
        # One more than counted, where an interruption came between the storing of a frame and its counting.
        if self.frames and stored >= self.frames:
            self._part.replace(self.path)
            return
        self._part.unlink(missing_ok=True)
        if self.frames and kind is None:
            raise MediaError(
                f"{self.path} could not be completed: not all {self.frames} frames were stored; is the disk full?"
            )

    def discard(self) -> None:
        """Leave nothing: neither what was written so far nor, at the end of the block, a file."""
        self.frames = 0


def encode_jpeg(picture: ReleasedPicture) -> bytes:
    """Return an image as JPEG without metadata."""
    return bytes(cv2.imencode(".jpg", picture.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1])


def _open_encoder(path: Path, codec: str, size: tuple[int, int], fps: float) -> tuple[Any, Any]:
    container = av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"})
    name, options = ("libx264", _H264_OPTIONS) if codec == "h264" else ("mpeg4", _MPEG4_OPTIONS)
    stream: Any = container.add_stream(name, rate=Fraction(fps).limit_denominator(100_000), options=dict(options))
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = _TIME_BASE
    context.gop_size = max(1, round(_KEY_FRAME_SECONDS * fps))
    context.thread_count = min(_MOST_ENCODER_THREADS, max(1, (os.cpu_count() or 1) // 2))
    # What OpenCV's conversion makes; without it players guess by the size of the image.
    context.color_range, context.colorspace = 1, 6
    return container, stream


@cache
def h264_is_available() -> bool:
    """Return whether FFmpeg encodes H.264 here, by encoding three frames and reading them back."""
    if "libx264" not in av.codecs_available:
        return False
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.mp4"
        try:
            container, stream = _open_encoder(trial, "h264", (320, 240), DEFAULT_FPS)
            with container:
                for number in range(3):
                    frame = av.VideoFrame(320, 240, "yuv420p")
                    frame.pts, frame.time_base = number * 2400, _TIME_BASE
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
            return _frame_count(trial) == 3
        except (av.FFmpegError, OSError, ValueError):
            return False


def _frame_count(path: Path) -> int:
    with av.open(f"file:{path}") as container:
        return container.streams.video[0].frames
