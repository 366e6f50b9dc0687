"""What the command line prints: everything passes one function, so that no name steers the terminal."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import typer

from reg_yolo.text_tables import visible

_PACKAGE = str(Path(__file__).resolve().parents[1])


def say(text: str, *, err: bool = False) -> None:
    """Print a text and a line break, its control characters shown instead of obeyed.

    Args:
        text: May hold names of files and classes.
        err: On stderr.
    """
    typer.echo(visible(text, keep="\n\t"), err=err)


def print_every_letter() -> None:
    """Let stdout show a letter that its code page lacks as the letter's code (`\\xa7`), instead of ending the command.

    Thai Windows has code page 874, which knows no section sign and no Greek. stderr does so already.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


class PrintableRecords(logging.Filter):
    """Shows control characters in what this package logs; others may mean their colours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's message where it is ours; let every record pass."""
        if record.pathname.startswith(_PACKAGE):
            record.msg, record.args = visible(record.getMessage(), keep="\n\t"), None
        return True


def watch_log() -> None:
    """Let everything that this package logs through Ultralytics' logger be printable."""
    logger = logging.getLogger("ultralytics")
    if not any(isinstance(each, PrintableRecords) for each in logger.filters):
        logger.addFilter(PrintableRecords())
