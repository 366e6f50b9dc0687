"""`decisions.jsonl`: one decision a line, only ever appended to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from reg_yolo.errors import DataError, OutputError
from reg_yolo.files import open_regular
from reg_yolo.inventory.decisions.decision import Decision, NotApplied

try:
    import fcntl
except ImportError:  # not on Windows, where a file is not locked
    fcntl = None  # type: ignore[assignment]


def read_decisions(paths: Sequence[Path]) -> tuple[list[Decision], list[NotApplied]]:
    """Read decisions files, in their order.

    A line that a crash has cut off is not valid JSON; it is skipped and listed. A decision that several files hold, as
    copies of one another, counts once.

    Returns:
        The decisions, and the lines that hold none.

    Raises:
        DataError: If a file cannot be read, or a line is JSON and no decision; FILE:LINE is named.
    """
    decisions: dict[str, Decision] = {}
    torn: list[NotApplied] = []
    for path in paths:
        try:
            with open_regular(path) as stream:
                lines = stream.read().split(b"\n")
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                record = json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError):
                torn.append(NotApplied(None, "the line is cut off or damaged, and is skipped", place))
                continue
            decision = _decision(record, place)
            earlier = decisions.setdefault(decision.decision_id, decision)
            if earlier != decision:
                same = f"{earlier.read_from}, which has the same id {decision.decision_id}"
                raise DataError(f"{place} is another decision than {same}; ids must differ")
    return list(decisions.values()), torn


def _decision(record: object, place: str) -> Decision:
    if not isinstance(record, dict):
        raise DataError(f"{place} is not a decision: expected keys and values, got {type(record).__name__}")
    try:
        return Decision.from_record(record, place)
    except KeyError as error:
        raise DataError(f"{place} is not a decision: no {error} in it") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{place} is not a decision: {error}") from None


class DecisionLog:
    """Context manager that appends decisions to a file; each is on the disk when `append` returns.

    One process writes a file at a time. A line that an earlier crash cut off is ended, so that what follows is whole.

    Args:
        path: The file; it is made where it is missing.

    Raises:
        OutputError: If it cannot be written, or another process writes it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from reg_yolo.inventory.decisions.decision import Seen
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "decisions.jsonl"
        ...     with DecisionLog(file) as log:
        ...         log.append(Decision("somchai", "accept", ((Seen("a.mp4", 7, (1.0, 2.0, 3.0, 4.0)),),)))
        ...     read_decisions([file])[0][0].action
        'accept'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number: int | None = None

    def __enter__(self) -> DecisionLog:
        try:
            number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}", error.errno) from None
        try:
            self._lock(number)
            size = os.lseek(number, 0, os.SEEK_END)
            if size:
                os.lseek(number, size - 1, os.SEEK_SET)
                if os.read(number, 1) != b"\n":
                    self._write(number, b"\n")
        except BaseException:
            os.close(number)
            raise
        self._number = number
        return self

    def _lock(self, number: int) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"{self.path} is written by another process; give each reviewer a file of their own"
            ) from None
        except OSError:
            # A share without locks.
            pass
        # A new file is lost with all of its lines where the disk does not know its name.
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError:
            pass
        finally:
            os.close(folder)

    def append(self, decision: Decision) -> None:
        """Append one decision and wait until the disk has it.

        Raises:
            OutputError: If the disk does not take it; nothing of it is left in the file then.
        """
        if self._number is None:
            raise ValueError("append must be called inside the log's 'with' block")
        text = json.dumps(decision.to_record(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._write(self._number, text.encode("utf-8") + b"\n")

    def _write(self, number: int, content: bytes) -> None:
        size = os.lseek(number, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):
                written += os.write(number, content[written:])
            os.fsync(number)
        except OSError as error:
            os.ftruncate(number, size)
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}", error.errno) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)
