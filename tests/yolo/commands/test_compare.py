"""`compare` end to end on a tiny set: what the runs of a seed share, what is measured, and what survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reg_yolo.config.plan import Plan, load_plan
from reg_yolo.errors import ConfigError, DataError, WeightsError
from reg_yolo.evaluation.comparison.detection_matches import DetectionMatches, class_figures
from reg_yolo.evaluation.comparison.records import RunRecord, read_record, read_records
from reg_yolo.yolo.commands import compare
from reg_yolo.yolo.commands.compare import named_run, run_plan
from reg_yolo.yolo.commands.compare_planning import PlannedRun, planned_runs
from reg_yolo.yolo.commands.compare_report import report_plan
from reg_yolo.yolo.commands.val import val
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file

pytestmark = pytest.mark.slow

PLAN = """\
base: detect/yolov8n
data: {{rectangles: {data}}}
seeds: [0, 1]
reference: stock
settings: {{model: {model}, albumentations: none}}
train: {{epochs: 2, imgsz: 64, batch: 8, nbs: 8, device: cpu, lr0: 0.0002, warmup_epochs: 0, close_mosaic: 1}}
rare: [blue]
arms:
  stock: {{reg: stock}}
  weighted: {{reg: {{preset: stock, alpha: {{scheme: balanced, temper: 0.5}}}}, train: {{cls: 1.0}}}}
"""


class Notes:
    """Keeps what a comparison reports."""

    def __init__(self, on_training: object = None) -> None:
        self.names: list[str] = []
        self.counts: list[tuple[int, int]] = []
        self.errors: list[Exception] = []
        self.done: list[float] = []
        self._on_training = on_training

    def begun(self, run: PlannedRun, number: int, count: int) -> None:
        self.names.append(run.name)
        self.counts.append((number, count))

    def training(self, done: float, epochs: int) -> None:
        self.done.append(done / epochs)
        if callable(self._on_training):
            self._on_training()

    def finished(self, _run: PlannedRun, _record: RunRecord | None, error: Exception | None) -> None:
        if error is not None:
            self.errors.append(error)

    def waiting(self, _runs: Sequence[PlannedRun]) -> None:
        self.names.append("waiting")


@pytest.fixture(scope="module")
def plan_file(even_rectangles: Path, detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan that fine-tunes weights which find something already."""
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(PLAN.format(data=even_rectangles, model=detector))
    return path


@pytest.fixture(scope="module")
def plan(plan_file: Path) -> Plan:
    return load_plan(plan_file)


