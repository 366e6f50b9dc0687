"""A diagnosis as data, files and page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.diagnosis.conditions import brightness_and_contrast
from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.diagnosis.writing import write_diagnosis
from reg_yolo.errors import DataError
from reg_yolo.evaluation.error_kinds import KINDS
from tests.browser import needs_chromium, page_of
from tests.diagnosis.samples import NAMES, write_split


@pytest.fixture(scope="module")
def diagnosis(tmp_path_factory: pytest.TempPathFactory) -> Diagnosis:
    results = write_split(tmp_path_factory.mktemp("split"))
    return Diagnosis.of(results, NAMES, title="best.pt", data="data.yaml", split="val", notes=["a note </script>"])


@pytest.fixture(scope="module")
def folder(diagnosis: Diagnosis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_diagnosis(folder, diagnosis, hints=3, worst=2)
    return folder


def test_errors_by_condition(diagnosis: Diagnosis) -> None:
    rows = {(c.name, row.name.split(" (")[0]): row for c in diagnosis.conditions for row in c.rows}
    assert [row[1] for row in diagnosis.summary_rows()] == [1, 1, 0, 0, 1, 2]
    # The left object of two images is of another class or off; its box stands in the middle third.
    middle = rows["height in the frame", "middle third"]
    assert (middle.objects, middle.found, middle.wrong) == (6, 4, 3)
    assert dict(zip(KINDS, middle.counts, strict=True))["classification"] == 1
    lower = rows["height in the frame", "lower third"]
    assert (lower.objects, lower.found, lower.counts[-1], lower.wrong) == (6, 4, 2, 0)
    assert rows["edge", "cut by the frame"].objects == 6 and rows["edge", "whole"].found == 4
    assert rows["side", "left third"].objects == 6 and rows["side", "right third"].objects == 6
    assert (rows["size", "small"].objects, rows["size", "medium"].objects) == (0, 12)
    assert [rows["brightness", name].objects for name in ("dark", "medium", "bright")] == [4, 4, 4]
    assert [rows["brightness", name].found for name in ("dark", "medium", "bright")] == [0, 4, 4]
    for condition in diagnosis.conditions:
        assert sum(row.objects for row in condition.rows) == 12
        assert sum(row.counts[-1] for row in condition.rows) == 2


def test_the_worst_images_go_first(diagnosis: Diagnosis) -> None:
    assert [(one.image, one.missed, one.wrong) for one in diagnosis.worst] == [(0, 2, 2), (1, 2, 1)]


def test_light_is_that_of_the_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:, :5] = 200
    cv2.imwrite(str(tmp_path / "half.png"), pixels)
    assert brightness_and_contrast(tmp_path / "half.png") == (100.0, 100.0)
    assert np.isnan(brightness_and_contrast(tmp_path / "none.png")).all()


def test_hints_name_the_line_of_the_label(diagnosis: Diagnosis, folder: Path) -> None:
    records = [json.loads(line) for line in (folder / "label_hints.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["rank"] for record in records] == [1, 2, 3]
    everything = list(csv.DictReader((folder / "label_hints.csv").read_text(encoding="utf-8").splitlines()))
    assert len(everything) == len(diagnosis.hints) == 13
    confused = next(row for row in everything if row["hint"] == "class")
    # The first line of the label file is empty.
    assert confused["place"].endswith("labels/val/0.txt:2") and confused["found_class"] == NAMES[1]
    assert (confused["x1"], confused["y2"], confused["confidence"]) == ("10.0", "60.0", "0.9")
    missing = next(row for row in everything if row["hint"] == "missing")
    assert missing["place"].endswith("0.png") and missing["reason"] == "sign found with 0.95, no label there"
    assert {row["hint"] for row in everything} == {"missing", "unfound", "box", "class", "agrees"}


def test_the_coco_file_marks_labels_and_proposes_new_ones(diagnosis: Diagnosis, folder: Path, tmp_path: Path) -> None:
    write_diagnosis(tmp_path, diagnosis, hints=200, worst=0)
    content = json.loads((tmp_path / "label_hints.coco.json").read_text(encoding="utf-8"))
    assert {image["file_name"] for image in content["images"]} == {"0.png", "1.png"}
    marked = [entry for entry in content["annotations"] if "attributes" in entry]
    assert len(content["annotations"]) == 5 and sorted(entry["attributes"]["rank"] for entry in marked) == [
        1,
        2,
        3,
        4,
        5,
    ]
    proposed = [entry for entry in marked if entry["attributes"]["hint"] == "missing"]
    assert [entry["bbox"] for entry in proposed] == [[60.0, 10.0, 30.0, 30.0]]
    assert [category["name"] for category in content["categories"]] == list(NAMES)
    assert not (tmp_path / "worst_images.jpg").exists()
    short = json.loads((folder / "label_hints.coco.json").read_text(encoding="utf-8"))
    assert sum("attributes" in entry for entry in short["annotations"]) == 3


def test_tables(diagnosis: Diagnosis, folder: Path) -> None:
    text = (folder / "diagnosis.txt").read_text(encoding="utf-8")
    assert "6 images, 12 objects" in text and "8 objects are found, 4 not, and 3 detections are wrong" in text
    rows = list(csv.DictReader((folder / "errors.csv").read_text(encoding="utf-8").splitlines()))
    whole = {row["error"]: row for row in rows if row["by"] == "all"}
    assert whole["missed"]["count"] == "2" and float(whole["localisation"]["cost_map50"]) > 5
    content = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert content["map50"] == pytest.approx(diagnosis.analysis.map50)
    assert content["errors"]["classification"]["at_thresholds"] == 1 and content["worst_images"][0]["missed"] == 2
    sheet = cv2.imread(str(folder / "worst_images.jpg"))
    assert sheet is not None and sheet.shape == (320, 960, 3)


def test_nothing_labelled_is_refused(tmp_path: Path) -> None:
    results = write_split(tmp_path, 1)
    bare = [type(r).of(r.path, (r.width, r.height), (r.boxes, r.confidences, r.classes), ([], [])) for r in results]
    with pytest.raises(DataError, match="no labelled object"):
        Diagnosis.of(bare, NAMES, title="best.pt", data="data.yaml", split="val")


@needs_chromium
def test_a_browser_shows_the_page(folder: Path) -> None:
    with page_of(folder / "diagnosis.html") as page:
        assert page.inner_text("h1") == page.title() == "What best.pt gets wrong"
        assert page.locator("#errors tr").count() == 7
        assert page.inner_text("#errors tr:nth-child(2) td:nth-child(3)") == "1"
        assert "a note </script>" in page.inner_text("body") and NAMES[1] in page.inner_text("body")
        assert page.locator("h3").all_inner_texts()[:2] == ["By class", "By size"]
        # Every image is inside the page, and decodes.
        assert page.locator("img").count() == 4
        for number in range(4):
            page.locator("img").nth(number).scroll_into_view_if_needed()
        page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.inner_text("#count") == "3 of 3 shown"
        kind = page.locator(".hint").first.get_attribute("data-kind")
        page.uncheck(f"#kinds input[value='{kind}']")
        assert not page.locator(".hint").first.is_visible() and page.inner_text("#count") != "3 of 3 shown"
