"""The report in Thai, and the map of differences, in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.diff.differences import diff_files
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.layers import (
    NOT_APPLIED_COLUMNS,
    NOT_STATIC_COLUMNS,
    REJECTED_COLUMNS,
    STRETCH_COLUMNS,
    UNLOCATED_COLUMNS,
)
from reg_yolo.inventory.report.labels import column_labels, labels
from reg_yolo.inventory.report.page import _COLUMNS, Basemap, write_report
from tests.browser import needs_chromium, page_of, show
from tests.inventory.samples import asset, sample_inventory


def data_of(page: Path) -> dict[str, Any]:
    """Return what a page shows."""
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_thai_words_dates_and_sides(tmp_path: Path) -> None:
    inventory = sample_inventory()
    inventory.assets[0].values["first_seen"] = "2024-12-31T18:30:00.000Z"
    write_report(tmp_path / "th.html", inventory, language="th")
    write_report(tmp_path / "en.html", inventory)
    thai, english = data_of(tmp_path / "th.html"), data_of(tmp_path / "en.html")
    assert thai["columns"] == english["columns"]
    at = {name: n for n, name in enumerate(thai["columns"])}
    # Half past one at night on New Year's Day in Thailand.
    assert thai["rows"][0][at["first_seen"]] == "2568-01-01 01:30:00"
    assert english["rows"][0][at["first_seen"]] == "2024-12-31 18:30:00 UTC"
    assert (thai["rows"][0][at["side"]], english["rows"][0][at["side"]]) == ("ซ้าย", "left")
    assert [table["title"] for table in thai["tables"]] == ["ช่วงที่สำรวจแล้ว: 1", "พบแต่ไม่ทราบตำแหน่ง: 1"]
    first = dict(zip(thai["tables"][0]["columns"], thai["tables"][0]["rows"][0], strict=True))
    assert first["first_seen"] == "2567-05-01 10:00:00"


def test_every_word_has_a_thai_one() -> None:
    assert set(labels("en")) == set(labels("th"))
    assert set(column_labels("th")) >= {
        *_COLUMNS,
        *STRETCH_COLUMNS,
        *UNLOCATED_COLUMNS,
        *NOT_STATIC_COLUMNS,
        *REJECTED_COLUMNS,
        *NOT_APPLIED_COLUMNS,
    }
    assert len(set(column_labels("th").values())) >= len(column_labels("th")) - 1


def test_many_assets_are_on_pages_by_route_with_an_index(tmp_path: Path) -> None:
    inventory = sample_inventory()
    (tmp_path / "report_009.html").write_text("of an earlier report")
    (tmp_path / "report_notes.html").write_text("of somebody")
    for n, one in enumerate(inventory.assets):
        one.values |= {"route": "4-0101" if n < 5 else None, "chainage_m": 500.0 - n, "chainage": f"0+{500 - n}"}
    pages = write_report(tmp_path / "report.html", inventory, most=3)
    assert [page.name for page in pages] == ["report_001.html", "report_002.html", "report_003.html"]
    assert not (tmp_path / "report_009.html").exists()
    assert (tmp_path / "report_notes.html").exists()
    shown = data_of(tmp_path / "report.html")
    assert shown["columns"] == ["page", "route", "assets", "chainage_from", "chainage_to"]
    assert shown["rows"] == [
        ["report_001.html", "-", 1, "0+495", "0+495"], ["report_002.html", "4-0101", 3, "0+496", "0+498"],
        ["report_003.html", "4-0101", 2, "0+499", "0+500"],
    ]  # fmt: skip
    assert shown["notes"][0] == "a note"
    ids = [row[0] for page in pages for row in data_of(page)["rows"]]
    assert sorted(ids) == sorted(asset.asset_id for asset in inventory.assets)
    assert write_report(tmp_path / "report.html", inventory) == []
    assert not pages[0].exists()


def test_tiles_are_an_address_with_places_and_their_attribution_is_text(tmp_path: Path) -> None:
    basemap = Basemap("https://tiles.example/{z}/{x}/{y}.png", "<b>me</b> & you")
    write_report(tmp_path / "report.html", sample_inventory(), basemap)
    shown = data_of(tmp_path / "report.html")
    assert (shown["tiles"], shown["attribution"]) == (basemap.tiles, basemap.attribution)
    assert "attribution: escape(data.attribution)" in (tmp_path / "report.html").read_text(encoding="utf-8")
    for wrong in ("tiles.example/{z}/{x}/{y}", "https://tiles.example/{z}/{x}.png", "javascript:{z}{x}{y}"):
        with pytest.raises(ConfigError, match="--tiles: expected https"):
            Basemap(wrong)


@needs_chromium
def test_a_browser_shows_the_thai_report_and_the_map_of_differences(tmp_path: Path) -> None:
    old, new = sample_inventory(), sample_inventory()
    old.assets.append(asset("pole", "point", [[900.0, 5.0]]))
    new.assets[2].points_m[0, 1] += 8.0
    for name, inventory in (("old", old), ("new", new)):
        write_geopackage(tmp_path / f"{name}.gpkg", inventory, "EPSG:4326")
    write_report(tmp_path / "report.html", new, language="th")
    diff_files(tmp_path / "old.gpkg", tmp_path / "new.gpkg", tmp_path / "changes.csv", 10.0)
    with page_of(tmp_path / "report.html") as page:
        assert page.inner_text("h1") == page.title() == "บัญชีทรัพย์สินทาง"
        assert page.inner_text("#total") == "6 จาก 6 รายการ"
        assert page.inner_text("#tables details:nth-child(2) summary") == "พบแต่ไม่ทราบตำแหน่ง: 1"
        assert page.locator("#table th", has_text="ความน่าจะเป็น").count() == 1
        show(page, tmp_path / "changes.html")
        assert page.title() == "Differences between two inventories"
        assert page.inner_text("#total") == "7 of 7 assets"
        assert sorted(page.locator("#filters label").all_inner_texts()) == ["moved", "not surveyed", "same"]
        assert not page.locator("#leastLabel").is_visible()
        page.uncheck("#filters input[value='same']")
        assert page.inner_text("#total") == "2 of 7 assets"
        # Names of others stay text, also in attributes and where they look like the page's own elements.
        hostile = sample_inventory()
        hostile.assets[0].class_name = name = 'x" title="bad'
        hostile.notes.append("<!--<script>")
        write_report(tmp_path / "hostile.html", hostile)
        show(page, tmp_path / "hostile.html")
        assert page.locator("[title=bad]").count() == 0
        assert name in page.locator("#filters input").evaluate_all("all => all.map(one => one.value)")
        assert "<!--<script>" in (page.locator("#notes").text_content() or "")
    shown = data_of(tmp_path / "changes.html")
    lengths = {row[0]: len(shape) for row, shape in zip(shown["rows"], shown["shapes"], strict=True)}
    assert lengths == {"same": 1, "moved": 2, "not surveyed": 1}
