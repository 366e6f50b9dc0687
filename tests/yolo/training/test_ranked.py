"""Two ranks on the loopback interface train as one process does, and say what keeps them from it."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ultralytics.utils.dist import find_free_network_port

from reg_yolo.errors import ConfigError
from reg_yolo.yolo.commands.val import val
from reg_yolo.yolo.training import ranked
from reg_yolo.yolo.training.rank_group import own_device
from reg_yolo.yolo.training.ranked import RankedTraining
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.yolo.training.joint_step import CASES, gradients_of_a_step, write_small_model
from tests.yolo.training.rank_processes import start
from tests.yolo.training.rank_script import EPOCHS, RANKS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(
    rectangles: Path, even_rectangles: Path, polygons: Path, mixed_rectangles: Path,
    detector: Path, tmp_path_factory: pytest.TempPathFactory,
) -> Path:  # fmt: skip
    """A folder for the ranks, with the names of the data sets."""
    work = tmp_path_factory.mktemp("ranks")
    sets = {
        "rectangles": rectangles, "even_rectangles": even_rectangles, "polygons": polygons,
        "mixed_rectangles": mixed_rectangles, "detector": detector,
    }  # fmt: skip
    for name in {model for _, _, model, _, _ in CASES.values()}:
        write_small_model(name, work / name)
    (work / "sets.json").write_text(json.dumps({name: str(path) for name, path in sets.items()}))
    return work


@pytest.fixture(scope="module")
def alone(work: Path) -> dict[str, Any]:
    """What one process has found for each case."""
    torch.set_num_threads(1)
    sets = {name: Path(path) for name, path in json.loads((work / "sets.json").read_text()).items()}
    return {case: gradients_of_a_step(case, sets, work, 1) for case in CASES}


@pytest.fixture(scope="module")
def found(work: Path, alone: dict[str, Any]) -> list[dict[str, Any]]:
    """What each rank has found."""
    del alone
    words = ["-m", "tests.yolo.training.rank_script", str(work), str(find_free_network_port())]
    code = start(words, work / "said.txt").wait(timeout=400)
    assert code == 0, "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(work.glob("*.txt")))
    return [torch.load(work / f"rank{rank}.pt", weights_only=False) for rank in range(RANKS)]


@pytest.mark.parametrize("case", CASES)
def test_a_step_of_two_ranks_is_that_of_one_process(
    case: str, alone: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    for rank in found:
        assert float((rank[case]["gradients"] - alone[case]["gradients"]).abs().max()) < 1e-5
        assert float((rank[case]["weights"] - alone[case]["weights"]).abs().max()) < 1e-6
        assert rank[case]["state"] == found[0][case]["state"]
    # Enough has happened for the comparison to tell.
    assert float(alone[case]["gradients"].abs().max()) > 1
    # Not each rank's own normaliser: one has more objects than the other.
    assert found[0][case]["share"] != found[1][case]["share"]


def test_a_scale_is_fixed_and_dual_weights_are_learned_on_all_images(
    alone: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    assert found[1]["joint"]["state"]["scale"] == pytest.approx(alone["joint"]["state"]["scale"], rel=1e-5)
    ours, expected = found[1]["detect"]["state"]["dual"], alone["detect"]["state"]["dual"]
    assert ours["mean_loss"] == pytest.approx(expected["mean_loss"], rel=1e-4)
    assert ours["log_alpha"] == pytest.approx(expected["log_alpha"], rel=1e-4)


def test_a_training_ends_alike_on_both_ranks(found: list[dict[str, Any]]) -> None:
    first, second = (rank["training"] for rank in found)
    assert torch.equal(first["weights"], second["weights"]) and torch.equal(first["ema"], second["ema"])
    assert first["state"] == second["state"] and any(first["state"]["equalized"]["positive"])


def test_ranks_partition_the_draws_of_every_epoch(found: list[dict[str, Any]]) -> None:
    first, second = (rank["training"]["shown"] for rank in found)
    assert list(first) == list(second) == list(range(EPOCHS))
    for epoch in range(EPOCHS):
        # The spoiled epoch was repeated with the same draws.
        times = 2 if epoch in found[0]["training"]["spoiled"] else 1
        assert Counter(first[epoch]).total() == Counter(second[epoch]).total() == 12 * times
    drawn = Counter(first[0]) + Counter(second[0])
    # Without a share for each, two ranks would show the same twelve.
    assert len(drawn) > 12


def test_rank_0_alone_writes_and_every_epoch_counts_once(work: Path, found: list[dict[str, Any]]) -> None:
    run = work / "run"
    assert found[0]["training"]["folder"] == str(run) and not Path(found[1]["training"]["folder"]).exists()
    with (run / "results.csv").open() as stream:
        assert [int(row["epoch"]) for row in csv.DictReader(stream)] == list(range(1, EPOCHS + 1))
    assert found[0]["training"]["spoiled"] == found[1]["training"]["spoiled"] == [1]
    assert {path.suffix for path in run.glob("per_class.*")} == {".csv", ".json", ".md", ".txt"}
    assert metadata_of(load_checkpoint_file(run / "weights/best.pt"))["thresholds"]["values"]
    said = [(work / f"out{rank}.txt").read_text() for rank in range(RANKS)]
    assert "Ranks: 2 processes train together, 4 images each" in said[0]
    assert not [line for line in said[1].splitlines() if "reducer.cpp" not in line]


def test_a_signal_to_one_rank_stops_both_after_the_same_batch(work: Path, found: list[dict[str, Any]]) -> None:
    last = work / "stopped/weights/last.pt"
    assert found[0]["stopped"].startswith(f"signal in another rank: saved {last}; continue with")
    assert found[1]["stopped"].startswith(f"SIGTERM: saved {last}; continue with")
    assert load_checkpoint_file(last)["epoch"] == -1


def test_the_validation_over_ranks_is_that_of_one_process(
    detector: Path, even_rectangles: Path, tmp_path: Path, found: list[dict[str, Any]]
) -> None:
    weights = shutil.copy(detector, tmp_path)
    measured = val(weights, str(even_rectangles), out=tmp_path / "val", imgsz=128, batch=4, plots=False, device="cpu")
    over_ranks = found[0]["validated"]
    assert over_ranks["metrics/mAP50(B)"] == pytest.approx(measured.report.mean.ap50, abs=1e-4)
    assert over_ranks["metrics/mAP50(B)"] > 0.05 and found[1]["validated"] == {}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "another loss",
            r"rank 1 of 2 \(.+, process \d+\) differs from rank 0 in reg.focal.gamma: 2.0, rank 0",
        ),
        ("other data", r"rank 1 of 2 \(.+\) differs from rank 0 in the images or labels of train:"),
        ("odd batch", r"batch: got 7, expected a multiple of the 2 processes"),
        ("proximal", r"reg.proximal.enabled: takes one device, got 2"),
        ("spheres", r"optimizer=RiemannianSGD: takes one device, got 2"),
    ],
)
def test_what_does_not_go_together_is_refused_by_all(what: str, message: str, found: list[dict[str, Any]]) -> None:
    for rank in found:
        assert re.match(message, rank[what]), rank[what]
        assert "\n" not in rank[what]


def test_each_process_of_a_machine_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr("reg_yolo.yolo.training.rank_group.LOCAL_RANK", 1)
    assert own_device("cpu") == "cpu" and own_device("0,1") == "1" and own_device([3, 2]) == "2"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert own_device(None) == "1"
    with pytest.raises(ConfigError, match=r"device: 1 GPU\(s\) for 2 processes on this machine"):
        own_device("0")
    with pytest.raises(ConfigError, match="expected cpu or indices of GPUs"):
        own_device("mps")


@pytest.mark.parametrize(("time", "epochs"), [(0.5, 5), (None, 7)])
def test_with_a_time_limit_all_ranks_count_the_epochs_of_rank_0(
    time: float | None, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Upstream:
        def _setup_scheduler(self) -> None:
            self.scheduled = self.epochs  # type: ignore[attr-defined]

    trainer = type("Trainer", (RankedTraining, Upstream), {})
    one = trainer.__new__(trainer)
    one.args, one.epochs = SimpleNamespace(time=time, epochs=7), 7
    monkeypatch.setattr(ranked, "said_by_first", lambda value: value - 2)
    one._setup_scheduler()
    assert one.scheduled == one.epochs == one.args.epochs == epochs
