"""Annotations of EXIF-rotated images, carried over to the upright image.

A camera that is held upright stores the sensor's rows as they come and an EXIF tag that says how to turn them. Some
tools show the turned image (CVAT, Labelme since 4.5, browsers), others the stored one (LabelImg, scripts around
OpenCV with IMREAD_IGNORE_ORIENTATION). The size that an export states tells which, for turns by a quarter; the
annotations come out for the upright image, and images are written upright, without the tag, so that no reader can
turn them again. Ultralytics honours the tag in most of its readers, but not for every file type and version.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reg_yolo.data.objects.annotations import ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import bounds

EXIF_CHOICES = ("auto", "upright", "raw")
_QUARTER_TURNS = (5, 6, 7, 8)
# How far the sides of a resized image may be from the stated aspect ratio.
_ASPECT_TOLERANCE = 0.01


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return the size of an image after its EXIF orientation (1 to 8) is applied."""
    return (height, width) if orientation in _QUARTER_TURNS else (width, height)


def turn_upright(ring: Ring, width: float, height: float, orientation: int) -> Ring:
    """Carry points of the stored image over to the upright one.

    Args:
        ring: Points `[N, 2]` in pixels of the stored image.
        width: Its width.
        height: Its height.
        orientation: EXIF orientation, 1 to 8.
    """
    x, y = ring[:, 0], ring[:, 1]
    turned = {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }[orientation]
    return np.stack(turned, axis=1)


def fit_to_image(
    objects: list[ObjectAnnotation],
    stated: tuple[float, float] | None,
    stored: tuple[int, int],
    orientation: int,
    exif: str = "auto",
) -> tuple[str, str]:
    """Change objects in place so that they fit the upright image.

    Args:
        objects: What is labelled in the image, in pixels.
        stated: Width and height that the export states, if it does.
        stored: Width and height of the stored image.
        orientation: EXIF orientation, 1 to 8; 1 for none.
        exif: `upright` or `raw` say what the labels refer to; `auto` compares the sizes, and takes what cannot be told
            by them (no size stated, a square, half turns) as upright.

    Returns:
        What was changed, and why the image cannot be used; "" for nothing.
    """
    upright = upright_size(*stored, orientation)
    raw = exif == "raw" or (exif == "auto" and upright != stored and stated == stored)
    frame = stored if raw else upright
    changed = ""
    if stated is not None and stated != frame:
        across, down = frame[0] / stated[0], frame[1] / stated[1]
        if abs(across / down - 1) > _ASPECT_TOLERANCE:
            return "", (f"labels are for {stated[0]:g}x{stated[1]:g} pixels, the image has {upright[0]}x{upright[1]}")
        _move(objects, lambda ring: ring * np.array([across, down]))
        changed = "labels scaled to the size of the image"
    if raw and orientation != 1:
        _move(objects, lambda ring: turn_upright(ring, stored[0], stored[1], orientation))
        changed = "labels turned with the image"
    return changed, ""


def scale_objects(objects: list[ObjectAnnotation], width: float, height: float) -> None:
    """Multiply all coordinates in place."""
    _move(objects, lambda ring: ring * np.array([width, height]))


def _move(objects: list[ObjectAnnotation], move: Callable[[Ring], Ring]) -> None:
    for item in objects:
        if item.box is not None:
            left, top, right, bottom = item.box
            item.box = bounds([move(np.array([[left, top], [right, bottom]]))])
        item.parts = [move(ring) for ring in item.parts]
        item.holes = [move(ring) for ring in item.holes]
