"""Leaving a run on SIGTERM or Ctrl-C with a checkpoint that `train --resume` continues from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ultralytics.utils import LOGGER

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingInterrupted(BaseException):
    """A signal ended the run after it had saved; no error, and not to be caught as one.

    Attributes:
        last: The checkpoint to resume from.
    """

    def __init__(self, last: Path, signal_name: str) -> None:
        """Name the checkpoint and the signal."""
        super().__init__(f"{signal_name}: saved {last}; continue with: reg-yolo train --resume {last}")
        self.last = last


class Interruption:
    """Remembers that a signal asked the run to end; the run looks between two batches.

    Acting inside the handler could cut an optimizer step in half.
    """

    def __init__(self) -> None:
        """Start with no signal received."""
        self.requested = False
        self.signal_name = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the signals while the block runs, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            # The second Ctrl-C is impatience: leave at once, the last complete checkpoint stays.
            raise KeyboardInterrupt
        self.requested = True
        self.signal_name = signal.Signals(number).name
        LOGGER.info(f"{self.signal_name} received: saving after the current batch")
