"""One layer into one file of a GIS, through pyogrio."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.datum import WGS84, conversion, parse_crs
from reg_yolo.inventory.outputs.layers import Layer

_INTEGERS = {"observations", "passes", "best_frame", "drive", "frames", "first_frame", "last_frame", "frame"}
_TEXTS = {
    "asset_id", "class", "geometry_kind", "first_seen", "last_seen", "route", "chainage", "side", "support_id",
    "source", "method", "class_votes", "chainage_from", "chainage_to", "box_px", "weights_digest", "settings_digest",
    "reviewed_by", "decisions", "thumbnail", "reason", "action", "who", "when", "why", "decision", "read_from",
    "ends_seen", "carriageway", "chainage_also",
}  # fmt: skip


def import_pyogrio() -> Any:
    """Return pyogrio.

    Raises:
        ConfigError: If it is missing.
    """
    try:
        import pyogrio
    except ImportError:
        raise ConfigError('GeoPackage needs pyogrio; install it with pip install "reg-yolo[inventory]"') from None
    return pyogrio


@contextmanager
def new_geopackage(path: Path) -> Iterator[Path]:
    """Yield a name for a GeoPackage that replaces `path` at the end of the block; SQLite's files next to it go.

    Raises:
        DataError: If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part.gpkg")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        for leftover in path.parent.glob(f"{part.name}*"):
            leftover.unlink(missing_ok=True)


def write_layer(
    path: Path,
    layer: Layer,
    crs: str,
    driver: str,
    append: bool = False,
    texts: Collection[str] = (),
    **options: Any,
) -> None:
    """Write or append one layer.

    Args:
        path: The file, or the folder that is one.
        layer: What is written.
        crs: Of the coordinates in the file.
        driver: GDAL's name of the format.
        append: Whether the file has layers already.
        texts: Columns of text, besides those that an inventory has.
        options: GDAL's options of the format.

    Raises:
        ConfigError: If pyogrio is missing or the CRS is not known.
    """
    pyogrio = import_pyogrio()
    parse_crs(crs, "--crs")
    columns: dict[str, list[Any]] = {name: [] for name in layer.columns}
    for row in layer.rows:
        for name, known in columns.items():
            known.append(row.get(name))
    data, masks = [], []
    for name, values in columns.items():
        masks.append(np.array([value is None for value in values], np.bool_))
        data.append(_column(name, values, texts))
    geometry = None
    if layer.geometry is not None:
        geometry = np.array(shapely.to_wkb(np.array(projected(layer.shapes, crs), dtype=object)), dtype=object)
    pyogrio.raw.write(
        str(path),
        geometry,
        data,
        np.array([layer.written.get(name, name) for name in layer.columns], dtype=object),
        field_mask=masks,
        layer=layer.name,
        driver=driver,
        geometry_type=layer.geometry,
        crs=crs if layer.geometry is not None else None,
        append=append,
        **options,
    )


def _column(name: str, values: Sequence[Any], texts: Collection[str]) -> NDArray[Any]:
    if name in _INTEGERS:
        return np.array([0 if value is None else value for value in values], np.int64)
    if name in _TEXTS or name in texts:
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def projected(shapes: list[Any], crs: str) -> list[Any]:
    """Return geometries in degrees in another system."""
    if not shapes or parse_crs(crs, "--crs") == parse_crs(WGS84, "--crs"):
        return shapes
    convert = conversion(WGS84, crs, "--crs")
    return [shapely.transform(shape, convert) for shape in shapes]
