"""Differences between inventories: planted ones, those of real files, and what nobody looked at."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.diff.differences import compare, diff_files, match_known
from reg_yolo.inventory.diff.known import Known
from reg_yolo.inventory.diff.surveyed import Survey, read_survey
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.text import write_geojson
from reg_yolo.inventory.projection import LocalProjection
from tests.inventory.samples import asset, sample_inventory
from tests.real_data import REAL_DATA

LIGHTS = REAL_DATA / "gps" / "traffic_lights"
PROJECTION = LocalProjection(102.0, 14.0)
needs_lights = pytest.mark.skipif(not LIGHTS.is_dir(), reason="the real inventories are not on this machine")


def known(name: str, east: float, north: float, class_name: str = "pole", sigma: float = 0.5, **more: object) -> Known:
    """Return an asset at metres around 102 E, 14 N."""
    longitude, latitude = PROJECTION.to_degrees(np.array([[east, north]]))[0].tolist()
    return Known(name, class_name, longitude, latitude, sigma, sigma, **more)  # type: ignore[arg-type]


def survey(*lines: list[list[float]], hfov: float = 60.0, yaw: float = 0.0) -> Survey:
    """Return stretches at metres around 102 E, 14 N."""
    some = np.ones(len(lines))
    return Survey(tuple(PROJECTION.to_degrees(np.array(line)) for line in lines), some * hfov, some * yaw, some * 40.0)


def test_planted_changes_are_named() -> None:
    step = 0.001
    old = [Known(f"a{n}", "pole", 100 + n * step, 14.0, 0.5, 0.5) for n in range(8)]
    new = [Known(f"b{n}", one.class_name, one.longitude_deg, 14.0 + 3e-6, 0.5, 0.5) for n, one in enumerate(old)]
    new[1] = Known("b1", "pole", new[1].longitude_deg + 8e-5, 14.0, 0.5, 0.5)
    new[2] = Known("b2", "sign", new[2].longitude_deg, 14.0, 0.5, 0.5)
    del new[3]
    new.append(Known("b9", "pole", 100.02, 14.0, 0.5, 0.5))
    states = {str(row["old_id"] or row["new_id"]): row["state"] for row in compare(old, new, 10.0)}
    assert states == {
        "a0": "same", "a1": "moved", "a2": "reclassified", "a3": "missing", "a4": "same", "a5": "same", "a6": "same",
        "a7": "same", "b9": "new",
    }  # fmt: skip


def test_thirty_planted_edits_are_named() -> None:
    rng = np.random.default_rng(4)
    sigma, count = 0.7, 300
    true = np.stack([np.arange(count) * 12.0, np.where(np.arange(count) % 2, 6.0, -6.0)], 1)
    names = ["pole", "sign", "lamp"]

    def seen(places: np.ndarray) -> np.ndarray:
        return np.asarray(places + rng.normal(0, sigma, places.shape))

    old = [known(f"a{n}", *place, names[n % 3], sigma) for n, place in enumerate(seen(true))]
    edits = rng.permutation(count)[:24]
    planted = {f"a{n}": ("missing", "moved", "reclassified")[k % 3] for k, n in enumerate(edits)}
    moved = true.copy()
    moved[[n for n in edits if planted[f"a{n}"] == "moved"]] += [0.0, 7.0]
    new = []
    for n, place in enumerate(seen(moved)):
        state = planted.get(f"a{n}")
        if state != "missing":
            new.append(known(f"b{n}", *place, names[(n + (state == "reclassified")) % 3], sigma))
    for n in range(6):
        new.append(known(f"c{n}", 300.0 + 500 * n, 25.0, "pole", sigma))
        planted[f"c{n}"] = "new"
    found = {str(row["old_id"] or row["new_id"]): str(row["state"]) for row in compare(old, new, 10.0)}
    named = {name: state for name, state in found.items() if state != "same"}
    right = sum(planted.get(name) == state for name, state in named.items())
    assert 2 * right / (len(named) + len(planted)) >= 0.95


def test_sides_and_routes_tell_neighbours_apart() -> None:
    old = [known("a", 0, 6, side="left", route="4"), known("b", 40, 6, side="left", route="4")]
    new = [known("c", 0, -6, side="right", route="4"), known("d", 40, 12, side="left", route="4")]
    assert match_known(old, new, 30.0) == {1: 1}
    # Where they stand in one place the side is a matter of the axis.
    assert match_known(old[:1], [known("e", 0, 5, side="right", route="4")], 30.0) == {0: 0}
    assert match_known(old[:1], [known("f", 0, 12, side="left", route="41")], 30.0) == {}


def test_what_no_frame_looked_at_is_not_missing() -> None:
    old = [known("ahead", 60, 5), known("behind", -60, 5), known("wide", 100, 60), known("beyond", 150, 5)]
    looked = survey([[0.0, 0.0], [100.0, 0.0]])
    assert looked.looked_at(old).tolist() == [True, False, False, False]
    assert survey([[0.0, 0.0], [100.0, 0.0]], [[100.0, 0.0], [140.0, 0.0]]).looked_at(old)[3]
    # Next to the start of the stretch is not before the camera; for a camera that looks to the left it is.
    at_start = [known("start", 0, 6)]
    assert not looked.looked_at(at_start)[0]
    assert survey([[0.0, 0.0], [100.0, 0.0]], yaw=-90.0).looked_at(at_start)[0]
    assert not survey([[0.0, 0.0], [100.0, 0.0]], yaw=90.0).looked_at(at_start)[0]
    new = [known("n", 30, 5)]
    states = {row["old_id"]: row["state"] for row in compare(old, new, 3.0, looked) if row["old_id"]}
    assert states == {"ahead": "missing", "behind": "not surveyed", "wide": "not surveyed", "beyond": "not surveyed"}
    assert {row["state"] for row in compare(old, new, 3.0) if row["old_id"]} == {"missing"}


def test_a_sign_was_looked_at_from_its_front_only() -> None:
    signs = [known("front", 60, 5, facing_deg=270.0), known("back", 60, -5, facing_deg=90.0)]
    assert survey([[0.0, 0.0], [100.0, 0.0]]).looked_at(signs).tolist() == [True, False]


def test_the_survey_is_read_from_the_newer_inventory(tmp_path: Path) -> None:
    old, new = sample_inventory(), sample_inventory()
    old.assets.append(asset("pole", "point", [[900.0, 5.0]]))
    # A spreadsheet would run it as a formula.
    old.assets[-1].asset_id = "=pole"
    del new.assets[2]
    write_geojson(tmp_path / "old.geojson", old)
    write_geojson(tmp_path / "new.geojson", new)
    write_geopackage(tmp_path / "new.gpkg", new, "EPSG:24048")
    read = read_survey(tmp_path / "new.gpkg")
    assert read is not None
    ends = PROJECTION.to_metres(*read.lines[0][[0, -1]].T)
    assert ends == pytest.approx(np.array([[-450.0, 0.0], [450.0, 0.0]]), abs=0.05)
    said = diff_files(tmp_path / "old.geojson", tmp_path / "new.gpkg", tmp_path / "c.csv", 10.0).lines
    assert "5 same, 1 missing, 1 not surveyed" in said
    rows = list(csv.DictReader((tmp_path / "c.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {row["old_id"]: row["state"] for row in rows if row["state"] != "same"} == {
        "ป้าย-1": "missing", "'=pole": "not surveyed"
    }  # fmt: skip
    named = (tmp_path / "old.geojson", tmp_path / "new.geojson", tmp_path / "c.csv", 10.0, None)
    assert "5 same, 1 missing, 1 not surveyed" in diff_files(*named, tmp_path / "new.gpkg").lines
    unknown = diff_files(*named).lines
    assert unknown[1] == "5 same, 2 missing"
    assert unknown[0].startswith("Where frames looked is not known")
    with pytest.raises(DataError, match="a GeoPackage with a layer surveyed_stretches"):
        diff_files(*named, tmp_path / "new.geojson")
    with pytest.raises(ConfigError, match="expected a name that ends in"):
        diff_files(tmp_path / "old.geojson", tmp_path / "new.gpkg", tmp_path / "c.html", 10.0)


@needs_lights
def test_dublins_traffic_lights_of_two_years(tmp_path: Path) -> None:
    columns = tmp_path / "columns.yaml"
    columns.write_text("class: traffic_light\ncrs: EPSG:4326\ncolumns: {longitude: lon, latitude: lat}\n")
    paths = [LIGHTS / f"DublinTL_{year}.csv" for year in (2015, 2017)]
    said = diff_files(*paths, tmp_path / "changes.csv", 5.0, columns).lines
    rows = list(csv.DictReader((tmp_path / "changes.csv").read_text(encoding="utf-8-sig").splitlines()))
    states = Counter(row["state"] for row in rows)
    assert states == {"same": 192, "new": 17}
    # Lights that stand in both files at the very same coordinates.
    written = [{tuple(line.split()) for line in path.read_text().splitlines()[1:] if line.strip()} for path in paths]
    unmoved = {tuple(f"{float(value):.7f}" for value in place) for place in written[0] & written[1]}
    same = {
        (f"{float(row['old_longitude']):.7f}", f"{float(row['old_latitude']):.7f}")
        for row in rows
        if row["state"] == "same" and float(row["apart_m"]) == 0
    }
    assert len(unmoved) == 189
    assert unmoved <= same
    assert said[-2] == "192 same, 17 new"


@needs_lights
def test_londons_detections_find_its_traffic_lights(tmp_path: Path) -> None:
    columns = tmp_path / "columns.yaml"
    plain = "{class: traffic_light, crs: EPSG:4326, columns: {longitude: lon, latitude: lat%s}}\n"
    more = ", bearing_deg: bearing, distance_m: depth"
    columns.write_text(f"old: {plain % ''}new: {plain % more}")
    diff_files(LIGHTS / "london_truth.csv", LIGHTS / "london_detections.csv", tmp_path / "c.csv", 10.0, columns)
    rows = list(csv.DictReader((tmp_path / "c.csv").read_text(encoding="utf-8-sig").splitlines()))
    true = [row for row in rows if row["old_latitude"]]
    apart = np.array([float(row["apart_m"]) for row in true if row["apart_m"]])
    truth = [line for line in (LIGHTS / "london_truth.csv").read_text().splitlines()[1:] if line.strip()]
    found = [line for line in (LIGHTS / "london_detections.csv").read_text().splitlines()[1:] if line.strip()]
    assert (len(true), len(rows) - sum(row["state"] == "missing" for row in rows)) == (len(truth), len(found))
    assert Counter(row["state"] for row in true)["same"] == 48
    assert np.median(apart) < 2.5
