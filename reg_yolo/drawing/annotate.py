"""Draw detections on frames: masks, boxes, class names and confidences, a colour for each class."""

import colorsys
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.masks import decode_crop
from reg_yolo.drawing.text_tiles import TextTiles

Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]

# Relative to the shorter side of the frame; the least sizes keep thumbnails legible.
_FONT_SCALE, _SMALLEST_FONT_PX = 0.026, 12
_LINE_SCALE, _THINNEST_LINE_PX = 0.0035, 1

# Share of the class's colour in the fill of a mask: what lies under it stays recognisable.
_FILL = 0.45


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
        self._fills = [_fill_table(colour) for colour in self._colours]
        self._tiles: dict[int, TextTiles] = {}
        self._labels: dict[tuple[int, str, int], Frame] = {}

    def annotate(
        self, frame: Frame, detections: FrameDetections, *, in_place: bool = False, show_confidence: bool = True
    ) -> Frame:
        """Return a copy of `frame` with the detections drawn on it.

        A mask is drawn under box and label as a translucent fill with a thin outline, as far as it lies in its box.

        Args:
            frame: BGR image, shape (H, W, 3), uint8, of the size that `detections` names.
            detections: What to draw; the surest object is drawn last, on top.
            in_place: Draw on `frame` itself and return it; it must be contiguous and writable.
            show_confidence: False leaves the confidences out, as for labels, which have none.

        Raises:
            ValueError: If the frame's shape does not fit, or it cannot be drawn on in place.
        """
        expected = (detections.height, detections.width, 3)
        if frame.shape != expected or frame.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 with shape {expected}, got {frame.dtype} with {frame.shape}")
        if in_place and not (frame.flags.c_contiguous and frame.flags.writeable):
            raise ValueError("frame must be contiguous and writable to be drawn on in place")
        canvas = frame if in_place else frame.copy(order="C")
        shorter = min(detections.height, detections.width)
        line = max(_THINNEST_LINE_PX, round(_LINE_SCALE * shorter))
        tiles = self._tiles_of(max(_SMALLEST_FONT_PX, round(_FONT_SCALE * shorter)))
        ordered = sorted(detections.detections, key=lambda detection: detection.confidence)
        for detection in ordered:
            if detection.mask is not None:
                self._fill_mask(canvas, detection)
        for detection in ordered:
            left, top, right, bottom = (round(value) for value in detection.box_xyxy)
            colour = self._colours[detection.class_id]
            cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, line)
        # Labels after all boxes, so that no line crosses a text.
        for detection in ordered:
            pieces = [detection.class_name]
            if detection.track is not None:
                pieces.append(f"#{detection.track}")
            if show_confidence:
                pieces.append(f"{detection.confidence:.2f}")
            labels = [self._label(tiles, text, detection.class_id) for text in pieces]
            left, top = round(detection.box_xyxy[0]), round(detection.box_xyxy[1])
            _paste_row(canvas, labels, left - line // 2, top - line // 2)
        return canvas

    def _fill_mask(self, canvas: Frame, detection: Detection) -> None:
        """Tint the pixels of a mask and draw its outline; touches nothing outside the detection's box."""
        assert detection.mask is not None
        left, top = (max(math.floor(value), 0) for value in detection.box_xyxy[:2])
        right = min(math.ceil(detection.box_xyxy[2]), canvas.shape[1])
        bottom = min(math.ceil(detection.box_xyxy[3]), canvas.shape[0])
        if left >= right or top >= bottom:
            return
        region = canvas[top:bottom, left:right]
        crop = decode_crop(detection.mask, left, top, right, bottom)
        cv2.copyTo(cv2.LUT(region, self._fills[detection.class_id]), crop, region)
        outlines, _ = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(region, outlines, -1, self._colours[detection.class_id], 1)

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


def _fill_table(colour: Colour) -> NDArray[np.uint8]:
    """Return what the fill makes of every value of blue, green and red, shape (1, 256, 3)."""
    values = np.arange(256, dtype=np.float32)[None, :, None]
    return np.rint(values * (1 - _FILL) + np.array(colour, np.float32) * _FILL).astype(np.uint8)


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
