"""One line on stderr about something long: how far it is, and how long it will take. Only a terminal shows it."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reg_yolo.text_tables import visible

_EVERY_S = 0.2


class StatusLine:
    """Context manager of a line that is written over again and again, and gone in the end.

    Nothing is written where stderr is not a terminal, inside `progress_hidden`, or by a line within another's block.

    Args:
        wanted: False shows nothing anywhere.
    """

    _hidden: int = 0
    _open: int = 0
    _on_screen: StatusLine | None = None

    def __init__(self, *, wanted: bool = True) -> None:
        self.shown = wanted and sys.stderr.isatty() and not StatusLine._hidden and not StatusLine._open
        self._last = -_EVERY_S

    def __enter__(self) -> StatusLine:
        """Return the line."""
        StatusLine._open += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the line."""
        StatusLine._open -= 1
        self.clear()

    def show(self, text: str, *, now: bool = False) -> None:
        """Write a text over the line; those that follow each other too fast to be read are left out, but for `now`."""
        if not self.shown or (not now and time.monotonic() - self._last < _EVERY_S):
            return
        if not now:
            self._last = time.monotonic()
        # A line that is broken in two cannot be written over.
        columns = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\033[K{visible(text)[:columns]}")
        sys.stderr.flush()
        StatusLine._on_screen = self

    def clear(self) -> None:
        """Take the text from the screen."""
        if StatusLine._on_screen is self:
            StatusLine._on_screen = None
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def clear_line() -> None:
    """Take the line that is on the screen away, so that something else can be printed."""
    if StatusLine._on_screen is not None:
        StatusLine._on_screen.clear()


@contextmanager
def progress_hidden() -> Iterator[None]:
    """Show no line that begins in the block."""
    StatusLine._hidden += 1
    try:
        yield
    finally:
        StatusLine._hidden -= 1


class Steps:
    """Says how far a count is: `predict: 120 of 1000 frames, 3 min left`.

    Args:
        label: What is done.
        unit: What is counted; may be empty.
        line: Where it is written.
    """

    def __init__(self, label: str, unit: str, line: StatusLine) -> None:
        self._label, self._unit, self._line = label, unit and f" {unit}", line
        self._first: tuple[float, int] | None = None
        self._last = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total`, or of an unknown total, are done; called after each."""
        now = time.monotonic()
        if self._first is None or done < self._last:
            # The pace of this pass is measured from here: what comes before the first is starting up.
            self._first = now, done
        self._last = done
        started, before = self._first
        if total is None:
            self._line.show(f"{self._label}: {done}{self._unit}")
            return
        tail = f", {duration((now - started) / (done - before) * (total - done))} left" if done > before else ""
        self._line.show(f"{self._label}: {done} of {total}{self._unit}{tail}", now=done == total)


@contextmanager
def counted_line(label: str, unit: str = "") -> Iterator[Steps]:
    """Yield a function that shows how many are done of how many."""
    with StatusLine() as line:
        yield Steps(label, unit, line)


@contextmanager
def waiting_line(label: str, expected_s: float | None = None) -> Iterator[None]:
    """Show how long one call has taken that cannot say how far it is, and how long it is expected to take yet.

    Args:
        label: What is done.
        expected_s: Seconds that it usually takes; None if unknown.
    """
    started, over = time.monotonic(), threading.Event()

    def tick() -> None:
        while not over.wait(_EVERY_S):
            spent = time.monotonic() - started
            line.show(f"{label}: {duration(spent)}{_expected(spent, expected_s)}")

    with StatusLine() as line:
        ticking = threading.Thread(target=tick, daemon=True)
        if line.shown:
            ticking.start()
        try:
            yield
        finally:
            over.set()
            if line.shown:
                ticking.join()


def _expected(spent_s: float, expected_s: float | None) -> str:
    if expected_s is None:
        return ""
    if spent_s > expected_s:
        return f", longer than the usual {duration(expected_s)}"
    return f", about {duration(expected_s - spent_s)} left"


def duration(seconds: float) -> str:
    """Return a time as people say it.

    Example:
        >>> duration(48), duration(720), duration(12000)
        ('48 s', '12 min', '3 h 20 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
