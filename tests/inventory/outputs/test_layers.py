"""What the files of an inventory hold, read back with other libraries' eyes."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.outputs.exchange import check_formats, write_filegdb, write_shapefiles
from reg_yolo.inventory.outputs.fields import FieldMapping, read_fields
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.text import write_csv, write_geojson
from tests.inventory.samples import sample_inventory

LAYERS = {"points": 4, "lines": 1, "spans": 1, "drive": 1, "surveyed_stretches": 1, "unlocated": 1, "not_static": 0}


def read(path: Path, layer: str) -> tuple[str | None, list[object], dict[str, list[object]]]:
    """Return a layer's system, geometries and columns."""
    meta, _, shapes, data = pyogrio.raw.read(path, layer=layer)
    geometries = [] if shapes is None else shapely.from_wkb(shapes).tolist()
    return meta["crs"], geometries, dict(zip(meta["fields"].tolist(), [one.tolist() for one in data], strict=True))


def test_the_geopackage_says_where_frames_looked_and_what_has_no_place(tmp_path: Path) -> None:
    path = tmp_path / "inventory.gpkg"
    write_geopackage(path, sample_inventory(), "EPSG:4326")
    assert {str(name): len(read(path, str(name))[2].popitem()[1]) for name, _ in pyogrio.list_layers(path)} == {
        **LAYERS, "layer_styles": 6
    }  # fmt: skip
    _, lines, columns = read(path, "surveyed_stretches")
    assert shapely.get_coordinates(lines[0])[:, 0] == pytest.approx(
        [102 - 450 / 107_988, 102 + 450 / 107_988], abs=1e-5
    )
    assert columns["length_m"] == [900.0]
    assert columns["first_seen"] == ["2024-05-01T03:00:00.000Z"]
    assert (columns["hfov_deg"], columns["range_m"]) == ([60.0], [40.0])
    crs, shapes, columns = read(path, "unlocated")
    assert (crs, shapes) == (None, [])
    assert columns["class"] == ["pole"]
    assert columns["box_px"] == ["1 2 30 40"]
    assert columns["last_longitude"] == [pytest.approx(102 + 450 / 107_988, abs=1e-5)]


def test_an_empty_inventory_has_all_layers(tmp_path: Path) -> None:
    inventory = sample_inventory()
    for some in (inventory.assets, inventory.ways, inventory.stretches, inventory.unlocated):
        some.clear()
    write_geopackage(tmp_path / "inventory.gpkg", inventory, "EPSG:32647")
    assert set(LAYERS) <= {str(name) for name, _ in pyogrio.list_layers(tmp_path / "inventory.gpkg")}


@pytest.mark.parametrize("zone", [47, 48])
def test_a_road_over_a_zone_border_is_whole_in_either_zone(tmp_path: Path, zone: int) -> None:
    inventory = sample_inventory(102.0, 14.0)
    write_geopackage(tmp_path / "inventory.gpkg", inventory, f"EPSG:326{zone}")
    write_geojson(tmp_path / "inventory.geojson", inventory)
    _, shapes, columns = read(tmp_path / "inventory.gpkg", "points")
    degrees = shapely.get_coordinates(shapes)
    back = pyproj.Transformer.from_crs(f"EPSG:326{zone}", "EPSG:4326", always_xy=True)
    places = dict(zip(columns["asset_id"], np.stack(back.transform(*degrees.T), 1).tolist(), strict=True))
    features = json.loads((tmp_path / "inventory.geojson").read_text(encoding="utf-8"))["features"]
    sides = set()
    for feature in features[:4]:
        longitude, latitude = feature["geometry"]["coordinates"]
        assert places[feature["id"]] == pytest.approx([longitude, latitude], abs=2e-7)
        sides.add(longitude > 102)
    assert sides == {True, False}
    # 800 m on the ground, 0.3 per mille more on the grid this far from its meridian.
    assert abs(degrees[:, 0].max() - degrees[:, 0].min()) == pytest.approx(800, rel=2e-3)


def test_indian_1975_is_written_where_it_lies(tmp_path: Path) -> None:
    write_geopackage(tmp_path / "old.gpkg", sample_inventory(101.0), "EPSG:24047")
    write_geopackage(tmp_path / "new.gpkg", sample_inventory(101.0), "EPSG:32647")
    old, new = (shapely.get_coordinates(read(tmp_path / name, "points")[1]) for name in ("old.gpkg", "new.gpkg"))
    assert np.linalg.norm(old - new, axis=1) == pytest.approx(452, abs=6)


