"""Warning signs: yellow diamonds with a black border and symbol on one post. The labelled object is the diamond."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.assets.textures import Texture
from reg_yolo.scenes.world.mesh import RETROREFLECTIVE, Colour, MeshBuilder, Model

_YELLOW: Colour = (25.0, 190.0, 240.0)
_BLACK: Colour = (25.0, 25.0, 25.0)
VARIANTS = 64
CHEVRON_M = (0.6, 0.75)
"""Width and height of a chevron board."""
_POST: Colour = (165.0, 168.0, 170.0)


def diamond_texture(rng: np.random.Generator, size: int = 72) -> Texture:
    """A square face with its symbol turned by 45 degrees, so that it stands upright on the diamond."""
    yellow = (
        _YELLOW[0] * rng.uniform(0.5, 1.8),
        _YELLOW[1] * rng.uniform(0.88, 1.08),
        _YELLOW[2] * rng.uniform(0.93, 1.04),
    )
    upright = textures.canvas(size, size, yellow)
    c, s = size // 2, size / 72
    kind = int(rng.integers(7))

    def p(x: float, y: float) -> tuple[int, int]:
        return round(c + x * s), round(c + y * s)

    line = max(3, round(6 * s))
    if kind == 0:
        cv2.polylines(upright, [np.array([p(-8, 20), p(-8, 2), p(8, -6), p(8, -22)], np.int32)], False, _BLACK, line)
        cv2.fillConvexPoly(upright, np.array([p(1, -16), p(15, -16), p(8, -28)], np.int32), _BLACK)
    elif kind == 1:
        cv2.ellipse(upright, p(14, 18), (round(24 * s), round(32 * s)), 0, 180, 268, _BLACK, line)
        cv2.fillConvexPoly(upright, np.array([p(10, -22), p(10, -6), p(24, -14)], np.int32), _BLACK)
    elif kind == 2:
        cv2.line(upright, p(0, 22), p(0, -22), _BLACK, line)
        cv2.line(upright, p(-18, 0), p(18, 0), _BLACK, line)
    elif kind == 3:
        cv2.circle(upright, p(0, -18), round(6 * s), _BLACK, -1)
        cv2.line(upright, p(0, -10), p(-2, 6), _BLACK, line)
        cv2.line(upright, p(-2, 6), p(-10, 22), _BLACK, line)
        cv2.line(upright, p(-2, 6), p(9, 22), _BLACK, line)
        cv2.line(upright, p(-12, 0), p(11, -4), _BLACK, max(2, line - 2))
    elif kind == 4:
        cv2.line(upright, p(0, -20), p(0, 8), _BLACK, line + 2)
        cv2.circle(upright, p(0, 19), round(4.5 * s), _BLACK, -1)
    elif kind == 5:
        for y, colour in ((-15, (30.0, 30.0, 200.0)), (0, (20.0, 160.0, 240.0)), (15, (60.0, 150.0, 30.0))):
            cv2.circle(upright, p(0, y), round(6 * s), colour, -1)
        cv2.rectangle(upright, p(-9, -24), p(9, 24), _BLACK, max(2, line // 2))
    else:
        cv2.line(upright, p(-10, 20), p(-4, -20), _BLACK, max(2, line - 2))
        cv2.line(upright, p(12, 20), p(4, -20), _BLACK, max(2, line - 2))
    turn = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), -45, 1.0)
    face = cv2.warpAffine(upright, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
    textures.rounded_border(face, _BLACK, max(3, size // 18), max(2, size // 24), size // 12)
    return np.asarray(face, np.uint8)


@functools.cache
def diamond(side_m: float, variant: int) -> Model:
    """One of `VARIANTS` diamonds around the origin, built once a process: its corners point up, down and sideways."""
    rng = np.random.default_rng(variant)
    mesh = MeshBuilder()
    half = side_m / math.sqrt(2)
    mesh.quad(
        [(-half, 0, 0), (0, 0, -half), (half, 0, 0), (0, 0, half)],
        _YELLOW,
        finish=RETROREFLECTIVE,
        texture=diamond_texture(rng),
    )
    mesh.quad([(half, 0.03, 0), (0, 0.03, -half), (-half, 0.03, 0), (0, 0.03, half)], (125.0, 127.0, 128.0))
    return mesh.build()


@functools.cache
def chevron(points_right: bool) -> Model:
    """A yellow board with a black chevron that points along the bend; its lower edge is at z = 0."""
    width, height = CHEVRON_M
    face = textures.canvas(round(width * 96), round(height * 96), _YELLOW)
    rows, columns = face.shape[:2]
    arm = np.array([(0.2, 0.08), (0.55, 0.08), (0.85, 0.5), (0.55, 0.92), (0.2, 0.92), (0.5, 0.5)])
    if not points_right:
        arm[:, 0] = 1 - arm[:, 0]
    cv2.fillPoly(face, [np.round(arm * [columns, rows]).astype(np.int32)], _BLACK)
    mesh = MeshBuilder()
    w = width / 2
    corners = [(-w, 0.0, 0.0), (w, 0.0, 0.0), (w, 0.0, height), (-w, 0.0, height)]
    mesh.quad(corners, _YELLOW, finish=RETROREFLECTIVE, texture=np.asarray(face, np.uint8))
    mesh.quad([(-x, 0.03, z) for x, _, z in corners], (125.0, 127.0, 128.0))
    return mesh.build()


def build_post(top_m: float) -> Model:
    """The post behind a diamond whose centre is at `top_m`."""
    mesh = MeshBuilder()
    mesh.box((0.0, 0.09), (0.09, 0.09), -0.3, top_m, _POST)
    return mesh.build()
