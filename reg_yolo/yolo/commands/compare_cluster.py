"""The runs of a plan on a Ray cluster whose machines share a folder; each run is a task.

Who makes which run, and what is done, is settled by claims and records as between processes of one machine. A task
whose process dies is started again by Ray, and its run is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reg_yolo.config.plan import Plan
from reg_yolo.errors import RegYoloError
from reg_yolo.evaluation.comparison.records import RunRecord
from reg_yolo.files import make_folder
from reg_yolo.jobs.cluster import POLL_S, RETRIES, Cluster, cancel, connect, import_ray, require_room
from reg_yolo.signals import listening_for_signals
from reg_yolo.yolo.commands.compare import PlanOutcome, Watcher, run_plan
from reg_yolo.yolo.commands.compare_planning import PlannedRun, planned_runs


def run_plan_on_cluster(plan: Plan, out: Path, watcher: Watcher, cluster: Cluster, **options: Any) -> PlanOutcome:
    """Make every run of a plan that has no record yet on a cluster.

    Args:
        plan: The plan; its file and its data sets have the same paths on every machine.
        out: Folder of the comparison, at the same path on every machine.
        watcher: Is told what becomes of each run.
        cluster: Where.
        options: `device`, `trust` and `keep_weights` as for `run_plan`.

    Raises:
        RegYoloError: If the plan or a data set is wrong, no cluster answers, or no run could be made.
        KeyboardInterrupt: If a signal asked to stop; finished runs stay.
    """
    outcome = PlanOutcome(planned_runs(plan))
    make_folder(out)
    todo = [run for run in outcome.runs if run.record(out) is None]
    if not todo:
        return outcome
    ray = import_ray(cluster.address)
    connect(ray, cluster)
    try:
        require_room(ray, cluster)
        task = ray.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=RETRIES)(make_run)
        shared = ray.put((plan, out.absolute(), options))
        pending = {task.remote(shared, f"{run.set_name}/{run.arm}:{run.seed}"): run for run in todo}
        count, number = len(outcome.runs), len(outcome.runs) - len(todo)
        with listening_for_signals() as stop:
            while pending:
                over, _ = ray.wait(list(pending), timeout=POLL_S)
                if stop.is_set():
                    cancel(ray, list(pending))
                    raise KeyboardInterrupt
                for reference in over:
                    run, number = pending.pop(reference), number + 1
                    watcher.begun(run, number, count)
                    error = _fault(ray, reference)
                    record = run.record(out)
                    if record is None:
                        outcome.failed[run.name] = error or RegYoloError("its process died again and again")
                    watcher.finished(run, record, outcome.failed.get(run.name))
    finally:
        ray.shutdown()
    if len(outcome.failed) == len(outcome.runs):
        raise next(iter(outcome.failed.values()))
    return outcome


def make_run(shared: tuple[Plan, Path, dict[str, Any]], name: str) -> None:
    """Make one run in one of Ray's processes; its record is the result.

    Args:
        shared: The plan, the folder of the comparison and options of `run_plan`.
        name: `SET/ARM:SEED`.

    Raises:
        RegYoloError: If it cannot be made.
    """
    plan, out, options = shared
    run_plan(plan, out, _Silent(), only=name, **options)


class _Silent:
    """The driver reads the records instead."""

    def begun(self, run: PlannedRun, number: int, count: int) -> None:
        """Say nothing."""

    def training(self, done: float, epochs: int) -> None:
        """Say nothing."""

    def finished(self, run: PlannedRun, record: RunRecord | None, error: Exception | None) -> None:
        """Say nothing."""

    def waiting(self, runs: Sequence[PlannedRun]) -> None:
        """Say nothing."""


def _fault(ray: Any, reference: Any) -> Exception | None:
    """Return what ended a task, or None where it got to its end."""
    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else RegYoloError(str(error))
    except ray.exceptions.WorkerCrashedError:
        return None
    return None
