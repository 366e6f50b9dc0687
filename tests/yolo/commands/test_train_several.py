"""A training on two machines, one of which is lost, and its continuation by the ranks that Ray starts."""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file
from tests.yolo.training.joint_step import write_small_model
from tests.yolo.training.rank_processes import environment_of, start_machines

pytestmark = pytest.mark.slow

EPOCHS = 4
# Named within a minute; this is what it may take where many tests run at once.
NAMED_WITHIN_S = 60


def rows(run: Path) -> list[int]:
    """Return the epochs in results.csv."""
    if not (run / "results.csv").is_file():
        return []
    with (run / "results.csv").open() as stream:
        return [int(row["epoch"]) for row in csv.DictReader(stream)]


def worker_of(launcher: subprocess.Popen[bytes]) -> int:
    """Return the process that trains under a launcher."""
    [worker] = [child.pid for child in psutil.Process(launcher.pid).children() if "reg_yolo" in child.cmdline()]
    return worker


@pytest.fixture(scope="module")
def broken(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of which rank 1 was killed in its second epoch; what each machine said lies there."""
    work = tmp_path_factory.mktemp("machines")
    write_small_model("yolov8n.yaml", work / "yolov8n.yaml")
    words = [
        "train", "detect/yolov8n", "model=./yolov8n.yaml", f"data={rectangles}", f"epochs={EPOCHS}", "imgsz=32",
        "batch=8", "device=cpu", "plots=false", "project=runs", "name=run",
    ]  # fmt: skip
    machines = start_machines(words, work)
    deadline = time.monotonic() + 200
    while not (rows(work / "runs/run") and (work / "runs/run/weights/last.pt").is_file()):
        assert time.monotonic() < deadline and all(machine.poll() is None for machine in machines), said(work, 0)
        time.sleep(0.02)
    os.kill(worker_of(machines[1]), signal.SIGKILL)
    begun = time.monotonic()
    codes = [machine.wait(timeout=2 * NAMED_WITHIN_S) for machine in machines]
    assert time.monotonic() - begun < NAMED_WITHIN_S and 0 not in codes
    return work


def said(work: Path, machine: int) -> str:
    """Return what a machine said."""
    return (work / f"out{machine}.txt").read_text(errors="replace")


def test_the_rank_that_died_is_named_and_the_run_is_kept(broken: Path) -> None:
    run = broken / "runs/run"
    [line] = [line for line in said(broken, 0).splitlines() if line.startswith("error: ")]
    named = r"error: rank 1 of 2 \(.+, process \d+\) has (died|ended).*; the last whole epoch is saved, continue on all"
    assert re.match(named, line) and line.endswith(f"train --resume {run}")
    # As a refusal of the input, not as a fault of ours with a log.
    assert "exitcode  : 2 " in said(broken, 0) and not list(broken.glob("reg-yolo-error-*"))
    assert len(rows(run)) < EPOCHS and load_checkpoint_file(run / "weights/last.pt")["optimizer"] is not None


# Ray's start alone takes a minute where two other suites run, and once it did not come up in 400 s.
@pytest.mark.skipif("REG_YOLO_NIGHTLY" not in os.environ, reason="of the nightly checks: set REG_YOLO_NIGHTLY=1")
def test_ranks_that_ray_starts_continue_it(broken: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    run = broken / "runs/run"
    ended = subprocess.run(
        [sys.executable, "-m", "reg_yolo", "train", "--resume", str(run), "--cluster", "local",
         "--cluster-workers", "2", "--cluster-cpus", "0.5"],
        capture_output=True, text=True, cwd=broken, env=environment_of(), timeout=400, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "Ranks: 2 processes train together" in ended.stdout and f"Done. Best weights: {run}" in ended.stdout
    assert rows(run) == list(range(1, EPOCHS + 1)) and (run / "per_class.json").is_file()
    assert load_checkpoint_file(run / "weights/last.pt")["optimizer"] is None
