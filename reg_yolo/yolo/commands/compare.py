"""`compare`: the runs of a plan one after the other or side by side, and the tables of what they left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ultralytics.utils import LOGGER

from reg_yolo.config.plan import Plan
from reg_yolo.errors import ConfigError, RegYoloError
from reg_yolo.evaluation.comparison.records import RunRecord
from reg_yolo.files import make_folder
from reg_yolo.jobs.claims import Claim, Claims
from reg_yolo.yolo.commands.compare_planning import PlannedRun, plan_hash, planned_runs
from reg_yolo.yolo.commands.compare_run import RunPlace, check_runs, execute

CLAIMS = ".claims"
_POLL_S = 1.0


class Watcher(Protocol):
    """Is told how far a comparison is."""

    def begun(self, run: PlannedRun, number: int, count: int) -> None:
        """A run starts, the `number`-th of `count`."""

    def training(self, done: float, epochs: int) -> None:
        """So many epochs of it are done, in fractions."""

    def finished(self, run: PlannedRun, record: RunRecord | None, error: Exception | None) -> None:
        """A run is over: with a record, or with what went wrong."""

    def waiting(self, runs: Sequence[PlannedRun]) -> None:
        """Only runs are left that other processes are making."""


@dataclass
class PlanOutcome:
    """What has become of the runs of a plan.

    Attributes:
        runs: Its runs.
        failed: By name, what went wrong.
    """

    runs: list[PlannedRun]
    failed: dict[str, Exception] = field(default_factory=dict)

    @property
    def whole_plan(self) -> str:
        """Digest of all runs."""
        return plan_hash(self.runs)


def run_plan(
    plan: Plan,
    out: Path,
    watcher: Watcher,
    *,
    only: str | None = None,
    device: str | None = None,
    trust: bool = False,
    keep_weights: bool = True,
) -> PlanOutcome:
    """Make every run of a plan that has no record yet, in this process; others may work on the same folder.

    A run that was cut off is repeated from its start: a resumed one would draw other batches than the other arms.

    Args:
        plan: The plan.
        out: Folder of the comparison.
        watcher: Is told how far it is.
        only: One run, `ARM:SEED`, or `SET/ARM:SEED` where the plan has several sets.
        device: Ultralytics' word for the device, instead of the plan's.
        trust: Load checkpoints that run code of their own.
        keep_weights: Keep each run's last.pt.

    Raises:
        RegYoloError: If the plan, a configuration or a data set is wrong, or no run could be made.
        KeyboardInterrupt: If a signal asked to stop; finished runs stay.
    """
    state = PlanOutcome(planned_runs(plan))
    todo = state.runs if only is None else [named_run(state.runs, only)]
    make_folder(out)
    claims = Claims(out / CLAIMS)
    whole = state.whole_plan
    open_runs = [run for run in todo if run.record(out) is None]
    number, count = len(todo) - len(open_runs), len(todo)
    claims.discard_leftovers()
    with quiet_log():
        check_runs(open_runs, trust=trust)
        while open_runs:
            held = []
            for run in open_runs:
                claim = claims.take(run.name)
                if claim is None:
                    held.append(run)
                    continue
                with claim:
                    number += 1
                    if run.record(out) is not None:
                        continue
                    watcher.begun(run, number, count)
                    place = RunPlace(out, claim.folder, device, trust, keep_weights)
                    record, error = _attempt(run, place, whole, watcher, claims, claim)
                    if error is not None:
                        state.failed[run.name] = error
                    elif record is None:
                        # The heartbeat failed for too long, and another process has taken the run over.
                        held.append(run)
                        number -= 1
                    watcher.finished(run, record, error)
            if not (held := [run for run in held if run.record(out) is None]):
                break
            watcher.waiting(held)
            time.sleep(_POLL_S)
            open_runs = held
    if state.failed and not any(run.record(out) is not None for run in todo):
        raise next(iter(state.failed.values()))
    return state


def named_run(runs: Sequence[PlannedRun], word: str) -> PlannedRun:
    """Return the run that `ARM:SEED` or `SET/ARM:SEED` means.

    Raises:
        ConfigError: If there is none, or several.
    """
    name, _, seed = word.rpartition(":")
    found = [run for run in runs if name in (run.arm, f"{run.set_name}/{run.arm}") and str(run.seed) == seed]
    if len(found) == 1:
        return found[0]
    arms = ", ".join(dict.fromkeys(f"{run.set_name}/{run.arm}" if found else run.arm for run in found or runs))
    seeds = ", ".join(dict.fromkeys(str(run.seed) for run in runs))
    problem = "several runs have that name" if found else "the plan has no such run"
    raise ConfigError(f"--run {word}: {problem}; expected ARM:SEED with {arms} and {seeds}")


def _attempt(
    run: PlannedRun,
    place: RunPlace,
    whole: str,
    watcher: Watcher,
    claims: Claims,
    claim: Claim,
) -> tuple[RunRecord | None, Exception | None]:
    try:
        record = execute(
            run,
            place,
            whole_plan=whole,
            progress=watcher.training,
            reading=claims.manifest,
            publish=lambda: not claim.lost,
        )
        return record, None
    except (RegYoloError, RuntimeError) as error:
        # A loss that became infinite, or no memory left: the other runs go on without this one.
        return None, error


@contextmanager
def quiet_log() -> Iterator[None]:
    """Let Ultralytics say warnings only, each once."""
    said: set[str] = set()

    def is_new(entry: logging.LogRecord) -> bool:
        is_first = entry.getMessage() not in said
        said.add(entry.getMessage())
        return is_first

    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    LOGGER.addFilter(is_new)
    try:
        yield
    finally:
        LOGGER.removeFilter(is_new)
        LOGGER.setLevel(level)
