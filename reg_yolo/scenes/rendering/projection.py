"""From the world to polygons on the image: culling, projection, shading and the order of painting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.rendering.camera import Camera, Pose
from reg_yolo.scenes.rendering.lighting import Lighting, shade
from reg_yolo.scenes.world.ground import GroundFaces
from reg_yolo.scenes.world.objects import PlacedObject

FloatArray = NDArray[np.float64]

NEAR_M = 0.8
SUPERSAMPLING = 2
SHIFT = 4
"""Fractional bits of polygon corners in the doubled buffer."""
_LIMIT = 1 << 19
_BLOB_CORNERS = 9


def _blob_templates() -> FloatArray:
    rng = np.random.default_rng(7)
    angles = np.linspace(0, 2 * np.pi, _BLOB_CORNERS, endpoint=False)
    radii = rng.uniform(0.72, 1.12, (8, _BLOB_CORNERS))
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)


_BLOBS = _blob_templates()


@dataclass(frozen=True)
class View:
    """Who looks at what: camera, pose, and the viewer's place on the road."""

    camera: Camera
    pose: Pose
    s: float
    direction: int
    reach_m: float


@dataclass
class Drawing:
    """Projected polygons in painting order.

    Args:
        polygons: corner arrays `[K, 2]`, int32 in sixteenths of a sample of the doubled buffer.
        colours: BGR and number of each.
        owners: index into the objects for each, -1 for ground.
        textures: texture, factor of light and colour of haze `[3]` by position in the order.
    """

    polygons: list[NDArray[np.int32]]
    colours: list[tuple[float, float, float, float]]
    owners: NDArray[np.int64]
    textures: dict[int, tuple[NDArray[np.uint8], FloatArray, FloatArray]]


@dataclass
class _Faces:
    corners: FloatArray
    colours: FloatArray
    finish: NDArray[np.int64]
    order: FloatArray
    layer: NDArray[np.int64]
    number: NDArray[np.int64]
    owner: NDArray[np.int64]


def in_reach(objects: Sequence[PlacedObject], view: View) -> list[int]:
    """Indices of the objects that lie before the viewer within reach."""
    near = [
        min((o.footprint[0] - view.s) * view.direction, (o.footprint[1] - view.s) * view.direction) for o in objects
    ]
    far = [max((o.footprint[0] - view.s) * view.direction, (o.footprint[1] - view.s) * view.direction) for o in objects]
    return [i for i in range(len(objects)) if far[i] > 0 and near[i] < view.reach_m]


def draw(
    objects: Sequence[PlacedObject],
    numbers: Sequence[int],
    ground: GroundFaces,
    view: View,
    lighting: Lighting,
    lamps: FloatArray,
) -> Drawing:
    """Project, shade and sort the world.

    Args:
        objects: what stands in reach.
        numbers: value of each object in the number channel, 0 for what has no label.
        ground: ground faces.
        view: the viewer.
        lighting: light and air.
        lamps: burning street lamps in the world `[L, 3]`.
    """
    faces, textures = _gather(objects, numbers, ground, view)
    rotation = view.pose.rotation()
    origin = np.array([view.pose.x, view.pose.y, view.pose.z])
    corners = (faces.corners - origin) @ rotation.T
    edge1 = faces.corners[:, 1] - faces.corners[:, 0]
    edge2 = faces.corners[:, 2] - faces.corners[:, 0]
    normals = np.cross(edge1, edge2)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    towards = np.einsum("mk,mk->m", normals, faces.corners[:, 0] - origin) < 0
    depth = corners[:, :, 2]
    keep = towards & (depth.max(axis=1) > NEAR_M)
    centres = corners.mean(axis=1)
    lamps_camera = (lamps - origin) @ rotation.T if len(lamps) else np.zeros((0, 3))
    pixels, keep = _to_samples(view.camera, corners, keep)
    index = np.flatnonzero(keep)
    shaded = shade(lighting, faces.colours[index], faces.finish[index], normals[index], centres[index], lamps_camera)
    polygons: list[NDArray[np.int32]] = list(pixels[index])
    for position in np.flatnonzero((depth[index] <= NEAR_M).any(axis=1)):
        polygons[position] = _clip_near(view.camera, corners[index[position]])
    colours, owner, number = [shaded], [faces.owner[index]], [faces.number[index]]
    order, inner, layer = [faces.order[index]], [centres[index, 2]], [faces.layer[index]]
    blobs = _blob_polygons(objects, view, rotation, origin)
    if blobs is not None:
        outlines, tones, finish, blob_normals, blob_centres, blob_order, blob_owner = blobs
        polygons += list(outlines)
        colours.append(shade(lighting, tones, finish, blob_normals, blob_centres, lamps_camera))
        owner.append(blob_owner)
        number.append(np.asarray(numbers, np.int64)[blob_owner])
        order.append(blob_order)
        inner.append(blob_centres[:, 2])
        layer.append(np.zeros(len(blob_order), np.int64))
    ranking = np.lexsort((-np.concatenate(inner), np.concatenate(layer), -np.concatenate(order)))
    table = np.column_stack([np.concatenate(colours), np.concatenate(number)])[ranking].tolist()
    where = {int(face): place for place, face in enumerate(index)}
    rank_of = np.empty(len(ranking), np.int64)
    rank_of[ranking] = np.arange(len(ranking))
    textured = np.array([face for face in textures if face in where], np.int64)
    black = np.zeros((len(textured), 3))
    # Light and haze act on a texture as on a plain colour: a factor, and what black would look like.
    haze = shade(lighting, black, faces.finish[textured], normals[textured], centres[textured], lamps_camera)
    white = shade(lighting, black + 100.0, faces.finish[textured], normals[textured], centres[textured], lamps_camera)
    placed_textures = {
        int(rank_of[where[int(face)]]): (textures[int(face)], (white[k] - haze[k]) / 100.0, haze[k])
        for k, face in enumerate(textured)
    }
    return Drawing(
        [polygons[i] for i in ranking],
        [(a, b, c, d) for a, b, c, d in table],
        np.concatenate(owner)[ranking],
        placed_textures,
    )


