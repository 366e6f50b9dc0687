"""What the command line prints: text through `say`, JSON through `answer`.

Names of files and classes steer no terminal. With `--json` stdout holds one JSON object and nothing else, with
`--quiet` nothing else either; errors go to stderr in any case.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TextIO

import typer

from reg_yolo.progress import clear_line, progress_hidden
from reg_yolo.text_tables import visible

_PACKAGE = str(Path(__file__).resolve().parents[1])


@dataclass(frozen=True)
class _Output:
    """How the command that runs prints.

    Attributes:
        stdout: Where its JSON goes; None while stdout is as it was.
        json: Whether it prints JSON.
    """

    stdout: TextIO | None = None
    json: bool = False


_AS_TEXT = _Output()
_OUTPUT: ContextVar[_Output] = ContextVar("output", default=_AS_TEXT)


def say(text: str, *, err: bool = False) -> None:
    """Print a text and a line break, its control characters shown instead of obeyed.

    Args:
        text: May hold names of files and classes. Not printed with `--json` or `--quiet`, but for errors.
        err: On stderr.
    """
    clear_line()
    if err or _OUTPUT.get().stdout is None:
        typer.echo(visible(text, keep="\n\t"), err=err)


def answer(name: str, content: Mapping[str, Any]) -> None:
    """Print the result of a command as one JSON object, where `--json` asks for it.

    Args:
        name: The command, and what it did where that differs: `val_pixels` stands as
            `"schema": "reg_yolo.cli.val_pixels/1"`.
        content: Plain data, paths, NumPy numbers, dataclasses, and what has `to_dict`. Numbers that are not finite
            become null.
    """
    output = _OUTPUT.get()
    if output.json and output.stdout is not None:
        named = {
            "schema": f"reg_yolo.cli.{name}/1",
            **{key: plain(value) for key, value in content.items() if key != "schema"},
        }
        # ASCII alone: no code page and no terminal changes it.
        print(json.dumps(named, indent=2, allow_nan=False), file=output.stdout, flush=True)


def plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


@contextmanager
def printing(*, as_json: bool = False, quiet: bool = False) -> Iterator[None]:
    """Print as `--json` or `--quiet` asks for; one inside the other prints JSON and no progress.

    What Ultralytics and other libraries write to stdout goes to stderr with `--json`, and nowhere with `--quiet`.
    """
    if not (as_json or quiet):
        yield
        return
    with ExitStack() as stack:
        stdout = _OUTPUT.get().stdout
        if stdout is None:
            stdout = stack.enter_context(_diverted_stdout(nowhere=quiet))
        if quiet:
            stack.enter_context(progress_hidden())
        token = _OUTPUT.set(_Output(stdout, as_json or _OUTPUT.get().json))
        stack.callback(_OUTPUT.reset, token)
        yield


@contextmanager
def _diverted_stdout(*, nowhere: bool) -> Iterator[TextIO]:
    """Let what is written to stdout go to stderr or nowhere, in child processes too, and yield stdout as it was."""
    before = sys.stdout
    before.flush()
    with ExitStack() as stack:
        target = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8")) if nowhere else sys.stderr
        kept: TextIO = before
        if _number_of(before) == 1:
            copy = os.dup(1)
            kept = stack.enter_context(os.fdopen(copy, "w", encoding="utf-8"))
            stack.callback(os.dup2, copy, 1)
            stack.callback(before.flush)
            os.dup2(target.fileno(), 1)
        stack.enter_context(redirect_stdout(target))
        # In a process that has imported Ultralytics before, its log holds on to the stream of that time.
        for handler in logging.getLogger("ultralytics").handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                stack.callback(handler.setStream, handler.setStream(target))
        yield kept


def _number_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        # Captured in memory, as notebooks and tests do.
        return None


def print_every_letter() -> None:
    """Let stdout show a letter that its code page lacks as the letter's code (`\\xa7`), instead of ending the command.

    Thai Windows has code page 874, which knows no section sign and no Greek. stderr does so already.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


class PrintableRecords(logging.Filter):
    """Shows control characters in what this package logs; others may mean their colours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's message where it is ours; let every record pass, on a line of its own."""
        clear_line()
        if record.pathname.startswith(_PACKAGE):
            record.msg, record.args = visible(record.getMessage(), keep="\n\t"), None
        return True


def watch_log() -> None:
    """Let everything that this package logs through Ultralytics' logger be printable."""
    logger = logging.getLogger("ultralytics")
    if not any(isinstance(each, PrintableRecords) for each in logger.filters):
        logger.addFilter(PrintableRecords())
