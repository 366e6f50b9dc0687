"""The QGIS project: well-formed, with layers that the GeoPackage has, and paths that move with the folder."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import pyogrio
import pytest

from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.layers import layers_of
from reg_yolo.inventory.outputs.project import write_project
from reg_yolo.inventory.outputs.styles import style_of
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
    layers = {str(one.findtext("layername")): one for one in root.findall("projectlayers/maplayer")}
    assert set(layers) == set(stored) - {"layer_styles"}
    # QGIS gives a layer whose id has 10 letters or less another one, and the tree, which has the old one, shows none.
    ids = [str(one.findtext("id")) for one in layers.values()]
    assert len(set(ids)) == len(ids) and min(map(len, ids)) > 10
    assert [one.get("id") for one in root.findall("layerorder/layer")] == ids
    assert [one.get("id") for one in root.iter("layer-tree-layer")] == ids
    assert list(layers)[:3] == ["points", "spans", "lines"]
    for name, layer in layers.items():
        file, _, part = str(layer.findtext("datasource")).partition("|layername=")
        assert (file, part) == ("./inventory.gpkg", name)
        kind = {"Point": "Point", "LineString": "Line", None: "No geometry"}[stored[part]]
        assert layer.get("geometry") == kind
        assert (layer.find("renderer-v2") is not None) == (kind != "No geometry")
        if kind != "No geometry":
            assert layer.findtext("srs/spatialrefsys/authid") == "EPSG:32647"
    assert root.findtext("properties/Paths/Absolute") == "false"
    assert root.findtext("properties/SpatialRefSys/ProjectionsEnabled") == "1"
    # The form shows the photo, by the name that the column has in the file.
    field = layers["points"].find("fieldConfiguration/field")
    assert field is not None and field.get("name") == 'PHOTO "1" <&>'
    assert field.find("editWidget").get("type") == "ExternalResource"  # type: ignore[union-attr]
    assert str(tmp_path) not in text
    west, south, east, north = (float(one.text) for one in root.find("mapcanvas/extent"))  # type: ignore[union-attr,arg-type]
    box = pyogrio.read_bounds(tmp_path / "inventory.gpkg", layer="points")[1]
    assert west <= box[0].min() < box[2].max() <= east and south <= box[1].min() <= box[3].max() <= north
    assert east - west == pytest.approx(900, abs=60)


def test_assets_are_drawn_by_class_in_the_colours_of_the_report() -> None:
    inventory = sample_inventory()
    mapping = FieldMapping({"class": 'kind "<&>'}, keep_others=True)
    classes = sorted({asset.class_name for asset in inventory.assets})
    page = resources.files("reg_yolo.inventory.report").joinpath("page.html").read_text("utf-8")
    colours = json.loads(page.partition("const palette = ")[2].partition(";")[0])
    shown = set()
    for layer in layers_of(inventory, mapping)[:3]:
        renderer = ElementTree.fromstring(style_of(layer, inventory.assets)).find("renderer-v2")
        assert renderer is not None and renderer.get("attr") == 'kind "<&>'
        symbols = {one.get("name"): one for one in renderer.findall("symbols/symbol")}
        categories = renderer.findall("categories/category")
        assert [one.get("value") for one in categories] == [*sorted({row["class"] for row in layer.rows}), ""]
        for one in categories[:-1]:
            colour = symbols[one.get("symbol")].find("layer/Option/Option").get("value")  # type: ignore[union-attr]
            red_green_blue = [int(part) for part in str(colour).split(",")[:3]]
            number = classes.index(str(one.get("value")))
            assert "#" + "".join(f"{part:02x}" for part in red_green_blue) == colours[number % len(colours)]
            shown.add(one.get("value"))
    assert shown == set(classes) and len(classes) > 2


def test_an_empty_inventory_has_a_project(tmp_path: Path) -> None:
    inventory = sample_inventory()
    for some in (inventory.assets, inventory.ways, inventory.stretches, inventory.unlocated):
        some.clear()
    write_project(tmp_path / "inventory.qgs", inventory, "EPSG:4326")
    root = ElementTree.fromstring((tmp_path / "inventory.qgs").read_text(encoding="utf-8"))
    assert json.loads(root.findtext("mapcanvas/extent/xmax") or "0") == 180.0
    assert root.findtext("mapcanvas/units") == "degrees"
