"""Look into an image or a video before anything starts: does it open, does it decode, what does it announce?"""

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from reg_yolo.errors import MediaError
from reg_yolo.video.decoding import VideoFrame, announced_end, counts_from_anywhere, open_video, read_frames
from reg_yolo.video.quiet_opencv import quiet_opencv

# Containers that announce more than this announce their time base, not their frames.
_HIGHEST_FPS = 1000.0
# What OpenCV does not read and Ultralytics hands to Pillow.
_PILLOW_SUFFIXES = frozenset({".avif", ".heic", ".heif"})
_HEIF_READERS = ("pi_heif", "pillow_heif")


@dataclass(frozen=True)
class VideoInfo:
    """What a video's container announces.

    Attributes:
        width: Pixels, as shown: a turned image is turned.
        height: Pixels, likewise.
        fps: Nominal frames per second; None where the container has none that is credible.
        frame_count: Announced frames; None where unknown, as in MPEG-TS. A damaged file may hold fewer.
        duration_s: Announced duration of the images; None where unknown.
        frames_about: The same as frame_count, or where nothing is announced what the first and last timestamp suggest.
        fourcc: Codec tag, such as ``avc1``.
    """

    width: int
    height: int
    fps: float | None
    frame_count: int | None
    duration_s: float | None
    fourcc: str
    frames_about: int | None = None


def probe_image(path: Path) -> tuple[int, int]:
    """Decode an image and return its width and height in pixels.

    Raises:
        MediaError: If it is missing, empty or does not decode.
    """
    picture = decode_by_opencv(path)
    if picture is None and path.suffix.lower() in _PILLOW_SUFFIXES:
        return _size_by_pillow(path)
    if picture is None:
        raise MediaError(f"{path} does not decode as an image: it is damaged, cut off or of another format.")
    return picture.shape[1], picture.shape[0]


def decode_by_opencv(path: Path) -> NDArray[Any] | None:
    """Return an image as BGR, shape (H, W, 3), turned as its EXIF data say; None where OpenCV does not decode it.

    Raises:
        MediaError: If it is missing or empty, or HEIC without a reader installed.
    """
    check_file(path)
    check_heif(path)
    with quiet_opencv():
        try:
            return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            return None


def probe_video(path: Path) -> VideoInfo:
    """Open a video, decode its first sound frame and return what its container announces.

    Raises:
        MediaError: If it is missing, empty, no video, or gives no frame.
    """
    check_file(path)
    with open_video(path) as (container, stream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        fps = rate if 0 < rate <= _HIGHEST_FPS else None
        duration, exact = announced_end(container, stream)
        count = stream.frames if stream.frames > 0 else None
        tag = stream.codec_context.codec_tag
        announced = not counts_from_anywhere(container) and (exact or count is not None)
    if count is None and fps is not None and duration is not None:
        count = max(1, round(duration * fps))
    if duration is None and fps is not None and count is not None:
        duration = count / fps
    for frame in read_frames(path):
        if isinstance(frame, VideoFrame) and frame.picture is not None:
            height, width = frame.picture.shape[:2]
            known = (count, duration) if announced else (None, None)
            return VideoInfo(width, height, fps, *known, tag if tag.isprintable() else "", count)
    raise MediaError(f"{path} holds no frame that decodes.")


def check_heif(path: Path) -> None:
    """Register Pillow's reader of HEIC where the image is one.

    Raises:
        MediaError: If none is installed.
    """
    if path.suffix.lower() not in {".heic", ".heif"}:
        return
    for name in _HEIF_READERS:
        try:
            importlib.import_module(name).register_heif_opener()
        except ImportError:
            continue
        return
    raise MediaError(
        f"{path} is HEIC, which needs the package pi-heif or pillow-heif: pip install pi-heif, or convert it to JPEG"
    )


def _size_by_pillow(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            width, height = ImageOps.exif_transpose(image).size
    except (ImportError, OSError, SyntaxError, ValueError):
        raise MediaError(f"{path} does not decode as an image: it is damaged, cut off or of another format.") from None
    return width, height


def check_file(path: Path) -> None:
    """Check that a file is there, can be read and is not empty.

    Raises:
        MediaError: If not.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}.") from None
    if path.is_dir():
        raise MediaError(f"{path} is a folder, expected a file.")
    if not path.is_file():
        raise MediaError(f"{path} is a pipe, socket or device, expected a regular file")
    if size == 0:
        raise MediaError(f"{path} is empty.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} cannot be read: permission denied.")
