"""The QGIS project: well-formed, with layers that the GeoPackage has, and paths that move with the folder."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pyogrio
import pytest

from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.project import write_project
from tests.inventory.samples import sample_inventory


def test_every_layer_of_the_project_is_one_of_the_geopackage(tmp_path: Path) -> None:
    inventory = sample_inventory()
    inventory.assets[0].values["thumbnail"] = "thumbnails/a b.jpg"
    mapping = FieldMapping({"thumbnail": 'PHOTO "1" <&>'}, keep_others=True)
    write_geopackage(tmp_path / "inventory.gpkg", inventory, "EPSG:32647", mapping)
    write_project(tmp_path / "inventory.qgs", inventory, "EPSG:32647", mapping)
    text = (tmp_path / "inventory.qgs").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE qgis PUBLIC")
    root = ElementTree.fromstring(text)
    stored = {str(name): geometry for name, geometry in pyogrio.list_layers(tmp_path / "inventory.gpkg")}
    layers = {one.findtext("id"): one for one in root.findall("projectlayers/maplayer")}
    assert set(layers) == set(stored) - {"layer_styles"}
    order = [one.get("id") for one in root.findall("layerorder/layer")]
    assert [one.get("id") for one in root.iter("layer-tree-layer")] == order
    assert order[:3] == ["points", "spans", "lines"]
    for name, layer in layers.items():
        file, _, part = str(layer.findtext("datasource")).partition("|layername=")
        assert (file, part) == ("./inventory.gpkg", name)
        kind = {"Point": "Point", "LineString": "Line", None: "No geometry"}[stored[part]]
        assert layer.get("geometry") == kind
        assert (layer.find("renderer-v2") is not None) == (kind != "No geometry")
        if kind != "No geometry":
            assert layer.findtext("srs/spatialrefsys/authid") == "EPSG:32647"
    assert root.findtext("properties/Paths/Absolute") == "false"
    # The form shows the photo, by the name that the column has in the file.
    field = layers["points"].find("fieldConfiguration/field")
    assert field is not None and field.get("name") == 'PHOTO "1" <&>'
    assert field.find("editWidget").get("type") == "ExternalResource"  # type: ignore[union-attr]
    assert str(tmp_path) not in text
    west, south, east, north = (float(one.text) for one in root.find("mapcanvas/extent"))  # type: ignore[union-attr,arg-type]
    box = pyogrio.read_bounds(tmp_path / "inventory.gpkg", layer="points")[1]
    assert west <= box[0].min() < box[2].max() <= east and south <= box[1].min() <= box[3].max() <= north
    assert east - west == pytest.approx(900, abs=60)


def test_an_empty_inventory_has_a_project(tmp_path: Path) -> None:
    inventory = sample_inventory()
    for some in (inventory.assets, inventory.ways, inventory.stretches, inventory.unlocated):
        some.clear()
    write_project(tmp_path / "inventory.qgs", inventory, "EPSG:4326")
    root = ElementTree.fromstring((tmp_path / "inventory.qgs").read_text(encoding="utf-8"))
    assert json.loads(root.findtext("mapcanvas/extent/xmax") or "0") == 180.0
    assert root.findtext("mapcanvas/units") == "degrees"
