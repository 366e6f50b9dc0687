"""The runs of a plan on a real cluster of two workers, of which one is killed while it trains."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reg_yolo.config.plan import load_plan
from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.comparison.records import read_records
from reg_yolo.jobs.cluster import Cluster
from reg_yolo.yolo.commands.compare import CLAIMS
from reg_yolo.yolo.commands.compare_cluster import run_plan_on_cluster
from tests.yolo.commands.test_compare import PLAN, Notes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of two cores."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster as LocalCluster

    cluster = LocalCluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "object_store_memory": 80 << 20, "include_dashboard": False},
    )
    yield cluster.address
    cluster.shutdown()


def workers_of(out: Path) -> dict[str, int]:
    """Process by folder of every run that is being trained, from the claims on them."""
    found = {}
    for folder in out.glob(f"{CLAIMS}/*.work"):
        lock = folder.parent / f"{folder.name.partition('.')[0]}.lock"
        held = re.search(r"^pid=(\d+)$", lock.read_text(), re.MULTILINE) if lock.is_file() else None
        if held:
            found[folder.name] = int(held[1])
    return found


def test_a_killed_worker_costs_its_run_a_repetition(
    even_rectangles: Path, detector: Path, tmp_path: Path, address: str
) -> None:
    path, out = tmp_path / "plan.yaml", tmp_path / "out"
    path.write_text(PLAN.format(data=even_rectangles, model=detector).replace("imgsz: 128", "imgsz: 64"))
    killed: list[int] = []

    def kill_one() -> None:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and not killed:
            trained = {file.parent.name for file in out.glob(f"{CLAIMS}/*.work/results.csv")}
            for folder, worker in workers_of(out).items():
                if folder in trained and not killed:
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_one)
    killer.start()
    notes = Notes()
    outcome = run_plan_on_cluster(load_plan(path), out, notes, Cluster(address))
    killer.join()
    assert killed and outcome.failed == {} and notes.errors == []
    records, faults = read_records(out)
    assert len(records) == 4 and not faults
    assert sorted(notes.names) == sorted(run.name for run in outcome.runs)
    assert not list((out / CLAIMS).glob("*.work"))
    # Whoever made it, the runs of a seed saw the same.
    assert len({(record.seed, record.draws, record.initial_weights) for record in records}) == 2
    again = Notes()
    run_plan_on_cluster(load_plan(path), out, again, Cluster(address))
    assert again.names == []


def test_a_demand_that_no_machine_meets_is_refused(
    even_rectangles: Path, detector: Path, tmp_path: Path, address: str
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(data=even_rectangles, model=detector))
    with pytest.raises(ConfigError, match="no machine of the cluster has so many"):
        run_plan_on_cluster(load_plan(path), tmp_path / "out", Notes(), Cluster(address, gpus=3))
