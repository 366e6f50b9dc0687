"""One label file as rows with their lines: what checks, statistics and images of labels read.

`label_scan` counts a whole split for training and keeps no row; here the rows themselves are the result.
"""

from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.row_faults import (
    BOX_COLUMNS,
    box_columns,
    class_fault,
    columns_fault,
    coordinates_fault,
    encoding_fault,
    number_fault,
)
from reg_yolo.files import open_regular


@dataclass(frozen=True)
class LabelRow:
    """One object as its row gives it.

    Attributes:
        line: Line in the file, counted from 1.
        class_id: Index of the class.
        coordinates: x_center, y_center, width, height of a box, or x1, y1, x2, y2, ... of a polygon, as fractions of
            the image.
        is_polygon: Whether the row is a polygon.
    """

    line: int
    class_id: int
    coordinates: tuple[float, ...]
    is_polygon: bool

    @property
    def box_xyxy(self) -> tuple[float, float, float, float]:
        """The box, for a polygon the one around it, as fractions of the image."""
        if self.is_polygon:
            xs, ys = self.coordinates[::2], self.coordinates[1::2]
            return min(xs), min(ys), max(xs), max(ys)
        x, y, width, height = self.coordinates
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2

    @property
    def points(self) -> list[tuple[float, float]]:
        """The outline: a polygon's points, or the corners of a box, as fractions of the image."""
        if self.is_polygon:
            return list(zip(self.coordinates[::2], self.coordinates[1::2], strict=True))
        left, top, right, bottom = self.box_xyxy
        return [(left, top), (right, top), (right, bottom), (left, bottom)]


@dataclass(frozen=True)
class RowFault:
    """A row that cannot be read, or a whole file where `line` is None; `kind` is file, row, class or range."""

    line: int | None
    kind: str
    message: str


@dataclass
class LabelFile:
    """What a label file holds.

    Attributes:
        exists: Whether there is such a file.
        rows: The rows that can be read, each once.
        faults: The rows that cannot.
        repeated: Rows left out because they say what an earlier one says: (line, line of the earlier one).
    """

    exists: bool
    rows: list[LabelRow] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)
    repeated: list[tuple[int, int]] = field(default_factory=list)


def read_label_file(path: Path, classes: int, keypoints: int = 0) -> LabelFile:
    """Read one label file; boxes and polygons may stand side by side.

    Args:
        path: The file, UTF-8 with or without a byte-order mark, with any line ends. It need not exist.
        classes: Number of classes; a class id from there on is a fault.
        keypoints: Columns of keypoints behind a box (`DatasetDescription.keypoint_columns`); they are left out, as
            Ultralytics does for a task without keypoints.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return LabelFile(exists=False)
    except OSError as error:
        return LabelFile(True, faults=[RowFault(None, "file", f"cannot be read: {error.strerror}")])
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return LabelFile(True, faults=[RowFault(None, "file", encoding_fault(content))])
    found = LabelFile(True)
    first_lines: dict[bytes, int] = {}
    for number, line in enumerate(lines, start=1):
        tokens = box_columns(line.split(), keypoints)
        if not tokens:
            continue
        row = _read_row(tokens, number, classes)
        if isinstance(row, RowFault):
            found.faults.append(row)
            continue
        # Upstream compares rows as float32 and keeps the first of equal ones.
        key = array("f", (row.class_id, *row.coordinates)).tobytes()
        first = first_lines.setdefault(key, number)
        if first == number:
            found.rows.append(row)
        else:
            found.repeated.append((number, first))
    return found


def box_row(class_id: int, box_xyxy: tuple[float, float, float, float], size: tuple[int, int]) -> str:
    """Return the row of a box, without a line end; six digits are half a hundredth of a pixel in 10,000 pixels.

    Args:
        class_id: Index of the class.
        box_xyxy: Left, top, right and bottom in pixels.
        size: Width and height of the image in pixels.
    """
    left, top, right, bottom = box_xyxy
    width, height = size
    values = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
    return " ".join([str(class_id), *map("{:.6f}".format, values)])


def polygon_row(class_id: int, ring: NDArray[np.float64], size: tuple[int, int]) -> str:
    """Return the row of a polygon, without a line end.

    Args:
        class_id: Index of the class.
        ring: Corners `[N, 2]` in pixels.
        size: Width and height of the image in pixels.
    """
    return " ".join([str(class_id), *map("{:.6f}".format, (ring / size).ravel().tolist())])


def _read_row(tokens: list[str], line: int, classes: int) -> LabelRow | RowFault:
    fault = columns_fault(len(tokens))
    if fault is not None:
        return RowFault(line, "row", fault)
    try:
        values = list(map(float, tokens))
    except ValueError:
        return RowFault(line, "row", number_fault(tokens))
    is_polygon = len(tokens) > BOX_COLUMNS
    fault = class_fault(values, tokens, classes)
    if fault is not None:
        return RowFault(line, "class" if fault.startswith("class id") else "row", fault)
    fault = coordinates_fault(values, tokens, is_polygon)
    if fault is not None:
        return RowFault(line, "range", fault)
    return LabelRow(line, int(values[0]), tuple(values[1:]), is_polygon)
