"""scripts/make_evidence.py: a comparison is recorded, and the page says what was found and for what it holds."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from reg_yolo.evaluation.comparison.differences import ReportSettings, compare_records
from reg_yolo.evaluation.comparison.page import comparison_data
from reg_yolo.evaluation.comparison.records import read_records
from reg_yolo.evaluation.comparison.tables import classes_csv, comparison_tables, differences_csv, runs_csv
from tests.evaluation.comparison.made_runs import drawn_matches, write_run

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/make_evidence.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_evidence", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_comparison(out: Path, quality: float) -> None:
    """Write what `reg-yolo compare` leaves, of three seeds of two arms."""
    records = [
        write_run(out, arm, seed, drawn_matches(value, seed=seed))
        for seed in range(3)
        for arm, value in (("stock", 0.5), ("good", quality))
    ]
    family = (frozenset({"good"}), frozenset({"map50_95"}), frozenset({"scenes"}))
    settings = ReportSettings("stock", ("stock", "good"), ("scenes",), ("map50_95", "map50"), family, draws=0)
    comparison = compare_records(records, settings)
    tables = {"scenes": comparison_tables(comparison, "scenes")}
    data = comparison_data("plan", comparison, tables, {"scenes": [("Forest", "forest.png")]}, ["A note."])
    (out / "comparison.json").write_text(json.dumps(data))
    (out / "comparison_plan.yaml").write_text("data: {scenes: /home/somebody/sets/scenes/v2/data.yaml}\nseeds: [0]\n")
    for name, content in (("runs", runs_csv), ("differences", differences_csv), ("classes", classes_csv)):
        (out / f"{name}.csv").write_text(content(comparison))
    lines = np.full((120, 160, 3), 255, np.uint8)
    lines[20:40, ::2], lines[60:80, ::3] = (0, 114, 178), (213, 94, 0)
    Image.fromarray(lines).save(out / "forest.png", compress_level=0)


def test_the_page_holds_headlines_tables_plots_and_limits(script: ModuleType, tmp_path: Path) -> None:
    evidence = tmp_path / "docs/evidence"
    write_comparison(tmp_path / "screen", quality=0.8)
    write_comparison(tmp_path / "final", quality=0.5)
    (evidence / "screen").mkdir(parents=True)
    (evidence / "screen/words.txt").write_text("Why these arms.")
    script.main([str(tmp_path / "screen"), str(tmp_path / "final"), "--evidence", str(evidence)])
    page = (tmp_path / "docs/evidence.md").read_text()
    scope = "yolov8n from random weights, 320 px, 12 epochs, 3 seeds"
    assert f"### screen, scenes: {scope}" in page and f"### final, scenes: {scope}" in page
    headlines = [line for line in page.splitlines() if line.startswith("| screen, scenes")]
    assert len(headlines) == 1 and "| mAP50-95 | good less stock | +" in headlines[0] and "better" in headlines[0]
    assert "Why these arms." in page and "![Forest](evidence/screen/forest.png)" in page and "- A note." in page
    kept, plot = evidence / "screen/forest.png", tmp_path / "screen/forest.png"
    assert kept.stat().st_size < plot.stat().st_size / 3
    assert np.array_equal(Image.open(kept).convert("RGB"), Image.open(plot))
    assert "reg-yolo compare docs/evidence/screen/comparison_plan.yaml" in page and "6 runs, 0.1 hours" in page
    assert "comparisons are inconclusive: differences below" in page.partition("What cannot be concluded")[2]
    assert "somebody" not in (evidence / "screen/comparison_plan.yaml").read_text()
    assert "{scenes: scenes/v2/data.yaml}" in (evidence / "screen/comparison_plan.yaml").read_text()


def test_another_machine_can_continue_a_comparison(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_comparison(tmp_path / "screen", quality=0.8)
    recorded = script.record(tmp_path / "screen", tmp_path / "evidence")
    for written in (6, 0):
        script.main(["--evidence", str(recorded.parent), "--restore", str(tmp_path / "elsewhere")])
        assert capsys.readouterr().out == f"screen: {written} records written\n"
    before, after = (
        {record.path.relative_to(out): record.to_dict() for record in read_records(out)[0]}
        for out in (tmp_path / "screen", tmp_path / "elsewhere/screen")
    )
    assert len(before) == 6 and before == after


def test_a_rerun_replaces_what_was_recorded(script: ModuleType, tmp_path: Path) -> None:
    evidence, source = tmp_path / "docs/evidence", tmp_path / "screen"
    write_comparison(source, quality=0.8)
    script.main([str(source), "--evidence", str(evidence)])
    before = (tmp_path / "docs/evidence.md").read_text()
    script.main(["--evidence", str(evidence)])
    assert (tmp_path / "docs/evidence.md").read_text() == before
    (evidence / "screen/old.png").write_bytes(b"old")
    write_comparison(source, quality=0.3)
    script.main([str(source), "--evidence", str(evidence)])
    assert "worse" in (tmp_path / "docs/evidence.md").read_text()
    assert not (evidence / "screen/old.png").exists()


def test_nothing_recorded_foreign_files_and_too_much_are_refused(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evidence = tmp_path / "docs/evidence"
    for words, message in (([], "no recorded comparison"), ([str(tmp_path)], "no comparison.json")):
        with pytest.raises(SystemExit) as left:
            script.main([*words, "--evidence", str(evidence)])
        assert left.value.code == 2 and message in capsys.readouterr().err
    write_comparison(tmp_path / "screen", quality=0.8)
    script.main([str(tmp_path / "screen"), "--evidence", str(evidence)])
    (evidence / "screen/large.bin").write_bytes(b"x" * 1_000_001)
    with pytest.raises(SystemExit):
        script.main(["--evidence", str(evidence)])
    assert "more than 1 MB" in capsys.readouterr().err
