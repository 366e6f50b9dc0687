"""A progress bar for functions that report (done, total)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar and yield the function that moves it to `done` of `total`."""
    with typer.progressbar(length=1000, label=label) as bar:
        shown = 0

        def progress(done: int, total: int) -> None:
            nonlocal shown
            step = done * 1000 // max(total, 1) - shown
            shown += step
            bar.update(step)

        yield progress