@pytest.fixture(scope="module")
def finished(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison whose four runs are done. Do not write to it."""
    out = tmp_path_factory.mktemp("finished")
    notes = Notes()
    outcome = run_plan(plan, out, notes)
    assert not outcome.failed and not notes.errors
    assert notes.names == [f"rectangles/{arm}/seed{seed}" for seed in (0, 1) for arm in ("stock", "weighted")]
    assert notes.counts == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert max(notes.done) == 1.0
    return out


def records_of(out: Path) -> dict[tuple[str, int], RunRecord]:
    records, faults = read_records(out)
    assert not faults
    return {(record.arm, record.seed): record for record in records}


def weights_of(out: Path, record: RunRecord) -> dict[str, torch.Tensor]:
    path = out / "weights/rectangles" / record.arm / f"seed{record.seed}-{record.run_hash[:8]}.pt"
    return dict(load_checkpoint_file(path)["model"].float().state_dict())


def test_runs_of_a_seed_share_start_batches_and_steps(finished: Path) -> None:
    records = records_of(finished)
    assert len(records) == 4
    for seed in (0, 1):
        stock, weighted = records["stock", seed], records["weighted", seed]
        assert stock.initial_weights == weighted.initial_weights
        assert stock.draws == weighted.draws
        assert stock.steps == weighted.steps == 10
        assert stock.run_hash != weighted.run_hash and stock.plan_hash == weighted.plan_hash
        assert stock.losses["train/cls_loss"] != weighted.losses["train/cls_loss"]
    assert records["stock", 0].draws != records["stock", 1].draws
    assert records["stock", 0].run_hash == records["stock", 1].run_hash


def test_a_record_says_on_what_it_was_made(finished: Path) -> None:
    record = records_of(finished)["weighted", 1]
    assert record.environment["device"] == "cpu" and record.environment["precision"] == "float32"
    assert record.environment["threads"] == torch.get_num_threads()
    assert record.content["reg"]["alpha"]["temper"] == 0.5 and record.content["train"]["cls"] == 1.0
    assert "seed" not in record.content["train"] and "device" not in record.content["train"]
    assert record.content["model"].startswith("rectangles.pt ")
    assert record.images["evaluated"] == 12 and record.images["train"] == 40
    assert record.seconds["whole"] >= record.seconds["training"] > 0
    assert str(finished) not in json.dumps(record.to_dict())


def test_the_last_ema_is_evaluated_once_and_kept(finished: Path, tmp_path: Path, even_rectangles: Path) -> None:
    record = records_of(finished)["stock", 0]
    assert record.path is not None
    weights = finished / f"weights/rectangles/stock/seed0-{record.run_hash[:8]}.pt"
    measured = val(weights, even_rectangles, out=tmp_path / "val", device="cpu", imgsz=64, batch=16, plots=False)
    for figures, result in zip(record.boxes, measured.report.classes, strict=True):
        assert figures.ap == pytest.approx(result.ap, abs=1e-9) and figures.ap50 == pytest.approx(result.ap50, abs=1e-9)
        assert figures.objects == result.instances
    assert max(figures.ap50 or 0 for figures in record.boxes) > 0
    matches = DetectionMatches.read(record.path.parent / record.matches["box"])
    again = class_figures(matches, 3)["ap"][0]
    assert again.tolist() == pytest.approx([figures.ap for figures in record.boxes])
    assert not list(finished.rglob("best.pt"))


def test_finished_runs_are_not_made_again(finished: Path, plan: Plan) -> None:
    notes = Notes()
    run_plan(plan, finished, notes)
    assert notes.names == []


def test_a_run_repeats_to_the_last_digit(finished: Path, plan: Plan, tmp_path: Path) -> None:
    """On the CPU in float32, alone in another folder and as the only run of its process."""
    notes = Notes()
    run_plan(plan, tmp_path / "again", notes, only="weighted:1")
    assert notes.names == ["rectangles/weighted/seed1"]
    first, second = (records_of(out)["weighted", 1] for out in (finished, tmp_path / "again"))
    assert second.boxes == first.boxes
    times = {"time"}
    assert {k: v for k, v in second.losses.items() if k not in times} == {
        k: v for k, v in first.losses.items() if k not in times
    }
    assert (second.draws, second.initial_weights, second.steps) == (first.draws, first.initial_weights, first.steps)
    own, other = weights_of(finished, first), weights_of(tmp_path / "again", second)
    assert own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)


def test_the_report_is_written_from_records_alone(finished: Path, plan: Plan, tmp_path: Path) -> None:
    report = report_plan(plan, finished, draws=20)
    assert {path.name for path in finished.iterdir() if path.is_file()} == {
        "comparison.md", "comparison.json", "comparison.tex", "comparison_plan.yaml", "runs.csv", "differences.csv",
        "classes.csv", "forest_rectangles.png", "frequency_rectangles.png",
    }  # fmt: skip
    assert "rectangles: difference to stock" in report.text and "Rare classes: blue." in report.page.read_text()
    assert "other batches" not in report.text and "other weights" not in report.text
    with pytest.raises(DataError, match=r"no record of a run of this plan .*reg-yolo compare"):
        report_plan(plan, tmp_path, draws=0)


def test_records_of_an_earlier_plan_are_named(finished: Path, plan_file: Path, tmp_path: Path) -> None:
    changed = tmp_path / "plan.yaml"
    changed.write_text(plan_file.read_text().replace("temper: 0.5", "temper: 1.0"))
    report = report_plan(load_plan(changed), finished, draws=0)
    assert "Left out, made with other settings: rectangles/weighted/seed0" in report.text
    assert "reg.alpha.temper: 0.5, now 1.0" in report.text
    assert "Not finished: 2 of 4 runs" in report.text
    assert report.comparison.comparisons == ()
    # What is written beside the records is the last report; put this plan's own back.
    report_plan(load_plan(plan_file), finished, draws=0)


def test_other_labels_are_other_data(own_rectangles: Path, plan_file: Path) -> None:
    first = planned_runs(load_plan(plan_file, own_rectangles))[0]
    label = next((own_rectangles.parent / "labels/val").glob("*.txt"))
    label.write_text(label.read_text() + "0 0.5 0.5 0.2 0.2\n")
    assert planned_runs(load_plan(plan_file, own_rectangles))[0].run_hash != first.run_hash


def test_runs_are_named_by_arm_and_seed_and_by_set_where_there_are_several(
    plan_file: Path, plan: Plan, own_rectangles: Path, tmp_path: Path
) -> None:
    runs = planned_runs(plan)
    assert named_run(runs, "stock:1").seed == 1
    assert named_run(runs, "rectangles/stock:1") == named_run(runs, "stock:1")
    with pytest.raises(
        ConfigError, match="--run stock:7: the plan has no such run; expected ARM:SEED with stock, weig"
    ):
        named_run(runs, "stock:7")
    two = tmp_path / "two.yaml"
    two.write_text(plan_file.read_text().replace("{rectangles: ", f"{{own: {own_rectangles}, rectangles: "))
    both = planned_runs(load_plan(two))
    assert [run.set_name for run in both[:4]] == ["own", "own", "rectangles", "rectangles"]
    with pytest.raises(
        ConfigError, match="several runs have that name; expected ARM:SEED with own/stock, rectangles/st"
    ):
        named_run(both, "stock:1")


def test_rare_classes_must_be_the_data_sets(plan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(plan_file.read_text().replace("[blue]", "[blu]"))
    with pytest.raises(ConfigError, match=r"rare: rectangles has no class blu\. Did you mean blue\?"):
        planned_runs(load_plan(tmp_path / "plan.yaml"))


def test_every_arm_is_checked_before_the_first_is_trained(plan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(plan_file.read_text() + "  late: {model: yolov8n.pt}\n")
    notes = Notes()
    with pytest.raises(WeightsError, match=r"arm late on rectangles: yolov8n\.pt: no such file here"):
        run_plan(load_plan(tmp_path / "plan.yaml"), tmp_path / "out", notes)
    assert notes.names == []


def test_ctrl_c_leaves_no_record_and_nothing_behind(plan: Plan, tmp_path: Path) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, tmp_path, Notes(interrupt), only="stock:0")
    assert read_records(tmp_path) == ([], []) and not list(tmp_path.rglob("*.pt"))
    assert not list((tmp_path / compare.CLAIMS).glob("*.work"))


def test_an_arm_that_fails_does_not_stop_the_others(
    plan: Plan, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = records_of(finished)

    def execute(run: PlannedRun, *_: object, **__: object) -> RunRecord:
        if run.arm == "weighted":
            raise RuntimeError("Training failed: NaN persisted for 4 epochs")
        record = replace(made[run.arm, run.seed])
        record.write(run.record_path(tmp_path))
        return record

    monkeypatch.setattr(compare, "execute", execute)
    notes = Notes()
    outcome = run_plan(plan, tmp_path, notes)
    assert list(outcome.failed) == ["rectangles/weighted/seed0", "rectangles/weighted/seed1"]
    assert len(notes.errors) == 2 and len(records_of(tmp_path)) == 2
    with pytest.raises(RuntimeError, match="NaN persisted"):
        run_plan(plan, tmp_path, Notes(), only="weighted:0")


def test_a_kill_at_any_point_costs_the_run_that_was_under_way(plan_file: Path, finished: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "plan.yaml", tmp_path / "out"
    path.write_text(plan_file.read_text().replace("seeds: [0, 1]", "seeds: [0]"))
    words = [sys.executable, "-m", "reg_yolo.cli.app", "compare", str(path), "--out", str(out), "--draws", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    waited = time.monotonic()
    # The second run has trained its first epoch.
    while not (read_records(out)[0] and list(out.glob(f"{compare.CLAIMS}/*.work/results.csv"))):
        assert process.poll() is None and time.monotonic() - waited < 300
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = records_of(out)
    assert list(kept) == [("stock", 0)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "\r" not in done.stderr and "epoch" not in done.stderr
    assert "run 2 of 2: rectangles/weighted/seed0" in done.stdout
    after, whole = records_of(out), records_of(finished)
    assert len(after) == 2 and after["stock", 0].finished == kept["stock", 0].finished
    assert all(record.boxes == whole[key].boxes for key, record in after.items())
    assert not list((out / compare.CLAIMS).glob("*.work"))


def test_a_damaged_record_is_made_again(plan: Plan, finished: Path, tmp_path: Path) -> None:
    run = planned_runs(plan)[0]
    path = run.record_path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(run.record_path(finished).read_text()[:200])
    assert run.record(tmp_path) is None
    path.write_text(run.record_path(finished).read_text())
    assert run.record(tmp_path) == read_record(path)
