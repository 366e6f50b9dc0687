"""The pixels of detected frames: image files as they are, frames of a video decoded as `predict` decodes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import ModuleType

import cv2
from PIL import Image

from reg_yolo.data.images.opened import JPEG_QUALITY, OpenedImage, open_image
from reg_yolo.data.objects.orientation import upright_size
from reg_yolo.data.prelabel.frames import DetectedFrame
from reg_yolo.errors import DataError
from reg_yolo.video.decoding import Picture, VideoFrame, read_frames

NOT_FOUND = "image or video not found"
OTHER_SIZE = "image of another size than the detections say"
NO_FRAME = "frame that the video does not give"


def opened_frames(frames: Sequence[DetectedFrame]) -> Iterator[tuple[DetectedFrame, OpenedImage | None, str]]:
    """Yield every frame with its image, or None and why there is none; frames of one video must stand together."""
    for frame, found in _with_pixels(frames):
        if isinstance(found, str):
            yield frame, None, found
            continue
        if isinstance(found, OpenedImage):
            picture = found
        else:
            _, encoded = cv2.imencode(".jpg", found, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            assert frame.found is not None
            picture = OpenedImage((found.shape[1], found.shape[0]), 1, ".jpg", frame.found, encoded.tobytes())
        if upright_size(*picture.size, picture.orientation) != frame.size:
            yield frame, None, OTHER_SIZE
        else:
            yield frame, picture, ""


def perceptual_hashes(
    frames: Sequence[DetectedFrame], progress: Callable[[int, int], None] | None = None
) -> dict[str, bytes]:
    """Return the perceptual hash of every frame that has pixels with some structure, by the frame's name.

    Raises:
        DataError: If imagehash is not installed.
    """
    facts = _facts()
    signs: dict[str, bytes] = {}
    for done, (frame, found) in enumerate(_with_pixels(frames), start=1):
        sign = None
        if isinstance(found, OpenedImage):
            sign = facts.read_image_facts(found.path).signs
        elif not isinstance(found, str):
            sign = facts.perceptual_signs(Image.fromarray(cv2.cvtColor(found, cv2.COLOR_BGR2GRAY)))
        if sign is not None:
            signs[frame.name] = sign
        if progress is not None:
            progress(done, len(frames))
    return signs


def image_hashes(paths: Sequence[Path]) -> list[bytes]:
    """Return the perceptual hash of every image that has some structure."""
    signs = [_facts().read_image_facts(path).signs for path in paths]
    return [sign for sign in signs if sign is not None]


def _facts() -> ModuleType:
    try:
        from reg_yolo.data.images import facts
    except ImportError:
        raise DataError('Comparing images needs the package imagehash: pip install "reg-yolo[data]"') from None
    return facts


def _with_pixels(frames: Sequence[DetectedFrame]) -> Iterator[tuple[DetectedFrame, OpenedImage | Picture | str]]:
    for _, group in groupby(frames, key=lambda frame: (frame.source, frame.frame is None)):
        members = list(group)
        if members[0].found is None:
            yield from ((frame, NOT_FOUND) for frame in members)
        elif members[0].frame is None:
            for frame in members:
                assert frame.found is not None
                picture, fault = open_image(frame.found)
                yield frame, fault if picture is None else picture
        else:
            yield from _of_video(members)


def _of_video(frames: Sequence[DetectedFrame]) -> Iterator[tuple[DetectedFrame, Picture | str]]:
    path = frames[0].found
    assert path is not None
    wanted = {frame.frame: frame for frame in frames}
    last = max(index for index in wanted if index is not None)
    for item in read_frames(path, lambda index, _: index in wanted):
        if not isinstance(item, VideoFrame):
            continue
        if item.picture is not None and (frame := wanted.pop(item.index, None)) is not None:
            yield frame, item.picture
        if item.index >= last:
            break
    yield from ((frame, NO_FRAME) for frame in wanted.values())
