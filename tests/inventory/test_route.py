"""Routes of several control sections: restarts, gaps, overlaps, direction and carriageway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.axis import read_routes
from reg_yolo.inventory.route.reference import add_reference
from reg_yolo.inventory.score.scoring import score_files

PLACE = LocalProjection(102.0, 14.0)


def feature(kind: str, metres: list[list[float]], **values: Any) -> dict[str, Any]:
    degrees = PLACE.to_degrees(np.array(metres)).tolist()
    places = degrees[0] if kind == "Point" else degrees
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": places}, "properties": values}


def referred(tmp_path: Path, places: list[list[float]], *features: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the columns that assets at some places get."""
    path = tmp_path / "route.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assets = [Asset("pole", "point", np.array([place]), np.eye(2), 1.0) for place in places]
    add_reference(assets, PLACE, read_routes(path), [])
    return [asset.values for asset in assets]


def shown(values: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["route"], one["chainage"], one["side"]) for one in values]


def test_sections_have_their_own_chainage_and_a_gap_has_none(tmp_path: Path) -> None:
    first = feature("LineString", [[0, 0], [0, 500]], route="4", control_section="0101", start_chainage_m=12_000)
    second = feature("LineString", [[0, 700], [0, 1500]], route="4", control_section="0102", start_chainage_m=0)
    places = [[5.0, 400.0], [-5.0, 540.0], [5.0, 600.0], [5.0, 690.0], [-5.0, 900.0]]
    assert shown(referred(tmp_path, places, first, second)) == [
        ("4-0101", "12+400", "right"), ("4-0101", "12+540", "left"), (None, None, None), ("4-0102", "-0+010", "right"),
        ("4-0102", "0+200", "left"),
    ]  # fmt: skip


def test_where_sections_overlap_the_first_counts_and_the_other_is_named(tmp_path: Path) -> None:
    first = feature("LineString", [[0, 0], [0, 500]], route="4", start_chainage_m=1000)
    second = feature("LineString", [[0, 400], [0, 900]], route="9", start_chainage_m=0)
    values = referred(tmp_path, [[5.0, 450.0], [5.0, 600.0]], first, second)
    assert [(one["route"], one["chainage"], one["chainage_also"]) for one in values] == [
        ("4", "1+450", "9 0+050"), ("9", "0+200", None),
    ]  # fmt: skip


def test_chainage_restarts_at_a_vertex_or_where_two_posts_stand(tmp_path: Path) -> None:
    by_vertex = feature("LineString", [[0, 0], [0, 500], [0, 500], [0, 900]], chainage_m=[3000, 3500, 0, 400])
    posts = [feature("Point", [[1.0, y]], chainage_m=m) for y, m in ((0, 3000), (500, 3500), (500, 0), (900, 400))]
    by_posts = feature("LineString", [[0, 0], [0, 900]])
    for features in ([by_vertex], [by_posts, *posts]):
        values = referred(tmp_path, [[5.0, 490.0], [5.0, 510.0]], *features)
        assert [one["chainage"] for one in values] == ["3+490", "0+010"]
    assert [piece.chainage_m.tolist() for piece in read_routes(tmp_path / "route.geojson")[0].rising()] == [
        pytest.approx([3000.0, 3500.0]), pytest.approx([0.0, 400.0]),
    ]  # fmt: skip


def test_side_is_for_rising_chainage_however_the_axis_is_drawn(tmp_path: Path) -> None:
    drawn = {"start_chainage_m": 100, "direction": "falling", "carriageway": "southbound"}
    values = referred(tmp_path, [[5.0, 800.0]], feature("LineString", [[0, 0], [0, 1000]], **drawn))
    assert shown(values) == [(None, "0+300", "left")]
    assert values[0]["carriageway"] == "southbound"
    listed = feature("LineString", [[0, 0], [0, 1000]], chainage_m=[1100, 100])
    assert shown(referred(tmp_path, [[5.0, 800.0]], listed)) == [(None, "0+300", "left")]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([feature("LineString", [[0, 0], [0, 9]], route="4")], "route.geojson: 4: expected chainage_m on the axis"),
        ([feature("LineString", [[0, 0], [0, 9]], direction="up")], "direction must be rising or falling"),
        (
            [feature("LineString", [[0, 0], [0, 900]])]
            + [feature("Point", [[0, y]], chainage_m=m) for y, m in ((0, 500), (400, 900), (800, 100))],
            "chainage goes from 900 to 100 m; where it restarts, give both posts in one place",
        ),
    ],
)
def test_an_axis_that_cannot_be_followed_is_named(tmp_path: Path, features: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        referred(tmp_path, [], *features)


def test_the_score_tells_sides_and_chainages(tmp_path: Path) -> None:
    def file(name: str, *some: dict[str, Any]) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({"type": "FeatureCollection", "features": some}))
        return path

    places = [[5.0, 100.0], [-5.0, 200.0], [5.0, 300.0]]
    truth = [
        feature("Point", [place], **{"class": "pole", "chainage_m": [place[1] - 1, place[1] + 1], "offset_m": place[0]})
        for place in places
    ]
    built = [
        feature("Point", [place], **{"class": "pole", "chainage_m": place[1] + 3 * n, "side": side})
        for n, (place, side) in enumerate(zip(places, ("right", "left", "median"), strict=True))
    ]
    score = score_files(file("built.geojson", *built), file("truth.geojson", *truth))
    assert score.sides == (2, 3)
    assert sorted(score.chainage_errors_m) == pytest.approx([0.0, 3.0, 6.0])
    assert score.to_dict()["chainage_error_median_m"] == pytest.approx(3.0)
    assert "side right for 2 of 3" in score.as_text()


def test_what_is_no_geojson_says_where_the_format_stands(tmp_path: Path) -> None:
    (tmp_path / "101.gpx").write_text("<gpx/>")
    with pytest.raises(DataError, match=r"is not GeoJSON: .*; see docs/inventory.md, Linear reference$"):
        read_routes(tmp_path / "101.gpx")


def test_the_examples_of_the_docs_are_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/inventory.md").read_text("utf-8")
    section = text.partition("### Linear reference")[2].partition("\n### ")[0]
    example, program = (section.partition(f"```{kind}\n")[2].partition("```")[0] for kind in ("json", "python"))
    monkeypatch.chdir(tmp_path)
    Path("route.geojson").write_text(example, "utf-8")
    [route] = read_routes(Path("route.geojson"))
    assert route.name == "101-0200" and route.chainage_m == pytest.approx([12000, 12060, 12120], abs=2)
    steps = np.array([[0.0, 5.0 * second] for second in [*range(20), *[19] * 10, *range(20, 41)]])
    points = "".join(f'<trkpt lat="{lat:.7f}" lon="{lon:.7f}"/>' for lon, lat in PLACE.to_degrees(steps))
    Path("101.gpx").write_text(f'<gpx version="1.1" creator="t"><trk><trkseg>{points}</trkseg></trk></gpx>', "utf-8")
    exec(compile(program, "docs/inventory.md", "exec"), {})
    [route] = read_routes(Path("route.geojson"))
    assert route.name == "101" and route.chainage_m[0] == 0 and route.chainage_m[-1] == pytest.approx(200, abs=21)
    assert route.degrees[0] == pytest.approx([PLACE.longitude_deg, PLACE.latitude_deg], abs=1e-6)
