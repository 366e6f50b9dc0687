"""One way to hear Ctrl-C and SIGTERM: they are noted, and the work looks between two frames or two batches.

Acting inside the handler could tear a frame apart that is just being written, or cut an optimizer step in half.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SS_DISABLE = 2


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def use_own_stack_for_signals() -> None:
    """Let signals that reach this thread be handled on its own stack, not on one that a library put there.

    OpenVINO's plugin for processors gives the thread that loads it such a stack, and unmaps it with the last network
    even where the thread still uses it: the next signal then ends the process with a segmentation fault.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(flags=_SS_DISABLE)), None)


class StopRequest:
    """Whether a signal has asked the work to end.

    Attributes:
        event: Set by the first signal.
        signal_name: Its name, such as `SIGTERM`; empty until then.
    """

    def __init__(self, announce: Callable[[str], None] | None = None) -> None:
        """Start with no signal received.

        Args:
            announce: Called with the name of the first signal.
        """
        self.event = threading.Event()
        self.signal_name = ""
        self._announce = announce

    @property
    def requested(self) -> bool:
        """Whether a signal was received."""
        return self.event.is_set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over the signals while the block runs, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        use_own_stack_for_signals()
        previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.requested:
            # The second one is impatience: leave at once.
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name
        self.event.set()
        if self._announce is not None:
            self._announce(self.signal_name)


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by SIGTERM or because its terminal is gone; half-made folders are removed first."""


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the block as Ctrl-C does, so that what cleans up does so.

    Signals that are ignored stay so (`nohup`). Whoever listens on its own inside the block takes over from this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        # Once is enough: a second one would cut the cleaning short. Ctrl-C still does.
        signal.signal(number, signal.SIG_IGN)
        raise Terminated(signal.Signals(number).name)

    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    previous = {number: signal.getsignal(number) for number in numbers}
    use_own_stack_for_signals()
    for number, handler in previous.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in previous.items():
            if handler is signal.SIG_DFL:
                signal.signal(number, handler)


@contextmanager
def listening_for_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; a second one interrupts at once.

    Example:
        >>> with listening_for_signals() as stop:
        ...     frames = [frame for frame in range(3) if not stop.is_set()]
        >>> frames
        [0, 1, 2]
    """
    stop = StopRequest()
    with stop.listening():
        yield stop.event
