"""A progress bar for functions that report (done, total)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that moves a bar to `done` of `total`; only a terminal shows it, and results stay apart."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    with typer.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        shown = 0

        def progress(done: int, total: int) -> None:
            nonlocal shown
            step = done * 1000 // max(total, 1) - shown
            shown += step
            bar.update(step)

        yield progress
