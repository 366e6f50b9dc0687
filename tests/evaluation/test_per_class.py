"""The per-class table in its five forms, and what it does with rare and absent classes."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from reg_yolo import files
from reg_yolo.evaluation.per_class import ClassResult, DetectionReport, build_report
from reg_yolo.text_tables import display_width

NAMES = ["pole", "bus_stop", "ป้ายเตือน", "wall|end"]


@pytest.fixture
def report() -> DetectionReport:
    """Four classes: a common one, a rare one, one without objects, and one in which nothing was found."""
    return build_report(
        NAMES,
        split="val",
        images=100,
        image_counts=[80, 6, 0, 30],
        instance_counts=[150, 7, 0, 40],
        class_index=[0, 1, 3],
        precision=[0.9, 0.6, 0.0],
        recall=[0.8, 0.5, 0.0],
        f1=[0.847, 0.545, 0.0],
        ap50=[0.85, 0.5, 0.05],
        ap=[0.6, 0.3, 0.0],
        thresholds={"pole": 0.31, "bus_stop": 0.12, "ป้ายเตือน": 0.215, "wall|end": 0.2},
        title="best.pt",
    )


def test_arrays_land_at_their_class_and_the_mean_leaves_absent_classes_out(report: DetectionReport) -> None:
    pole, bus_stop, warning, wall = report.classes
    assert (pole.precision, pole.recall, pole.f1, pole.ap50, pole.ap) == (0.9, 0.8, 0.847, 0.85, 0.6)
    assert (wall.images, wall.instances, wall.ap50, wall.threshold) == (30, 40, 0.05, 0.2)
    assert all(math.isnan(value) for value in (warning.precision, warning.recall, warning.f1, warning.ap50, warning.ap))
    assert (pole.is_rare, bus_stop.is_rare, warning.is_rare) == (False, True, False)
    mean = report.mean
    assert (mean.images, mean.instances) == (100, 197)
    assert mean.precision == pytest.approx((0.9 + 0.6 + 0.0) / 3)
    assert mean.ap50 == pytest.approx((0.85 + 0.5 + 0.05) / 3)
    assert mean.ap == pytest.approx(0.3)


def test_nan_of_a_class_with_objects_does_not_poison_the_mean() -> None:
    classes = (ClassResult("a", 1, 30, ap=math.nan), ClassResult("b", 1, 30, ap=0.5))
    assert DetectionReport("val", classes, 2).mean.ap == 0.5
    assert math.isnan(DetectionReport("val", classes, 2).mean.ap50)


def test_a_class_without_objects_is_left_out_of_the_mean_whatever_its_numbers_say() -> None:
    classes = (ClassResult("a", 1, 30, ap=0.5), ClassResult("b", 0, 0, ap=0.0))
    assert DetectionReport("val", classes, 2).mean.ap == 0.5


def test_text_is_aligned_marks_rare_classes_and_explains_the_marks(report: DetectionReport) -> None:
    lines = report.as_text().splitlines()
    assert lines[0] == "best.pt (box)"
    table = lines[1:7]
    assert table[0].split() == ["Class", "Images", "Instances", "P", "R", "F1", "mAP50", "mAP50-95", "Threshold"]
    assert table[1].split() == ["all", "100", "197", "0.500", "0.433", "0.464", "0.467", "0.300", "-"]
    assert table[3].split() == ["bus_stop", "*", "6", "7", "0.600", "0.500", "0.545", "0.500", "0.300", "0.120"]
    assert table[4].split() == ["ป้ายเตือน", "0", "0", "-", "-", "-", "-", "-", "0.215"]
    assert len({display_width(line) for line in table}) == 1
    assert lines[7] == ""
    assert lines[8].startswith("Split: val. P, R and F1 at the confidence of the best mean F1.")
    assert lines[9] == "* fewer than 20 instances: these figures are uncertain."
    assert lines[10] == "Without objects in this split and left out of the means: class ป้ายเตือน."


def test_notes_are_silent_where_nothing_is_rare_or_absent() -> None:
    report = DetectionReport("test", (ClassResult("a", 20, 20, 1, 1, 1, 1, 1),), 20)
    assert report.notes == ["Split: test. P, R and F1 at the confidence of the best mean F1."]
    assert "*" not in report.as_text()


def test_few_objects_in_all_do_not_mark_the_mean_row() -> None:
    report = DetectionReport("val", (ClassResult("all", 3, 3, 1, 1, 1, 1, 1),), 3)
    rows = report.as_text().splitlines()[1:3]
    assert rows[0].startswith("all  ")
    assert rows[1].startswith("all *")


def test_display_width_of_combining_and_wide_characters() -> None:
    assert display_width("ป้าย") == 3
    assert display_width("標識") == 4
    assert display_width("pole") == 4


def test_markdown_escapes_what_would_break_the_table(report: DetectionReport) -> None:
    text = report.as_markdown()
    assert text.startswith("**best.pt** (box)\n\n| Class |")
    assert "|:---|---:|---:|---:|---:|---:|---:|---:|---:|\n| all |" in text
    assert "| bus\\_stop \\* | 6 | 7 |" in text
    assert "| wall\\|end |" in text
    assert "\n\n\\* fewer than 20 instances" in text


def test_csv_keeps_full_precision_and_empty_cells(report: DetectionReport) -> None:
    rows = list(csv.DictReader(io.StringIO(report.as_csv())))
    assert [row["row"] for row in rows] == ["mean", "class", "class", "class", "class"]
    assert rows[0]["class"] == "all"
    assert float(rows[0]["ap50"]) == report.mean.ap50
    assert (rows[2]["rare"], rows[1]["rare"], rows[0]["rare"]) == ("true", "false", "false")
    assert (rows[3]["class"], rows[3]["precision"], rows[3]["ap50_95"]) == ("ป้ายเตือน", "", "")
    assert {row["split"] for row in rows} == {"val"}
    assert float(rows[4]["threshold"]) == 0.2


def test_json_has_null_for_nan_and_reads_back(report: DetectionReport) -> None:
    data = json.loads(report.as_json())
    assert data["schema"] == "reg_yolo.per_class/1"
    assert data["classes"][2]["ap"] is None
    assert data["classes"][1]["rare"] is True
    again = DetectionReport.from_dict(data)
    assert again.as_text() == report.as_text()
    assert again.to_dict() == report.to_dict()
    with pytest.raises(ValueError, match="expected a per-class report of schema"):
        DetectionReport.from_dict({**data, "schema": "other/1"})


def test_write_makes_four_files_and_leaves_no_temporary(report: DetectionReport, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "tables"
    written = report.write(folder, "per_class")
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in written)
    assert [path.suffix for path in written] == [".txt", ".md", ".csv", ".json"]
    assert (folder / "per_class.txt").read_text(encoding="utf-8") == report.as_text()
    assert json.loads((folder / "per_class.json").read_text(encoding="utf-8")) == report.to_dict()


def test_files_are_replaced_not_rewritten(report: DetectionReport, tmp_path: Path) -> None:
    report.write(tmp_path, "per_class")
    with (tmp_path / "per_class.txt").open(encoding="utf-8") as reader:
        DetectionReport("val", (), 0).write(tmp_path, "per_class")
        assert reader.read() == report.as_text()


def test_a_failed_write_leaves_the_old_file(
    report: DetectionReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report.write(tmp_path, "per_class")
    before = (tmp_path / "per_class.txt").read_bytes()

    def disk_full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_flush_to_disk", disk_full)
    with pytest.raises(OSError, match="No space left"):
        report.write(tmp_path, "per_class")
    assert (tmp_path / "per_class.txt").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4


def test_shapes_are_checked() -> None:
    good = {"split": "val", "images": 1, "image_counts": [1], "instance_counts": [1], "class_index": [0]}
    metrics = {"precision": [1.0], "recall": [1.0], "f1": [1.0], "ap50": [1.0], "ap": [1.0]}
    with pytest.raises(ValueError, match=r"ap50 must have shape \(1,\) as class_index, got \(2,\)"):
        build_report(["a"], **good, **{**metrics, "ap50": [1.0, 0.5]})
    with pytest.raises(ValueError, match="image_counts must have one element for each of 2 classes, got 1"):
        build_report(["a", "b"], **good, **metrics)
