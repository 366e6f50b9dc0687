"""Linear reference, and the report in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.assets import Asset, mark_supports
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.report.page import write_report
from reg_yolo.inventory.route.axis import read_routes
from reg_yolo.inventory.route.reference import add_reference, chainage_text
from tests.browser import needs_chromium, page_of


def route_file(path: Path) -> Path:
    """Write a route of 2 km to the north with posts 1,100 and 900 m apart."""
    projection = LocalProjection(102.0, 14.0)
    line = projection.to_degrees(np.array([[0.0, 0.0], [0.0, 2000.0]])).tolist()
    posts = projection.to_degrees(np.array([[0.0, 0.0], [0.0, 1100.0], [0.0, 2000.0]])).tolist()
    features: list[dict[str, object]] = [
        {"type": "Feature", "geometry": {"type": "LineString", "coordinates": line},
         "properties": {"route": "4", "control_section": "0101"}}
    ]  # fmt: skip
    features += [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": post}, "properties": {"chainage_m": metres}}
        for post, metres in zip(posts, (12_000, 13_000, 14_000), strict=True)
    ]
    # The axis needs vertices at the posts: chainage bends there.
    features[0]["geometry"]["coordinates"] = posts  # type: ignore[index]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_chainage_runs_evenly_between_posts_that_are_not_a_kilometre_apart(tmp_path: Path) -> None:
    routes = read_routes(route_file(tmp_path / "route.geojson"))
    projection = LocalProjection(102.0, 14.0)
    asset = Asset("pole", "point", np.array([[6.0, 550.0]]), np.eye(2), 1.0)
    add_reference([asset], projection, routes, [])
    assert asset.values["chainage"] == "12+500"
    assert asset.values["offset_m"] == pytest.approx(6.0, abs=0.02)
    assert (asset.values["side"], asset.values["route"]) == ("right", "4-0101")


def test_a_route_of_another_road_is_refused(tmp_path: Path) -> None:
    routes = read_routes(route_file(tmp_path / "route.geojson"))
    with pytest.raises(DataError, match="another road's route"):
        add_reference(
            [], LocalProjection(102.0, 14.0), routes, [[np.array([[900.0, 0.0], [900.0, 50.0], [900.0, 90.0]])]]
        )


def test_boards_on_one_post_share_it() -> None:
    places = ((0.0, 0.0), (0.3, 0.2), (40.0, 0.0))
    signs = [Asset("warning_sign", "point", np.array([place]), np.eye(2), 1.0) for place in places]
    for n, sign in enumerate(signs):
        sign.asset_id = f"s{n}"
    mark_supports(signs, {})
    assert [sign.values.get("support_id") for sign in signs] == ["post-s0", "post-s0", None]


def test_chainage_text() -> None:
    assert [chainage_text(metres) for metres in (0.4, 12345.4, 999.6)] == ["0+000", "12+345", "1+000"]


@needs_chromium
def test_the_report_draws_filters_and_sorts(tmp_path: Path) -> None:
    assets = []
    for n in range(300):
        asset = Asset(("pole", "ป้าย </script>")[n % 2], "point", np.array([[n * 3.0, 0.0]]), np.eye(2), 0.5 + n / 700)
        asset.asset_id = f"a{n}"
        assets.append(asset)
    inventory = Inventory(LocalProjection(100.0, 14.0), assets, [[np.array([[0.0, 0.0], [900.0, 0.0]])]], ["a note"])
    write_report(tmp_path / "report.html", inventory)
    with page_of(tmp_path / "report.html") as page:
        assert page.inner_text("#total") == "300 of 300 assets"
        page.uncheck("#filters input[value='pole']")
        assert page.inner_text("#total") == "150 of 300 assets"
        page.click("#table th:has-text('probability')")
        assert page.inner_text("#table tbody tr:first-child td:first-child") == "a1"
