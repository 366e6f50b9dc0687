"""One still image: a place, what the plan wants to be seen there, and the search for positions where it is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.labelling.labels import Label, LabelRule
from reg_yolo.scenes.labelling.visibility import find_labels
from reg_yolo.scenes.places import placing
from reg_yolo.scenes.places.scattering import overlaps, scatter_scenery, scatter_traffic
from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.rendering.lens import Lens
from reg_yolo.scenes.rendering.lighting import Lighting
from reg_yolo.scenes.rendering.painting import MAX_ASSETS, number_of_pixels, paint
from reg_yolo.scenes.rendering.projection import View, draw, in_reach
from reg_yolo.scenes.rendering.sky import background
from reg_yolo.scenes.rendering.viewpoint import Mount, viewpoint
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.ground import ground_faces
from reg_yolo.scenes.world.objects import PlacedObject

Box = tuple[float, float, float, float]

REACH_M = 420.0
ROUNDS = 6
# Nearest and farthest distance in metres at which a class is put, for a focal length of 550 pixels.
_DISTANCES = ((11, 40), (20, 90), (10, 46), (12, 55), (10, 34), (8, 38), (2, 20))
# What fills the image goes first, and small things find their place around it.
_ORDER = (
    catalogue.CONCRETE_GUARDRAIL,
    catalogue.PEDESTRIAN_BRIDGE,
    catalogue.BUS_STOP,
    catalogue.PAVILION,
    catalogue.SINGLE_ARM_POLE,
    catalogue.INFORMATION_SIGN,
    catalogue.WARNING_SIGN,
)

# What looks at the road can be named from both carriageways; the other way's signs show their backs.
_BOTH_SIDES = {catalogue.PAVILION, catalogue.BUS_STOP, catalogue.SINGLE_ARM_POLE, catalogue.CONCRETE_GUARDRAIL}
_COMPACT = {catalogue.PAVILION, catalogue.BUS_STOP, catalogue.INFORMATION_SIGN, catalogue.WARNING_SIGN}
# Small or thin: bringing them nearer does not make more room for them.
_SLIM = {catalogue.SINGLE_ARM_POLE, catalogue.INFORMATION_SIGN, catalogue.WARNING_SIGN}
_SIGNS = {catalogue.INFORMATION_SIGN, catalogue.WARNING_SIGN}


@dataclass
class Rendering:
    """One image before lens and weather, with its truth.

    Args:
        picture: `[H, W, 3]` BGR.
        numbers: `[H, W]` object number or ground material of every pixel.
        labels: what is named in it.
        objects: what stands in reach, in the order that `owner` numbers refer to.
        flat: `numbers` before the lens bent them, as the view's camera has them; the same without a lens.
    """

    picture: NDArray[np.uint8]
    numbers: NDArray[np.uint8]
    labels: list[Label]
    objects: list[PlacedObject]
    flat: NDArray[np.uint8]


@dataclass
class _Stage:
    """The world of one image while positions are being searched for."""

    setting: Setting
    view: View
    lighting: Lighting
    rng: np.random.Generator
    scenery: list[PlacedObject]
    traffic: list[PlacedObject]
    own_offset: float
    groups: list[list[PlacedObject]] = field(default_factory=list)
    boxes: dict[str, Box | None] = field(default_factory=dict)
    counter: int = 0
    tidiness: float = 0.8


def render(
    setting: Setting,
    view: View,
    lighting: Lighting,
    objects: list[PlacedObject],
    backdrop: NDArray[np.uint8],
    rule: LabelRule,
    lens: Lens | None = None,
) -> Rendering:
    """Paint the objects in reach and find what is to be labelled. The asset nearest by order gets number 1.

    Args:
        lens: bends what the view's camera, which is then its pinhole, has painted; labels are of the bent image.
    """
    kept = [objects[i] for i in in_reach(objects, view)]
    numbers_of = [0] * len(kept)
    count = 0
    for index, placed in enumerate(kept):
        if placed.class_id != catalogue.NO_CLASS and count < MAX_ASSETS:
            count += 1
            numbers_of[index] = count
    ground = ground_faces(setting.road, setting.section, view.s, view.direction, view.reach_m, setting.seed)
    lamps = placing.lamps_of(kept, setting)
    drawing = draw(kept, numbers_of, ground, view, lighting, lamps)
    buffer = paint(drawing, backdrop)
    numbers = flat = number_of_pixels(buffer)
    camera, unbent = view.camera, None
    if lens is not None:
        buffer, camera, unbent = lens.bend(buffer), lens.camera, np.where(lens.kept, flat, 0).astype(np.uint8)
        numbers = number_of_pixels(buffer)
    picture = cv2.resize(buffer[:, :, :3], (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    labels = find_labels(kept, numbers_of, drawing, picture, numbers, view, rule, unbent)
    return Rendering(picture, numbers, labels, kept, flat)


def compose(
    setting: Setting,
    view: View,
    lighting: Lighting,
    rng: np.random.Generator,
    wanted: NDArray[np.int64],
    rule: LabelRule,
    lane: int,
) -> Rendering:
    """Build the image's world so that exactly the wanted objects are labelled, as far as `ROUNDS` tries allow.

    Args:
        wanted: labelled objects to show, by class `[7]`.
        lane: the camera car's lane, which stays free before it.
    """
    s = view.s
    scenery = scatter_scenery(setting, rng, s - 4, s + REACH_M * 0.75)
    traffic = scatter_traffic(setting, rng, s, view.direction, 260.0, lane)
    stage = _Stage(setting, view, lighting, rng, scenery, traffic, setting.outer(1) * setting.section.lane_centre(lane))
    backdrop = background(
        view.camera, view.pose, lighting, setting.seed, setting.section.land_colour, setting.section.land
    )
    for class_id in _ORDER:
        _add(stage, class_id, int(wanted[class_id]))
    rendering = render(setting, view, lighting, _world(stage), backdrop, rule)
    for attempt in range(ROUNDS):
        if not _amend(stage, wanted, rendering.labels, nearer=max(0.6, 0.85**attempt)):
            break
        stage.tidiness *= 0.7
        if attempt == 3:
            # Something large may stand right before the camera; then nothing else will ever be seen.
            stage.traffic = [o for o in stage.traffic if o.footprint[0] - s > 38]
        rendering = render(setting, view, lighting, _world(stage), backdrop, rule)
    return rendering


def _world(stage: _Stage) -> list[PlacedObject]:
    assets = [placed for group in stage.groups for placed in group]
    clear = [o for o in stage.scenery + stage.traffic if not any(overlaps(o, a, 0.5, 0.3) for a in assets)]
    return clear + assets


def _amend(stage: _Stage, wanted: NDArray[np.int64], labels: list[Label], nearer: float) -> bool:
    """Take away what is too much or unseen, add what is missing, closer each time; False if there was nothing to do."""
    seen = {label.asset_id: label for label in labels}
    counts = np.bincount([label.class_id for label in labels], minlength=len(wanted))
    if (counts == wanted).all():
        return False
    for class_id in _ORDER:
        own = [g for g in stage.groups if g[0].class_id == class_id]
        surplus = int(counts[class_id] - wanted[class_id])
        if surplus > 0:
            # The least visible go first: they are the ones a person would dispute.
            ranked = sorted((g for g in own if g[0].asset_id in seen), key=lambda g: seen[g[0].asset_id].visible_pixels)
            for group in ranked[:surplus]:
                stage.groups.remove(group)
        elif surplus < 0:
            for group in own:
                if group[0].asset_id not in seen:
                    stage.groups.remove(group)
            _add(stage, class_id, -surplus, nearer=nearer)
    return True


def _add(stage: _Stage, class_id: int, count: int, nearer: float = 0.0) -> None:
    if class_id == catalogue.SINGLE_ARM_POLE and count > 1 and not nearer:
        _add_pole_row(stage, count)
        return
    for _ in range(count):
        for _ in range(24):
            far_side = class_id in _BOTH_SIDES and stage.rng.random() < 0.3
            distance = _draw_distance(stage, class_id, far_side, nearer or 1.0)
            if _try(stage, class_id, distance, far_side):
                break


def _draw_distance(stage: _Stage, class_id: int, far_side: bool, nearer: float) -> float:
    """A distance in metres between where the roadside enters the image and where the class becomes too small."""
    camera = stage.view.camera
    low, high = (float(d) for d in _DISTANCES[class_id])
    high *= camera.focal_px / 550 * (1.0 if class_id in _SLIM else nearer)
    if class_id not in (catalogue.PEDESTRIAN_BRIDGE, catalogue.CONCRETE_GUARDRAIL):
        roadside = stage.setting.outer(-1 if far_side else 1) * (stage.setting.section.edge + 2.0)
        low = max(low, abs(roadside - stage.own_offset) * camera.focal_px / (0.44 * camera.width))
    if class_id == catalogue.SINGLE_ARM_POLE:
        # Nearer than this the arm is above the image.
        low = max(low, (stage.setting.pole_style.height - 1.8) * camera.focal_px / (0.47 * camera.height))
        # A bridge hides the arms behind it, but not those of poles far enough behind it.
        high = high if nearer == 1.0 else 2 * high
    return math.exp(stage.rng.uniform(math.log(low), math.log(max(high, low * 1.5))))


def _add_pole_row(stage: _Stage, count: int) -> None:
    spacing = float(stage.rng.uniform(20, 34))
    start = float(stage.rng.uniform(13, 30))
    sides = [False] * count
    if stage.rng.random() < 0.5:
        sides = [bool(k % 2) for k in range(count)]
    elif stage.rng.random() < 0.2:
        sides = [True] * count
    distance = {False: start, True: start + float(stage.rng.uniform(0, spacing))}
    for far_side in sides:
        _try(stage, catalogue.SINGLE_ARM_POLE, distance[far_side], far_side)
        distance[far_side] += spacing * float(stage.rng.uniform(0.9, 1.1))


def _try(stage: _Stage, class_id: int, distance: float, far_side: bool) -> bool:
    """Put one asset at a distance; False if something of the same kind stands there or it falls out of the image."""
    view = stage.view
    direction = -view.direction if far_side else view.direction
    stage.counter += 1
    s = view.s + view.direction * distance
    group = placing.place_asset(stage.setting, stage.rng, class_id, s, direction, f"{stage.counter}")
    box = _image_box(view, group[0])
    if class_id != catalogue.CONCRETE_GUARDRAIL and box is None:
        return False
    if class_id in _COMPACT and box is not None:
        # Signs in a row hide each other from a car; some do here, most do not.
        others = [stage.boxes[g[0].asset_id] for g in stage.groups if g[0].class_id in _COMPACT]
        if stage.rng.random() < stage.tidiness and any(b is not None and _covers(box, b) for b in others):
            return False
    for other in stage.groups:
        if any(_collide(a, b) for a in group for b in other):
            return False
        if {class_id, other[0].class_id} <= _SIGNS and abs(other[0].s - s) < 5 * stage.tidiness + 1:
            return False
        both_bridges = class_id == other[0].class_id == catalogue.PEDESTRIAN_BRIDGE
        if both_bridges and abs(other[0].s - s) < 60:
            return False
    stage.groups.append(group)
    stage.boxes[group[0].asset_id] = box
    return True


def _collide(a: PlacedObject, b: PlacedObject) -> bool:
    """Whether two objects stand in each other: bridges span everything, and boards hang above guardrails."""
    classes = {a.class_id, b.class_id}
    if catalogue.PEDESTRIAN_BRIDGE in classes or (catalogue.CONCRETE_GUARDRAIL in classes and classes & _SIGNS):
        return False
    return overlaps(a, b, 1.0, 0.05)


def _image_box(view: View, placed: PlacedObject) -> Box | None:
    """Left, top, right, bottom in pixels; None if the asset is too near or too much of it falls out of the image."""
    points = view.pose.to_camera(placed.model.vertices)
    if points[:, 2].min() < 4:
        return None
    pixels = view.camera.project(points)
    inside = (pixels > 0).all(axis=1) & (pixels < [view.camera.width, view.camera.height]).all(axis=1)
    if inside.mean() <= 0.45:
        return None
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _covers(a: Box, b: Box) -> bool:
    """Whether two boxes share more than a quarter of the smaller one."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width > 0 and height > 0 and width * height > 0.25 * smaller


def random_view(setting: Setting, rng: np.random.Generator, camera: Camera, mount: Mount, s: float) -> tuple[View, int]:
    """A camera car in one of the lanes at chainage s, and the lane."""
    section = setting.section
    lane = int(rng.integers(section.lanes))
    offset = setting.outer(1) * section.lane_centre(lane) + float(rng.uniform(-0.3, 0.3))
    yaw, pitch = float(rng.uniform(-1, 1)), float(rng.uniform(-0.4, 0.4))
    return viewpoint(setting, camera, mount, s, 1, offset, REACH_M, yaw_deg=yaw, pitch_deg=pitch), lane
