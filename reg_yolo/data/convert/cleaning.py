"""Of the objects of one image, those that are wanted and can be trained on, in pixels of the upright image."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reg_yolo.data.convert.classes import ClassPlan
from reg_yolo.data.convert.report import ASKED, CHANGED, DROPPED
from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.data.objects.annotations import AnnotatedImage, ObjectAnnotation, Remark
from reg_yolo.data.objects.fitting import TWICE, fit_object
from reg_yolo.data.objects.orientation import fit_to_image, scale_objects, upright_size
from reg_yolo.data.objects.outlines import bounds

CROWD = "crowd region (iscrowd); keep_crowd takes it as an object"
DIFFICULT = "difficult"
BOX_ONLY = "box only (rows=polygons)"


ROW_CHOICES = ("mixed", "boxes", "polygons")


@dataclass(frozen=True)
class CleaningRules:
    """What the caller wants.

    Attributes:
        keep_crowd: Whether crowd regions are objects.
        drop_difficult: Whether what Pascal VOC calls difficult is left out.
        rows: `mixed` keeps outlines and boxes, `boxes` takes the box around every outline, `polygons` leaves out what
            has a box only.
        exif: What labels of EXIF-rotated images refer to: `auto`, `upright` or `raw`.
    """

    keep_crowd: bool = False
    drop_difficult: bool = False
    rows: str = "mixed"
    exif: str = "auto"


def select_objects(
    image: AnnotatedImage, plan: ClassPlan, rules: CleaningRules
) -> tuple[list[ObjectAnnotation], list[Remark]]:
    """Return the objects of the wanted classes under their new names, and what was left out."""
    kept: list[ObjectAnnotation] = []
    remarks: list[Remark] = []
    for remark in image.left_out:
        asked = plan.targets.get(remark.class_name, remark.class_name) is None
        remarks.append(replace(remark, kind=ASKED) if asked else remark)
    for item in image.objects:
        target = plan.targets.get(item.class_name)
        if target is None:
            remarks.append(_remark(ASKED, image, item, f"class {item.class_name}"))
        elif item.difficult and rules.drop_difficult:
            remarks.append(_remark(ASKED, image, item, DIFFICULT))
        elif item.crowd and not rules.keep_crowd:
            remarks.append(_remark(DROPPED, image, item, CROWD))
        else:
            item.class_name = target
            kept.append(item)
    return kept, remarks


def place_objects(
    image: AnnotatedImage, objects: list[ObjectAnnotation], picture: OpenedImage, rules: CleaningRules
) -> tuple[list[ObjectAnnotation], list[Remark], str]:
    """Fit objects into their image, in place.

    Returns:
        The objects that can be trained on, what was left out or changed, and why the whole image cannot be used
        ("" where it can).
    """
    size = upright_size(*picture.size, picture.orientation)
    if image.normalized:
        # Fractions state no size; Ultralytics takes them as the upright image's.
        scale_objects(objects, *(picture.size if rules.exif == "raw" else size))
    stated = None if image.normalized else image.size
    changed, fault = fit_to_image(objects, stated, picture.size, picture.orientation, rules.exif)
    if fault:
        return [], [], fault
    remarks = [Remark(CHANGED, image.name, "", "", changed)] if changed else []
    kept: list[ObjectAnnotation] = []
    seen: set[tuple[object, ...]] = set()
    for item in objects:
        reason, changes = fit_object(item, *size)
        if not reason:
            key = (item.class_name, item.box, *(ring.tobytes() for ring in [*item.parts, *item.holes]))
            reason = TWICE if key in seen else ""
            seen.add(key)
        if reason:
            remarks.append(_remark(DROPPED, image, item, reason))
            continue
        remarks += [_remark(CHANGED, image, item, change) for change in changes]
        if rules.rows == "polygons" and not item.parts:
            remarks.append(_remark(ASKED, image, item, BOX_ONLY))
            continue
        if rules.rows == "boxes" and item.parts:
            item.box, item.parts, item.holes = bounds(item.parts), (), ()
        kept.append(item)
    return kept, remarks, ""


def hides_objects(remarks: list[Remark]) -> bool:
    """Whether something is in an image that no label shows, so that as background it would teach to overlook it."""
    return any(remark.kind == DROPPED or remark.reason in (DIFFICULT, BOX_ONLY) for remark in remarks)


def _remark(kind: str, image: AnnotatedImage, item: ObjectAnnotation, reason: str) -> Remark:
    return Remark(kind, image.name, item.place, item.class_name, reason)
