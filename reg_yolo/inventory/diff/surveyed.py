"""Whether any frame of a survey looked at a place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reg_yolo.errors import DataError
from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.diff.known import Known
from reg_yolo.inventory.outputs.vector import import_pyogrio
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

LAYER = "surveyed_stretches"
_STEP_M = 2.0


@dataclass(frozen=True)
class Survey:
    """Stretches along which frames looked, S of them.

    Attributes:
        lines: Longitude and latitude, shape (N, 2) each, in the order of driving.
        hfov_deg, yaw_deg, range_m: What the camera saw, shape (S,).
    """

    lines: tuple[FloatArray, ...]
    hfov_deg: FloatArray
    yaw_deg: FloatArray
    range_m: FloatArray

    def looked_at(self, places: Sequence[Known]) -> NDArray[np.bool_]:
        """Return for each asset whether it lay before a camera, within its range and field of view.

        A sign that states where it faces must face the camera.
        """
        if not places or not self.lines:
            return np.zeros(len(places), np.bool_)
        degrees = np.array([[one.longitude_deg, one.latitude_deg] for one in places])
        projection = LocalProjection.around(*degrees.T)
        views, headings, owners = self._views(projection)
        tree, metres = cKDTree(views), projection.to_metres(*degrees.T)
        seen = np.zeros(len(places), np.bool_)
        for n, (one, near) in enumerate(
            zip(places, tree.query_ball_point(metres, float(self.range_m.max())), strict=True)
        ):
            rows = np.array(near, np.int64)
            away = metres[n] - views[rows]
            bearing = np.degrees(np.arctan2(away[:, 0], away[:, 1]))
            ahead = _turn(bearing - headings[rows] - self.yaw_deg[owners[rows]])
            good = (np.abs(ahead) <= self.hfov_deg[owners[rows]] / 2) & (
                np.linalg.norm(away, axis=1) <= self.range_m[owners[rows]]
            )
            if one.facing_deg is not None:
                good &= np.abs(_turn(bearing - one.facing_deg)) > 90
            seen[n] = good.any()
        return seen

    def _views(self, projection: LocalProjection) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """Return places every two metres, the way's heading there in degrees, and the stretch of each."""
        points, headings, owners = [], [], []
        for number, line in enumerate(self.lines):
            metres = projection.to_metres(line[:, 0], line[:, 1])
            for start, end in itertools.pairwise(metres):
                step = end - start
                count = max(int(np.ceil(np.linalg.norm(step) / _STEP_M)), 1)
                points.append(start + step * np.linspace(0, 1, count + 1)[:, None])
                headings.append(np.full(count + 1, math.degrees(math.atan2(step[0], step[1]))))
                owners.append(np.full(count + 1, number))
        return np.concatenate(points), np.concatenate(headings), np.concatenate(owners)


def read_survey(path: Path) -> Survey | None:
    """Read the layer `surveyed_stretches` of an inventory; None where the file has none.

    Raises:
        DataError: If it cannot be read.
    """
    if path.suffix.lower() not in (".gpkg", ".gdb"):
        return None
    pyogrio = import_pyogrio()
    try:
        if LAYER not in [str(name) for name, _ in pyogrio.list_layers(path)]:
            return None
        meta, _, shapes, data = pyogrio.raw.read(path, layer=LAYER, columns=["hfov_deg", "yaw_deg", "range_m"])
    except pyogrio.errors.DataSourceError as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    columns = dict(zip([str(name) for name in meta["fields"]], data, strict=True))
    if len(columns) < 3 or not meta["crs"]:
        raise DataError(f"{path}: layer {LAYER}: expected columns hfov_deg, yaw_deg, range_m and a reference system")
    convert = conversion(meta["crs"], WGS84, str(path))
    lines = tuple(
        convert(shapely.get_coordinates(part))
        for shape in shapely.from_wkb(shapes)
        for part in shapely.get_parts(shape)
    )
    if len(lines) != len(shapes):
        raise DataError(f"{path}: layer {LAYER}: expected single lines")
    return Survey(lines, *(np.asarray(columns[key], np.float64) for key in ("hfov_deg", "yaw_deg", "range_m")))


def _turn(degrees: FloatArray) -> FloatArray:
    """Return an angle between -180 and 180."""
    return np.asarray((degrees + 180) % 360 - 180)
