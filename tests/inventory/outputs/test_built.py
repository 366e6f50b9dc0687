"""Outputs of whole builds: holes in the positions, provenance, options of the command, a road over a zone border."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest

from reg_yolo.cli.app import main
from reg_yolo.inventory.opening import BuildOptions, settings_digest
from reg_yolo.inventory.score.scoring import score_files
from tests.inventory.simulated import START, build_of


def build(drive: Path, track: str, out: Path, *more: str) -> int:
    """Build from the drive's boxes and a track of its own, and return the exit code."""
    path = out.with_suffix(".gpx")
    path.write_text(track)
    words = ["inventory", "build", str(drive / "detections.jsonl"), "--camera", str(drive / "camera.yaml")]
    words += ["--gnss", str(path), "--start", START, "--out", str(out), *more]
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)


def track_of(drive: Path, keep: Callable[[int], bool] = lambda _n: True, east_deg: float = 0.0) -> str:
    """Return the drive's track with some points left out, or moved to the east."""
    text = (drive / "forward" / "track_clean.gpx").read_text()
    points = re.findall(r"<trkpt.*?</trkpt>", text, flags=re.DOTALL)
    for number, point in enumerate(points):
        moved = re.sub(r'lon="([-\d.]+)"', lambda found: f'lon="{float(found[1]) + east_deg:.9f}"', point)
        text = text.replace(point, moved if keep(number) else "", 1)
    return text


def features(out: Path) -> dict[str, list[float]]:
    """Return the first place of every asset by class and rank along the drive."""
    found: dict[str, list[float]] = {}
    content = json.loads((out / "inventory.geojson").read_text(encoding="utf-8"))["features"]
    for feature in sorted(content, key=lambda one: one["properties"]["track_m"]):
        places = np.array(feature["geometry"]["coordinates"]).reshape(-1, 2)
        name = feature["properties"]["class"]
        found[f"{name} {sum(key.startswith(name) for key in found)}"] = places[0].tolist()
    return found


