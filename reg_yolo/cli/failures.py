"""One line for every failure, and the exit code that goes with it."""

from __future__ import annotations

import errno
import re
import sys
import tempfile
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import typer

from reg_yolo.errors import RegYoloError, TrainingInterrupted
from reg_yolo.text_tables import visible

OUR_FAULT, INPUT_FAULT, PARTLY_DONE, INTERRUPTED = 1, 2, 3, 130

# What the system says of a place that the user has chosen, by its number.
_OF_THE_PLACE = {
    errno.EFBIG: "a file grows larger than this disk or account allows (see `ulimit -f`)",
    errno.EROFS: "the disk can only be read; name a folder on another one",
    errno.ENAMETOOLONG: "a file name is longer than this disk allows; choose shorter names",
    errno.ENOTDIR: "a file stands where a folder should be",
    errno.ELOOP: "links lead round in a circle",
    errno.EMFILE: "more files are open at once than this account may (see `ulimit -n`)",
    errno.EIO: "the disk or share has failed to read or write",
    **({errno.ESTALE: "the share has gone away"} if hasattr(errno, "ESTALE") else {}),
}

_PARAMETER = re.compile(r"`([a-z]\w*)(?:=([^`]+))?`")


def report_failure(error: BaseException, *, debug: bool = False, options: Mapping[str, str] | None = None) -> int:
    """Say on stderr what went wrong and return the exit code.

    Args:
        error: What ended the command.
        debug: Show the traceback too.
        options: The words of the command line by the names of the parameters that they stand for.
    """
    if debug and not isinstance(error, (KeyboardInterrupt, typer.Abort, SystemExit)):
        traceback.print_exception(error)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        # A wrong word on the command line; typer brings these errors under a private name.
        error.show(file=sys.stderr)
        return INPUT_FAULT
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else OUR_FAULT
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return _say("interrupted", INTERRUPTED)
    if isinstance(error, TrainingInterrupted):
        return _say(str(error), INTERRUPTED)
    if isinstance(error, RegYoloError):
        return _say(f"error: {as_typed(str(error), options or {})}", INPUT_FAULT)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _say(f"error: the disk is full{_named(error)}; free some room and run the command again", INPUT_FAULT)
    if isinstance(error, PermissionError):
        return _say(f"error: no permission to write or read{_named(error)}", INPUT_FAULT)
    if isinstance(error, OSError) and error.errno in _OF_THE_PLACE:
        return _say(f"error: {_OF_THE_PLACE[error.errno]}{_named(error)}", INPUT_FAULT)
    if isinstance(error, ImportError) and "libGL" in str(error):
        return _say(
            "error: OpenCV finds no libGL on this machine; use its headless wheel: "
            "pip uninstall -y opencv-python && pip install --force-reinstall opencv-python-headless",
            INPUT_FAULT,
        )
    log = _write_log(error)
    return _say(
        f"error: {type(error).__name__}: {error}\nThis looks like our fault; the traceback is in {log}", OUR_FAULT
    )


def as_typed(message: str, options: Mapping[str, str]) -> str:
    """Return a message of the library with parameters as the user of the command line types them.

    Messages name a parameter between backticks, alone or with a value: `every`, `every=2m`, `int8=True`. What is not a
    parameter of the command stays as it is.

    Args:
        message: As `RegYoloError` brings it.
        options: The words of the command line by the names of the parameters that they stand for.

    Example:
        >>> as_typed("`near_bits`: got 99; leave it out, or write `every=2m`", {"near_bits": "--near-bits"})
        '--near-bits: got 99; leave it out, or write `every=2m`'
    """

    def typed(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in options:
            return found[0]
        return options[name] if value in {None, "True"} else f"{options[name]} {value}"

    return _PARAMETER.sub(typed, message)


def _say(message: str, code: int) -> int:
    print(visible(message, keep="\n\t"), file=sys.stderr)
    return code


def _named(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""


def _write_log(error: BaseException) -> Path:
    text = f"{' '.join(sys.argv)}\n" + "".join(traceback.format_exception(error))
    name = f"reg-yolo-error-{datetime.now().astimezone():%Y%m%d-%H%M%S}.log"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            # A file name that is not UTF-8 holds lone surrogates.
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")
            return folder / name
        except OSError:
            continue
    return Path("(no folder could be written to)")
