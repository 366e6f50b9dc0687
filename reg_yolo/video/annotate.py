"""Draw detections on frames: boxes, class names and confidences, a colour for each class."""

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.video.detections import FrameDetections
from reg_yolo.video.text_tiles import TextTiles

Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Relative to the shorter side of the frame; the least sizes keep thumbnails legible.
_FONT_SCALE, _SMALLEST_FONT_PX = 0.026, 12
_LINE_SCALE, _THINNEST_LINE_PX = 0.0035, 1


def class_colours(count: int) -> list[Colour]:
    """Return `count` BGR colours: each in turn is the vivid colour that looks least like all before it.

    The first colours are the same whatever the count; above 144 classes they come again.
    """
    tones = ((1.0, 1.0), (0.55, 1.0), (1.0, 0.6), (0.75, 0.85))
    candidates = np.array(
        [colorsys.hsv_to_rgb(hue / 36, saturation, value)[::-1] for saturation, value in tones for hue in range(36)],
        np.float32,
    )
    # Distances in CIELAB are about as large as the eye sees them.
    lab = cv2.cvtColor(candidates[None], cv2.COLOR_BGR2LAB)[0]
    chosen = [0]
    distance = np.full(len(candidates), np.inf)
    while len(chosen) < min(count, len(candidates)):
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    colours: list[Colour] = []
    for index in range(count):
        blue, green, red = (round(255 * float(value)) for value in candidates[chosen[index % len(chosen)]])
        colours.append((blue, green, red))
    return colours


class Annotator:
    """Draws `FrameDetections`; line width and letters follow the size of the frame.

    Args:
        class_names: All class names in the order of their indices, in any script that the font has.
        font_path: Another font than the one that is shipped (Thai, Latin, Vietnamese).
    """

    def __init__(self, class_names: Sequence[str], font_path: Path | None = None) -> None:
        self._class_names = list(class_names)
        self._font_path = font_path
        self._colours = class_colours(len(self._class_names))
        self._tiles: dict[int, TextTiles] = {}
        self._labels: dict[tuple[int, str, int], Frame] = {}

    def annotate(self, frame: Frame, detections: FrameDetections) -> Frame:
        """Return a copy of `frame` with the detections drawn on it.

        Args:
            frame: BGR picture, shape (H, W, 3), uint8, of the size that `detections` names.
            detections: What to draw; the surest object is drawn last, on top.

        Raises:
            ValueError: If the frame's shape does not fit.
        """
        expected = (detections.height, detections.width, 3)
        if frame.shape != expected or frame.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 with shape {expected}, got {frame.dtype} with {frame.shape}")
        canvas = np.ascontiguousarray(frame).copy()
        shorter = min(detections.height, detections.width)
        line = max(_THINNEST_LINE_PX, round(_LINE_SCALE * shorter))
        tiles = self._tiles_of(max(_SMALLEST_FONT_PX, round(_FONT_SCALE * shorter)))
        ordered = sorted(detections.detections, key=lambda detection: detection.confidence)
        for detection in ordered:
            left, top, right, bottom = (round(value) for value in detection.box_xyxy)
            colour = self._colours[detection.class_id]
            cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, line)
        # Labels after all boxes, so that no line crosses a text.
        for detection in ordered:
            pieces = [detection.class_name, f"{detection.confidence:.2f}"]
            if detection.track is not None:
                pieces.insert(1, f"#{detection.track}")
            labels = [self._label(tiles, text, detection.class_id) for text in pieces]
            left, top = round(detection.box_xyxy[0]), round(detection.box_xyxy[1])
            _paste_row(canvas, labels, left - line // 2, top - line // 2)
        return canvas

    def _tiles_of(self, size_px: int) -> TextTiles:
        if size_px not in self._tiles:
            self._tiles[size_px] = TextTiles(size_px, self._class_names, self._font_path)
        return self._tiles[size_px]

    def _label(self, tiles: TextTiles, text: str, class_id: int) -> Frame:
        """Return `text` on the class's colour, shape (h, w, 3); kept, as names and confidences come again and again."""
        key = (tiles.size_px, text, class_id)
        label = self._labels.get(key)
        if label is None:
            if len(self._labels) >= 4096:
                # Track numbers never end; starting over costs a few milliseconds once in a long video.
                self._labels.clear()
            label = self._labels[key] = _coloured(tiles.render(text), self._colours[class_id], tiles.size_px // 4)
        return label


def _coloured(coverage: NDArray[np.uint8], colour: Colour, margin: int) -> Frame:
    padded = np.pad(coverage, ((0, 0), (margin, margin)))[..., None].astype(np.float32) / 255
    background = np.array(colour, np.float32)
    blue, green, red = colour
    letters = 0.0 if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else 255.0
    return np.rint(background * (1 - padded) + letters * padded).astype(np.uint8)


def _paste_row(canvas: Frame, labels: list[Frame], left: int, box_top: int) -> None:
    """Paste labels side by side above a box, moved as far as it takes to stay within the frame."""
    frame_height, frame_width = canvas.shape[:2]
    height = labels[0].shape[0]
    width = sum(label.shape[1] for label in labels)
    top = min(max(box_top - height, 0), max(frame_height - height, 0))
    left = min(max(left, 0), max(frame_width - width, 0))
    for label in labels:
        room = canvas[top : top + height, left : left + label.shape[1]]
        room[...] = label[: room.shape[0], : room.shape[1]]
        left += label.shape[1]
