"""Foreign inventories: their columns, their systems, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.datum import conversion
from reg_yolo.inventory.diff.columns import ForeignColumns, read_columns
from reg_yolo.inventory.diff.known import read_known
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.text import write_csv, write_geojson
from tests.inventory.samples import sample_inventory

LIGHTS = ForeignColumns({"longitude": "lon", "latitude": "lat"}, "light", {}, "EPSG:4326")


def geojson(path: Path, crs: object = "none", place: tuple[float, float] = (100.5, 13.7)) -> Path:
    """Write one pole."""
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": place}, "properties": {"class": "pole"}}
    content: dict[str, object] = {"type": "FeatureCollection", "features": [feature]}
    if crs != "none":
        content["crs"] = crs
    path.write_text(json.dumps(content))
    return path


def test_every_file_of_an_inventory_gives_the_same_assets(tmp_path: Path) -> None:
    inventory = sample_inventory()
    inventory.assets[0].values["reviewed_by"] = "สมชาย"
    write_geopackage(tmp_path / "i.gpkg", inventory, "EPSG:32648")
    write_geojson(tmp_path / "i.geojson", inventory)
    write_csv(tmp_path / "i.csv", inventory)
    stated = read_known(tmp_path / "i.geojson")
    assert len(stated) == 6
    assert (stated[0].route, stated[0].side, stated[0].reviewed_by) == ("4-0101", "left", "สมชาย")
    for known in (read_known(tmp_path / "i.gpkg"), read_known(tmp_path / "i.csv", ForeignColumns(crs="EPSG:4326"))):
        assert [one.asset_id for one in known] == [one.asset_id for one in stated]
        assert [one.class_name for one in known] == [one.class_name for one in stated]
        assert [one.reviewed_by for one in known] == ["สมชาย", "", "", "", "", ""]
        assert [one.sigma_m for one in known] == pytest.approx([0.5] * 6)
        assert [one.longitude_deg for one in known] == pytest.approx([one.longitude_deg for one in stated], abs=2e-7)


@pytest.mark.parametrize("suffix", ["geojson", "gpkg", "shp", "csv"])
def test_indian_1975_is_converted_and_said(tmp_path: Path, suffix: str) -> None:
    """The shift of Thailand's maps: EPSG:1304, added to geocentric coordinates of the Everest ellipsoid by hand."""
    east, north = 665_000.0, 1_520_000.0
    grid = pyproj.Proj(proj="utm", zone=47, a=6377276.345, rf=300.8017)
    geocentric = pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart +a=6377276.345 +rf=300.8017 "
        "+step +proj=helmert +x=210 +y=814 +z=289 +step +inv +proj=cart +ellps=WGS84 "
        "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
    )
    expected = geocentric.transform(*grid(east, north, inverse=True), 0.0)[:2]
    path = tmp_path / f"old.{suffix}"
    columns = ForeignColumns()
    if suffix == "geojson":
        name = "urn:ogc:def:crs:EPSG::24047"
        geojson(path, {"type": "name", "properties": {"name": name}}, (east, north))
    elif suffix == "csv":
        path.write_text(f"class,easting,northing\npole,{east},{north}\n")
        columns = ForeignColumns(crs="EPSG:24047")
    else:
        shape = np.array([shapely.to_wkb(shapely.Point(east, north))], dtype=object)
        pyogrio.raw.write(
            path, shape, [np.array(["pole"], object)], np.array(["class"], object), geometry_type="Point",
            crs="EPSG:24047",
        )  # fmt: skip
    said: list[str] = []
    (known,) = read_known(path, columns, said.append)
    metres = pyproj.Geod(ellps="WGS84")
    assert metres.inv(known.longitude_deg, known.latitude_deg, *expected)[2] < 0.05
    ignored = pyproj.Transformer.from_crs("EPSG:32647", "EPSG:4326", always_xy=True).transform(east, north)
    assert metres.inv(known.longitude_deg, known.latitude_deg, *ignored)[2] == pytest.approx(451, abs=3)
    assert len(said) == 1
    assert "Indian 1975 to WGS 84 (2)" in said[0]
    assert "accurate to 5 m" in said[0]
    assert "Indian 1975 to WGS 84 (4)" in said[0].split("; ")[1]
    # What the conversion does not know is no move.
    assert known.sigma_m == pytest.approx(np.hypot(2.0, 5.0))


def test_both_ways_of_a_conversion_agree() -> None:
    there, back = conversion("EPSG:24047", "EPSG:4326", "x"), conversion("EPSG:4326", "EPSG:24047", "x")
    place = np.array([[665_000.0, 1_520_000.0]])
    assert back(there(place)) == pytest.approx(place, abs=0.01)
    assert conversion("EPSG:4326", "EPSG:32647", "x").doubt == ""


