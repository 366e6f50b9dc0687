"""The progress line of `compare`: run k of n, epoch, time left; and a line for every run that is over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from reg_yolo.cli.speech import say
from reg_yolo.progress import StatusLine, duration

if TYPE_CHECKING:
    from reg_yolo.evaluation.comparison.records import RunRecord
    from reg_yolo.yolo.commands.compare_planning import PlannedRun


class ProgressLine:
    """Context manager that shows a line on a terminal, and nowhere else."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self._line = StatusLine()
        self._name = ""
        self._number, self._count = 0, 1
        self._run_started = 0.0
        self._durations: list[float] = []

    def __enter__(self) -> ProgressLine:
        """Return the line."""
        self._line.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the line."""
        self._line.__exit__()

    def begun(self, run: PlannedRun, number: int, count: int) -> None:
        """Show which run starts."""
        self._name, self._number, self._count = run.name, number, count
        self._run_started = time.monotonic()
        self._line.show(f"run {number} of {count}: {run.name}", now=True)

    def training(self, done: float, epochs: int) -> None:
        """Show the epoch and the time left."""
        spent = time.monotonic() - self._run_started
        # The first run's own pace, then that of all runs so far.
        whole = sum(self._durations) / len(self._durations) if self._durations else spent * epochs / max(done, 1e-3)
        left = max(whole - spent, 0) + whole * (self._count - self._number)
        self._line.show(
            f"run {self._number} of {self._count}: {self._name}, epoch {min(int(done) + 1, epochs)} of {epochs}, "
            f"{duration(left)} left"
        )

    def finished(self, run: PlannedRun, record: RunRecord | None, error: Exception | None) -> None:
        """Say what became of a run."""
        if record is not None:
            self._durations.append(record.seconds["whole"])
            found = [figures.ap for figures in record.boxes if figures.ap is not None]
            mean = 100 * sum(found) / len(found) if found else float("nan")
            say(
                f"run {self._number} of {self._count}: {run.name} in {duration(record.seconds['whole'])}, "
                f"mAP50-95 {mean:.2f}"
            )
        elif error is not None:
            say(f"run {self._number} of {self._count}: {run.name} failed: {error}", err=True)

    def waiting(self, runs: Sequence[PlannedRun]) -> None:
        """Show that other processes have the rest."""
        self._line.show(f"waiting for {len(runs)} runs of other processes, such as {runs[0].name}", now=True)
