"""What a run over many sources shows: one bar over the files, a line for each that is finished, a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from ultralytics.utils import LOGGER

from reg_yolo.jobs.manifest import SourceRecord
from reg_yolo.jobs.work_list import Verdict, WorkSource
from reg_yolo.progress import StatusLine, Steps, clear_line
from reg_yolo.text_tables import text_table

STATES = {"done": "done", "failed": "failed", "set_aside": "set aside", "missing": "not done"}


class ManyProgress:
    """Context manager that shows the progress of a `work_loop.WorkLoop`; rate and remaining time are of files.

    Args:
        names: The sources that need work; the others are not counted.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._total = set(names), len(names)
        self._waiting = False
        self._line = StatusLine(wanted=bool(names))
        self._steps = Steps("predict", "files", self._line)

    def __enter__(self) -> ManyProgress:
        self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._line.__exit__()

    def finished(self, record: SourceRecord) -> None:
        """Show what became of a source."""
        self._say(finished_line(record))
        self._count(record.source)

    def found(self, source: WorkSource, verdict: Verdict) -> None:
        """Count a source that turned out to need no work, or that another process has finished meanwhile."""
        if source.name in self._names:
            self._say(f"{source.name}: {verdict.reason}, nothing to do here")
            self._count(source.name)

    def waiting(self, sources: Sequence[WorkSource]) -> None:
        """Say once that other processes hold what is left."""
        if not self._waiting:
            self._waiting = True
            self._say(f"Waiting for {len(sources)} sources that other processes work on, {sources[0].name} among them")

    def _count(self, name: str) -> None:
        if name in self._names:
            self._names.discard(name)
            self._steps(self._total - len(self._names), self._total)

    def _say(self, line: str) -> None:
        clear_line()
        LOGGER.info(line)


def finished_line(record: SourceRecord) -> str:
    """Return one line about a source that is finished."""
    if record.state != "done":
        tries = "" if record.attempts == 1 else f" (attempt {record.attempts})"
        return f"{record.source}: {STATES[record.state]}{tries}: {record.error}"
    rate = f" ({record.frames / record.seconds:.1f} frames/s)" if record.seconds else ""
    holes = f", {len(record.holes)} damaged stretches skipped" if record.holes else ""
    return f"{record.source}: {record.frames} frames in {record.seconds:.1f} s{rate}{holes}"


def final_table(records: Mapping[str, SourceRecord | None]) -> str:
    """Return how many sources are in which state, with frames and time.

    Args:
        records: What became of each source; None where nothing has.
    """
    rows = []
    for state, title in STATES.items():
        some = [record for record in records.values() if (record.state if record else "missing") == state]
        if not some and state != "done":
            continue
        known = [record for record in some if record is not None]
        frames, seconds = sum(record.frames for record in known), sum(record.seconds for record in known)
        shown = [f"{frames:,}", _clock(seconds)] if state == "done" else ["", ""]
        rows.append([title, str(len(some)), *shown])
    return text_table(["state", "sources", "frames", "time"], rows)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
