"""Files and folders that are either whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reg_yolo.errors import DataError


def replace_text(target: Path, text: str) -> None:
    """Write a UTF-8 file with Unix line ends under a temporary name in the same folder, then rename it."""
    replace_bytes(target, text.encode("utf-8"))


def replace_bytes(target: Path, content: bytes) -> None:
    """Write a file under a temporary name in the same folder, then rename it."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _said_clearly(f"{target} cannot be written"):
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            with suppress(OSError):
                temporary.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        DataError: If it cannot be made: no permission, a file in its place or above it, a read-only disk.
    """
    with _said_clearly(f"The folder {folder} cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out` that becomes `out` in the end, or is removed where something fails.

    Args:
        out: The folder to be made. It must not exist yet, or be empty.

    Raises:
        DataError: If `out` is a file, holds something or cannot be made.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} exists already; name a folder that does not, or remove it first.")
    temporary = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    with _said_clearly(f"The folder {out} cannot be made"):
        temporary.mkdir(parents=True)
    try:
        yield temporary
        if out.is_dir():
            out.rmdir()
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _said_clearly(what: str) -> Iterator[None]:
    """Turn the system's refusal of a place that the user named into a DataError."""
    try:
        yield
    except OSError as error:
        # A full disk is no matter of the place; the command line has its own words for it.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DataError(f"{what}: {error.strerror or error}.") from None
