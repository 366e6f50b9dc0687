"""The work on many sources spread over the machines of a Ray cluster that share a folder.

Ray places the tasks and starts them again elsewhere when a machine is lost; who works on what, and what is done, is
settled by the same claims and the same manifest as between processes of one machine, so that nothing is done twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.errors import ConfigError
from reg_yolo.jobs.claims import LEASE_S, Claims
from reg_yolo.jobs.manifest import MANIFEST_FILE, Manifest, SourceRecord
from reg_yolo.jobs.work_list import CLAIMS_FOLDER, RunSettings, Verdict, WorkSource
from reg_yolo.jobs.work_loop import ProcessSource, WorkLoop, WorkReport

# Opened once in each of Ray's processes, which take one task after the other.
OpenProcess = Callable[[threading.Event], ProcessSource]

_MOST_TASKS = 1000
RETRIES = 3
POLL_S = 0.5
_OBJECT_STORE_BYTES = 80 << 20  # nearly nothing goes through it; Ray's least is 75 MB
_opened: dict[str, ProcessSource] = {}


LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Cluster:
    """Which cluster, and what of it a task takes.

    Attributes:
        address: ``HOST:PORT`` of its head, ``auto`` for the one that this machine belongs to, or ``local`` for one
            that is started here and ends with the run.
        cpus: Processor cores for each task.
        gpus: GPUs for each task; half a one lets two tasks share it.
    """

    address: str = "auto"
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not self.cpus > 0 or self.gpus < 0:
            raise ConfigError(
                f"`cpus` and `gpus`: got {self.cpus:g} and {self.gpus:g}, expected more than 0, and 0 or more"
            )


@dataclass(frozen=True)
class ClusterWork:
    """What every task needs to know, sent to it by cloudpickle.

    Attributes:
        out: Folder of the results, at the same path on every machine.
        wanted: What the run is to bring.
        open_process: Opens the model.
        key: Tells one way of opening it from another.
        before: Records from before the run.
        lease_s: Seconds without a heartbeat after which a claim is taken over.
    """

    out: Path
    wanted: RunSettings
    open_process: OpenProcess
    key: str
    before: Mapping[str, SourceRecord]
    lease_s: float = LEASE_S


def run_on_cluster(
    sources: Sequence[WorkSource],
    work: ClusterWork,
    cluster: Cluster,
    report: WorkReport,
    stop: threading.Event,
) -> Manifest:
    """Work on a cluster until every source is done, has failed in this run, or is set aside; return the manifest.

    Args:
        sources: Those that need work; their files have the same paths on every machine.
        work: What the tasks do.
        cluster: Where.
        report: Is told what becomes of each source.
        stop: Set to cancel all tasks; they give their sources back.

    Raises:
        ConfigError: If Ray is not installed, the cluster does not answer, or no machine of it is large enough.
        KeyboardInterrupt: If `stop` was set.
    """
    ray = import_ray(cluster.address)
    claims = Claims(work.out / CLAIMS_FOLDER, work.lease_s)
    manifest = Manifest(work.out / MANIFEST_FILE, claims.manifest)
    manifest.compact()
    connect(ray, cluster)
    try:
        require_room(ray, cluster)
        task = ray.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=RETRIES)(work_on_chunk)
        shared = ray.put(work)
        size = -(-len(sources) // _MOST_TASKS)
        pending = [task.remote(sources[start : start + size], shared) for start in range(0, len(sources), size)]
        unreported = {source.name: source for source in sources}
        while pending:
            finished, pending = ray.wait(pending, timeout=POLL_S)
            if stop.is_set():
                cancel(ray, [*finished, *pending])
                raise KeyboardInterrupt
            manifest.refresh()
            _report_news(manifest, work.before, unreported, report)
            try:
                _raise_faults(ray, finished)
            except BaseException:
                cancel(ray, pending)
                raise
    finally:
        ray.shutdown()
    manifest.refresh()
    _report_news(manifest, work.before, unreported, report)
    return manifest


def work_on_chunk(sources: Sequence[WorkSource], work: ClusterWork) -> None:
    """Work on some sources in one of Ray's processes; the model stays open for its next task."""
    stop = threading.Event()
    if work.key not in _opened:
        _opened.clear()
        _opened[work.key] = work.open_process(stop)
    loop = WorkLoop(
        work.out, work.wanted, _opened[work.key], _NoReport(), stop, before=work.before, lease_s=work.lease_s
    )
    loop.run(sources)


class _NoReport:
    """The driver reads the manifest instead."""

    def finished(self, record: SourceRecord) -> None:
        """Say nothing."""

    def found(self, source: WorkSource, verdict: Verdict) -> None:
        """Say nothing."""

    def waiting(self, sources: Sequence[WorkSource]) -> None:
        """Say nothing."""


def import_ray(address: str | None = None) -> Any:
    """Return Ray.

    Args:
        address: Of the cluster that is going to be used, as in `Cluster`.

    Raises:
        ConfigError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == "local":
        # Whoever reaches Ray's ports runs code. Read when Ray is imported, and on Linux too in spite of its name: its
        # servers then listen on this machine's own address alone.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "false")
    try:
        import ray
    except ImportError:
        raise ConfigError('`cluster` needs Ray: pip install "reg-yolo[cluster]"') from None
    return ray


def connect(ray: Any, cluster: Cluster) -> None:
    """Join the cluster, or start one here.

    Raises:
        ConfigError: If none answers.
    """
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "ignore_reinit_error": True}
    if cluster.address == "local":
        options |= {"address": "local", "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
        options["_node_ip_address"] = LOOPBACK
    else:
        options["address"] = cluster.address
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"`cluster={cluster.address}`: no cluster answers ({first}); start one with `ray start --head` here and "
            "`ray start --address HOST:6379` on the others, or name `local`"
        ) from None


def require_room(ray: Any, cluster: Cluster) -> None:
    """Refuse a demand that no machine can meet: Ray would wait for one forever.

    Raises:
        ConfigError: With what the machines have.
    """
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= cluster.cpus and node.get("GPU", 0) >= cluster.gpus for node in alive):
        return
    largest = ", ".join(f"{node.get('CPU', 0):g} cores and {node.get('GPU', 0):g} GPUs" for node in alive[:4])
    raise ConfigError(
        f"`cpus={cluster.cpus:g}`, `gpus={cluster.gpus:g}`: no machine of the cluster has so many; they have {largest}"
    )


def _report_news(
    manifest: Manifest, before: Mapping[str, SourceRecord], unreported: dict[str, WorkSource], report: WorkReport
) -> None:
    for name in list(unreported):
        record = manifest.records.get(name)
        # A source that is taken over from a lost machine has a record of that, and goes on.
        if record is not None and record != before.get(name) and name not in manifest.begun:
            del unreported[name]
            report.finished(record)


def _raise_faults(ray: Any, finished: Sequence[Any]) -> None:
    for task in finished:
        try:
            ray.get(task)
        except ray.exceptions.WorkerCrashedError:
            # Its sources stay undone, which the manifest shows; a second call takes them up.
            continue
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


def cancel(ray: Any, tasks: Sequence[Any]) -> None:
    """Cancel tasks and wait a little for them to leave."""
    for task in tasks:
        ray.cancel(task)
    if tasks:
        # They give their sources back, so that these do not count as failed.
        ray.wait(list(tasks), num_returns=len(tasks), timeout=10)
