"""What a few images of a drive tell about lens, light and mount: plain measures, no thresholds.

Images are frames far apart in a drive, so that the road changes from one to the next and what stays is the camera's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

WIDTH_PX = 640
"""Images are looked at in this width: finer detail is lost to a network of 640 pixels anyway."""
_SPOT_WIDTH_PX = 320
_HORIZON_WIDTH_PX = 96
_MOST_ROLL_DEG = 30
LEAST_IMAGES = 8
"""Fewer do not tell what stays."""
# Of spots; chosen on rendered drives, tested on others: docs/survey.md.
_SAME, _LEAST_DETAIL, _NOISE = 2.0, 6.0, 2.0
_SOFT, _FAINT = -1.4, 0.15
_SMALLEST, _LARGEST = 0.025, 0.25
_MOST_STRETCHED, _LEAST_FILLED = 1.6, 0.55


@dataclass(frozen=True)
class PictureMeasures:
    """One image.

    Attributes:
        brightness: Mean luminance, 0 to 255.
        blur: No-reference blur metric of Crete et al., 0 sharp to 1 blurred.
        sky_contrast: Mean luminance of the upper third minus that of the lower one.
    """

    brightness: float
    blur: float
    sky_contrast: float


@dataclass(frozen=True)
class Spot:
    """Something that stays where it is in all images.

    Attributes:
        x, y: Its middle as fractions of width and height.
        size: Its diameter as a fraction of the width.
    """

    x: float
    y: float
    size: float


@dataclass(frozen=True)
class DriveMeasures:
    """All images of a drive.

    Attributes:
        images: How many.
        brightness, blur, sky_contrast: Medians over the images.
        blurred_most: Highest blur that a tenth of the images reach.
        change: Median of the mean difference between an image and the next, in grey levels.
        roll_deg: How far the horizon leans, clockwise positive; NaN where none is found.
        horizon_contrast: Levels of blue between above and below the horizon; positive where it is brighter above.
        spots: What stays.
    """

    images: int
    brightness: float
    blur: float
    blurred_most: float
    sky_contrast: float
    change: float
    roll_deg: float
    horizon_contrast: float
    spots: tuple[Spot, ...]


def reduced(picture: Picture) -> Picture:
    """Return an image in the width that is looked at, shape (H, WIDTH_PX, 3); smaller ones stay."""
    height, width = picture.shape[:2]
    if width <= WIDTH_PX:
        return picture
    size = (WIDTH_PX, max(1, round(height * WIDTH_PX / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def measure_picture(picture: Picture) -> PictureMeasures:
    """Measure one image, BGR, shape (H, W, 3)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    third = max(1, grey.shape[0] // 3)
    contrast = float(grey[:third].mean()) - float(grey[-third:].mean())
    return PictureMeasures(float(grey.mean()), blur_of(grey), contrast)


def blur_of(grey: Picture) -> float:
    """Return how blurred an image is, 0 to 1: how little blurring it again changes it.

    Crete et al., The blur effect: perception and estimation with a new no-reference perceptual blur metric, 2007. It
    hardly depends on what the image shows. Noise is taken off by a median of 3x3 first.

    Args:
        grey: Shape (H, W), uint8.

    Example:
        >>> sharp = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((8, 8))).astype(np.uint8) * 255
        >>> blur_of(sharp) < 0.5 < blur_of(cv2.GaussianBlur(sharp, (0, 0), 4))
        True
    """
    values = cv2.medianBlur(grey, 3).astype(np.float32)
    found = []
    for axis in (0, 1):
        kernel = (1, 9) if axis == 0 else (9, 1)
        again = cv2.blur(values, kernel)
        own, after = np.abs(np.diff(values, axis=axis)), np.abs(np.diff(again, axis=axis))
        lost = np.maximum(0, own - after).sum()
        found.append(1 - float(lost / max(float(own.sum()), 1e-6)))
    return max(found)


def measure_drive(pictures: Sequence[Picture]) -> DriveMeasures:
    """Measure the images of a drive, at least one, all reduced and of one size."""
    single = [measure_picture(picture) for picture in pictures]
    greys = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in pictures]
    changes = [float(cv2.absdiff(one, two).mean()) for one, two in pairwise(greys)]
    roll, contrast = horizon([picture[..., 0] for picture in pictures])
    blurs = [one.blur for one in single]
    return DriveMeasures(
        len(pictures),
        float(np.median([one.brightness for one in single])),
        float(np.median(blurs)),
        float(np.quantile(blurs, 0.9)),
        float(np.median([one.sky_contrast for one in single])),
        float(np.median(changes)) if changes else math.nan,
        roll,
        contrast,
        tuple(constant_spots(greys)),
    )


