"""What can be wrong with one row of a label file, said in a few words.

A row that Ultralytics accepts is accepted, with the exceptions that `reg_yolo.data.dataset.label_scan` names.
"""

import math

# Upstream's 1 % tolerance as it works out in float32: the last numbers that still round to float32(1.01) and
# float32(-0.01).
_UPPER_LIMIT = 1.01 + 5e-8
_LOWER_LIMIT = -0.01 - 2.4e-10

BOX_COLUMNS = 5
_MIN_POLYGON_COLUMNS = 7


def box_columns(tokens: list[str], keypoints: int) -> list[str]:
    """Return the columns of a row without those of its keypoints; a row of another length is returned as it is."""
    return tokens[:BOX_COLUMNS] if keypoints and len(tokens) == BOX_COLUMNS + keypoints else tokens


def columns_fault(columns: int, allow_boxes: bool = True, allow_polygons: bool = True) -> str | None:
    """Return what is wrong with the number of columns, or None."""
    if columns == BOX_COLUMNS:
        return None if allow_boxes else "a box row (5 columns) where every object needs a polygon"
    is_polygon = columns >= _MIN_POLYGON_COLUMNS and columns % 2 == 1
    if is_polygon and allow_polygons:
        return None
    if is_polygon:
        return f"a polygon row ({columns} columns) where every object needs a box (5 columns)"
    expected = " or ".join(
        text
        for text, allowed in (
            ("5 (class x_center y_center width height)", allow_boxes),
            ("7, 9, 11 ... (class and the points of a polygon)", allow_polygons),
        )
        if allowed
    )
    hint = "; is the sixth a confidence?" if columns == BOX_COLUMNS + 1 else ""
    return f"{columns} column{'' if columns == 1 else 's'}, expected {expected}{hint}"


def number_fault(tokens: list[str]) -> str:
    """Return which of the columns is not a number."""
    for column, token in enumerate(tokens, start=1):
        try:
            float(token)
        except ValueError:
            hint = "; write a decimal point" if "," in token else ""
            return f"column {column} is not a number: {token[:40]!r}{hint}"
    return "not all columns are numbers"


def class_fault(values: list[float], tokens: list[str], classes: int) -> str | None:
    """Return what is wrong with the class id, or that a column is not finite, or None."""
    # A finite sum proves every addend finite, and is the cheapest proof.
    if not math.isfinite(sum(values)):
        for column, value in enumerate(values, start=1):
            if not math.isfinite(value):
                return f"column {column} is not finite: {tokens[column - 1][:40]!r}"
    class_value = values[0]
    if not class_value.is_integer():
        return f"class id {tokens[0][:40]} is not an integer"
    if not 0 <= class_value < classes:
        return f"class id {tokens[0][:40]} is out of range, expected 0 to {classes - 1}"
    return None


def coordinates_fault(values: list[float], tokens: list[str], is_polygon: bool) -> str | None:
    """Return which coordinate lies outside the image by more than upstream's tolerance, or None."""
    coordinates = values[1:]
    if min(coordinates) >= 0 and max(coordinates) <= 1:
        return None
    for column, value in enumerate(coordinates, start=1):
        is_extent = column > 2 and not is_polygon
        if not (0.0 if is_extent else _LOWER_LIMIT) <= value <= _UPPER_LIMIT:
            what = f"column {column + 1}" if is_polygon else ("x_center", "y_center", "width", "height")[column - 1]
            hint = "; are these pixels?" if value > 2 else ""
            return f"{what} {tokens[column][:40]} is outside [0, 1] by more than 1 %{hint}"
    if is_polygon and any(max(axis) - min(axis) > _UPPER_LIMIT for axis in (values[1::2], values[2::2])):
        return "the polygon is larger than the image by more than 1 %"
    return None


def encoding_fault(content: bytes) -> str:
    """Return what is wrong with a file that is not UTF-8."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "is UTF-16 text; save it as UTF-8"
    return "is not UTF-8 text"
