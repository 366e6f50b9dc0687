"""Models out of quadrilaterals and foliage blobs, in metres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Colour = tuple[float, float, float]
"""Blue, green, red from 0 to 255, as it looks under full white light."""

MATT, RETROREFLECTIVE, LUMINOUS, TAIL_LIGHT = 0, 1, 2, 3
"""How a face answers light: scatters it, sends headlights back, shines except by day, always shines."""

_BOX_FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7), (3, 2, 1, 0))


@dataclass(eq=False)
class Model:
    """One object in its own axes: x right, y away from its viewer, z up; the front looks towards negative y.

    Faces are quadrilaterals (a triangle repeats a corner), counter-clockwise seen from outside. A part is the unit of
    depth sorting: small enough that one distance orders it against its neighbours.

    Args:
        vertices: `[N, 3]` metres.
        faces: `[M, 4]` indices.
        colours: `[M, 3]` BGR.
        finish: `[M]` one of MATT, RETROREFLECTIVE, LUMINOUS, TAIL_LIGHT.
        face_part: `[M]` part of each face.
        face_layer: `[M]` within a part, a higher layer is painted over a lower one whatever the depth.
        textures: image (BGR, uint8) by face; its upper left corner is the face's fourth vertex.
        blob_centres: `[K, 3]` metres.
        blob_radii: `[K]` metres.
        blob_colours: `[K, 3]` BGR.
        blob_part: `[K]` part of each blob.
    """

    vertices: FloatArray
    faces: NDArray[np.int64]
    colours: FloatArray
    finish: NDArray[np.int64]
    face_part: NDArray[np.int64]
    face_layer: NDArray[np.int64]
    textures: dict[int, NDArray[np.uint8]]
    blob_centres: FloatArray
    blob_radii: FloatArray
    blob_colours: FloatArray
    blob_part: NDArray[np.int64]


@dataclass
class MeshBuilder:
    """Collects faces and blobs of one model.

    `layer` is given to every face added after it is set: windows lie over their wall, a cabin over the bonnet.
    """

    _vertices: list[Sequence[float]] = field(default_factory=list)
    _faces: list[tuple[int, int, int, int]] = field(default_factory=list)
    _colours: list[Colour] = field(default_factory=list)
    _finish: list[int] = field(default_factory=list)
    _face_part: list[int] = field(default_factory=list)
    _textures: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    _face_layer: list[int] = field(default_factory=list)
    layer: int = 0
    _blobs: list[tuple[float, float, float, float, Colour, int]] = field(default_factory=list)
    _part: int = 0

    def next_part(self) -> None:
        """Everything added from now on is sorted by depth on its own."""
        self._part += 1

    def quad(
        self,
        corners: Sequence[Sequence[float]],
        colour: Colour,
        *,
        finish: int = MATT,
        texture: NDArray[np.uint8] | None = None,
        both_sides: bool = False,
    ) -> None:
        """Add a face of three or four corners, counter-clockwise seen from its visible side."""
        start = len(self._vertices)
        self._vertices.extend(corners)
        last = start + len(corners) - 1
        self._add((start, start + 1, start + 2, last), colour, finish)
        if texture is not None:
            self._textures[len(self._faces) - 1] = texture
        if both_sides:
            self._add((last, start + 2, start + 1, start), colour, finish)

    def box(
        self,
        centre: tuple[float, float],
        size: tuple[float, float],
        z0: float,
        z1: float,
        colour: Colour,
        *,
        top: tuple[float, float] | None = None,
        top_shift: tuple[float, float] = (0.0, 0.0),
        top_colour: Colour | None = None,
        finish: int = MATT,
    ) -> None:
        """Add an upright box, or a frustum if `top` gives another size for its upper end; the bottom is left open."""
        (x, y), (w, d) = centre, size
        tw, td = top or size
        tx, ty = x + top_shift[0], y + top_shift[1]
        start = len(self._vertices)
        for cx, cy, half_w, half_d, z in ((x, y, w / 2, d / 2, z0), (tx, ty, tw / 2, td / 2, z1)):
            corners = ((-half_w, -half_d), (half_w, -half_d), (half_w, half_d), (-half_w, half_d))
            self._vertices.extend((cx + dx, cy + dy, z) for dx, dy in corners)
        for index, face in enumerate(_BOX_FACES if z0 > 0.3 else _BOX_FACES[:5]):
            shade = top_colour if index == 4 and top_colour is not None else colour
            self._add((start + face[0], start + face[1], start + face[2], start + face[3]), shade, finish)

    def column(
        self,
        x: float,
        y: float,
        z0: float,
        z1: float,
        radius: float,
        colour: Colour,
        *,
        top_radius: float | None = None,
    ) -> None:
        """Add an upright round shaft with six sides."""
        r1 = radius if top_radius is None else top_radius
        start = len(self._vertices)
        angles = [math.pi / 3 * k for k in range(6)]
        self._vertices.extend((x + radius * math.cos(a), y + radius * math.sin(a), z0) for a in angles)
        self._vertices.extend((x + r1 * math.cos(a), y + r1 * math.sin(a), z1) for a in angles)
        for k in range(6):
            n = (k + 1) % 6
            self._add((start + k, start + n, start + 6 + n, start + 6 + k), colour, MATT)

    def beam(self, a: Sequence[float], b: Sequence[float], width: float, colour: Colour, *, finish: int = MATT) -> None:
        """Add a bar of square section from point a to point b."""
        start, end = np.asarray(a, float), np.asarray(b, float)
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
        helper = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
        u = np.cross(along, helper)
        u *= width / 2 / np.linalg.norm(u)
        v = np.cross(u, along)
        first = len(self._vertices)
        for end_point in (start, end):
            self._vertices.extend((end_point + p * u + q * v).tolist() for p, q in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
        for f in ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7), (3, 2, 1, 0)):
            self._add((first + f[3], first + f[2], first + f[1], first + f[0]), colour, finish)

    def blob(self, x: float, y: float, z: float, radius: float, colour: Colour) -> None:
        """Add a clump of leaves: a ragged disc that always faces the camera."""
        self._blobs.append((x, y, z, radius, colour, self._part))

    def build(self) -> Model:
        """Turn what was added into arrays."""
        return Model(
            np.asarray(self._vertices, float).reshape(-1, 3),
            np.asarray(self._faces, np.int64).reshape(-1, 4),
            np.asarray(self._colours, float).reshape(-1, 3),
            np.asarray(self._finish, np.int64),
            np.asarray(self._face_part, np.int64),
            np.asarray(self._face_layer, np.int64),
            dict(self._textures),
            np.asarray([b[:3] for b in self._blobs], float).reshape(-1, 3),
            np.asarray([b[3] for b in self._blobs], float),
            np.asarray([b[4] for b in self._blobs], float).reshape(-1, 3),
            np.asarray([b[5] for b in self._blobs], np.int64),
        )

    def _add(self, face: tuple[int, int, int, int], colour: Colour, finish: int) -> None:
        self._faces.append(face)
        self._colours.append(colour)
        self._finish.append(finish)
        self._face_part.append(self._part)
        self._face_layer.append(self.layer)


def tint(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor under 1) or lighter, within 0 to 255."""
    b, g, r = (min(max(c * factor, 0.0), 255.0) for c in colour)
    return (b, g, r)
