"""The folder of a run: a run that fails before it has anything to keep leaves no trace of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ultralytics.utils import RANK
from ultralytics.utils.files import increment_path

from reg_yolo.errors import ConfigError
from reg_yolo.yolo.training.rank_group import folder_of_rank
from reg_yolo.yolo.upstream.environment import runs_folder


def new_run_folder(arguments: Mapping[str, Any], name: str, out: str | Path | None = None) -> Path:
    """Return the folder that a run is going to write to: `out`, or a numbered one under `project`; makes nothing.

    Args:
        arguments: Ultralytics' arguments, of which `project`, `name`, `exist_ok` and `task` count.
        name: The folder's name where the arguments have none.
        out: The very folder that the user asked for.

    Raises:
        ConfigError: If the folder cannot be made or written to.
    """
    if out is not None:
        folder = Path(out).expanduser().absolute()
    else:
        parent = Path(runs_folder(arguments.get("project"), str(arguments["task"])))
        folder = increment_path(parent / str(arguments.get("name") or name), exist_ok=bool(arguments.get("exist_ok")))
    require_folder(folder)
    return folder


@contextmanager
def run_folder(choose: Callable[[], Path]) -> Iterator[Path]:
    """Yield the folder of a training, which is removed if the training fails before it has a checkpoint.

    Of several ranks the first has it, the others a temporary one.

    Args:
        choose: Returns the folder; asked by the first rank alone.
    """
    if RANK > 0:
        with folder_of_rank(None) as folder:
            yield folder
        return
    folder = choose()
    with (
        removed_on_failure(folder, kept=lambda: any((folder / "weights").glob("*.pt"))),
        nullcontext() if RANK == -1 else folder_of_rank(folder),
    ):
        yield folder


@contextmanager
def removed_on_failure(folder: Path, *, kept: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Remove `folder` again when the block fails, along with the parents that were made for it.

    A folder that was there before the block is left as it is: what lies in it may be the user's.

    Args:
        folder: The folder that the block is going to write to.
        kept: Asked after a failure whether the folder holds something worth keeping.
    """
    fresh = not folder.exists()
    new_parents = [parent for parent in folder.parents if not parent.exists()]
    try:
        yield
    except BaseException:
        if fresh and not kept():
            shutil.rmtree(folder, ignore_errors=True)
            for parent in new_parents:
                try:
                    parent.rmdir()
                except OSError:
                    # Something else lies in it, or it never came to be.
                    break
        raise


def require_folder(folder: Path) -> None:
    """Check that a folder can be made and written to, without making it.

    Raises:
        ConfigError: If a file is in its place, or the user may not write there.
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        raise ConfigError(f"{folder}: {existing} is a file; name another folder for the results")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: no permission to write to {existing}; name another folder for the results")
