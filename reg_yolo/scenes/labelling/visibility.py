"""Which of the rendered assets are seen well enough to be labelled."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.labelling.labels import Label, LabelRule, contrast, visible_boxes
from reg_yolo.scenes.rendering.painting import silhouette
from reg_yolo.scenes.rendering.projection import Drawing, View
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.objects import PlacedObject

_LONG_CLASSES = (catalogue.CONCRETE_GUARDRAIL, catalogue.PEDESTRIAN_BRIDGE)


def find_labels(
    objects: Sequence[PlacedObject],
    numbers_of: Sequence[int],
    drawing: Drawing,
    picture: NDArray[np.uint8],
    numbers: NDArray[np.uint8],
    view: View,
    rule: LabelRule,
    unbent: NDArray[np.uint8] | None = None,
) -> list[Label]:
    """Labels of all assets that pass the rule, in the order of their numbers.

    Args:
        objects: what was drawn.
        numbers_of: value of each object in the number buffer, 0 for what is not an asset.
        drawing: the projected world, for the silhouettes.
        picture: the image before lens and weather `[H, W, 3]`.
        numbers: the number buffer `[H, W]`.
        view: the viewer.
        rule: what must be seen.
        unbent: what the number buffer showed before a lens bent it, as silhouettes are not bent; None without a lens.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    boxes = visible_boxes(numbers, max(numbers_of, default=0))
    straight = boxes if unbent is None else visible_boxes(unbent, max(numbers_of, default=0))
    labels: list[Label] = []
    for owner, (placed, number) in enumerate(zip(objects, numbers_of, strict=True)):
        if number == 0:
            continue
        box, pixels = boxes[number - 1]
        sides = sorted((box[2] - box[0], box[3] - box[1]))
        if pixels < rule.pixels or sides[0] < rule.short_side_px or sides[1] < rule.long_side_px:
            continue
        if not _shows_its_front(placed, view, rule):
            continue
        area, width = silhouette(drawing, owner, view.camera)
        shown, shown_pixels = straight[number - 1]
        share = shown_pixels / max(area, shown_pixels, 1)
        if share < _needed_share(placed.class_id, pixels, rule):
            continue
        if placed.class_id == catalogue.SINGLE_ARM_POLE and shown[2] - shown[0] < rule.arm * width:
            continue
        if contrast(grey, numbers, number, box) < rule.contrast:
            continue
        labels.append(Label(number, placed.class_id, box, pixels, share, placed.asset_id))
    return labels


def _needed_share(class_id: int, pixels: int, rule: LabelRule) -> float:
    if class_id in _LONG_CLASSES:
        return rule.visible_long
    return rule.visible_large if pixels >= rule.large_px else rule.visible


def _shows_its_front(placed: PlacedObject, view: View, rule: LabelRule) -> bool:
    if placed.facing is None:
        return True
    centre = placed.model.vertices.mean(axis=0)
    to_camera = np.array([view.pose.x, view.pose.y, view.pose.z]) - centre
    return bool(placed.facing @ to_camera / np.linalg.norm(to_camera) >= rule.facing)
