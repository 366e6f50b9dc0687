"""The chart of metrics: an image with every run in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.evaluation.metric_chart import draw_metric_chart
from reg_yolo.evaluation.paper_tables import paper_tables
from reg_yolo.evaluation.run_results import read_runs
from reg_yolo.yolo.upstream.offline import register_fonts
from tests.evaluation.runs import FIVE, SEVEN, report_of, write_run

pytestmark = pytest.mark.usefixtures("thai_fonts")
BLUE, VERMILION = (178, 114, 0), (0, 94, 213)


@pytest.fixture(scope="module")
def thai_fonts() -> None:
    """The fonts that `report` sets before it draws."""
    register_fonts()


def pixels(png: bytes, colour: tuple[int, int, int]) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.argwhere((picture == colour).all(axis=2))


def test_a_line_of_panels_for_each_table(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "j", "joint"), write_run(tmp_path / "s", "segment")])
    png = draw_metric_chart(paper_tables(runs))
    one = draw_metric_chart(paper_tables(runs)[:1])
    heights = [cv2.imdecode(np.frombuffer(p, np.uint8), 0).shape for p in (one, png)]
    assert heights[0][1] == heights[1][1] == 1320 and heights[1][0] > 2 * heights[0][0]
    assert len(pixels(png, BLUE)) and len(pixels(png, VERMILION))


def test_dots_stand_where_the_figures_are(tmp_path: Path) -> None:
    low, high = (read_runs([write_run(tmp_path / str(v), boxes=report_of(SEVEN, v))]) for v in (0.25, 0.7))
    columns = [pixels(draw_metric_chart(paper_tables(runs)), BLUE)[:, 1] for runs in (low, high)]
    # On the left and on the right panel alike, what is 45 points better stands farther to the right.
    for side in (lambda c: c[c < 620], lambda c: c[c > 640]):
        assert np.median(side(columns[1])) - np.median(side(columns[0])) > 150


@pytest.mark.filterwarnings("error:Glyph")
def test_thai_names_have_letters(tmp_path: Path) -> None:
    draw_metric_chart(paper_tables(read_runs([write_run(tmp_path / "a")], ["ป้ายเตือนน้ำที่"])))


def test_groups_have_bars_and_classes_without_figures_are_left_out(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / f"a{n}", boxes=report_of(FIVE, 0.3 + n / 5), seed=n) for n in range(3)]
    runs = read_runs(folders)
    bars = pixels(draw_metric_chart(paper_tables(runs, group=True)), BLUE)
    single = pixels(draw_metric_chart(paper_tables(runs[1:2], group=True)), BLUE)
    left = [np.ptp(found[found[:, 1] < 620][:, 1]) for found in (bars, single)]
    assert left[0] > left[1] + 50
