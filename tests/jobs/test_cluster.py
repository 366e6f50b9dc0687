"""The work on many sources on a real cluster of two machines' worth of processes, of which one is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest

from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.jobs.cluster import Cluster, ClusterWork, run_on_cluster
from reg_yolo.jobs.manifest import read_manifest
from tests.inventory.roads import Mounted, write_road
from tests.jobs import fake_processing
from tests.jobs.fake_processing import WANTED, FakeProcess, Notes, make_sources
from tests.jobs.test_work_list import assert_whole, states
from tests.yolo.prediction.videos import write_video

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Opened:
    """Opens fake processing in one of the cluster's processes."""

    log: Path
    frame_s: float = 0.01
    kill_on: str | None = None

    def __call__(self, stop: threading.Event) -> FakeProcess:
        return FakeProcess(self.frame_s, self.log, self.kill_on, stop=stop)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of a head that takes no work and two nodes of one core each."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.cluster_utils import Cluster as LocalCluster

    # The cluster's processes cannot import the tests.
    for module in (fake_processing, importlib.import_module(__name__)):
        ray.cloudpickle.register_pickle_by_value(module)
    memory = {"object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = LocalCluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    cluster.wait_for_nodes()
    yield cluster.address
    cluster.shutdown()


def run(sources: list[Any], out: Path, opened: Opened, address: str, **options: Any) -> Notes:
    """Run on the cluster and return what was reported."""
    out.mkdir(exist_ok=True)
    report = Notes()
    work = ClusterWork(out, WANTED, opened, opened.log.name, options.pop("before", {}), lease_s=5.0)
    run_on_cluster(sources, work, Cluster(address), report, options.pop("stop", threading.Event()))
    return report


def log_lines(log: Path) -> list[tuple[int, str]]:
    """Process and source of everything that was begun."""
    if not log.exists():
        return []
    return [(int(line.split()[0]), line.split()[1]) for line in log.read_text().splitlines()]


def test_a_killed_node_loses_nothing_and_nothing_is_done_twice(tmp_path: Path, address: str) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    sources = make_sources(tmp_path / "in", **{f"s{number:02d}": "x" * (20 + number) for number in range(16)})
    killed: list[int] = []

    def kill_one_node() -> None:
        while len({pid for pid, _ in log_lines(log)}) < 2 or len(log_lines(log)) < 5:
            time.sleep(0.02)
        worker = log_lines(log)[-1][0]
        # The worker's parent is its node: with both gone, the machine is as good as switched off.
        node = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(node, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    killer = threading.Thread(target=kill_one_node)
    killer.start()
    report = run(sources, out, Opened(log), address)
    killer.join()
    assert_whole(out, sources)
    assert set(states(out).values()) == {"done"} and len(states(out)) == 16
    begun = Counter(name for _, name in log_lines(log))
    assert len(begun) == 16 and sum(begun.values()) <= 17
    assert sorted(record.source for record in report.records) == [source.name for source in sources]
    workers = {record.worker for record in read_manifest(out).records.values()}
    assert len(workers) >= 2 and any(worker.endswith(f":{killed[0]}") for worker in workers)


def test_a_source_that_kills_its_process_is_set_aside_and_the_others_are_done(tmp_path: Path, address: str) -> None:
    out, log = tmp_path / "out", tmp_path / "poisoned"
    sources = make_sources(tmp_path / "in", a="1", b="22222", c="bad", d="4")
    report = run(sources, out, Opened(log, kill_on="b.mp4"), address)
    assert states(out) == {"a.mp4": "done", "b.mp4": "set_aside", "c.mp4": "failed", "d.mp4": "done"}
    assert {record.source: record.state for record in report.records} == states(out)
    before = read_manifest(out).records
    again = run(sources[2:3], out, Opened(log), address, before=before)
    assert [(record.source, record.attempts) for record in again.records] == [("c.mp4", 2)]


def test_a_stop_cancels_the_tasks_which_give_their_sources_back(tmp_path: Path, address: str) -> None:
    out, log, stop = tmp_path / "out", tmp_path / "stopped", threading.Event()
    sources = make_sources(tmp_path / "in", a="1", b="x" * 2000)

    def stop_in_the_middle() -> None:
        while len(log_lines(log)) < 2 or "a.mp4" not in states(out):
            time.sleep(0.02)
        stop.set()

    threading.Thread(target=stop_in_the_middle).start()
    with pytest.raises(KeyboardInterrupt):
        run(sources, out, Opened(log), address, stop=stop)
    assert states(out) == {"a.mp4": "done"}
    assert not read_manifest(out).begun and not list(out.rglob("*.part"))


def test_a_fault_of_the_machines_ends_the_run_and_is_raised(tmp_path: Path, address: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    sources = make_sources(tmp_path / "in", a="1")
    work = ClusterWork(out, WANTED, CannotOpen(), "cannot", {}, lease_s=5.0)
    with pytest.raises(WeightsError, match=r"best.pt: no such file"):
        run_on_cluster(sources, work, Cluster(address), Notes(), threading.Event())
    assert not read_manifest_if_any(out)


@dataclass(frozen=True)
class CannotOpen:
    """Fails as weights that one machine lacks."""

    def __call__(self, _stop: threading.Event) -> FakeProcess:
        raise WeightsError("best.pt: no such file")


def read_manifest_if_any(out: Path) -> dict[str, Any]:
    """The records of a manifest that may not be there."""
    return dict(read_manifest(out).records) if (out / "manifest.jsonl").is_file() else {}


def test_a_real_prediction_runs_on_the_cluster(
    even_rectangles: Path, detector: Path, tmp_path: Path, address: str
) -> None:
    from reg_yolo.yolo.commands.predict_many import predict_many

    pictures = [cv2.imread(str(path)) for path in sorted((even_rectangles.parent / "images/val").glob("*.png"))]
    (tmp_path / "in").mkdir()
    for name, count in (("a", 4), ("b", 6)):
        write_video(tmp_path / f"in/{name}.mp4", pictures[:count])
    options = {"engine": "pytorch", "device": "cpu", "track": True}
    there = predict_many(detector, tmp_path / "in", out=tmp_path / "there", cluster=Cluster(address), **options)
    here = predict_many(detector, tmp_path / "in", out=tmp_path / "here", **options)
    assert there.unfinished == here.unfinished == [] and there.changed == ["a.mp4", "b.mp4"]
    for name in there.changed:
        found = [read_detections(tmp_path / place / f"detections/{name}.jsonl") for place in ("there", "here")]
        assert list(found[0]) == list(found[1])
        assert there.records[name].hashes == here.records[name].hashes
        assert there.records[name].worker != here.records[name].worker
    assert predict_many(detector, tmp_path / "in", out=tmp_path / "there", **options).changed == []


def test_drives_are_worked_through_on_the_cluster(tmp_path: Path, address: str) -> None:
    from reg_yolo.inventory.command import build_into
    from reg_yolo.inventory.opening import BuildOptions
    from reg_yolo.inventory.work.folders import Place

    for name in ("monday", "tuesday"):
        write_road(tmp_path / "in" / name, [Mounted("front")])
        (tmp_path / "in" / name / "drive.yaml").write_text("camera: front.yaml\nstart: 2024-05-01T03:00:00Z\n")
    for out, place in (("there", Place(Cluster(address))), ("here", Place())):
        built = build_into(BuildOptions((), ()), tmp_path / out, folders=(tmp_path / "in", place))
        assert not built.is_partial
    there, here = ((tmp_path / out / "inventory.csv").read_text(encoding="utf-8-sig") for out in ("there", "here"))
    assert there == here and len(there.splitlines()) == 21
    records = read_manifest(tmp_path / "there" / "drives").records
    assert {name: one.state for name, one in records.items()} == {"monday": "done", "tuesday": "done"}
    assert all(int(one.worker.rpartition(":")[2]) != os.getpid() for one in records.values())


def test_too_large_a_demand_is_refused(tmp_path: Path, address: str) -> None:
    work = ClusterWork(tmp_path, WANTED, Opened(tmp_path / "log"), "large", {})
    for cluster in (Cluster(address, cpus=64), Cluster(address, gpus=9)):
        with pytest.raises(ConfigError, match="no machine of the cluster has so many"):
            run_on_cluster(make_sources(tmp_path, a="1"), work, cluster, Notes(), threading.Event())


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="`cpus` and `gpus`: got 0 and 0"):
        Cluster(cpus=0)
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    work = ClusterWork(tmp_path, WANTED, Opened(tmp_path / "log"), "absent", {})
    with pytest.raises(ConfigError, match=r'pip install "reg-yolo\[cluster\]"'):
        run_on_cluster([], work, Cluster(), Notes(), threading.Event())


def test_a_local_cluster_listens_to_this_machine_alone(tmp_path: Path) -> None:
    # In a process of its own: this one has a cluster already.
    script = """
import psutil
from reg_yolo.jobs.cluster import Cluster, connect, import_ray
cluster = Cluster("local")
ray = import_ray(cluster.address)
connect(ray, cluster)
assert ray.get(ray.remote(lambda: 3).remote()) == 3
mine = psutil.Process()
ports = [c for p in [mine, *mine.children(recursive=True)] for c in p.net_connections("inet") if c.status == "LISTEN"]
print(len(ports), sorted({c.laddr.ip for c in ports}))
ray.shutdown()
"""
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("psutil") is None:
        pytest.skip("Ray or psutil is not installed")
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=180)
    assert ended.returncode == 0, ended.stderr
    count, _, addresses = ended.stdout.strip().splitlines()[-1].partition(" ")
    assert int(count) > 3 and addresses in ("['127.0.0.1']", "['127.0.0.1', '::ffff:127.0.0.1']")
