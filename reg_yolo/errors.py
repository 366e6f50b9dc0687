"""What can go wrong with a user's input, one class for each place it can be wrong.

Every message is one or two plain sentences that say what is wrong, where, what was expected and how to mend it. The
command line prints them without a traceback and exits with code 2.
"""

from __future__ import annotations

from pathlib import Path


class RegYoloError(Exception):
    """Base of every error that the user's input causes."""


class ConfigError(RegYoloError):
    """A configuration file, an override or an argument is wrong."""


class DataError(RegYoloError):
    """A data set is missing, empty or malformed."""


class MediaError(RegYoloError):
    """An image or a video cannot be read or written."""


class WeightsError(RegYoloError):
    """A checkpoint is missing, cut off, foreign or does not fit."""


class OutputError(RegYoloError):
    """A file or folder cannot be written where the user wants it.

    Attributes:
        errno: The system's number of the cause, None where it has none.
    """

    def __init__(self, message: str, errno: int | None = None) -> None:
        """Keep the number of the cause next to the message."""
        super().__init__(message)
        self.errno = errno


class RankLostError(RegYoloError):
    """One of several processes that train together has died, or its machine cannot be reached."""


class TrainingInterrupted(BaseException):
    """A signal ended the run after it had saved; not an error, and not to be caught as one.

    Attributes:
        last: The checkpoint to resume from.
    """

    def __init__(self, last: Path, signal_name: str) -> None:
        """Name the checkpoint and the signal."""
        super().__init__(f"{signal_name}: saved {last}; continue with: reg-yolo train --resume {last}")
        self.last = last


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, for messages of ours that name the cause."""
    return (str(error).splitlines() or [""])[0][:200]
