"""A file that grows by whole lines under a name of its own, written by one process alone, and is renamed at the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from reg_yolo.errors import MediaError

try:
    import fcntl
except ImportError:  # no locks on Windows
    fcntl = None  # type: ignore[assignment]


class PartFile:
    """A file that grows by whole lines under ``<name>.part`` until it is renamed.

    Nothing is left behind where not even its first line can be written.

    Args:
        path: The final file.
        first_line: Written at once.

    Raises:
        MediaError: If it cannot be written, or another process writes it.
    """

    def __init__(self, path: Path, first_line: str) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = _open_alone(self.part)
        except BlockingIOError:
            raise MediaError(f"{self.part} is being written by another run; name another folder with `out`") from None
        except OSError as error:
            raise MediaError(f"{path} cannot be written: {error.strerror}.") from None
        self._whole = 0
        try:
            self.write_line(first_line)
        except BaseException:
            self._stream.close()
            self.part.unlink(missing_ok=True)
            raise

    def write_line(self, text: str) -> None:
        """Append a line, or nothing where it does not fit.

        Raises:
            MediaError: If it cannot be written.
        """
        # A file name that is not UTF-8 holds lone surrogates, which become valid JSON escapes here.
        line = memoryview((text + "\n").encode("utf-8", errors="backslashreplace"))
        written = 0
        try:
            while written < len(line):
                written += self._stream.write(line[written:])
        except OSError as error:
            self._cut_back()
            raise MediaError(f"{self.path} cannot be written: {error.strerror}.") from None
        except BaseException:
            self._cut_back()
            raise
        self._whole += len(line)

    def _cut_back(self) -> None:
        self._stream.truncate(self._whole)
        self._stream.seek(self._whole)

    def finish(self) -> None:
        """Flush the file to the disk and give it its name.

        Raises:
            MediaError: If that fails; the part is left then.
        """
        try:
            os.fsync(self._stream.fileno())
            if os.name == "nt":
                self._stream.close()
            # Under the lock, so that no other run takes the file for its own in between.
            self.part.replace(self.path)
            self._stream.close()
        except OSError as error:
            raise MediaError(f"{self.part} cannot be finished as {self.path.name}: {error.strerror}.") from None


def _open_alone(part: Path) -> FileIO:
    """Open a file for this process alone, empty, following no link; what a killed run left in it is given up.

    Raises:
        BlockingIOError: If another process writes it.
        OSError: If it cannot be written.
    """
    while True:
        number = os.open(part, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        # Unbuffered: after a kill every whole line is on disk, and an error is raised where it happens.
        stream = FileIO(number, "r+b")
        try:
            if fcntl is not None:
                with _without_locks_too():
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another run may have renamed it between opening and locking.
            if part.exists() and os.path.samestat(os.fstat(number), part.stat()):
                stream.truncate(0)
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()


@contextmanager
def _without_locks_too() -> Iterator[None]:
    """Go on where a file system knows no locks."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}:
            raise
