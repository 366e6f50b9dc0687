"""A comparison from records: endpoints, rare classes, verdicts, the family that is adjusted, tables and plots."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from reg_yolo.evaluation.comparison.detection_matches import DetectionMatches
from reg_yolo.evaluation.comparison.differences import Comparison, ReportSettings, compare_records
from reg_yolo.evaluation.comparison.endpoints import endpoint_value, rare_classes
from reg_yolo.evaluation.comparison.page import comparison_page, set_scopes
from reg_yolo.evaluation.comparison.paired_differences import holm, paired_difference
from reg_yolo.evaluation.comparison.plots import draw_forest, draw_gain_by_frequency
from reg_yolo.evaluation.comparison.records import ClassFigures, RunRecord
from reg_yolo.evaluation.comparison.tables import (
    ComparisonTable,
    classes_csv,
    comparison_tables,
    differences_csv,
    runs_csv,
)
from tests.evaluation.comparison.made_runs import drawn_matches, write_run

ARMS = ("stock", "good_arm", "same")
ENDPOINTS = ("map50_95", "map50", "f1_best", "f1_025", "rare_ap")


def settings(**changes: object) -> ReportSettings:
    family = (frozenset(ARMS), frozenset({"map50_95", "rare_ap"}), frozenset({"scenes"}))
    return replace(ReportSettings("stock", ARMS, ("scenes",), ENDPOINTS, family, draws=100), **changes)


def read_matches(record: RunRecord, kind: str) -> DetectionMatches:
    assert record.path is not None
    return DetectionMatches.read(record.path.parent / record.matches[kind])


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    """Four seeds of three arms: one is much better, one draws a little differently."""
    out, found = tmp_path_factory.mktemp("comparison"), []
    for seed in range(4):
        for arm, quality, draw in (("stock", 0.5, seed), ("good_arm", 0.8, seed), ("same", 0.5, 100 + seed)):
            found.append(write_run(out, arm, seed, drawn_matches(quality, seed=draw)))
    return found


@pytest.fixture(scope="module")
def comparison(records: list[RunRecord]) -> Comparison:
    return compare_records(records, settings(), read_matches)


def figures(name: str, train: int, ap: float | None = 0.5) -> ClassFigures:
    return ClassFigures(name, train, 10, ap, ap, ap, ap, 0.3)


def test_rare_is_under_a_third_of_the_median_or_named() -> None:
    classes = [figures("a", 900), figures("b", 300), figures("c", 100), figures("d", 99), figures("absent", 0)]
    # The median of 900, 300, 100 and 99 is 200.
    assert rare_classes(classes) == ()
    assert rare_classes([*classes[:2], figures("c", 300), figures("d", 99)]) == ("d",)
    assert rare_classes([*classes[:2], figures("c", 300), figures("d", 100)]) == ()
    assert rare_classes(classes, ["b"]) == ("b",)


def test_an_endpoint_is_the_mean_over_classes_with_objects_in_points(records: list[RunRecord]) -> None:
    record = replace(records[0], boxes=(figures("a", 9, 0.4), figures("b", 9, None), figures("c", 1, 0.1)))
    assert endpoint_value(record, "map50_95", ["c"]) == pytest.approx(25.0)
    assert endpoint_value(record, "rare_ap", ["c"]) == pytest.approx(10.0)
    assert math.isnan(endpoint_value(record, "rare_ap", ["b"]))
    assert math.isnan(endpoint_value(record, "mask_map50", []))


def test_differences_are_paired_by_seed(comparison: Comparison, records: list[RunRecord]) -> None:
    values = {(r.arm, r.seed): endpoint_value(r, "map50", []) for r in records}
    row = next(c for c in comparison.comparisons if (c.arm, c.endpoint) == ("good_arm", "map50"))
    expected = paired_difference(
        {seed: values["good_arm", seed] for seed in range(4)}, {seed: values["stock", seed] for seed in range(4)}
    )
    assert row.difference == expected
    assert row.verdict == "better" and math.isnan(row.adjusted)


def test_holm_is_over_the_family_alone(comparison: Comparison) -> None:
    members = [c for c in comparison.comparisons if c.endpoint in ("map50_95", "rare_ap")]
    assert len(members) == 4
    assert [c.adjusted for c in members] == pytest.approx(holm([c.difference.p_value for c in members]))
    assert all(math.isnan(c.adjusted) for c in comparison.comparisons if c not in members)
    best = next(c for c in members if (c.arm, c.endpoint) == ("good_arm", "map50_95"))
    assert best.verdict == "better, also after Holm"
    not_after = replace(best, adjusted=0.2)
    assert not_after.verdict == "better, not after Holm"


def test_what_is_undecided_says_what_could_have_been_seen(comparison: Comparison) -> None:
    row = next(c for c in comparison.comparisons if (c.arm, c.endpoint) == ("same", "map50_95"))
    assert row.difference.low < 0 < row.difference.high
    assert row.verdict.startswith("inconclusive: smallest effect this could show ")
    assert "seeds needed for 1: " in row.verdict
    rare = next(c for c in comparison.comparisons if (c.arm, c.endpoint) == ("same", "rare_ap"))
    assert "seeds needed for 3: " in rare.verdict


def test_the_bootstrap_is_made_from_the_matches_and_left_out_without_them(
    comparison: Comparison, records: list[RunRecord]
) -> None:
    row = next(c for c in comparison.comparisons if (c.arm, c.endpoint) == ("good_arm", "map50_95"))
    low, high = row.bootstrap
    assert low < row.difference.mean < high and high - low > 0.5
    without = compare_records(records, settings(draws=0), read_matches)
    gone = compare_records(records, settings())
    for other in (without, gone):
        assert all(math.isnan(end) for c in other.comparisons for end in c.bootstrap)
        assert [c.difference for c in other.comparisons] == [c.difference for c in comparison.comparisons]


def test_a_missing_seed_leaves_its_pair_out(records: list[RunRecord]) -> None:
    fewer = [r for r in records if (r.arm, r.seed) != ("good_arm", 2)]
    row = compare_records(fewer, settings(draws=0)).comparisons[0]
    assert row.difference.seeds == (0, 1, 3)
    alone = [r for r in records if r.seed == 0]
    assert {c.verdict for c in compare_records(alone, settings(draws=0)).comparisons} == {"one seed: no interval"}


def test_classes_stand_from_the_most_frequent_with_paired_differences(comparison: Comparison) -> None:
    rows = comparison.classes["scenes"]
    assert [row.name for row in rows] == ["pole", "sign", "barrier", "shelter"]
    assert [row.rare for row in rows] == [False, False, False, True]
    assert rows[0].differences["good_arm"].is_decided and rows[0].differences["good_arm"].mean > 0
    assert "stock" not in rows[0].differences


def test_tables_hold_the_figures_in_every_form(comparison: Comparison) -> None:
    means, differences, classes = comparison_tables(comparison, "scenes")
    value = next(v for v in comparison.values if (v.arm, v.endpoint) == ("good_arm", "map50_95"))
    cell = f"{value.mean:.2f} ± {value.deviation:.2f}"
    assert means.rows[1][:3] == ("good_arm", "4", cell)
    assert f"| good\\_arm | 4 | {cell} |" in means.as_markdown()
    assert cell in means.as_text()
    assert r"good\_arm & 4 & " + cell.replace("±", r"$\pm$") in means.as_latex()
    assert "Rare classes: shelter." in means.notes
    decided = [row for number, row in enumerate(differences.rows) if number in differences.bold]
    assert decided and all(row[-1].startswith(("better", "worse")) for row in decided)
    assert "**better, also after Holm**" in differences.as_markdown()
    assert "over 4 comparisons" in " ".join(differences.notes)
    assert classes.rows[-1][0] == "shelter (rare)" and "*" in classes.rows[0][4]
    assert ComparisonTable.from_dict(differences.to_dict()) == differences


def test_csv_files_hold_every_run_difference_and_class(comparison: Comparison, records: list[RunRecord]) -> None:
    runs = list(csv.DictReader(io.StringIO(runs_csv(comparison))))
    assert len(runs) == len(records) and {row["steps"] for row in runs} == {"100"}
    assert float(runs[0]["map50_95"]) == pytest.approx(endpoint_value(comparison.records[0], "map50_95", []), abs=1e-5)
    differences = list(csv.DictReader(io.StringIO(differences_csv(comparison))))
    assert len(differences) == 2 * len(ENDPOINTS)
    own = comparison.comparisons[0]
    assert float(differences[0]["t_low"]) == pytest.approx(own.difference.low, abs=1e-5)
    assert differences[0]["by_seed"].split()[0] == f"0:{own.difference.values[0]:.4f}"
    classes = list(csv.DictReader(io.StringIO(classes_csv(comparison))))
    assert len(classes) == 4 * len(ARMS)


def test_the_page_says_what_the_figures_hold_for(comparison: Comparison) -> None:
    tables = {"scenes": comparison_tables(comparison, "scenes")}
    page = comparison_page("my_plan", comparison, tables, {"scenes": [("Forest", "forest.png")]}, ["One thing."])
    scope = set_scopes(comparison)[0]
    assert scope.short == "yolov8n from random weights, 320 px, 12 epochs, 4 seeds"
    assert "12 runs, 0.2 h on A (1 thread, float32)" in scope.as_text()
    assert page.startswith("# Comparison: my\\_plan\n") and "![Forest](forest.png)" in page and "- One thing." in page


def test_plots_are_drawn_and_differ_with_what_they_show(comparison: Comparison, records: list[RunRecord]) -> None:
    worse = [
        replace(r, boxes=tuple(figures(f.name, f.train, 0.1) for f in r.boxes)) for r in records if r.arm != "stock"
    ]
    other = compare_records([*worse, *(r for r in records if r.arm == "stock")], settings(draws=0))
    for draw in (draw_forest, draw_gain_by_frequency):
        images = [cv2.imdecode(np.frombuffer(draw(c, "scenes"), np.uint8), 1) for c in (comparison, other)]
        assert min(images[0].shape[:2]) > 300
        assert images[0].shape != images[1].shape or (images[0] != images[1]).any()


def test_nothing_to_compare_draws_nothing(records: list[RunRecord]) -> None:
    alone = compare_records([r for r in records if r.arm == "stock"], settings(draws=0))
    assert alone.comparisons == () and draw_forest(alone, "scenes") == b"" == draw_gain_by_frequency(alone, "scenes")