def _gather(
    objects: Sequence[PlacedObject], numbers: Sequence[int], ground: GroundFaces, view: View
) -> tuple[_Faces, dict[int, NDArray[np.uint8]]]:
    corners, colours, finish, order = (
        [ground.corners],
        [ground.colours],
        [np.zeros(len(ground.order), np.int64)],
        [ground.order],
    )
    layer = [ground.layer]
    number, owner = [ground.material], [np.full(len(ground.order), -1)]
    textures: dict[int, NDArray[np.uint8]] = {}
    total = len(ground.order)
    for index, placed in enumerate(objects):
        model = placed.model
        count = len(model.faces)
        if not count:
            continue
        corners.append(model.vertices[model.faces])
        colours.append(model.colours)
        finish.append(model.finish)
        order.append(_part_order(placed, view)[model.face_part])
        layer.append(model.face_layer)
        number.append(np.full(count, numbers[index]))
        owner.append(np.full(count, index))
        textures.update({total + face: picture for face, picture in model.textures.items()})
        total += count
    return (
        _Faces(*(np.concatenate(a) for a in (corners, colours, finish, order, layer, number, owner))),
        textures,
    )


def _part_order(placed: PlacedObject, view: View) -> FloatArray:
    """Along-road distance of each part's near end: a part is painted after all the ground it stands on."""
    if view.direction > 0:
        return placed.part_low - view.s
    return view.s - placed.part_high


def _blob_polygons(
    objects: Sequence[PlacedObject], view: View, rotation: FloatArray, origin: FloatArray
) -> (
    tuple[NDArray[np.int32], FloatArray, NDArray[np.int64], FloatArray, FloatArray, FloatArray, NDArray[np.int64]]
    | None
):
    chosen = [(i, o) for i, o in enumerate(objects) if len(o.model.blob_radii)]
    if not chosen:
        return None
    world = np.concatenate([o.model.blob_centres for _, o in chosen])
    middle = np.concatenate(
        [np.tile(o.model.blob_centres.mean(axis=0), (len(o.model.blob_radii), 1)) for _, o in chosen]
    )
    radius = np.concatenate([o.model.blob_radii for _, o in chosen])
    tones = np.concatenate([o.model.blob_colours for _, o in chosen])
    order = np.concatenate([_part_order(o, view)[o.model.blob_part] for _, o in chosen])
    owner = np.concatenate([np.full(len(o.model.blob_radii), i) for i, o in chosen])
    template = _BLOBS[np.concatenate([np.arange(len(o.model.blob_radii)) for _, o in chosen]) % len(_BLOBS)]
    normals = world - middle + np.array([0.0, 0.0, 0.4])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    centres = (world - origin) @ rotation.T
    corners = np.repeat(centres[:, None, :], _BLOB_CORNERS, axis=1)
    corners[:, :, :2] += template * radius[:, None, None]
    pixels, keep = _to_samples(view.camera, corners, centres[:, 2] > NEAR_M + 0.5)
    return (
        pixels[keep],
        tones[keep],
        np.zeros(int(keep.sum()), np.int64),
        normals[keep],
        centres[keep],
        order[keep],
        owner[keep],
    )


def _to_samples(
    camera: Camera, corners: FloatArray, keep: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Fixed-point sample coordinates `[M, K, 2]`, and which faces can touch the image."""
    depth = np.maximum(corners[:, :, 2:3], NEAR_M)
    pixels = corners[:, :, :2] * (camera.focal_px / depth) + np.array([camera.cx, camera.cy])
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    inside = (high[:, 0] > -0.6 * camera.width) & (low[:, 0] < 1.6 * camera.width)
    inside &= (high[:, 1] > -camera.height) & (low[:, 1] < 2 * camera.height)
    samples = np.round((pixels * SUPERSAMPLING - 0.5) * (1 << SHIFT))
    return np.clip(samples, -_LIMIT, _LIMIT).astype(np.int32), keep & inside


def _clip_near(camera: Camera, corners: FloatArray) -> NDArray[np.int32]:
    """Cut one polygon at the near plane and project what is left."""
    kept: list[FloatArray] = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if a[2] > NEAR_M:
            kept.append(a)
        if (a[2] > NEAR_M) != (b[2] > NEAR_M):
            share = (NEAR_M - a[2]) / (b[2] - a[2])
            kept.append(a + share * (b - a))
    if len(kept) < 3:
        return np.zeros((3, 2), np.int32)
    pixels, _ = _to_samples(camera, np.array(kept)[None], np.ones(1, bool))
    return pixels[0]