def test_an_agencys_columns(tmp_path: Path) -> None:
    path = tmp_path / "fields.yaml"
    path.write_text("columns:\n  class: ประเภท\n  asset_id:\n  observations: LOOKS\nothers: drop\n", encoding="utf-8")
    mapping = read_fields(path)
    inventory = sample_inventory()
    write_geopackage(tmp_path / "inventory.gpkg", inventory, "EPSG:4326", mapping)
    columns = read(tmp_path / "inventory.gpkg", "points")[2]
    assert list(columns) == ["ประเภท", "asset_id", "LOOKS"]
    assert columns["LOOKS"] == [4, 4, 4, 4]
    write_csv(tmp_path / "inventory.csv", inventory, mapping)
    rows = list(csv.reader((tmp_path / "inventory.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert rows[0] == ["ประเภท", "asset_id", "LOOKS", "longitude", "latitude"]
    assert rows[1][:3] == ["ป้าย", "ป้าย--400", "4"]


def test_a_spreadsheet_runs_no_text_of_others(tmp_path: Path) -> None:
    inventory = sample_inventory()
    inventory.assets[0].values |= {"reviewed_by": "=HYPERLINK(1)", "offset_m": -2.5}
    write_csv(tmp_path / "inventory.csv", inventory)
    [row, *_] = csv.DictReader((tmp_path / "inventory.csv").read_text(encoding="utf-8-sig").splitlines())
    assert (row["reviewed_by"], row["offset_m"]) == ("'=HYPERLINK(1)", "-2.5")


def test_columns_that_are_not_named_follow_or_are_dropped() -> None:
    kept = FieldMapping({"side": "SIDE"}).written(COLUMNS)
    assert list(kept)[:2] == ["side", "asset_id"]
    assert set(kept) == set(COLUMNS)
    assert FieldMapping({"side": "SIDE"}, keep_others=False).written(COLUMNS) == {"side": "SIDE"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {probabilty: P}", "no column 'probabilty'. Did you mean probability"),
        ("columns: {side: A, route: a}", "side and route would both be called a"),
        ("columns: {side: class}", "class and side|side and class would both be called class"),
        ("columns: {side: FID}", "the name FID is taken"),
        ("columns: {side: 3}", "expected a name, got 3"),
        ("columns: {side: S}\nother: drop", "unknown key 'other'; expected columns and others. Did you mean others"),
        ("columns: {side: S}\nothers: none", "others must be keep or drop"),
        ("columns: [side]", "expected columns: with COLUMN: NEW_NAME"),
        ("columns: {", "not valid YAML"),
    ],
)
def test_a_wrong_mapping_gets_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "fields.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        read_fields(path)
    assert "\n" not in str(error.value)


def test_shapefiles_say_what_their_names_became(tmp_path: Path) -> None:
    folder = tmp_path / "shapefile"
    said = write_shapefiles(folder, sample_inventory(), "EPSG:32648")
    assert {path.stem for path in folder.glob("*.dbf")} == set(LAYERS)
    assert {path.stem for path in folder.glob("*.shp")} == set(LAYERS) - {"unlocated"}
    listed = list(csv.DictReader((folder / "columns.csv").read_text(encoding="utf-8-sig").splitlines()))
    names = {row["column"]: row["column in the Shapefile"] for row in listed if row["layer"] == "points"}
    assert (names["camera_longitude"], names["camera_latitude"]) == ("camera_lon", "camera_lat")
    assert (names["chainage"], names["chainage_m"]) == ("chainage", "chainage_m")
    assert (names["sigma_along_m"], names["sigma_across_m"]) == ("sigma_alon", "sigma_acro")
    crs, shapes, columns = read(folder / "points.shp", "points")
    assert list(columns) == list(names.values())
    assert crs == "EPSG:32648"
    assert columns["class"] == ["ป้าย"] * 4
    assert len(shapes) == 4
    votes = str(read(folder / "spans.shp", "spans")[2]["class_vote"][0])
    assert votes.startswith("bridge 3.2, ป้าย 0.1")
    assert 245 < len(votes.encode()) <= 254
    assert said[1] == "Shapefile: 1 texts cut to 254 bytes"
    assert said[0].endswith("cut to 10 characters, listed in columns.csv")


def test_names_that_are_cut_to_the_same_are_numbered(tmp_path: Path) -> None:
    mapping = FieldMapping({"height_m": "measured_height", "width_m": "measured_height_b"}, keep_others=False)
    write_shapefiles(tmp_path / "shapefile", sample_inventory(), "EPSG:4326", mapping)
    assert list(read(tmp_path / "shapefile" / "points.shp", "points")[2]) == ["measured_h", "measured_1"]


def test_a_filegdb_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "inventory.gdb"
    inventory = sample_inventory()
    write_filegdb(path, inventory, "EPSG:32648")
    del inventory.assets[0]
    write_filegdb(path, inventory, "EPSG:32648")
    assert {str(name) for name, _ in pyogrio.list_layers(path)} == set(LAYERS)
    columns = read(path, "points")[2]
    assert columns["class"] == ["ป้าย"] * 3
    assert list(columns) == list(COLUMNS)
    assert [one.name for one in tmp_path.iterdir()] == ["inventory.gdb"]


def test_a_file_in_the_way_of_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "inventory.gdb").write_text("mine")
    with pytest.raises(DataError, match="a file of this name is there"):
        write_filegdb(tmp_path / "inventory.gdb", sample_inventory(), "EPSG:4326")
    assert (tmp_path / "inventory.gdb").read_text() == "mine"


def test_a_format_that_cannot_be_written_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    check_formats(["shapefile"])
    with pytest.raises(ConfigError, match="expected shapefile or filegdb, got 'dxf'"):
        check_formats(["dxf"])
    monkeypatch.setattr(pyogrio, "list_drivers", lambda: {"OpenFileGDB": "r", "ESRI Shapefile": "raw"})
    with pytest.raises(
        ConfigError, match=r"--format filegdb: the installed GDAL \d+\.\d+\.\d+ cannot write OpenFileGDB"
    ):
        check_formats(["shapefile", "filegdb"])


def test_the_styles_belong_to_the_layers_that_are_drawn(tmp_path: Path) -> None:
    write_geopackage(tmp_path / "inventory.gpkg", sample_inventory(), "EPSG:4326")
    with sqlite3.connect(tmp_path / "inventory.gpkg") as connection:
        names = {name for (name,) in connection.execute("SELECT f_table_name FROM layer_styles")}
    assert names == set(LAYERS) - {"unlocated"}
