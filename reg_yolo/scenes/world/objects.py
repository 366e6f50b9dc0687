"""Objects put into the world: models placed beside the road, with identity, class and extent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.world.catalogue import NO_CLASS
from reg_yolo.scenes.world.cross_section import CrossSection
from reg_yolo.scenes.world.mesh import Model
from reg_yolo.scenes.world.road import Road

FloatArray = NDArray[np.float64]


@dataclass(eq=False)
class PlacedObject:
    """A model in world coordinates.

    Args:
        model: the model, its vertices and blobs moved to world metres.
        class_id: index of the asset class, or -1.
        s: chainage of its origin, metres.
        t: offset of its origin, metres.
        part_low: smallest chainage of each part `[P]`.
        part_high: largest chainage of each part `[P]`.
        asset_id: identity over all frames of a drive, "" where it is not an asset.
        casts_shadow: whether it throws a shadow on the ground.
        facing: unit vector of the front side in the world, for assets that can only be named from the front.
        footprint: (smallest s, largest s, smallest t, largest t) in metres.
        geometry: points `[N, 3]` in world metres that say where the asset stands: one point, a line, or a span.
        attributes: what else is known about it, such as its kind and size.
    """

    model: Model
    class_id: int
    s: float
    t: float
    part_low: FloatArray
    part_high: FloatArray
    asset_id: str = ""
    casts_shadow: bool = True
    facing: FloatArray | None = None
    footprint: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    geometry: FloatArray | None = None
    attributes: dict[str, str | float] = field(default_factory=dict)


def place(
    model: Model,
    road: Road,
    section: CrossSection,
    s: float,
    t: float,
    *,
    turn_deg: float = 0.0,
    lift_m: float = 0.0,
    class_id: int = NO_CLASS,
    asset_id: str = "",
    casts_shadow: bool = True,
    front_only: bool = False,
    on_ground: bool = True,
) -> PlacedObject:
    """Stand a model on the ground at chainage s and offset t.

    Args:
        turn_deg: counter-clockwise seen from above; 0 lets the front look towards smaller chainage.
        lift_m: height of the model's origin above the ground (or above the axis if not `on_ground`).
        front_only: the asset is only named when its front is seen.
    """
    angle = math.radians(turn_deg)
    cos, sin = math.cos(angle), math.sin(angle)

    def turned(points: FloatArray) -> FloatArray:
        out = points.copy()
        out[:, 0] = points[:, 0] * cos - points[:, 1] * sin
        out[:, 1] = points[:, 0] * sin + points[:, 1] * cos
        return out

    heading = float(road.heading_at(s))
    right = np.array([math.cos(heading), -math.sin(heading), 0.0])
    ahead = np.array([math.sin(heading), math.cos(heading), 0.0])
    base = road.to_world(s, t, (section.height_at(t) if on_ground else 0.0) + lift_m)
    vertices, blobs = turned(model.vertices), turned(model.blob_centres)

    def world(points: FloatArray) -> FloatArray:
        moved: FloatArray = (
            base + points[:, :1] * right + points[:, 1:2] * ahead + points[:, 2:3] * np.array([0, 0, 1.0])
        )
        return moved

    low, high = _part_extent(model, vertices[:, 1], blobs[:, 1])
    every = np.concatenate([vertices[:, :2], blobs[:, :2]])
    footprint = (
        s + float(every[:, 1].min()),
        s + float(every[:, 1].max()),
        t + float(every[:, 0].min()),
        t + float(every[:, 0].max()),
    )
    return PlacedObject(
        _moved(model, world(vertices), world(blobs)),
        class_id,
        s,
        t,
        s + low,
        s + high,
        asset_id,
        casts_shadow,
        facing=(right * sin - ahead * cos) if front_only else None,
        footprint=footprint,
        geometry=base[None, :],
    )


def from_road_coordinates(model: Model, road: Road, *, class_id: int = NO_CLASS, asset_id: str = "") -> PlacedObject:
    """Place a model whose vertices are (offset t, chainage s, height above the axis): it follows the road's bends."""
    v = model.vertices
    low, high = _part_extent(model, v[:, 1], model.blob_centres[:, 1])
    footprint = (float(v[:, 1].min()), float(v[:, 1].max()), float(v[:, 0].min()), float(v[:, 0].max()))
    placed = _moved(model, road.to_world(v[:, 1], v[:, 0], v[:, 2]), model.blob_centres)
    return PlacedObject(
        placed, class_id, footprint[0], float(v[:, 0].mean()), low, high, asset_id, False, footprint=footprint
    )


def _part_extent(model: Model, along: FloatArray, blobs_along: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Smallest and largest along-road coordinate of each part."""
    parts = 1 + max(
        int(model.face_part.max()) if len(model.face_part) else 0,
        int(model.blob_part.max()) if len(model.blob_part) else 0,
    )
    low, high = np.full(parts, np.inf), np.full(parts, -np.inf)
    if len(model.faces):
        owner = np.repeat(model.face_part, 4)
        np.minimum.at(low, owner, along[model.faces.ravel()])
        np.maximum.at(high, owner, along[model.faces.ravel()])
    if len(model.blob_part):
        np.minimum.at(low, model.blob_part, blobs_along - 0.3 * model.blob_radii)
        np.maximum.at(high, model.blob_part, blobs_along)
    return low, high


def _moved(model: Model, vertices: FloatArray, blob_centres: FloatArray) -> Model:
    return Model(
        vertices,
        model.faces,
        model.colours,
        model.finish,
        model.face_part,
        model.face_layer,
        model.textures,
        blob_centres,
        model.blob_radii,
        model.blob_colours,
        model.blob_part,
    )
