"""Masks as COCO's compressed run-length encoding, and as polygons.

The bytes are those of `pycocotools.mask.encode`. That function and its counterpart walk over the whole frame for every
object, half a millisecond each at 1280x720; here only the rectangle around an object is looked at, since a frame of a
video has many of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pycocotools import mask as coco_mask

Mask = NDArray[np.bool_]

# Polygons follow the outline of a mask to this fraction of a pixel; less than half a pixel, so that what is one pixel
# wide keeps its width.
_POLYGON_TOLERANCE_PX = 0.375


def encode_mask(mask: NDArray[Any]) -> dict[str, Any]:
    """Encode one mask of a full frame.

    Args:
        mask: Shape (H, W), bool or uint8; what is not zero belongs to the object.

    Returns:
        ``{"size": [H, W], "counts": text}``, as a `Detection` carries it.

    Example:
        >>> encode_mask(np.array([[0, 1], [0, 1]], bool))
        {'size': [2, 2], 'counts': '22'}
    """
    return encode_masks([mask])[0]


def encode_masks(
    masks: Sequence[NDArray[Any]],
    *,
    corners: ArrayLike | None = None,
    size: tuple[int, int] | None = None,
) -> list[dict[str, Any]]:
    """Encode the masks of one frame.

    Args:
        masks: N arrays, bool or uint8: of the full frame with shape (H, W), or with `corners` crops of any shape.
        corners: Shape (N, 2), left and top of every crop in pixels of the full frame. A crop may stick out of the
            frame; what is outside is left out.
        size: Height and width of the full frame; needed with `corners`.

    Raises:
        ValueError: If a shape does not fit.
    """
    if (corners is None) != (size is None):
        raise ValueError("corners and size belong together: crops need both, masks of the full frame need neither")
    places = [(0, 0)] * len(masks) if corners is None else np.asarray(corners, int).reshape(-1, 2).tolist()
    if len(places) != len(masks):
        raise ValueError(f"corners must have shape ({len(masks)}, 2) as there are masks, got {len(places)} rows")
    encoded = []
    for mask, (left, top) in zip(masks, places, strict=True):
        if mask.ndim != 2:
            raise ValueError(f"mask must have shape (H, W), got {mask.shape}")
        height, width = mask.shape if size is None else size
        pixels = mask if mask.dtype in (np.bool_, np.uint8) else mask != 0
        inside = np.ascontiguousarray(pixels[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)])
        x, y, columns, rows = cv2.boundingRect(inside.view(np.uint8)) if inside.size else (0, 0, 0, 0)
        counts = _runs(inside[y : y + rows, x : x + columns], max(left, 0) + x, max(top, 0) + y, height, width)
        # One at a time: given a list, pycocotools compresses no faster.
        compressed = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        encoded.append({"size": [int(height), int(width)], "counts": compressed["counts"].decode("ascii")})
    return encoded


def decode_mask(mask: Mapping[str, Any], size: tuple[int, int] | None = None) -> Mask:
    """Return a mask as an array of the full frame.

    Args:
        mask: See `Detection.mask`. Polygons are read where there are no runs.
        size: Height and width of the full frame; needed for a mask that has polygons only.

    Returns:
        Shape (H, W).

    Raises:
        ValueError: If the runs do not add up to the frame, or the size is not known.

    Example:
        >>> decode_mask({"size": [2, 2], "counts": "22"}).tolist()
        [[False, True], [False, True]]
    """
    height, width = (int(value) for value in (mask.get("size") or size or (0, 0)))
    if height < 1 or width < 1:
        raise ValueError("a mask of polygons does not say how large its frame is; hand over size=(height, width)")
    return decode_crop(mask, 0, 0, width, height).astype(np.bool_)


def decode_crop(mask: Mapping[str, Any], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """Return the part of a mask within a rectangle of the frame, shape (bottom - top, right - left), of 0 and 1.

    Args:
        mask: See `Detection.mask`; runs go before polygons.
        left: Left edge in whole pixels, in the frame as the others.
        top: Upper edge.
        right: Right edge, exclusive.
        bottom: Lower edge, exclusive.

    Raises:
        ValueError: If the runs do not add up to the frame.
    """
    if "counts" not in mask:
        if not mask["polygons"]:
            return np.zeros((bottom - top, right - left), np.uint8)
        moved = [(np.reshape(polygon, (-1, 2)) - (left, top)).ravel().tolist() for polygon in mask["polygons"]]
        filled = coco_mask.frPyObjects(moved, bottom - top, right - left)
        return np.ascontiguousarray(coco_mask.decode(coco_mask.merge(filled)))
    height, width = (int(value) for value in mask["size"])
    edges = np.cumsum(_counts(mask["counts"]))
    if edges.size == 0 or edges[-1] != height * width:
        total = int(edges[-1]) if edges.size else 0
        raise ValueError(f"counts must add up to {height} x {width} = {height * width} pixels, got {total}")
    # Runs go down the columns, so a rectangle's columns are one stretch of them.
    bounds = np.clip(np.concatenate(([0], edges)), left * height, right * height)
    stretch = bounds[1:] - bounds[:-1]
    columns = np.repeat((np.arange(len(stretch)) & 1).astype(np.uint8), stretch)
    return np.ascontiguousarray(columns.reshape(right - left, height)[:, top:bottom].T)


def mask_polygons(mask: Mapping[str, Any] | NDArray[Any]) -> list[list[float]]:
    """Return the outlines of a mask's parts, one polygon for each; holes are filled.

    Args:
        mask: A mask as `encode_mask` gives it, or an array of shape (H, W).

    Returns:
        Lists of x1, y1, x2, y2 ... in pixels, at least three points each, to 2 decimals; empty for an empty mask.

    Example:
        >>> mask_polygons(np.ones((2, 3), bool))
        [[0.25, 0.25, 0.25, 1.75, 2.75, 1.75, 2.75, 0.25]]
    """
    if isinstance(mask, Mapping):
        encoded = {"size": mask["size"], "counts": mask["counts"]}
        left, top, width, height = (int(value) for value in coco_mask.toBbox(encoded))
        crop = decode_crop(mask, left, top, left + width, top + height)
    else:
        pixels = (np.asarray(mask) != 0).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(pixels)
        crop = pixels[top : top + height, left : left + width]
    if not crop.size:
        return []
    # An outline through pixel centres would make a pole of one pixel's width a line without area: at twice the size
    # it runs a quarter of a pixel inside the true edge instead of half.
    doubled = crop.repeat(2, axis=0).repeat(2, axis=1)
    outlines, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    polygons = []
    for outline, (_, _, _, parent) in zip(outlines, hierarchy[0], strict=True):
        if parent != -1:
            continue
        simpler = cv2.approxPolyDP(outline, 2 * _POLYGON_TOLERANCE_PX, True)
        points = (simpler if len(simpler) > 2 else outline).reshape(-1, 2)
        polygons.append(np.round((points + 0.5) / 2 + (left, top), 2).ravel().tolist())
    return polygons


def _runs(crop: NDArray[Any], left: int, top: int, height: int, width: int) -> list[int]:
    """Return the lengths of a frame's runs down its columns, zeros first, from the crop that holds all its ones."""
    columns = np.zeros((crop.shape[1], crop.shape[0] + 2), np.bool_)
    columns[:, 1:-1] = crop.T != 0
    # A rise lies on the run's first row, a fall behind its last: every other change down a column.
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
    changes = (column + left) * height + row + top
    rises, falls = changes[::2], changes[1::2]
    # A run that reaches the lower edge goes on where the next column begins at the top.
    joined = rises[1:] == falls[:-1]
    kept_rises = rises[np.concatenate(([True], ~joined))] if rises.size else rises
    kept_falls = falls[np.concatenate((~joined, [True]))] if falls.size else falls
    edges = np.column_stack((kept_rises, kept_falls)).ravel()
    counts: list[int] = np.diff(edges, prepend=0).tolist()
    rest = height * width - (int(edges[-1]) if edges.size else 0)
    return [*counts, rest] if rest or not counts else counts


def _counts(text: str) -> NDArray[np.int64]:
    """Return the lengths of the runs that a compressed text stands for.

    Base-32 digits of six bits, the lowest first, the sixth bit announcing another; the fifth of the last is the sign.
    From the fourth run on, each number is the difference to the run before the last.
    """
    digits = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    if not digits.size or digits[-1] & 32 or digits.min() < 0 or digits.max() > 63:
        raise ValueError("counts must be compressed COCO text; it is empty, cut off or holds foreign characters")
    ends = np.flatnonzero((digits & 32) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    shifts = 5 * (np.arange(digits.size) - np.repeat(starts, lengths))
    values = np.add.reduceat((digits & 31) << shifts, starts)
    values -= np.where(digits[ends] & 16, 1 << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
