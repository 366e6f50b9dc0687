"""Images of a diagnosis: whole ones with what is right and wrong on them, and cut-outs around doubtful labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.images.pixels import read_pixels
from reg_yolo.drawing.contact_sheet import contact_sheet
from reg_yolo.drawing.text_tiles import TextTiles
from reg_yolo.evaluation.error_kinds import ErrorAnalysis
from reg_yolo.evaluation.label_hints import LabelHint
from reg_yolo.files import open_regular

Frame = NDArray[np.uint8]
Colour = tuple[int, int, int]

# BGR; Okabe and Ito's, which the colour-blind can tell apart.
FOUND: Colour = (115, 158, 0)
NOT_FOUND: Colour = (0, 94, 213)
WRONG: Colour = (233, 180, 86)
_PAPER: Colour = (235, 235, 235)
SHEET_TILE_PX = (480, 320)
_CROP_PX, _SURROUNDINGS, _LEAST_CROP_PX = 180, 2.2, 48
_TEXT_PX = 12


def write_worst_images(
    path: Path, analysis: ErrorAnalysis, class_names: Sequence[str], images: Sequence[int]
) -> list[int]:
    """Write a contact sheet of images with their errors at the thresholds, and return those that can be read.

    Objects that are found have a green box, those that are not an orange one, wrong detections a blue one with class
    and confidence.

    Args:
        path: The JPEG.
        analysis: Of the split.
        class_names: In the order of their indices.
        images: Indices, in the order in which they are shown.
    """
    letters = TextTiles(_TEXT_PX, class_names)
    tiles, shown = [], []
    for image in images:
        tile = _whole(analysis, class_names, image, letters)
        if tile is not None:
            tiles.append((analysis.results[image].path.name, tile))
            shown.append(image)
    contact_sheet(tiles, path, columns=min(3, max(1, len(tiles))))
    return shown


def crop_of(path: Path, hint: LabelHint) -> bytes | None:
    """Return a JPEG of a hint's surroundings, orange what is labelled, blue what is found; None without image."""
    picture = _read(path)
    if picture is None:
        return None
    boxes = [box for box in (hint.box_xyxy, hint.found_box_xyxy) if box is not None]
    corners = np.array(boxes)
    low, high = corners[:, :2].min(0), corners[:, 2:].max(0)
    side = int(np.ceil(max(_SURROUNDINGS * (high - low).max(), _LEAST_CROP_PX)))
    corner = np.floor((low + high - side) / 2).astype(int)
    tile = np.full((side, side, 3), _PAPER, np.uint8)
    start, end = np.maximum(corner, 0), np.minimum(corner + side, picture.shape[1::-1])
    if (end > start).all():
        (x, y), (right, bottom) = start - corner, end - corner
        tile[y:bottom, x:right] = picture[start[1] : end[1], start[0] : end[0]]
    tile = _resized(tile, _CROP_PX, _CROP_PX)
    scale = _CROP_PX / side
    if hint.found_box_xyxy is not None:
        _draw(tile, (np.array(hint.found_box_xyxy) - np.tile(corner, 2)) * scale, WRONG)
    if hint.label is not None:
        _draw(tile, (np.array(hint.box_xyxy) - np.tile(corner, 2)) * scale, NOT_FOUND)
    return cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()


def _whole(analysis: ErrorAnalysis, class_names: Sequence[str], image: int, letters: TextTiles) -> Frame | None:
    result = analysis.results[image]
    picture = _read(result.path)
    if picture is None:
        return None
    width, height = SHEET_TILE_PX
    scale = min(width / picture.shape[1], height / picture.shape[0])
    small = _resized(picture, max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    left, top = (width - small.shape[1]) // 2, (height - small.shape[0]) // 2
    tile = np.full((height, width, 3), _PAPER, np.uint8)
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    # Boxes are in pixels of the image as validation has read it.
    across, down = small.shape[1] / result.width, small.shape[0] / result.height
    factor, shift = np.array([across, down] * 2), np.array([left, top] * 2)
    objects = analysis.object_image == image
    for box, found in zip(analysis.object_boxes[objects], analysis.found_when_shown[objects], strict=True):
        _draw(tile, box * factor + shift, FOUND if found else NOT_FOUND, 1 if found else 2)
    for row in np.flatnonzero((analysis.image == image) & analysis.wrong_when_shown):
        box = analysis.boxes[row] * factor + shift
        _draw(tile, box, WRONG)
        text = f"{class_names[analysis.detection_class[row]]} {analysis.confidence[row]:.2f}"
        _write(tile, letters.render(text), round(box[0]), round(box[1]) - letters.height_px)
    return tile


def _draw(tile: Frame, box: NDArray[np.float64], colour: Colour, thickness: int = 2) -> None:
    left, top, right, bottom = (int(value) for value in np.rint(np.clip(box, -4000, 4000)))
    cv2.rectangle(tile, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)


def _write(tile: Frame, coverage: NDArray[np.uint8], left: int, top: int) -> None:
    """Write dark letters on the colour of wrong detections, moved as far as it takes to stay within the tile."""
    height, width = coverage.shape
    top = min(max(top, 0), max(tile.shape[0] - height, 0))
    left = min(max(left, 0), max(tile.shape[1] - width, 0))
    room = tile[top : top + height, left : left + width]
    share = coverage[: room.shape[0], : room.shape[1], None] / 255.0
    room[...] = np.rint(np.array(WRONG) * (1 - share)).astype(np.uint8)


def _resized(picture: Frame, width: int, height: int) -> Frame:
    shrinks = width < picture.shape[1]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _read(path: Path) -> Frame | None:
    try:
        with open_regular(path) as stream:
            return read_pixels(stream.read())
    except OSError:
        return None
