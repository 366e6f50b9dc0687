"""Image sheets: a grid of objects of one class with their labels drawn, to see at a glance what was labelled."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for
from reg_yolo.data.dataset.label_rows import LabelRow, read_label_file
from reg_yolo.data.images.pixels import read_pixels
from reg_yolo.drawing.annotate import class_colours
from reg_yolo.drawing.text_tiles import TextTiles
from reg_yolo.files import make_folder, open_regular, replace_bytes
from reg_yolo.parallel import available_cores, parallel_map

Picture = NDArray[np.uint8]

_COLUMNS = 6
_TILE_PX, _CAPTION_PX, _GAP_PX, _HEADER_PX = 220, 22, 8, 56
_SURROUNDINGS = 1.8
_LEAST_CROP_PX = 64.0
_INK, _FAINT, _PAPER, _OUTSIDE = (30, 30, 30), (110, 110, 110), (255, 255, 255), (225, 225, 225)


@dataclass(frozen=True)
class _Sheet:
    class_id: int
    objects: int
    places: Sequence[tuple[Path, int]]
    target: Path


def write_class_sheets(
    description: DatasetDescription,
    objects: Sequence[int],
    samples: Mapping[int, Sequence[tuple[Path, int]]],
    out: Path,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write one PNG for every class that has samples, NN_CLASS.png, and return their paths.

    Each tile shows one object with its surroundings: its outline in bold, those of other objects thin, in the colours
    of their classes; below it the file name and the line of the row.

    Args:
        description: The data set.
        objects: Number of objects of each class in the whole set, for the headings.
        samples: By class, images and the line of one object each.
        out: Folder, made where it is missing.
        workers: Processes; 0 takes every core.
        progress: Called with the sheets done and to do.
    """
    make_folder(out)
    class_names = description.class_names
    digits = max(2, len(str(len(class_names) - 1)))
    sheets = []
    for class_id, places in sorted(samples.items()):
        # Letters of every script stay; what a file system may refuse does not.
        name = re.sub(r"[^\w\u0e00-\u0e7f-]+", "_", class_names[class_id])[:40]
        sheets.append(_Sheet(class_id, objects[class_id], places, out / f"{class_id:0{digits}d}_{name}.png"))
    draw = partial(_draw_sheet, class_names=class_names, keypoints=description.keypoint_columns)
    written = []
    for sheet, content in zip(sheets, parallel_map(draw, sheets, workers or available_cores(), chunk=8), strict=True):
        replace_bytes(sheet.target, content)
        written.append(sheet.target)
        if progress is not None:
            progress(len(written), len(sheets))
    return written


