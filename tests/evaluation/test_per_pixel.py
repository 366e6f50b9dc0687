"""The report of pixels: what it says, and that it comes back from its file."""

import json
import math

import pytest

from reg_yolo.evaluation.per_pixel import PixelClassResult, PixelReport
from reg_yolo.evaluation.pixel_tables import PixelRun, pixel_class_tables, pixel_tables

REPORT = PixelReport(
    "val",
    (
        PixelClassResult("sign", 3, 1200, 0.5, 0.75, 0.25),
        PixelClassResult("wall", 0, 0),
        PixelClassResult("background", 4, 90000, 0.9, 0.95, 0.75),
    ),
    4,
    0.94,
    "best.pt",
)


def test_the_mean_leaves_out_classes_without_pixels() -> None:
    mean = REPORT.mean
    assert (mean.iou, mean.accuracy, mean.boundary_f1) == pytest.approx((0.7, 0.85, 0.5))
    assert mean.pixels == 91200


def test_the_tables_name_every_class_and_what_is_left_out() -> None:
    text = REPORT.as_text()
    assert "sign             3   1,200  0.500           0.750        0.250" in text
    assert "Of all pixels 0.940 are right" in text
    assert "left out of the means: class wall" in text
    assert "| wall | 0 | 0 | - | - | - |" in REPORT.as_markdown()
    assert REPORT.as_csv().splitlines()[3] == "class,wall,val,0,0,,,"


def test_it_comes_back_from_its_json(tmp_path) -> None:
    written = REPORT.write(tmp_path, "per_class")
    assert [path.suffix for path in written] == [".txt", ".md", ".csv", ".json"]
    again = PixelReport.from_dict(json.loads(written[-1].read_text()))
    assert again.classes[0] == REPORT.classes[0]
    assert math.isnan(again.classes[1].iou)
    assert again.pixel_accuracy == 0.94
    with pytest.raises(ValueError, match="expected a report of pixels"):
        PixelReport.from_dict({"schema": "other"})


def run(label: str, tmp_path, seed: int, iou: float) -> PixelRun:
    classes = (PixelClassResult("sign", 3, 1200, iou, 0.75, 0.25), *REPORT.classes[1:])
    report = PixelReport("val", classes, 4, 0.9)
    return PixelRun(label, tmp_path / label, "yolov8n-sem", report, {"train": {"seed": seed}})


def test_runs_stand_in_one_table_of_means_and_one_of_iou(tmp_path) -> None:
    means, by_class = pixel_tables([run("a", tmp_path, 0, 0.5), run("b", tmp_path, 1, 0.3)])
    assert means.metrics == ("mIoU", "Pixel accuracy by class", "Boundary F1", "Pixel accuracy")
    assert means.rows[0].values == pytest.approx((0.7, 0.85, 0.5, 0.9))
    assert by_class.metrics == ("sign", "wall", "background")
    assert by_class.rows[1].values[0] == pytest.approx(0.3)
    assert "70.00*" in means.as_text()
    first = pixel_class_tables(means)[0]
    assert [row.cells[0] for row in first.rows] == ["all", "sign", "wall", "background"]


def test_runs_that_differ_in_the_seed_are_one_row(tmp_path) -> None:
    means, _ = pixel_tables([run("a-seed0", tmp_path, 0, 0.5), run("a-seed1", tmp_path, 1, 0.3)], group=True)
    (row,) = means.rows
    assert row.cells == ("a", "yolov8n-sem", "2")
    assert row.values[0] == pytest.approx(0.65)
    assert row.deviations[0] == pytest.approx(0.1 / 2**0.5)


def test_runs_on_different_pixels_are_not_compared(tmp_path) -> None:
    other = PixelReport("val", (PixelClassResult("sign", 3, 7, 0.5, 0.5, 0.5), *REPORT.classes[1:]), 4, 0.9)
    runs = [run("a", tmp_path, 0, 0.5), PixelRun("b", tmp_path, "m", other, {})]
    means, _ = pixel_tables(runs)
    assert "NOT COMPARABLE" in means.notes[-1]
    assert "*" not in means.as_text().split("NOT")[0].split("\n", 1)[1]
