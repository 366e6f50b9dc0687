"""Faults between and within the objects of one image: doubles, objects too small, broken outlines."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.data.dataset.label_rows import LabelRow

Pair = tuple[int, int, float]

_BLOCK = 512
_THINNEST_PX = 0.01
_CROSSING_PX = 0.5


def boxes_of(rows: list[LabelRow], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the boxes of the rows in pixels, xyxy, shape (N, 4)."""
    width, height = size
    boxes = np.array([row.box_xyxy for row in rows], np.float64).reshape(-1, 4)
    return boxes * (width, height, width, height)


def doubled(
    rows: list[LabelRow], boxes: NDArray[np.float64], size: tuple[int, int], same_iou: float, other_iou: float
) -> Iterator[Pair]:
    """Yield (later row, earlier row, IoU) for objects in nearly the same place.

    The IoU of two polygons is that of their areas: the boxes of two neighbouring diagonal lines overlap far more.

    Args:
        rows: The rows of one file.
        boxes: Their boxes in pixels, xyxy, shape (N, 4).
        size: Width and height of the image in pixels.
        same_iou: Limit for two objects of one class, in (0, 1].
        other_iou: Limit for two objects of different classes.
    """
    if len(rows) < 2:
        return
    classes = np.array([row.class_id for row in rows])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for start in range(0, len(rows), _BLOCK):
        block = boxes[start : start + _BLOCK, None]
        extent = np.minimum(block[..., 2:], boxes[None, :, 2:]) - np.maximum(block[..., :2], boxes[None, :, :2])
        shared = np.prod(np.maximum(extent, 0.0), axis=-1)
        union = areas[start : start + _BLOCK, None] + areas[None] - shared
        iou = shared / np.maximum(union, 1e-12)
        limits = np.where(classes[start : start + _BLOCK, None] == classes[None], same_iou, other_iou)
        for offset, earlier in zip(*np.nonzero(iou >= limits), strict=True):
            later = start + int(offset)
            if earlier >= later:
                continue
            overlap = float(iou[offset, earlier])
            if rows[later].is_polygon and rows[earlier].is_polygon:
                overlap = _polygon_iou(rows[later], rows[earlier], size)
                if overlap < limits[offset, earlier]:
                    continue
            yield later, int(earlier), overlap


def outline_fault(row: LabelRow, size: tuple[int, int]) -> tuple[str, str] | None:
    """Return the code and the message of what is wrong with a polygon's outline, or None.

    An outline that touches or retraces itself is none: a mask's one-pixel necks and the bridges between the parts of
    one object do so, and are filled as they should be.

    Args:
        row: A polygon.
        size: Width and height of the image in pixels.
    """
    points = np.array(row.points, np.float64) * size
    polygon = shapely.polygons(points)
    # Coordinates are written with a handful of digits, so that the points of a line do not lie on it exactly.
    least = _THINNEST_PX * max(float(np.ptp(points, axis=0).max()), 1.0)
    if shapely.area(shapely.convex_hull(polygon)) <= least:
        return "polygon-no-area", f"the {len(points)} points of the polygon lie on one line or in one place"
    if shapely.is_valid(polygon):
        return None
    crossing = _first_crossing(points)
    if crossing is None:
        if shapely.area(polygon) <= least:
            return "polygon-no-area", f"the outline of {len(points)} points runs back along itself"
        return None
    first, second = crossing
    return (
        "polygon-crossing",
        f"the outline crosses itself: side {first + 1} (points {first + 1} and {first + 2}) and side {second + 1}",
    )


def _polygon_iou(a: LabelRow, b: LabelRow, size: tuple[int, int]) -> float:
    first, second = (shapely.make_valid(shapely.polygons(np.array(row.points, np.float64) * size)) for row in (a, b))
    union = float(shapely.area(shapely.union(first, second)))
    return float(shapely.area(shapely.intersection(first, second))) / union if union > 0 else 0.0


def _first_crossing(points: NDArray[np.float64]) -> tuple[int, int] | None:
    """Return the first two sides that cross with every end half a pixel or more beyond the other, or None."""
    starts, steps = points, np.roll(points, -1, axis=0) - points
    lengths = np.maximum(np.linalg.norm(steps, axis=1), 1e-12)
    for index in range(len(points)):
        # Signed distances in pixels: of all points from this side, and of this side's ends from all sides.
        away = _cross(steps[index], starts - starts[index]) / lengths[index]
        away_end = np.roll(away, -1)
        start = _cross(steps, starts[index] - starts) / lengths
        end = _cross(steps, starts[index] + steps[index] - starts) / lengths
        depth = np.minimum(np.minimum(np.abs(away), np.abs(away_end)), np.minimum(np.abs(start), np.abs(end)))
        crosses = (away * away_end < 0) & (start * end < 0) & (depth >= _CROSSING_PX)
        if crosses.any():
            return index, int(np.argmax(crosses))
    return None


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    product: NDArray[np.float64] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
