"""A progress line for functions that report (done, total)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from reg_yolo.progress import Steps, counted_line


def progress_bar(label: str) -> AbstractContextManager[Steps]:
    """Return a context manager that gives a function of (done, total), which shows both and the time left."""
    return counted_line(label)
