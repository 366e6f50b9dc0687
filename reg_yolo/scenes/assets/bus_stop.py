"""Bus stops: a shelter of steel and glass with a flat or curved roof, advertising, a bench and a stop sign."""

from __future__ import annotations

import cv2
import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.world.mesh import RETROREFLECTIVE, Colour, MeshBuilder, Model, tint

_FRAMES: tuple[Colour, ...] = ((175.0, 100.0, 25.0), (190.0, 120.0, 40.0), (160.0, 85.0, 30.0), (150.0, 152.0, 155.0))
_GLASS: Colour = (185.0, 190.0, 170.0)


def build_bus_stop(rng: np.random.Generator) -> tuple[Model, dict[str, float]]:
    """A bus stop whose open front looks towards negative y; returns the model and its measures in metres."""
    mesh = MeshBuilder()
    width, depth, height = float(rng.uniform(3.6, 5.6)), float(rng.uniform(1.4, 1.9)), float(rng.uniform(2.4, 2.75))
    frame = _FRAMES[int(rng.integers(len(_FRAMES)))]
    mesh.box((0, 0), (width + 0.5, depth + 0.5), -0.3, 0.18, (165.0, 168.0, 170.0))
    y_back = depth / 2 - 0.05
    for x in np.linspace(-width / 2 + 0.1, width / 2 - 0.1, 3):
        mesh.box((float(x), y_back), (0.1, 0.1), 0.18, height, frame)
    for x in (-width / 2 + 0.1, width / 2 - 0.1):
        mesh.box((x, -depth / 2 + 0.1), (0.09, 0.09), 0.18, height, frame)
    w = width / 2 - 0.15
    split = float(rng.uniform(-0.2, 0.35)) * width
    poster = textures.advertising(rng)
    mesh.quad(
        [(-w, y_back, 0.55), (split, y_back, 0.55), (split, y_back, 2.0), (-w, y_back, 2.0)],
        (200.0, 200.0, 200.0),
        texture=poster,
    )
    mesh.quad([(split + 0.1, y_back, 0.45), (w, y_back, 0.45), (w, y_back, 2.1), (split + 0.1, y_back, 2.1)], _GLASS)
    mesh.quad(
        [(w, y_back + 0.02, 0.45), (-w, y_back + 0.02, 0.45), (-w, y_back + 0.02, 2.1), (w, y_back + 0.02, 2.1)],
        tint(_GLASS, 0.9),
    )
    for x in (-width / 2 + 0.06, width / 2 - 0.06):
        side = [(x, -depth / 2 + 0.3, 0.5), (x, y_back, 0.5), (x, y_back, 2.0), (x, -depth / 2 + 0.3, 2.0)]
        mesh.quad(side, textures_mean(poster) if rng.random() < 0.5 else _GLASS, both_sides=True)
    mesh.box((0, y_back - 0.35), (width * 0.8, 0.38), 0.55, 0.62, (120.0, 122.0, 125.0))
    for x in (-width * 0.35, width * 0.35):
        mesh.box((x, y_back - 0.35), (0.06, 0.3), 0.18, 0.55, frame)
    mesh.next_part()
    _roof(mesh, width, depth, height, frame, curved=bool(rng.random() < 0.45))
    mesh.next_part()
    mesh.layer = 0
    _stop_sign(mesh, width / 2 + 0.75, -depth / 2, float(rng.uniform(2.5, 2.9)))
    return mesh.build(), {"width_m": width, "depth_m": depth, "height_m": height + 0.3}


def textures_mean(texture: textures.Texture) -> Colour:
    """Mean colour of a texture."""
    b, g, r = (float(c) for c in texture.reshape(-1, 3).mean(axis=0))
    return (b, g, r)


def _roof(mesh: MeshBuilder, width: float, depth: float, height: float, frame: Colour, *, curved: bool) -> None:
    w, front, back = width / 2 + 0.35, -depth / 2 - 0.35, depth / 2 + 0.15
    if curved:
        ys = np.linspace(front, back, 5)
        rise = 0.42 * np.sin(np.linspace(0.35, np.pi * 0.9, 5))
        for k in range(4):
            a = [(-w, ys[k], height + rise[k]), (w, ys[k], height + rise[k])]
            b = [(w, ys[k + 1], height + rise[k + 1]), (-w, ys[k + 1], height + rise[k + 1])]
            mesh.quad(a + b, tint(frame, 1.15))
            mesh.quad((a + b)[::-1], tint(frame, 0.6))
        band = height + float(rise[0])
    else:
        mesh.box(
            (0, (front + back) / 2), (2 * w, back - front), height, height + 0.16, frame, top_colour=tint(frame, 1.2)
        )
        band = height + 0.16
    mesh.quad(
        [
            (-w, front - 0.01, band - 0.3),
            (w, front - 0.01, band - 0.3),
            (w, front - 0.01, band + 0.05),
            (-w, front - 0.01, band + 0.05),
        ],
        frame,
        both_sides=True,
    )
    mesh.layer = 1
    letters = [(-w * 0.5, front - 0.03, band - 0.2), (w * 0.5, front - 0.03, band - 0.2)]
    mesh.quad(
        [*letters, (w * 0.5, front - 0.03, band - 0.06), (-w * 0.5, front - 0.03, band - 0.06)], (235.0, 235.0, 235.0)
    )


def _stop_sign(mesh: MeshBuilder, x: float, y: float, height: float) -> None:
    """The blue board with a white bus, square to the traffic on both sides."""
    mesh.column(x, y, -0.2, height, 0.05, (160.0, 162.0, 165.0))
    board = textures.canvas(48, 60, textures.BLUE)
    cv2.rectangle(board, (8, 12), (39, 34), textures.WHITE, -1)
    cv2.rectangle(board, (11, 15), (36, 23), textures.BLUE, -1)
    for wheel in (14, 33):
        cv2.circle(board, (wheel, 36), 4, textures.WHITE, -1)
    cv2.rectangle(board, (8, 46), (39, 52), textures.WHITE, -1)
    half, low, high = 0.34, height - 0.85, height
    mesh.layer = 1
    for sign in (-1.0, 1.0):
        px = x + sign * 0.06
        ring = [
            (px, y - sign * half, low),
            (px, y + sign * half, low),
            (px, y + sign * half, high),
            (px, y - sign * half, high),
        ]
        mesh.quad(ring, textures.BLUE, finish=RETROREFLECTIVE, texture=board)
