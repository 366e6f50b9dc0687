"""The shape elements of CVAT XML, the same in images and in tracks: boxes, polygons, ellipses and brush masks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import numpy as np

from reg_yolo.data.convert.formats.reading import as_number, as_ring, as_text
from reg_yolo.data.convert.formats.shapes import ellipse, mask_object, polygon_object, rotated
from reg_yolo.data.objects.annotations import ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import bounds
from reg_yolo.errors import DataError

_MOST_PIXELS = 400_000_000
# Elements that are shapes, but neither an area nor a box.
NO_AREA = {"polyline": "a line has no area", "points": "points have no area", "cuboid": "a cuboid is not an area",
           "skeleton": "a skeleton has no area", "tag": "a tag of the whole image has no place"}  # fmt: skip
SHAPES = ("box", "polygon", "ellipse", "mask")


def shapes_of(parent: Element, where: str) -> Iterator[tuple[Element, str, str, str]]:
    """Yield the shapes, those without an area included, each with its place, its class and what is wrong with that."""
    counts: defaultdict[str, int] = defaultdict(int)
    for element in parent:
        counts[element.tag] += 1
        place = f"{element.tag} {counts[element.tag]}"
        if element.tag in SHAPES or element.tag in NO_AREA:
            try:
                label = as_text(element.get("label") or parent.get("label"), f"{where} {place} label")
            except DataError:
                yield element, place, "", "it has no label"
            else:
                yield element, place, label, ""


def shape_object(element: Element, class_name: str, where: str, place: str) -> ObjectAnnotation:
    """Read one `box`, `polygon`, `ellipse` or `mask` element.

    A rotated box becomes the upright box around it: it says where the object is, but is not an outline of it.
    """
    if element.tag == "box":
        left, top, right, bottom = (_attribute(element, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        corners = rotated(corners, as_number(element.get("rotation", 0), f"{where} rotation"))
        return ObjectAnnotation(class_name, place, bounds([corners]))
    if element.tag == "polygon":
        return polygon_object(class_name, place, read_points(element.get("points"), where))
    if element.tag == "ellipse":
        centre = np.array([_attribute(element, "cx", where), _attribute(element, "cy", where)])
        radii = np.array([_attribute(element, "rx", where), _attribute(element, "ry", where)])
        ring = ellipse(centre, radii)
        return ObjectAnnotation(
            class_name, place, parts=[rotated(ring, as_number(element.get("rotation", 0), f"{where} rotation"))]
        )
    return _mask_object(element, class_name, where, place)


def read_points(text: str | None, where: str) -> Ring:
    """Read `x,y;x,y;...`."""
    pairs = [pair.split(",") for pair in (text or "").replace("\n", "").split(";") if pair.strip()]
    if not pairs:
        raise DataError(f"{where}: a polygon without points.")
    return as_ring(pairs, f"{where} points")


def _mask_object(element: Element, class_name: str, where: str, place: str) -> ObjectAnnotation:
    """A brush mask: runs along the rows of a window, beginning with what is outside."""
    left, top, width, height = (_attribute(element, key, where) for key in ("left", "top", "width", "height"))
    if not all(math.isfinite(v) and float(v).is_integer() for v in (left, top, width, height)):
        raise DataError(f"{where}: left, top, width and height of a mask are whole numbers.")
    if min(width, height) < 1 or width * height > _MOST_PIXELS:
        raise DataError(f"{where}: a mask of {width:g}x{height:g} pixels.")
    runs = [as_number(run, f"{where} rle") for run in (element.get("rle") or "").split(",") if run.strip()]
    if not all(0 <= run <= _MOST_PIXELS and run.is_integer() for run in runs) or sum(runs) != width * height:
        raise DataError(f"{where} rle: runs of {sum(runs):g} pixels for a window of {width * height:g}.")
    flat = np.repeat(np.arange(len(runs), dtype=np.uint8) % 2, np.array(runs, dtype=np.int64))
    return mask_object(class_name, place, flat.reshape(int(height), int(width)), left, top)


def _attribute(element: Element, key: str, where: str) -> float:
    return as_number(element.get(key), f"{where} {key}")
