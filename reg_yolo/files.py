"""Files and folders that are either whole or not there, and their digests.

Everything that is worth reading again is written here: under a name of its own in the same folder, flushed to the disk,
then renamed. That name is created exclusively, so that a link somebody has laid in its place is never followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from reg_yolo.errors import DataError, OutputError

# Bytes: where a file system allows 255 a name, what is put around it must fit too.
_LONGEST_STEM = 200


def replace_text(target: Path, text: str) -> None:
    """Replace a UTF-8 file with Unix line ends as a whole; see `replace_bytes`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     replace_text(Path(folder) / "notes.txt", "whole")
        ...     (Path(folder) / "notes.txt").read_text(encoding="utf-8")
        'whole'
    """
    replace_bytes(target, text.encode("utf-8"))


def replace_texts(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Write each text under its name into `folder`, which is made if need be; each as `replace_text` does.

    Returns:
        The files, in the order of `contents`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in contents]
    for target, text in zip(written, contents.values(), strict=True):
        replace_text(target, text)
    return written


def replace_bytes(target: Path, content: bytes | bytearray | memoryview) -> None:
    """Replace a file as a whole, so that no reader and no crash ever sees half of it.

    Raises:
        OutputError: If it cannot be written there; the old file is untouched then.
        OSError: If the disk is full.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     replace_bytes(Path(folder) / "figures.json", b"{}")
        ...     [path.name for path in Path(folder).iterdir()]
        ['figures.json']
    """
    with replacing(target) as partial, partial.open("r+b") as stream:
        stream.write(content)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield an empty new file next to `target` that replaces it in the end, or is removed where something fails.

    Raises:
        OutputError: If nothing can be written there.
        OSError: If the disk is full.
    """
    with _said_plainly(f"{target} cannot be written"):
        partial = _new_file_beside(target)
    try:
        yield partial
        with _said_plainly(f"{target} cannot be written"):
            _flush_to_disk(partial)
            partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        OutputError: If it cannot be made: no permission, a file in its place or above it, a read-only disk.
    """
    with _said_plainly(f"The folder {folder} cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `out` that becomes `out` in the end, or is removed where something fails.

    Args:
        out: The folder to be made. It must not exist yet, or be empty.

    Raises:
        DataError: If `out` is a file or holds something.
        OutputError: If it cannot be made.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with whole_folder(Path(folder) / "set") as temporary:
        ...         replace_text(temporary / "data.yaml", "names: [sign]")
        ...     [path.name for path in Path(folder).iterdir()]
        ['set']
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out} exists already; name a folder that does not, or remove it first.")
    temporary = _part_name(out.absolute())
    with _said_plainly(f"The folder {out} cannot be made"):
        temporary.mkdir(parents=True)
    try:
        yield temporary
        if out.is_dir():
            out.rmdir()
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_regular(path: Path | str) -> bool:
    """Whether a path is a regular file, links followed: no folder, pipe, socket or device, and there at all."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116  (half the time of Path.stat over many files)
    except (OSError, ValueError):
        # ValueError: a zero byte in the name.
        return False


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file to read its bytes; a named pipe, on which `open` waits for ever, or a device is refused.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.

    Example:
        >>> with open_regular(__file__) as stream:
        ...     len(stream.read(3))
        3
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    raise OSError(errno.EINVAL, "it is a pipe, socket or device and no regular file", str(path))


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file (of all files inside, for an exported model that is a folder).

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     replace_text(Path(folder) / "a.txt", "")
        ...     file_sha256(Path(folder) / "a.txt")[:8]
        'e3b0c442'
    """
    path = Path(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _part_name(target: Path) -> Path:
    stem = os.fsencode(target.name)[:_LONGEST_STEM].decode("utf-8", "ignore")
    return target.with_name(f".{stem}.{secrets.token_hex(4)}.part")


def _new_file_beside(target: Path) -> Path:
    while True:
        partial = _part_name(target)
        try:
            # Exclusive creation follows no link; the mode is that of an ordinary new file.
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            continue
        return partial


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


@contextmanager
def _said_plainly(what: str) -> Iterator[None]:
    """Turn the system's refusal of a place or name that the user chose into an OutputError."""
    try:
        yield
    except OSError as error:
        # A full disk is not a matter of the place; the command line has its own words for it.
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OutputError(f"{what}: {error.strerror or error}", error.errno) from None
    except UnicodeEncodeError as error:
        raise OutputError(
            f"{what}: the locale's encoding for file names ({error.encoding}) lacks some of its letters; "
            "set PYTHONUTF8=1"
        ) from None
