"""Information signs: green and blue boards with lettering, on posts at the roadside or on a gantry over the road.

The labelled object is the board; posts and gantry belong to no class, so roadside and overhead boards mean the same.
"""

from __future__ import annotations

import functools
from itertools import pairwise

import cv2
import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.assets.textures import Texture
from reg_yolo.scenes.world.mesh import RETROREFLECTIVE, Colour, MeshBuilder, Model

STEEL: Colour = (150.0, 152.0, 155.0)
_BACK: Colour = (120.0, 122.0, 124.0)
PIXELS_PER_METRE = 64
VARIANTS = 256


def random_board_size(rng: np.random.Generator, overhead: bool) -> tuple[float, float]:
    """Width and height of a board in metres."""
    if overhead:
        return float(rng.uniform(3.0, 5.6)), float(rng.uniform(1.9, 3.0))
    if rng.random() < 0.25:
        return float(rng.uniform(1.0, 1.5)), float(rng.uniform(1.2, 1.9))
    return float(rng.uniform(1.8, 3.6)), float(rng.uniform(1.1, 2.2))


def board_texture(rng: np.random.Generator, width_m: float, height_m: float, overhead: bool) -> tuple[Texture, Colour]:
    """The lettered face and its ground colour."""
    ground = textures.GREEN if rng.random() < 0.62 else textures.BLUE
    ground = (ground[0] * rng.uniform(0.85, 1.2), ground[1] * rng.uniform(0.85, 1.2), ground[2] * rng.uniform(0.8, 1.3))
    width, height = round(width_m * PIXELS_PER_METRE), round(height_m * PIXELS_PER_METRE)
    board = textures.canvas(width, height, ground)
    white = textures.WHITE
    textures.rounded_border(board, white, 5, 4, 12)
    if width < height * 1.05:
        _service_sign(board, rng)
        return board, ground
    letter = int(np.clip(min(height / 2.6, width / 6.5), 12, 30 if overhead else 26))
    lines = int(np.clip(height // (letter * 2.1), 1, 3))
    pitch = height / (lines + 0.25)
    with_arrow = rng.random() < 0.6
    left, right = 16 + (2 * letter if with_arrow else 0), width - 14
    with_number = right - left > 5.5 * letter
    for line in range(lines):
        y = int(pitch * (line + 0.62) + letter * 0.5)
        if with_arrow:
            way = str(rng.choice(["up", "left", "right"]))
            textures.arrow(board, 14 + letter, y - letter // 2, int(letter * 1.3), way, white)
        room = right - left - (2.2 * letter if with_number else 0)
        if rng.random() < 0.5:
            count = max(2, min(int(room / letter), int(rng.integers(3, 8))))
            textures.thai_like_line(board, left, y, int(letter * 0.9), count, rng, white)
        else:
            name = str(rng.choice(textures.PLACES))
            textures.latin_line(board, name[: max(3, int(room / (letter * 0.72)))], left, y, int(letter * 0.85), white)
        if with_number:
            textures.latin_line(board, str(int(rng.integers(2, 380))), right - 2 * letter, y, int(letter * 0.8), white)
    return board, ground


def _service_sign(board: Texture, rng: np.random.Generator) -> None:
    height, width = board.shape[:2]
    side = int(width * 0.62)
    left, top = (width - side) // 2, int(height * 0.1)
    cv2.rectangle(board, (left, top), (left + side, top + side), textures.WHITE, -1)
    dark = (40.0, 30.0, 20.0)
    centre = (width // 2, top + side // 2)
    kind = int(rng.integers(4))
    if kind == 0:
        textures.latin_line(board, "P", left + side // 4, top + int(side * 0.85), int(side * 0.75), textures.BLUE)
    elif kind == 1:
        cv2.circle(board, (centre[0], top + side // 4), side // 9, dark, -1)
        cv2.line(board, (centre[0], top + side // 3), (centre[0], top + int(side * 0.85)), dark, max(2, side // 8))
    elif kind == 2:
        cv2.rectangle(board, (left + side // 4, top + side // 5), (left + side // 2, top + int(side * 0.85)), dark, -1)
        cv2.line(
            board,
            (left + int(side * 0.65), top + side // 4),
            (left + int(side * 0.65), top + int(side * 0.8)),
            dark,
            max(2, side // 12),
        )
    else:
        cv2.rectangle(
            board,
            (centre[0] - side // 10, top + side // 6),
            (centre[0] + side // 10, top + int(side * 0.84)),
            (30.0, 30.0, 200.0),
            -1,
        )
        cv2.rectangle(
            board,
            (left + side // 6, centre[1] - side // 10),
            (left + int(side * 0.84), centre[1] + side // 10),
            (30.0, 30.0, 200.0),
            -1,
        )
    letter = max(8, int((height - top - side) * 0.32))
    textures.thai_like_line(board, int(width * 0.14), int(height * 0.9), letter, 4, rng, textures.WHITE)


@functools.cache
def board(overhead: bool, variant: int) -> tuple[Model, float, float]:
    """One of `VARIANTS` boards with its lower edge at z = 0 and its width and height in metres.

    A board is built once a process: lettering is the dearest part of a scene, and places are tried one after another.
    """
    rng = np.random.default_rng([int(overhead), variant])
    width_m, height_m = random_board_size(rng, overhead)
    mesh = MeshBuilder()
    texture, ground = board_texture(rng, width_m, height_m, overhead)
    w, h = width_m / 2, height_m
    mesh.quad([(-w, 0, 0), (w, 0, 0), (w, 0, h), (-w, 0, h)], ground, finish=RETROREFLECTIVE, texture=texture)
    mesh.quad([(w, 0.05, 0), (-w, 0.05, 0), (-w, 0.05, h), (w, 0.05, h)], _BACK)
    mesh.quad([(-w, 0.05, h), (-w, 0, h), (w, 0, h), (w, 0.05, h)], _BACK, both_sides=True)
    return mesh.build(), width_m, height_m


def build_posts(width_m: float, lower_edge_m: float, height_m: float) -> Model:
    """Two steel posts behind a roadside board (one if it is narrow)."""
    mesh = MeshBuilder()
    offsets = [0.0] if width_m < 1.6 else [-width_m * 0.32, width_m * 0.32]
    for x in offsets:
        mesh.box((x, 0.14), (0.11, 0.11), -0.3, lower_edge_m + height_m * 0.9, STEEL)
    return mesh.build()


def build_gantry(left_m: float, right_m: float, beam_height_m: float, cantilever: bool) -> Model:
    """Legs and lattice beam that carry overhead boards; x runs across the road.

    Args:
        left_m: position of the left leg, or of the beam's free end.
        right_m: position of the right leg.
        beam_height_m: height of the beam's lower chord.
        cantilever: only the leg that is farther from x = 0 exists.
    """
    mesh = MeshBuilder()
    legs = [max((left_m, right_m), key=abs)] if cantilever else [left_m, right_m]
    top = beam_height_m + 1.1
    for x in legs:
        mesh.column(x, 0.35, -0.3, top, 0.2, STEEL)
    mesh.next_part()
    for z in (beam_height_m, top):
        mesh.beam((left_m, 0.35, z), (right_m, 0.35, z), 0.16, STEEL)
    count = max(2, round((right_m - left_m) / 2.2))
    xs = np.linspace(left_m, right_m, count + 1)
    for k, (a, b) in enumerate(pairwise(xs)):
        low, high = (beam_height_m, top) if k % 2 == 0 else (top, beam_height_m)
        mesh.beam((a, 0.35, low), (b, 0.35, high), 0.09, STEEL)
    return mesh.build()
