"""The paper's tables: which run goes where, the figures, three formats, and what must not be compared."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest

from reg_yolo.evaluation.latex import escape_latex
from reg_yolo.evaluation.paper_tables import PaperTable, ResultRow, paper_tables, per_class_tables
from reg_yolo.evaluation.per_class import ClassResult
from reg_yolo.evaluation.run_results import RunResult, read_runs
from tests.evaluation.runs import FIVE, SEVEN, report_of, write_run


@pytest.fixture
def three(tmp_path: Path) -> list[RunResult]:
    """A detection, a segmentation and a joint run."""
    return read_runs(
        [
            write_run(tmp_path / "detect_run", "detect", report_of(SEVEN, 0.6)),
            write_run(tmp_path / "segment_run", "segment", report_of(FIVE, 0.55), report_of(FIVE, 0.45, "mask")),
            write_run(tmp_path / "joint_run", "joint", report_of(SEVEN, 0.5), report_of(FIVE, 0.4, "mask")),
        ]
    )


def rows_of(table: PaperTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.as_csv())))


def test_a_run_goes_to_the_tables_of_its_task(three: list[RunResult]) -> None:
    tables = paper_tables(three)
    assert [table.name for table in tables] == ["table1_detection", "table2_masks", "table3_segmentation_boxes"]
    assert [[row["Run"] for row in rows_of(table)] for table in tables] == [
        ["detect_run", "joint_run"],
        ["segment_run", "joint_run"],
        ["segment_run", "joint_run"],
    ]
    assert [table.name for table in paper_tables(three[:1])] == ["table1_detection"]


def test_figures_are_means_of_the_classes_that_the_table_is_about(three: list[RunResult]) -> None:
    detection, masks, boxes = (rows_of(table) for table in paper_tables(three))
    # By class the figures rise by 2 points: the mean of 7 is the first + 6, of 5 masks + 4.
    assert float(detection[0]["mAP50"]) == pytest.approx(66)
    assert float(detection[1]["mAP50-95"]) == pytest.approx(36)
    assert [float(masks[0][name]) for name in ("mAP50", "mAP50-95", "P", "R", "F1")] == pytest.approx(
        [49, 29, 60, 54, 56]
    )
    # Of the joint run's boxes, classes 0, 1, 2, 5 and 6: 2.8 steps on the mean.
    assert float(boxes[1]["mAP50"]) == pytest.approx(50 + 2 * 2.8)
    assert (detection[0]["Model"], detection[0]["Epochs"]) == ("yolov8n", "3")


def test_markdown_and_latex_print_two_decimals_and_the_best_in_bold(three: list[RunResult]) -> None:
    table = paper_tables(three)[0]
    assert (
        "| detect\\_run | yolov8n | 3 | **66.00** | **46.00** | **77.00** | **71.00** | **73.00** |"
        in table.as_markdown()
    )
    assert "| joint\\_run | yolov8n | 3 | 56.00 |" in table.as_markdown()
    latex = table.as_latex()
    assert r"detect\_run & yolov8n & 3 & \textbf{66.00} & \textbf{46.00}" in latex
    for part in (r"\begin{tabular}{llrrrrrr}", r"\toprule", r"\midrule", r"\bottomrule", r"\caption{Detection, boxes."):
        assert part in latex
    assert "66.00*" in table.as_text()


def test_equal_figures_are_all_best_and_missing_ones_are_dashes() -> None:
    rows = (
        ResultRow(("a",), (0.50001, 0.2, math.nan, 0.1, math.nan)),
        ResultRow(("b",), (0.50004, 0.3, math.nan, 0.1, 0.7)),
    )
    markdown = PaperTable("t", "T: t", ("Run",), rows).as_markdown()
    assert "| a | **50.00** | 20.00 | – | **10.00** | – |" in markdown
    # Alone in its column, a figure is not a best.
    assert "| b | **50.00** | **30.00** | – | **10.00** | 70.00 |" in markdown


def test_a_single_run_is_not_emphasised(three: list[RunResult]) -> None:
    assert r"\textbf" not in paper_tables(three[:1])[0].as_latex()


def test_names_are_escaped(tmp_path: Path) -> None:
    (run,) = read_runs([write_run(tmp_path / "run")], ["เสา_50% & $x$ #1 {~^\\}"])
    latex = paper_tables([run])[0].as_latex()
    assert r"เสา\_50\% \& \$x\$ \#1 \{\textasciitilde{}\textasciicircum{}\textbackslash{}\} &" in latex
    assert "XeLaTeX" in latex
    assert escape_latex("a|b<c>") == r"a\textbar{}b\textless{}c\textgreater{}"
    plain = paper_tables([replace(run, label="plain")])[0]
    assert "XeLaTeX" not in plain.as_latex()
    assert "เสา\\_50% &amp; $x$ #1 {~^\\\\}" in paper_tables([run])[0].as_markdown()


def test_tables_by_class(three: list[RunResult]) -> None:
    masks = paper_tables(three)[1]
    first, second = per_class_tables(masks)
    assert first.title.endswith("by class: segment_run") and second.title.endswith("by class: joint_run")
    rows = rows_of(second)
    assert [row["Class"] for row in rows] == ["all", *FIVE]
    assert rows[1]["Instances"] == "40" and float(rows[1]["mAP50"]) == pytest.approx(40)
    assert "**40.00**" not in second.as_markdown()


def test_rare_classes_are_marked(three: list[RunResult]) -> None:
    run = three[0]
    classes = (ClassResult("bus_stop", 5, 7, 0.5, 0.5, 0.5, 0.5, 0.5), *run.boxes.classes[1:])
    (table,) = paper_tables([replace(run, boxes=replace(run.boxes, classes=classes))])
    assert any("fewer than 20 instances" in note for note in table.notes)
    assert "| bus\\_stop \\* | 5 | 7 |" in per_class_tables(table)[0].as_markdown()


def test_a_precision_of_one_for_nothing_found_is_explained(three: list[RunResult]) -> None:
    run = three[0]
    classes = (ClassResult("bus_stop", 5, 25, 1.0, 0.0, 0.0, 0.1, 0.05), *run.boxes.classes[1:])
    (table,) = paper_tables([run, replace(run, label="blind", boxes=replace(run.boxes, classes=classes))])[:1]
    assert any(note.endswith("which lifts the mean P of blind.") for note in table.notes)
    assert not any("P 100" in note for note in paper_tables([run])[0].notes)


def test_other_classes_are_not_compared_or_ranked(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b", boxes=report_of(FIVE, 0.9))])
    (table,) = paper_tables(runs)
    assert any(note.startswith("NOT COMPARABLE, the runs have different classes.") for note in table.notes)
    assert "**9" not in table.as_markdown()


@pytest.mark.parametrize("change", [{"images": 61}, {"split": "test"}])
def test_other_data_are_not_compared(tmp_path: Path, change: dict[str, object]) -> None:
    boxes = replace(report_of(SEVEN, 0.9), **change)  # type: ignore[arg-type]
    (table,) = paper_tables(read_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b", boxes=boxes)]))
    (note,) = [note for note in table.notes if note.startswith("NOT COMPARABLE")]
    assert "a: split val with 60 images (pavilion 40, " in note and "b: split " in note


def test_other_counts_of_a_class_are_other_data(tmp_path: Path) -> None:
    boxes = report_of(SEVEN)
    classes = (replace(boxes.classes[0], instances=39), *boxes.classes[1:])
    (table,) = paper_tables(
        read_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b", boxes=replace(boxes, classes=classes))])
    )
    assert any(note.startswith("NOT COMPARABLE") for note in table.notes)


def test_the_same_counts_at_another_place_and_another_size_are_mentioned(tmp_path: Path) -> None:
    other = {"path": "/other", "val": "/other/images/val", "names": list(SEVEN)}
    (table,) = paper_tables(read_runs([write_run(tmp_path / "a"), write_run(tmp_path / "b", data=other, imgsz=320)]))
    assert any("different places" in note and "b: /other/images/val" in note for note in table.notes)
    assert any("different sizes" in note and "b: 320 px" in note for note in table.notes)
    assert table.emphasised
    (same,) = paper_tables(read_runs([write_run(tmp_path / "c"), write_run(tmp_path / "d")]))
    assert not any("place" in note or "sizes" in note or "COMPARABLE" in note for note in same.notes)


def test_seeds_in_one_row(tmp_path: Path) -> None:
    folders = [
        write_run(tmp_path / f"reg-seed{seed}", boxes=report_of(SEVEN, 0.5 + 0.01 * seed), seed=seed)
        for seed in range(3)
    ]
    folders.append(
        write_run(tmp_path / "stock-seed0", boxes=report_of(SEVEN, 0.4), settings={"reg": {"preset": "stock"}})
    )
    (table,) = paper_tables(read_runs(folders), group=True)
    rows = rows_of(table)
    assert [(row["Run"], row["Runs"]) for row in rows] == [("reg", "3"), ("stock", "1")]
    # 56, 57 and 58: mean 57, sample deviation 1.
    assert float(rows[0]["mAP50"]) == pytest.approx(57) and float(rows[0]["mAP50 std"]) == pytest.approx(1)
    assert rows[1]["mAP50 std"] == ""
    assert "| reg | yolov8n | 3 | 3 | **57.00 ± 1.00** |" in table.as_markdown()
    assert r"\textbf{57.00 $\pm$ 1.00}" in table.as_latex()
    assert len(per_class_tables(table)) == 4
    assert any("sample standard deviation" in note for note in table.notes)


def test_groups_keep_labels_that_tell_them_apart(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "run1"), write_run(tmp_path / "run2", settings={"reg": {"preset": "cle"}})])
    (table,) = paper_tables(runs, group=True)
    assert [row["Run"] for row in rows_of(table)] == ["run1", "run2"]


def test_joint_boxes_of_the_mask_classes_say_where_their_threshold_is_from(three: list[RunResult]) -> None:
    assert any("best for all its classes" in note for note in paper_tables(three)[2].notes)
    assert not any("best for all its classes" in note for note in paper_tables(three[:2])[2].notes)
