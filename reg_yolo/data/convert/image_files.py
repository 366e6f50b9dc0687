"""Opening the images of an export: files, those embedded in Labelme's files, and frames of a video."""

from __future__ import annotations

from pathlib import Path

import cv2

from reg_yolo.data.convert.formats.labelme import read_embedded
from reg_yolo.data.images.opened import JPEG_QUALITY, OpenedImage, open_image
from reg_yolo.data.objects.annotations import AnnotatedImage, ImageSource
from reg_yolo.errors import DataError, MediaError


class ImageReader:
    """Opens images one after the other; of a video the frames must come in order to be fast."""

    def __init__(self) -> None:
        self._video: tuple[Path, cv2.VideoCapture] | None = None
        self._next_frame = 0

    def read(self, image: AnnotatedImage) -> tuple[OpenedImage | None, str]:
        """Return the image, or None and why it cannot be used."""
        source = image.source
        assert source is not None
        if source.frame is not None:
            return self._read_frame(source)
        content = None
        if source.embedded:
            try:
                content = read_embedded(source.path)
            except DataError:
                return None, "the image in its imageData cannot be decoded"
        return open_image(source.path, content)

    def close(self) -> None:
        """Close the video that was read last."""
        if self._video is not None:
            self._video[1].release()
            self._video = None

    def _read_frame(self, source: ImageSource) -> tuple[OpenedImage | None, str]:
        frame = source.frame or 0
        if self._video is None or self._video[0] != source.path or frame < self._next_frame:
            self.close()
            capture = cv2.VideoCapture(str(source.path))
            if not capture.isOpened():
                raise MediaError(f"{source.path} cannot be opened as a video; extract its frames with another tool.")
            self._video, self._next_frame = (source.path, capture), 0
        capture = self._video[1]
        while self._next_frame < frame and capture.grab():
            self._next_frame += 1
        # Only a frame that was reached counts: after the last one grab() fails and the number stays behind.
        done, pixels = capture.read() if self._next_frame == frame else (False, None)
        if not done or pixels is None:
            return None, "the video ends before this frame"
        self._next_frame += 1
        _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return OpenedImage((pixels.shape[1], pixels.shape[0]), 1, ".jpg", source.path, encoded.tobytes()), ""