def test_a_file_without_a_system_is_refused(tmp_path: Path) -> None:
    expected = "states no coordinate reference system; say which it is with crs: EPSG:4326"
    with pytest.raises(DataError, match=expected):
        read_known(geojson(tmp_path / "a.geojson", None))
    (tmp_path / "a.csv").write_text("class,longitude,latitude\npole,100.5,13.7\n")
    with pytest.raises(DataError, match=expected):
        read_known(tmp_path / "a.csv")
    shape = np.array([shapely.to_wkb(shapely.Point(1.0, 2.0))], dtype=object)
    fields = [np.array(["pole"], object)], np.array(["class"], object)
    for suffix in ("shp", "gpkg"):
        with pytest.warns(UserWarning, match="'crs' was not provided"):
            pyogrio.raw.write(tmp_path / f"a.{suffix}", shape, *fields, geometry_type="Point", crs=None)
        with pytest.raises(DataError, match=expected):
            read_known(tmp_path / f"a.{suffix}")
    assert len(read_known(tmp_path / "a.shp", ForeignColumns(crs="EPSG:4326"))) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "lon,lat\n-6.2,53.3,1\n", "row 2 has 3 cells, the header 2"),
        ("a.csv", "lon,lat\n-6.2,53.3\n-6.2,north\n", "row 3: lat must be a number, got 'north'"),
        ("a.csv", "lon,latt\n-6.2,53.3\n", "no column 'lat'.*Did you mean latt"),
        ("a.csv", "lon,lat\n316000,234000\n", "which is out of range for degrees"),
        ("a.csv", "", "is empty"),
        ("a.kml", "", "expected an inventory as .geojson"),
        ("a.gpkg", "no database", "cannot be read"),
        ("a.geojson", "{}", "is not GeoJSON"),
    ],
)
def test_a_wrong_file_gets_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_known(tmp_path / name, LIGHTS)
    assert "\n" not in str(error.value)


def test_a_file_whose_classes_are_elsewhere_names_the_nearest_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("longitude;latitude;klass\n100.5;13.7;pole\n")
    with pytest.raises(DataError, match=r"no feature has a property class.*Did you mean klass"):
        read_known(tmp_path / "a.csv", ForeignColumns(crs="EPSG:4326"))
    (known,) = read_known(tmp_path / "a.csv", ForeignColumns({"class": "klass"}, None, {"pole": "lamp"}, "EPSG:4326"))
    assert known.class_name == "lamp"


def test_bearing_and_distance_lead_from_the_camera_to_the_asset(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("lat,lon,bearing,depth\n51.5,-0.14,90,20\n")
    columns = {**LIGHTS.columns, "bearing_deg": "bearing", "distance_m": "depth"}
    (known,) = read_known(tmp_path / "a.csv", ForeignColumns(columns, "light", {}, "EPSG:4326"))
    azimuth, _, metres = pyproj.Geod(ellps="WGS84").inv(-0.14, 51.5, known.longitude_deg, known.latitude_deg)
    assert (azimuth, metres) == (pytest.approx(90), pytest.approx(20))
    with pytest.raises(DataError, match="both bearing_deg and distance_m"):
        read_known(
            tmp_path / "a.csv", ForeignColumns({**LIGHTS.columns, "distance_m": "depth"}, "light", {}, "EPSG:4326")
        )


def test_columns_are_read_for_both_files_or_one_each(tmp_path: Path) -> None:
    path = tmp_path / "columns.yaml"
    path.write_text("class: light\ncrs: EPSG:4326\ncolumns: {longitude: lon, latitude: lat}\n")
    assert read_columns(path) == (LIGHTS, LIGHTS)
    path.write_text("old:\n  class: light\n  crs: EPSG:4326\n  columns: {longitude: lon, latitude: lat}\n")
    assert read_columns(path) == (LIGHTS, ForeignColumns())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {longitud: lon}", "an asset has no 'longitud'. Did you mean longitude"),
        ("old: {klass: light}", "unknown key 'old.klass'. Did you mean class"),
        ("crs: EPSG:1", "crs: expected a code such as EPSG:32647"),
        ("class: 3", "class: expected text, got 3"),
        ("columns: {longitude: 3}", "columns: expected NAME: NAME"),
        ("[]", "expected columns, class, classes, crs"),
    ],
)
def test_wrong_columns_get_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "columns.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_columns(path)
