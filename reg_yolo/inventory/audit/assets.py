"""The inventory that is audited: its assets, and which of two opposite passes saw each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import DataError
from reg_yolo.inventory.classes import LINE
from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.diff.known import NO_ASSETS
from reg_yolo.inventory.outputs.vector import import_pyogrio

GEOJSON, GEOPACKAGE = (".geojson", ".json"), (".gpkg",)
NEEDED = ("asset_id", "class")


@dataclass(frozen=True)
class Listed:
    """An asset that the inventory lists.

    Attributes:
        asset_id: Its name.
        class_name: Its class.
        shape: Point or line in longitude and latitude.
        kind: `point`, `line` or `span`.
        chainage: As text; "" without a route.
        side: Of the road; "" where not stated.
        passes: How many drives saw it; None where not stated.
        camera_deg: Longitude and latitude of the camera that saw it best; None where not stated.
        facing_deg: Where a sign looks; None where not stated.
        length_m: Of a line; None where not stated.
    """

    asset_id: str
    class_name: str
    shape: Any
    kind: str
    chainage: str = ""
    side: str = ""
    passes: int | None = None
    camera_deg: tuple[float, float] | None = None
    facing_deg: float | None = None
    length_m: float | None = None

    @property
    def is_line(self) -> bool:
        """Whether it is long, such as a guardrail."""
        return self.kind == LINE

    @property
    def place_deg(self) -> tuple[float, float]:
        """Longitude and latitude of its middle."""
        points = shapely.get_coordinates(self.shape)
        middle = (points[0] + points[-1]) / 2
        return float(middle[0]), float(middle[1])


def read_assets(path: Path) -> list[Listed]:
    """Read the assets of inventory.gpkg or inventory.geojson.

    Raises:
        DataError: If it cannot be read, has no asset, or two of one id.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path} cannot be read: no such file")
    if suffix in GEOJSON:
        rows = _geojson(path)
    elif suffix in GEOPACKAGE:
        rows = _geopackage(path)
    else:
        raise DataError(f"{path}: expected an inventory as .gpkg or .geojson")
    if not rows:
        raise DataError(f"{path}: no asset in it, nothing to audit")
    for name in NEEDED:
        if not all(_text(values.get(name)) for _, values in rows):
            some = sorted({key for _, values in rows for key in values})
            message = f"{path}: not every asset has a {name}; audit inventory.geojson, which keeps its own columns"
            raise DataError(with_hint(message, did_you_mean(name, [key for key in some if key != name])))
    assets = [_asset(shape, values) for shape, values in rows]
    seen: set[str] = set()
    for asset in assets:
        if asset.asset_id in seen:
            raise DataError(f"{path}: asset_id {asset.asset_id} is there twice")
        seen.add(asset.asset_id)
    return assets


def _geojson(path: Path) -> list[tuple[Any, Mapping[str, Any]]]:
    try:
        features = list(json.loads(path.read_text(encoding="utf-8-sig"))["features"])
        rows = []
        for feature in features:
            own = dict(feature.get("properties") or {})
            own.setdefault("asset_id", feature.get("id"))
            rows.append((shapely.from_geojson(json.dumps(feature.get("geometry")), on_invalid="ignore"), own))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path} is not GeoJSON: expected a FeatureCollection") from None
    return _placed(path, rows)


def _geopackage(path: Path) -> list[tuple[Any, Mapping[str, Any]]]:
    pyogrio = import_pyogrio()
    rows: list[tuple[Any, Mapping[str, Any]]] = []
    try:
        names = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        tables = [(name, pyogrio.raw.read(path, layer=name)) for name in names if name not in NO_ASSETS]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    for name, (meta, _, shapes, data) in tables:
        if shapes is None or not len(shapes):
            continue
        if not meta["crs"]:
            raise DataError(f"{path}: layer {name} states no coordinate reference system")
        convert = conversion(meta["crs"], WGS84, str(path))
        fields = [str(field) for field in meta["fields"]]
        for n, shape in enumerate(shapely.transform(shapely.from_wkb(shapes), convert)):
            rows.append((shape, {key: column[n] for key, column in zip(fields, data, strict=True)}))
    return _placed(path, rows)


def _placed(path: Path, rows: Sequence[tuple[Any, Mapping[str, Any]]]) -> list[tuple[Any, Mapping[str, Any]]]:
    for number, (shape, _) in enumerate(rows, start=1):
        if shape is None or shape.is_empty:
            raise DataError(f"{path}: feature {number} has no geometry")
        points = shapely.get_coordinates(shape)
        if not np.isfinite(points).all() or (np.abs(points) > (180, 90)).any():
            raise DataError(f"{path}: feature {number} has coordinates outside of 180 and 90 degrees")
    return list(rows)


def _asset(shape: Any, values: Mapping[str, Any]) -> Listed:
    passes = _number(values.get("passes"))
    camera = tuple(_number(values.get(key)) for key in ("camera_longitude", "camera_latitude"))
    is_line = shapely.get_num_coordinates(shape) > 1
    return Listed(
        _text(values["asset_id"]),
        _text(values["class"]),
        shape,
        _text(values.get("geometry_kind")) or ("line" if is_line else "point"),
        _text(values.get("chainage")),
        _text(values.get("side")),
        None if passes is None else int(passes),
        None if camera[0] is None or camera[1] is None else (camera[0], camera[1]),
        _number(values.get("facing_deg")),
        _number(values.get("length_m")),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