def test_a_tunnel_leaves_two_stretches_and_names_what_was_seen_in_it(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = track_of(drive).count("<trkpt")
    out = tmp_path / "out"
    assert build(drive, track_of(drive, lambda n: not 0.45 < n / points < 0.8), out) == 0
    meta, _, _, data = pyogrio.raw.read(out / "inventory.gpkg", layer="surveyed_stretches")
    lengths = data[meta["fields"].tolist().index("length_m")]
    lost = pyogrio.raw.read(out / "inventory.gpkg", layer="unlocated")
    classes = lost[3][lost[0]["fields"].tolist().index("class")].tolist()
    assert len(lengths) == 2
    assert classes
    said = capsys.readouterr().out
    assert f"2 stretches surveyed, {lengths.sum() / 1000:.2f} km" in said
    assert 150 < lengths.sum() < 230
    assert f"{len(classes)} objects without a position" in said
    # What stands along the rest of the road is where it stands. What was seen before the hole and after it may be two:
    # the one that was seen from afar says then that its place is unsure.
    inventory = json.loads((out / "inventory.geojson").read_text(encoding="utf-8"))
    sure = [one for one in inventory["features"] if one["properties"]["sigma_along_m"] < 5]
    assert len(inventory["features"]) - len(sure) <= 1
    (out / "sure.geojson").write_text(json.dumps(inventory | {"features": sure}), encoding="utf-8")
    score = score_files(out / "sure.geojson", drive / "assets.geojson")
    assert (score.false, score.double) == (0, 0)
    assert score.found >= 2
    assert float(np.median(score.errors_m)) < 1.5
    page = (out / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    assert [table["title"] for table in data["tables"]] == [
        "Surveyed stretches: 2", f"Seen without a position: {len(classes)}"
    ]  # fmt: skip
    assert f"{len(classes)} objects without a position" in data["notes"]


def test_every_asset_says_what_made_it_and_a_review_survives_a_rebuild(
    drive: Path, built: Path, tmp_path: Path
) -> None:
    header = json.loads((drive / "detections.jsonl").read_text().splitlines()[0])
    content = json.loads((built / "inventory.geojson").read_text(encoding="utf-8"))["features"]
    values = [feature["properties"] for feature in content]
    assert {one["weights_digest"] for one in values} == {header["weights"]["sha256"][:12]}
    assert len({one["settings_digest"] for one in values}) == 1
    assert {one["reviewed_by"] for one in values} == {None}
    earlier = tmp_path / "earlier.gpkg"
    earlier.write_bytes((built / "inventory.gpkg").read_bytes())
    with sqlite3.connect(earlier) as connection:
        reviewed = connection.execute("SELECT asset_id FROM points ORDER BY asset_id").fetchone()[0]
        # As QGIS does it; its triggers for the spatial index need functions that SQLite alone lacks.
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        connection.execute("UPDATE points SET reviewed_by = 'สมชาย' WHERE asset_id = ?", (reviewed,))
    out = tmp_path / "out"
    assert build_of(drive, out, "--previous", str(earlier)) == 0
    again = {one["properties"]["asset_id"]: one["properties"]["reviewed_by"] for one in json.loads(
        (out / "inventory.geojson").read_text(encoding="utf-8"))["features"]}  # fmt: skip
    assert set(again) == {one["asset_id"] for one in values}
    assert {name for name, who in again.items() if who == "สมชาย"} == {reviewed}


def test_the_digest_is_that_of_what_settings_hold(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("width: 640\nheight: 384\n")
    (tmp_path / "c.yaml").write_text("width: 641\nheight: 384\n")

    def digest(**more: object) -> str:
        return settings_digest(BuildOptions((Path("x"),), (Path("y"),), **more))  # type: ignore[arg-type]

    plain = digest(cameras=(tmp_path / "a.yaml",))
    assert digest(cameras=(tmp_path / "b.yaml",)) == plain
    assert digest(cameras=(tmp_path / "c.yaml",)) != plain
    assert digest(cameras=(tmp_path / "a.yaml",), min_probability=0.5) != plain


def test_the_command_writes_what_is_asked_for(drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = tmp_path / "fields.yaml"
    fields.write_text("columns: {class: TYPE, chainage: KM}\nothers: drop\n")
    out = tmp_path / "out"
    words = ["--route", str(drive / "route.geojson"), "--fields", str(fields)]
    words += ["--format", "shapefile", "--format", "filegdb", "--language", "th", "--crs", "EPSG:24047"]
    assert build_of(drive, out, *words) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "inventory.csv", "inventory.gdb", "inventory.geojson", "inventory.gpkg", "inventory.qgs", "not_static.csv",
        "observations.jsonl", "report.html", "review.sqlite", "shapefile",
    ]  # fmt: skip
    for path in (out / "inventory.gdb", out / "inventory.gpkg", out / "shapefile" / "points.shp"):
        assert pyogrio.read_info(path, layer="points")["fields"].tolist() == ["TYPE", "KM"]
    meta, _, _, data = pyogrio.raw.read(out / "inventory.gpkg", layer="surveyed_stretches")
    stretch = dict(zip(meta["fields"].tolist(), data, strict=True))
    assert re.fullmatch(r"\d+\+\d{3}", stretch["chainage_from"][0])
    assert stretch["chainage_from"][0] != stretch["chainage_to"][0]
    assert '<html lang="th">' in (out / "report.html").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert "--crs EPSG:24047: " in said
    assert "Indian 1975 to WGS 84 (4)" in said
    assert "names of columns cut to 10 characters" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fields", "missing.yaml"], "missing.yaml cannot be read"),
        (["--format", "dxf"], "--format: expected shapefile or filegdb"),
        (["--language", "de"], "--language: expected en or th, got 'de'"),
        (["--crs", "EPSG:99999"], "--crs: expected a code such as EPSG:32647"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    (drive / "forward" / "track_clean.gpx").stat()
    assert build_of(drive, tmp_path / "out", *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_drive_over_102_east_is_the_drive_it_would_be_elsewhere(drive: Path, tmp_path: Path) -> None:
    places = [float(value) for value in re.findall(r'lon="([-\d.]+)"', track_of(drive))]
    shift = 102.0 - (min(places) + max(places)) / 2
    inventories = []
    for name, east in (("here", 0.0), ("border", shift)):
        assert build(drive, track_of(drive, east_deg=east), tmp_path / name, "--crs", "EPSG:32647") == 0
        inventories.append(features(tmp_path / name))
    here, border = inventories
    assert list(here) == list(border)
    longitudes = {place[0] > 102 for place in border.values()}
    assert longitudes == {True, False}
    for name, place in here.items():
        # A millionth of a degree is 11 cm: the solver ends where its steps get small.
        assert border[name] == pytest.approx([place[0] + shift, place[1]], abs=1e-6)
