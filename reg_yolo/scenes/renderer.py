"""Painter's algorithm on quadrilaterals: one pass fills colour and object number of every pixel together.

The buffer has twice the picture's resolution and four channels: blue, green, red and the object number (or the ground
material). Colour is averaged over the four samples of a pixel, the number is the one that most of the four show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.camera import Camera, Pose
from reg_yolo.scenes.cross_section import FIRST_MATERIAL
from reg_yolo.scenes.ground import GroundFaces
from reg_yolo.scenes.lighting import Lighting, shade
from reg_yolo.scenes.world import PlacedObject

FloatArray = NDArray[np.float64]

NEAR_M = 0.8
SUPERSAMPLING = 2
MAX_ASSETS = FIRST_MATERIAL - 1
_SHIFT = 4
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
    layer = [np.zeros(len(ground.order), np.int64)]
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
    """Fixed-point sample coordinates `[M, K, 2]`, and which faces can touch the picture."""
    depth = np.maximum(corners[:, :, 2:3], NEAR_M)
    pixels = corners[:, :, :2] * (camera.focal_px / depth) + np.array([camera.cx, camera.cy])
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    inside = (high[:, 0] > -0.6 * camera.width) & (low[:, 0] < 1.6 * camera.width)
    inside &= (high[:, 1] > -camera.height) & (low[:, 1] < 2 * camera.height)
    samples = np.round((pixels * SUPERSAMPLING - 0.5) * (1 << _SHIFT))
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


def paint(drawing: Drawing, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill the polygons, far first, over the background `[2H, 2W, 3]`; returns the buffer `[2H, 2W, 4]`."""
    buffer = np.zeros((*background.shape[:2], 4), np.uint8)
    buffer[:, :, :3] = background
    fill, textures = cv2.fillConvexPoly, drawing.textures
    for position, (polygon, colour) in enumerate(zip(drawing.polygons, drawing.colours, strict=True)):
        fill(buffer, polygon, colour, cv2.LINE_8, _SHIFT)
        if position in textures:
            _paste(buffer, polygon, *textures[position])
    return buffer


def _paste(
    buffer: NDArray[np.uint8],
    polygon: NDArray[np.int32],
    texture: NDArray[np.uint8],
    light: FloatArray,
    haze: FloatArray,
) -> None:
    """Map a texture onto a face that has just been filled; the number channel stays as it is."""
    if len(polygon) != 4:
        return
    corners = polygon.astype(np.float32) / (1 << _SHIFT)
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, [buffer.shape[1], buffer.shape[0]])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    extent = corners.max(axis=0) - corners.min(axis=0)
    height, width = texture.shape[:2]
    scale = min(1.0, 1.2 * max(extent[0] / width, extent[1] / height))
    if scale < 0.9:
        texture = cv2.resize(
            texture, (max(2, round(width * scale)), max(2, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        height, width = texture.shape[:2]
    source = np.array([[0, height], [width, height], [width, 0], [0, 0]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(source, corners - np.array([x0, y0], np.float32))
    shape = (int(x1 - x0), int(y1 - y0))
    picture = cv2.warpPerspective(texture, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((shape[1], shape[0]), np.uint8)
    cv2.fillConvexPoly(mask, polygon - (np.array([x0, y0]) << _SHIFT).astype(np.int32), 255, cv2.LINE_8, _SHIFT)
    window = buffer[y0:y1, x0:x1, :3]
    chosen = mask > 0
    window[chosen] = np.clip(picture[chosen] * light + haze, 0, 255).astype(np.uint8)


def number_of_pixels(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Object number or material of every pixel `[H, W]`: what most of its four samples show."""
    a, b = buffer[0::2, 0::2, 3], buffer[0::2, 1::2, 3]
    c, d = buffer[1::2, 0::2, 3], buffer[1::2, 1::2, 3]
    return np.where((b == c) | (b == d), b, np.where(c == d, c, a))


def silhouette(drawing: Drawing, owner: int, camera: Camera) -> tuple[int, int]:
    """Pixels that the object would cover if nothing stood before it, and how wide that silhouette is.

    It may reach beyond the picture's borders by one picture width or height to each side.
    """
    polygons = [drawing.polygons[i] for i in np.flatnonzero(drawing.owners == owner)]
    if not polygons:
        return 0, 0
    every = np.concatenate(polygons)
    unit = SUPERSAMPLING << _SHIFT
    low = np.maximum(every.min(axis=0) // unit, [-camera.width, -camera.height])
    high = np.minimum(every.max(axis=0) // unit + 2, [2 * camera.width, 2 * camera.height])
    if (high <= low).any():
        return 0, 0
    canvas = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
    shift = (low * unit).astype(np.int32)
    for polygon in polygons:
        cv2.fillConvexPoly(canvas, polygon - shift, 1, cv2.LINE_8, _SHIFT + 1)
    return int(cv2.countNonZero(canvas)), int(canvas.any(axis=0).sum())
