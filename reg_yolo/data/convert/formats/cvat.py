"""CVAT XML 1.1 for images: boxes, polygons, ellipses and brush masks; for video the tracks are in `cvat_tracks`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.convert.formats.image_finder import PictureFinder
from reg_yolo.data.convert.formats.reading import as_number, as_ring, as_size, as_text, read_xml, split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ObjectAnnotation, Remark, Ring
from reg_yolo.data.objects.outlines import bounds, mask_rings
from reg_yolo.errors import DataError

_ELLIPSE_CORNERS = 36
_MOST_PIXELS = 400_000_000
# Elements that are shapes, but neither an area nor a box.
NO_AREA = {"polyline": "a line has no area", "points": "points have no area", "cuboid": "a cuboid is no area",
           "skeleton": "a skeleton has no area", "tag": "a tag of the whole picture has no place"}  # fmt: skip
SHAPES = ("box", "polygon", "ellipse", "mask")


def read_cvat(files: Sequence[Path], root: Path, pictures: PictureFinder) -> AnnotatedSet:
    """Read CVAT files, for images or for video, as one set.

    Raises:
        DataError: If a file is no XML, a shape lacks a coordinate, or a video's frames are nowhere to be found.
    """
    from reg_yolo.data.convert.formats.cvat_tracks import read_tracks

    result = AnnotatedSet("cvat", [], [])
    for path in files:
        document = read_xml(path)
        if document.tag != "annotations":
            raise DataError(f"{path} is no CVAT file: its root is <{document.tag}>, expected <annotations>.")
        for label in document.iterfind("meta//labels/label/name"):
            _add_class(result, as_text(label.text, f"{path}: meta label"))
        if document.find("track") is not None:
            read_tracks(document, path, root, pictures, result)
        if document.find("image") is not None or document.find("track") is None:
            _read_images(document, path, result, pictures)
        for image in result.images:
            for item in image.objects:
                _add_class(result, item.class_name)
    return result


def shape_object(element: Element, class_name: str, where: str, place: str) -> ObjectAnnotation:
    """Read one `box`, `polygon`, `ellipse` or `mask` element.

    A rotated box becomes the upright box around it: it says where the object is, but is no outline of it.
    """
    if element.tag == "box":
        left, top, right, bottom = (_attribute(element, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        corners = rotated(corners, as_number(element.get("rotation", 0), f"{where} rotation"))
        return ObjectAnnotation(class_name, place, bounds([corners]))
    if element.tag == "polygon":
        return ObjectAnnotation(class_name, place, parts=[read_points(element.get("points"), where)])
    if element.tag == "ellipse":
        centre = np.array([_attribute(element, "cx", where), _attribute(element, "cy", where)])
        radii = np.array([_attribute(element, "rx", where), _attribute(element, "ry", where)])
        ring = ellipse(centre, radii)
        return ObjectAnnotation(
            class_name, place, parts=[rotated(ring, as_number(element.get("rotation", 0), f"{where} rotation"))]
        )
    return _mask_object(element, class_name, where, place)


def rotated(ring: Ring, degrees: float) -> Ring:
    """Turn a ring about the middle of its box, clockwise on the screen."""
    if not degrees or not math.isfinite(degrees):
        return ring
    left, top, right, bottom = bounds([ring])
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray((ring - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre)


def ellipse(centre: Ring, radii: Ring) -> Ring:
    """Corners `[36, 2]` of an ellipse."""
    turn = np.arange(_ELLIPSE_CORNERS) * (2 * np.pi / _ELLIPSE_CORNERS)
    return np.asarray(centre + radii * np.stack([np.cos(turn), np.sin(turn)], axis=1))


def read_points(text: str | None, where: str) -> Ring:
    """Read `x,y;x,y;...`."""
    pairs = [pair.split(",") for pair in (text or "").replace("\n", "").split(";") if pair.strip()]
    if not pairs:
        raise DataError(f"{where}: a polygon without points.")
    return as_ring(pairs, f"{where} points")


def merge_groups(shapes: Sequence[tuple[str, ObjectAnnotation]]) -> list[ObjectAnnotation]:
    """Make one object of the outlines that share a group and a class; boxes stay by themselves.

    Args:
        shapes: Each with its group, "" for none.
    """
    merged: list[ObjectAnnotation] = []
    leaders: dict[tuple[str, str], ObjectAnnotation] = {}
    for group, item in shapes:
        leader = leaders.get((group, item.class_name)) if group and item.parts else None
        if leader is None:
            merged.append(item)
            if group and item.parts:
                leaders[(group, item.class_name)] = item
        else:
            leader.parts = [*leader.parts, *item.parts]
            leader.holes = [*leader.holes, *item.holes]
            leader.simplified |= item.simplified
    return merged


def shapes_of(parent: Element, where: str) -> Iterator[tuple[Element, str, str]]:
    """Yield the shapes, those without an area included, each with its place and class."""
    counts: defaultdict[str, int] = defaultdict(int)
    for element in parent:
        counts[element.tag] += 1
        place = f"{element.tag} {counts[element.tag]}"
        if element.tag in SHAPES or element.tag in NO_AREA:
            yield element, place, as_text(element.get("label") or parent.get("label"), f"{where} {place} label")


def _read_images(document: Element, path: Path, result: AnnotatedSet, pictures: PictureFinder) -> None:
    for index, element in enumerate(document.iterfind("image")):
        where = f"{path}: image {element.get('id', index)}"
        name = as_text(element.get("name"), f"{where} name").replace("\\", "/")
        split = split_of(element.get("subset") or "")
        source, missing = pictures.find(name, path.parent, split)
        if source is None:
            source, missing = pictures.find(f"images/{name}", path.parent, split)
        size = as_size(element.get("width"), element.get("height"), where)
        image = AnnotatedImage(name, path, source, size, split, missing=missing)
        shapes = []
        for shape, place, class_name in shapes_of(element, where):
            if shape.tag in SHAPES:
                shapes.append((_group(shape), shape_object(shape, class_name, f"{where} {place}", place)))
            else:
                # A tag says something of the picture, not that something is in a place of it.
                remarks = result.remarks if shape.tag == "tag" else image.left_out
                remarks.append(Remark("dropped", name, place, class_name, NO_AREA[shape.tag]))
        image.objects = merge_groups(shapes)
        result.images.append(image)


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


def mask_object(class_name: str, place: str, mask: NDArray[np.uint8], left: float, top: float) -> ObjectAnnotation:
    """Return the object of a mask `[H, W]` of 0 and 1 whose first pixel is at `left` and `top` of the picture."""
    parts, holes, simplified = mask_rings(mask)
    corner = np.array([left, top])
    return ObjectAnnotation(
        class_name,
        place,
        parts=[ring + corner for ring in parts],
        holes=[ring + corner for ring in holes],
        simplified=simplified,
    )


def _attribute(element: Element, key: str, where: str) -> float:
    return as_number(element.get(key), f"{where} {key}")


def _group(element: Element) -> str:
    group = element.get("group_id") or ""
    return "" if group == "0" else group


def _add_class(result: AnnotatedSet, name: str) -> None:
    if name not in result.class_names:
        result.class_names.append(name)
