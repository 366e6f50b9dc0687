"""The grain of asphalt and grass, and the shadows on them: per-pixel factors for ground that is one colour a face."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.rendering.camera import project_world
from reg_yolo.scenes.rendering.lighting import Lighting
from reg_yolo.scenes.rendering.projection import NEAR_M, View
from reg_yolo.scenes.world.cross_section import ASPHALT, FIRST_MATERIAL, GRASS, MARKING, SHOULDER, SOIL
from reg_yolo.scenes.world.objects import PlacedObject

FloatArray = NDArray[np.float64]

_TILE = 512
_PIXELS_PER_METRE = 14.0
_STRENGTH = {ASPHALT: 0.09, MARKING: 0.06, SHOULDER: 0.11, GRASS: 0.22, SOIL: 0.16}


@functools.cache
def _tiles() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Periodic textures around 0: asphalt (grain, wheel tracks along the road, patches) and turf (clumps)."""
    rng = np.random.default_rng(11)

    def noise(cells_y: int, cells_x: int) -> NDArray[np.float32]:
        grid = np.pad(rng.standard_normal((cells_y, cells_x), dtype=np.float32), 2, mode="wrap")
        fy, fx = _TILE // cells_y, _TILE // cells_x
        big = cv2.resize(grid, None, fx=fx, fy=fy, interpolation=cv2.INTER_CUBIC)
        return np.asarray(big[2 * fy : 2 * fy + _TILE, 2 * fx : 2 * fx + _TILE], np.float32)

    asphalt = (
        0.4 * noise(256, 256) + 0.3 * noise(512, 512) + 0.5 * noise(4, 64) + 0.22 * noise(16, 16) + 0.3 * noise(2, 128)
    )
    turf = 0.5 * noise(256, 256) + 0.45 * noise(64, 64) + 0.5 * noise(16, 16) + 0.2 * noise(512, 512)
    return np.clip(asphalt, -2.2, 2.2).astype(np.float32), np.clip(turf, -2.2, 2.2).astype(np.float32)


def texture_factor(setting: Setting, view: View, numbers: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Factor `[H, W]` on the brightness of ground pixels, 1 elsewhere.

    Each image row below the horizon is taken as one chainage of the road's axis, which holds where the ground
    matters; the texture sticks to the road, so it moves past the camera as it should.
    """
    height, width = numbers.shape
    factor = np.ones((height, width), np.float32)
    ahead = np.concatenate([np.arange(1.0, 30, 1.5), np.arange(30.0, 240, 8)])
    stations = np.clip(view.s + view.direction * ahead, setting.road.chainage[0], setting.road.chainage[-1])
    pixels, depth = project_world(view.camera, view.pose, setting.road.to_world(stations, 0.0))
    good = depth > NEAR_M
    v, u, depth, stations = pixels[good, 1], pixels[good, 0], depth[good], stations[good]
    visible = np.concatenate([[True], v[1:] < np.minimum.accumulate(v)[:-1] - 0.05]) if len(v) else np.zeros(0, bool)
    v, u, depth, stations = v[visible][::-1], u[visible][::-1], depth[visible][::-1], stations[visible][::-1]
    if len(v) < 3:
        return factor
    top = max(int(np.ceil(v[0])), 0)
    if top >= height - 1:
        return factor
    rows = np.arange(top, height) + 0.5
    # Depth is hyperbolic in the row, so its reciprocal is what can be interpolated.
    inverse = np.interp(rows, v, 1 / depth)
    row_depth = 1 / inverse
    along = np.interp(row_depth, depth[::-1], stations[::-1])
    axis = np.interp(rows, v, u)
    lateral = (
        (np.arange(width)[None, :] + 0.5 - axis[:, None]) * (row_depth / view.camera.focal_px)[:, None] * view.direction
    )
    map_x = (lateral * _PIXELS_PER_METRE).astype(np.float32)
    map_y = np.repeat((along * _PIXELS_PER_METRE)[:, None].astype(np.float32), width, axis=1)
    # Textures are sampled at one scale, so far rows, where a pixel spans many samples, fade to the mean.
    fade = np.clip(1.6 / (1 + row_depth / 14), 0, 1).astype(np.float32)[:, None]
    asphalt_tile, turf_tile = _tiles()
    region = numbers[top:]
    soft = (region == GRASS) | (region == SOIL)
    paved = cv2.remap(asphalt_tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    turf = cv2.remap(turf_tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    strength = np.zeros(256, np.float32)
    for material, value in _STRENGTH.items():
        strength[material] = value
    factor[top:] = 1 + np.where(soft, turf, paved) * strength[region] * fade
    return factor


def shadow_factor(
    objects: Sequence[PlacedObject], setting: Setting, view: View, lighting: Lighting, numbers: NDArray[np.uint8]
) -> NDArray[np.float32] | None:
    """Factor `[H, W]` under 1 where the ground lies in an object's shadow; None without sun.

    The shadow of each object's parts is the convex hull of its corners moved along the sun's rays to the ground.
    """
    if not lighting.casts_shadows:
        return None
    sun = lighting.sun_direction
    if sun[2] < 0.1:
        return None
    height, width = numbers.shape
    mask = np.zeros((height, width), np.uint8)
    reach = sun[:2] / sun[2]
    for placed in objects:
        if not placed.casts_shadow:
            continue
        ground = setting.road.height_at(placed.s) + setting.section.height_at(placed.t)
        for hull in _caster_outlines(placed):
            drop = np.clip(hull[:, 2] - ground, 0, 14)
            flat = np.column_stack(
                [hull[:, 0] - reach[0] * drop, hull[:, 1] - reach[1] * drop, np.full(len(hull), ground)]
            )
            points = view.pose.to_camera(flat)
            if (points[:, 2] < NEAR_M).any():
                continue
            pixels = view.camera.project(points)
            if (
                pixels[:, 0].max() < 0
                or pixels[:, 0].min() > width
                or pixels[:, 1].max() < 0
                or pixels[:, 1].min() > height
            ):
                continue
            outline = cv2.convexHull(np.clip(np.round(pixels * 8), -60000, 60000).astype(np.int32))
            cv2.fillConvexPoly(mask, outline, 255, cv2.LINE_8, 3)
    soft = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) * (1 / 255.0)
    # What direct light gives to a flat face, against all the light it gets.
    direct = lighting.sun[1] * max(sun[2], 0.0)
    share = direct / (direct + lighting.ambient[1])
    factor = 1 - soft * np.float32(min(share * 1.15, 0.72))
    factor[numbers < FIRST_MATERIAL] = 1
    return np.asarray(factor, np.float32)


def _caster_outlines(placed: PlacedObject) -> list[FloatArray]:
    model = placed.model
    outlines: list[FloatArray] = []
    if len(model.faces):
        parts = int(model.face_part.max()) + 1
        for part in range(parts):
            corners = model.vertices[np.unique(model.faces[model.face_part == part])]
            if not len(corners):
                continue
            extent = corners.max(axis=0) - corners.min(axis=0)
            if extent[2] > 6 and max(extent[0], extent[1]) > 1.5 and len(model.blob_radii) == 0:
                # A lamp pole's hull would be a triangle of shade: its shaft and its arm are cast one by one.
                top = corners[:, 2] > corners[:, 2].max() - 1.4
                outlines += [corners[~top], corners[top]]
            else:
                outlines.append(corners)
    if len(model.blob_radii):
        ring = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 0.8], [0, 0, -0.8]])
        outlines.append((model.blob_centres[:, None, :] + ring * model.blob_radii[:, None, None] * 0.85).reshape(-1, 3))
    return [o for o in outlines if len(o) >= 3]
