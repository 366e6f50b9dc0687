"""A folder that replaces an older one once it is whole."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reg_yolo.errors import DataError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a place for a new folder of the same ending that replaces `folder` at the end of the block.

    A folder without an ending is made; of one with an ending the block makes what it is, which may be a file format's.
    What earlier blocks left behind when they were killed is removed once the new folder is in place.

    Raises:
        DataError: If a file of this name is there, or it cannot be written; the old folder is in its place then.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} cannot be written: a file of this name is there")
    part = folder.with_name(f".{folder.stem}.{secrets.token_hex(4)}{folder.suffix}")
    old = folder.with_name(f".{folder.stem}.{secrets.token_hex(4)}.old")
    try:
        if not folder.suffix:
            part.mkdir()
        yield part
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise
        remove_leftovers(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or str(error).splitlines()[0]}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the parts and replaced copies of a folder that a killed `new_folder` left next to it."""
    name = re.compile(rf"\.{re.escape(folder.stem)}\.[0-9a-f]{{8}}({re.escape(folder.suffix)}|\.old)")
    for path in folder.parent.iterdir():
        if name.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