def _draw_sheet(sheet: _Sheet, class_names: list[str], keypoints: int) -> bytes:
    """Return the sheet as PNG."""
    colours = class_colours(len(class_names))
    captions, heading = TextTiles(13, ["ที่"]), TextTiles(24, class_names)
    columns = min(_COLUMNS, max(3, len(sheet.places)))
    rows = -(-len(sheet.places) // columns)
    width = columns * (_TILE_PX + _GAP_PX) + _GAP_PX
    canvas = np.full((_HEADER_PX + rows * (_TILE_PX + _CAPTION_PX + _GAP_PX), width, 3), _PAPER, np.uint8)
    canvas[: _HEADER_PX - 2 * _GAP_PX, : _GAP_PX * 2] = colours[sheet.class_id]
    count = f"{sheet.objects:,} object{'' if sheet.objects == 1 else 's'}"
    name_end = _write(canvas, heading.render(class_names[sheet.class_id]), _GAP_PX * 4, 4, _INK)
    shown = f"class {sheet.class_id} · {len(sheet.places)} of {count}"
    _write(canvas, TextTiles(16).render(shown), name_end + 16, 14, _FAINT)
    for index, (path, line) in enumerate(sheet.places):
        left = _GAP_PX + index % columns * (_TILE_PX + _GAP_PX)
        top = _HEADER_PX + index // columns * (_TILE_PX + _CAPTION_PX + _GAP_PX)
        canvas[top : top + _TILE_PX, left : left + _TILE_PX] = _draw_tile(path, line, colours, keypoints)
        caption = _shortened(captions, f"{path.stem}", f":{line}")
        room = canvas[:, : left + _TILE_PX]
        _write(room, caption, left, top + _TILE_PX + 1, _FAINT)
    return cv2.imencode(".png", canvas, [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes()


def _draw_tile(path: Path, line: int, colours: list[tuple[int, int, int]], keypoints: int) -> Picture:
    """Cut out the object of a row with its surroundings, scale it to a tile and draw the labels on it."""
    picture = _read_upright(path)
    rows = read_label_file(label_path_for(path), len(colours), keypoints).rows
    row = next((row for row in rows if row.line == line), None)
    if picture is None or row is None:
        # The file has changed since it was checked.
        return np.full((_TILE_PX, _TILE_PX, 3), _OUTSIDE, np.uint8)
    size = np.array(picture.shape[1::-1], np.float64)
    box = np.array(row.box_xyxy) * np.tile(size, 2)
    side = int(np.ceil(max(_SURROUNDINGS * (box[2:] - box[:2]).max(), _LEAST_CROP_PX)))
    corner = np.floor((box[:2] + box[2:] - side) / 2).astype(int)
    # A crop slides back into the image as far as the image reaches.
    corner = np.clip(corner, np.minimum(0, (size - side) // 2), np.maximum(size - side, (size - side) // 2)).astype(int)
    tile = np.full((side, side, 3), _OUTSIDE, np.uint8)
    start, end = np.maximum(corner, 0), np.minimum(corner + side, size.astype(int))
    (x, y), (right, bottom) = start - corner, end - corner
    tile[y:bottom, x:right] = picture[start[1] : end[1], start[0] : end[0]]
    shrinks = side > _TILE_PX
    tile = cv2.resize(tile, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    for other in rows:
        if other is not row:
            _draw_outline(tile, other, size, corner, side, colours[other.class_id], 1)
    _draw_outline(tile, row, size, corner, side, (0, 0, 0), 4)
    _draw_outline(tile, row, size, corner, side, colours[row.class_id], 2)
    return tile


def _draw_outline(
    tile: Picture,
    row: LabelRow,
    size: NDArray[np.float64],
    corner: NDArray[np.int_],
    side: int,
    colour: tuple[int, int, int],
    thickness: int,
) -> None:
    points = (np.array(row.points) * size - corner) * (_TILE_PX / side)
    # OpenCV takes sixteenths of a pixel, and wraps around beyond 16 bits.
    fixed = np.rint(np.clip(points, -1000, 1000) * 16).astype(np.int32)
    cv2.polylines(tile, [fixed], True, colour, thickness, cv2.LINE_AA, 4)


def _read_upright(path: Path) -> Picture | None:
    try:
        with open_regular(path) as stream:
            return read_pixels(stream.read())
    except OSError:
        return None


def _shortened(tiles: TextTiles, text: str, tail: str) -> NDArray[np.uint8]:
    """Render a text that fits below a tile; of a long one the end is kept, where frame numbers stand."""
    rendered = tiles.render(text + tail)
    while rendered.shape[1] > _TILE_PX and len(text) > 4:
        text = text[max(1, len(text) // 12) :]
        rendered = tiles.render("…" + text + tail)
    return rendered


def _write(canvas: Picture, coverage: NDArray[np.uint8], left: int, top: int, colour: tuple[int, int, int]) -> int:
    """Write a text and return where it ends."""
    room = canvas[top : top + coverage.shape[0], left : left + coverage.shape[1]]
    share = coverage[: room.shape[0], : room.shape[1], None].astype(np.float32) / 255
    room[...] = np.rint(room * (1 - share) + np.array(colour, np.float32) * share).astype(np.uint8)
    return left + coverage.shape[1]
