"""`reg-yolo compare` on the command line: what is refused, what is shown, and the codes it leaves with."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from reg_yolo.cli.app import main
from reg_yolo.cli.compare_progress import ProgressLine, duration
from reg_yolo.config.plan import load_plan
from reg_yolo.evaluation.comparison.records import RunRecord
from reg_yolo.yolo.commands import compare
from reg_yolo.yolo.commands.compare_planning import PlannedRun, planned_runs
from tests.evaluation.comparison.made_runs import drawn_matches, write_run

PLAN = """\
base: detect/yolov8n
data: {rectangles: DATA}
seeds: [0, 1]
reference: stock
arms: {stock: {reg: stock}, reg: {reg: reg}}
"""


@pytest.fixture
def plan_file(own_rectangles: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.replace("DATA", str(own_rectangles)))
    return path


def leave(words: list[str]) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as left:
        main(["compare", *words])
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.yaml"], "no plan nothing.yaml"),
        (["PLAN", "--only-report"], "no record of a run of this plan"),
        (["PLAN", "--run", "reg"], "--run reg: the plan has no such run; expected ARM:SEED with stock, reg and 0, 1"),
        (["PLAN", "--run", "reg:0", "--only-report"], "--run makes one run here"),
        (["PLAN", "--cluster", "local", "--cluster-cpus", "0"], "--cluster-cpus and --cluster-gpus: got 0"),
    ],
)
def test_wrong_words_leave_one_line_and_code_2(
    words: list[str], message: str, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leave([str(plan_file) if word == "PLAN" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def written(run: PlannedRun, out: Path) -> RunRecord:
    """Write the record of a run as if it had been made, and return it."""
    return write_run(
        out, run.arm, run.seed, drawn_matches(0.5 + 0.1 * (run.arm == "reg"), seed=run.seed, images=20),
        set_name=run.set_name, run_hash=run.run_hash, content=run.content,
    )  # fmt: skip


def test_only_report_prints_tables_and_makes_nothing(plan_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = Path("here")
    for run in planned_runs(load_plan(plan_file)):
        written(run, out)
    assert leave([str(plan_file), "--out", "here", "--only-report", "--draws", "10"]) == 0
    shown = capsys.readouterr().out
    assert "rectangles: difference to stock" in shown and f"Comparison: {out / 'comparison.md'}" in shown
    assert (out / "comparison.md").is_file() and not (out / compare.CLAIMS).exists()


def test_a_failed_run_leaves_code_3_and_a_table_of_the_others(
    plan_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(run: PlannedRun, place: compare.RunPlace, **_: object) -> RunRecord:
        if run.arm == "reg" and run.seed == 1:
            raise RuntimeError("loss is not finite")
        return written(run, place.out)

    monkeypatch.setattr(compare, "execute", execute)
    assert leave([str(plan_file), "--draws", "0"]) == 3
    shown = capsys.readouterr()
    assert "error: rectangles/reg/seed1: loss is not finite" in shown.err
    assert "Partly done: 1 runs failed" in shown.err and "Not finished: 1 of 4 runs" in shown.out
    assert Path("runs/compare/plan/comparison.md").is_file()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_progress_line_shows_run_epoch_and_time_on_a_terminal_only(
    plan_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = planned_runs(load_plan(plan_file))[1]
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        with ProgressLine() as line:
            line.begun(run, 2, 4)
            line.training(1.5, 3)
            line.finished(run, None, None)
        shown = stream.getvalue()
        if isinstance(stream, Terminal):
            assert "run 2 of 4: rectangles/reg/seed0, epoch 2 of 3, " in shown and " left" in shown
        else:
            assert shown == ""
    assert capsys.readouterr().out == ""


def test_times_are_short_words() -> None:
    assert [duration(s) for s in (48.2, 750, 12000)] == ["48 s", "12 min", "3 h 20 min"]
