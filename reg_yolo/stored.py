"""Reading back what this package has written: limits of size, and one line for every kind of damage.

A file that lies in a run's folder or next to weights may have been cut off, edited, swapped or made by somebody else.
Whatever is wrong with it, the user gets the file's name, the reason and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reg_yolo.errors import DataError, RegYoloError, first_line
from reg_yolo.files import open_regular

# Bytes. The largest such file, a report on thousands of classes, has a few megabytes.
LARGEST_STORED = 64 << 20
# What wrong content raises in code that picks it apart.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError, MemoryError)


@contextmanager
def damage_named(path: Path, what: str, remedy: str, error: type[RegYoloError] = DataError) -> Iterator[None]:
    """Turn whatever the block raises over the content of a file into one line that names it.

    Args:
        path: The file that the block reads.
        what: What it should be, with its article.
        remedy: What the user can do.
        error: Class of the error.

    Raises:
        RegYoloError: Of class `error`. A file that is missing stays a FileNotFoundError.

    Example:
        >>> with damage_named(Path("a.json"), "a report", "run `reg-yolo val` again"):
        ...     {}["classes"]
        Traceback (most recent call last):
        reg_yolo.errors.DataError: a.json: not a report (no 'classes' in it); run `reg-yolo val` again
    """
    try:
        yield
    except (FileNotFoundError, RegYoloError):
        raise
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from None
    except _DAMAGE as problem:
        if isinstance(problem, KeyError):
            reason = f"no {problem} in it"
        elif isinstance(problem, UnicodeDecodeError):
            reason = "not UTF-8 text"
        else:
            reason = first_line(problem) or type(problem).__name__
        raise error(f"{path}: not {what} ({reason}); {remedy}") from None


def read_stored_text(path: Path, largest: int = LARGEST_STORED) -> str:
    """Return the text of a regular file.

    Raises:
        OSError: If it is missing, no regular file, or cannot be read.
        ValueError: If it is larger than `largest` bytes or not UTF-8.
    """
    with open_regular(path) as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"larger than {largest / 1e6:.0f} MB")
    return content.decode("utf-8-sig")


def read_stored_json(path: Path, largest: int = LARGEST_STORED) -> dict[str, Any]:
    """Return the JSON object in a regular file.

    Raises:
        OSError: As `read_stored_text`.
        ValueError: Also if it holds no JSON object.
    """
    content = json.loads(read_stored_text(path, largest))
    if not isinstance(content, dict):
        raise ValueError(f"expected keys and values, got {type(content).__name__}")
    return content
