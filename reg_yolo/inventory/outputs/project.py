"""`inventory.qgs`: a QGIS project of the layers of `inventory.gpkg` next to it, with their styles and the photo form.

QGIS is not a dependency, so the XML is written here: layer tree, map view and layers in the form that QGIS 3.22
reads, without what it fills in by itself. Paths are relative, so that the folder can be moved as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import shapely

from reg_yolo.files import replace_text
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.datum import parse_crs
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.layers import ASSET_LAYERS, Layer, layers_of
from reg_yolo.inventory.outputs.styles import style_of
from reg_yolo.inventory.outputs.vector import projected

Element = ElementTree.Element

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION = "3.22.16-Białowieża"
_ON_TOP = ("points", "spans", "lines", "not_static", "rejected", "unlocated", "surveyed_stretches", "drive")
"""Layers from the top to the bottom; others follow."""
_HIDDEN = {"not_static", "rejected", "surveyed_stretches"}
_GEOMETRY = {"Point": "Point", "LineString": "Line", None: "No geometry"}


def write_project(path: Path, inventory: Inventory, crs: str, mapping: FieldMapping | None = None) -> None:
    """Write the project of a folder that holds inventory.gpkg.

    Args:
        path: The project's file.
        inventory: What the GeoPackage holds.
        crs: Of the GeoPackage and of the map.
        mapping: Columns of the assets' layers.

    Raises:
        OutputError: If it cannot be written.
    """
    layers = sorted(layers_of(inventory, mapping), key=lambda layer: (_rank(layer.name), layer.name))
    root = Element("qgis", version=_VERSION, projectname="Asset inventory")
    ElementTree.SubElement(root, "homePath", path="")
    _text(root, "title", "Asset inventory")
    ElementTree.SubElement(root, "projectCrs").append(_system(crs))
    tree = ElementTree.SubElement(root, "layer-tree-group")
    for layer in layers:
        shown = "Qt::Unchecked" if layer.name in _HIDDEN else "Qt::Checked"
        ElementTree.SubElement(
            tree, "layer-tree-layer", id=_id(layer), name=layer.name, source=_source(layer), providerKey="ogr",
            checked=shown, expanded=str(int(layer.name in ASSET_LAYERS)),
        )  # fmt: skip
    canvas = ElementTree.SubElement(root, "mapcanvas", name="theMapCanvas", annotationsVisible="1")
    _text(canvas, "units", "degrees" if parse_crs(crs, "--crs").is_geographic else "meters")
    canvas.append(_extent(layers, crs))
    ElementTree.SubElement(canvas, "destinationsrs").append(_system(crs))
    holder = ElementTree.SubElement(root, "projectlayers")
    order = ElementTree.SubElement(root, "layerorder")
    for layer in layers:
        holder.append(_map_layer(layer, crs, inventory.assets))
        ElementTree.SubElement(order, "layer", id=_id(layer))
    properties = ElementTree.SubElement(root, "properties")
    _text(ElementTree.SubElement(properties, "Paths"), "Absolute", "false").set("type", "bool")
    # Without this the system of the project is not read.
    _text(ElementTree.SubElement(properties, "SpatialRefSys"), "ProjectionsEnabled", "1").set("type", "int")
    ElementTree.indent(root, " ")
    replace_text(path, _DOCTYPE + ElementTree.tostring(root, encoding="unicode") + "\n")


def _rank(name: str) -> int:
    return _ON_TOP.index(name) if name in _ON_TOP else len(_ON_TOP)


def _id(layer: Layer) -> str:
    """What the tree calls a layer; QGIS takes one of 10 letters or less for none, and then shows no layer for it."""
    return f"reg_yolo_inventory_{layer.name}"


def _source(layer: Layer) -> str:
    return f"./inventory.gpkg|layername={layer.name}"


def _map_layer(layer: Layer, crs: str, assets: Sequence[Asset]) -> Element:
    made = Element(
        "maplayer", type="vector", geometry=_GEOMETRY[layer.geometry], styleCategories="AllStyleCategories",
        hasScaleBasedVisibilityFlag="0", readOnly="0",
    )  # fmt: skip
    _text(made, "id", _id(layer))
    _text(made, "datasource", _source(layer))
    _text(made, "layername", layer.name)
    if layer.geometry is not None:
        ElementTree.SubElement(made, "srs").append(_system(crs))
    _text(made, "provider", "ogr").set("encoding", "UTF-8")
    if layer.geometry is not None:
        # The default style of the GeoPackage, so that a project and a layer that is added by hand look the same.
        for part in ElementTree.fromstring(style_of(layer, assets)):
            made.append(part)
    return made


def _system(crs: str) -> Element:
    read = parse_crs(crs, "--crs")
    made = Element("spatialrefsys", nativeFormat="Wkt")
    _text(made, "wkt", read.to_wkt())
    code = read.to_authority()
    _text(made, "authid", ":".join(code) if code else "")
    _text(made, "description", read.name)
    _text(made, "geographicflag", "true" if read.is_geographic else "false")
    return made


def _extent(layers: Sequence[Layer], crs: str) -> Element:
    shapes = [
        shape for layer in layers if layer.name in ("drive", "points", "lines", "spans") for shape in layer.shapes
    ]
    bounds = shapely.total_bounds(projected(shapes, crs)) if shapes else np.full(4, np.nan)
    if not np.isfinite(bounds).all():
        bounds = np.array([-180.0, -90.0, 180.0, 90.0])
    made = Element("extent")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), bounds.tolist(), strict=True):
        _text(made, name, repr(value))
    return made


def _text(parent: Element, name: str, text: str) -> Element:
    made = ElementTree.SubElement(parent, name)
    made.text = text
    return made
