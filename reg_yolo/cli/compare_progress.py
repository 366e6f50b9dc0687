"""The progress line of `compare`: run k of n, epoch, time left; and a line for every run that is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from reg_yolo.evaluation.comparison.records import RunRecord
    from reg_yolo.yolo.commands.compare_planning import PlannedRun

_EVERY_S = 0.5


class ProgressLine:
    """Context manager that shows a line on a terminal, and nowhere else."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self._shown = sys.stderr.isatty()
        self._name = ""
        self._number, self._count = 0, 1
        self._run_started = self._last = 0.0
        self._durations: list[float] = []

    def __enter__(self) -> ProgressLine:
        """Return the line."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Clear the line."""
        self._write("")

    def begun(self, run: PlannedRun, number: int, count: int) -> None:
        """Show which run starts."""
        self._name, self._number, self._count = run.name, number, count
        self._run_started = time.monotonic()
        self._write(f"run {number} of {count}: {run.name}")

    def training(self, done: float, epochs: int) -> None:
        """Show the epoch and the time left."""
        now = time.monotonic()
        if now - self._last < _EVERY_S:
            return
        self._last = now
        spent = now - self._run_started
        # The first run's own pace, then that of all runs so far.
        whole = sum(self._durations) / len(self._durations) if self._durations else spent * epochs / max(done, 1e-3)
        left = max(whole - spent, 0) + whole * (self._count - self._number)
        self._write(
            f"run {self._number} of {self._count}: {self._name}, epoch {min(int(done) + 1, epochs)} of {epochs}, "
            f"{duration(left)} left"
        )

    def finished(self, run: PlannedRun, record: RunRecord | None, error: Exception | None) -> None:
        """Say what became of a run."""
        self._write("")
        if record is not None:
            self._durations.append(record.seconds["whole"])
            found = [figures.ap for figures in record.boxes if figures.ap is not None]
            mean = 100 * sum(found) / len(found) if found else float("nan")
            typer.echo(
                f"run {self._number} of {self._count}: {run.name} in {duration(record.seconds['whole'])}, "
                f"mAP50-95 {mean:.2f}"
            )
        elif error is not None:
            typer.echo(f"run {self._number} of {self._count}: {run.name} failed: {error}", err=True)

    def waiting(self, runs: Sequence[PlannedRun]) -> None:
        """Show that other processes have the rest."""
        self._write(f"waiting for {len(runs)} runs of other processes, such as {runs[0].name}")

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


def duration(seconds: float) -> str:
    """Return a time as people say it: `48 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