def horizon(blues: Sequence[Picture]) -> tuple[float, float]:
    """Return how far the horizon leans in degrees, and its contrast in levels.

    The mean of all images is cut by the straight line that divides it best into two even parts (Otsu's criterion).

    Args:
        blues: Their blue, shape (H, W), uint8, all of one size: in grey, sand to one side is as bright as the sky, and
            the line leans towards it.
    """
    height = max(8, round(blues[0].shape[0] * _HORIZON_WIDTH_PX / blues[0].shape[1]))
    small = [cv2.resize(blue, (_HORIZON_WIDTH_PX, height), interpolation=cv2.INTER_AREA) for blue in blues]
    mean = np.mean(small, axis=0)
    rows, columns = np.indices(mean.shape)
    x, y = columns - (_HORIZON_WIDTH_PX - 1) / 2, rows - (height - 1) / 2
    total, best = float(mean.sum()), (0.0, math.nan, 0.0)
    for roll in np.arange(-_MOST_ROLL_DEG, _MOST_ROLL_DEG + 1):
        below = y * math.cos(math.radians(roll)) - x * math.sin(math.radians(roll))
        order = np.argsort(below, axis=None)
        sums = np.cumsum(mean.ravel()[order])
        count = np.arange(1, mean.size + 1)
        # A tenth of the image on either side, or the line cuts off a corner.
        rows_in = np.arange(mean.size // 10, mean.size - mean.size // 10)
        upper = sums[rows_in] / count[rows_in]
        lower = (total - sums[rows_in]) / (mean.size - count[rows_in])
        share = count[rows_in] / mean.size
        between = share * (1 - share) * (upper - lower) ** 2
        top = int(between.argmax())
        if between[top] > best[0]:
            best = (float(between[top]), float(roll), float(upper[top] - lower[top]))
    return best[1], best[2]


def constant_spots(greys: Sequence[Picture]) -> list[Spot]:
    """Return compact spots that stay in all images: dirt or a sticker, which look the same; drops, which blur.

    Lines that stay (horizon, edge of the road, bonnet) are long or touch the border, and are left out.

    Args:
        greys: Shape (H, W), uint8, all of one size; fewer than eight tell nothing.
    """
    if len(greys) < LEAST_IMAGES:
        return []
    height = max(8, round(greys[0].shape[0] * _SPOT_WIDTH_PX / greys[0].shape[1]))
    size = (_SPOT_WIDTH_PX, height)
    small = [cv2.resize(one, size, interpolation=cv2.INTER_AREA).astype(np.float32) for one in greys]
    detail = np.stack([cv2.GaussianBlur(one, (0, 0), 1.5) - cv2.GaussianBlur(one, (0, 0), 14.0) for one in small])
    mean, spread = np.abs(detail.mean(0)), detail.std(0)
    edges = [np.abs(one - cv2.GaussianBlur(one, (0, 0), 1.5)) for one in small]
    fine = cv2.boxFilter(np.mean(edges, axis=0), -1, (7, 7))
    around = cv2.GaussianBlur(fine, (0, 0), 16.0)
    same = (mean / (spread + _NOISE) > _SAME) & (mean > _LEAST_DETAIL)
    soft = np.log((fine + _FAINT) / (around + _FAINT)) < _SOFT
    return [*_compact(same), *_compact(soft)]


def _compact(mask: NDArray[np.bool_]) -> list[Spot]:
    """Return the connected parts of a mask that are about as wide as high, filled, and away from the border."""
    height, width = mask.shape
    count, labels, boxes, middles = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        left, top, wide, high, area = (int(value) for value in boxes[number])
        size = 2 * math.sqrt(area / math.pi) / width
        inside = left > 1 and top > 1 and left + wide < width - 1 and top + high < height - 1
        if not inside or not _SMALLEST <= size <= _LARGEST:
            continue
        corner = cv2.minAreaRect(np.argwhere(labels == number)[:, ::-1].astype(np.float32))[1]
        short, long = sorted(side + 1 for side in corner)
        if long <= _MOST_STRETCHED * short and area >= _LEAST_FILLED * short * long:
            found.append(Spot(float(middles[number][0]) / width, float(middles[number][1]) / height, size))
    return found
