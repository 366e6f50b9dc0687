"""Stages that overlap: threads with short queues between them, in order, and with one end for every error.

`Stage` pulls items from an iterable in threads of its own and is itself an iterator, so that stages chain:
``Stage(Stage(frames), [prepare])``. `Sink` is the other end: it is handed items and works on them in a thread.
Decoding, inference and encoding leave Python's interpreter lock to others while they work, so that threads suffice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Cancelled(Exception):
    """The other side of a channel has gone; raised inside stages only."""


class Channel(Generic[T]):
    """A bounded queue that also carries its own end: normal, by an error, or because nobody wants more.

    Args:
        depth: Items that wait at most; the producer waits when there are as many.
    """

    def __init__(self, depth: int) -> None:
        if depth < 1:
            raise ValueError(f"depth must be 1 or more, got {depth}")
        self._depth = depth
        self._items: deque[T] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._finished = False
        self._cancelled = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Append an item, once there is room.

        Raises:
            Cancelled: If nobody takes items any more.
        """
        with self._changed:
            while len(self._items) >= self._depth and not self._cancelled:
                self._changed.wait()
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the next item, once there is one.

        Raises:
            StopIteration: After the last item.
            Cancelled: If the channel has been cancelled.
            BaseException: After the last item, what stopped the producer; once.
        """
        with self._changed:
            while not self._items and not self._finished and not self._cancelled:
                self._changed.wait()
            if self._cancelled:
                raise Cancelled
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def finish(self, error: BaseException | None = None) -> None:
        """Say that no more items come; what is there is still taken, then `error` is raised. The first call counts."""
        with self._changed:
            if not self._finished:
                self._finished, self._error = True, error
            self._changed.notify_all()

    def cancel(self) -> None:
        """Wake everybody up with `Cancelled`, and drop what waits."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()


class Stage(Iterator[R]):
    """Results of functions over items, computed ahead in threads, in the order of the items.

    Args:
        items: What to work on. It is iterated in the stage's threads, by one of them at a time.
        functions: One for each thread, all of the same effect; two threads never call the same one. By default the
            items themselves are passed on, which lets a generator run ahead.
        depth: Results that wait at most, beside those in work.
        name: Of the threads.

    Attributes:
        threads: The stage's threads, for whoever wants to see that they have ended.
    """

    def __init__(
        self,
        items: Iterable[Any],
        functions: Sequence[Callable[[Any], R]] | None = None,
        *,
        depth: int = 2,
        name: str = "stage",
    ) -> None:
        self._items = items
        self._iterator: Iterator[Any] | None = None
        self._turn = threading.Lock()
        # No thread takes another item after one has met the end, or an error in its place.
        self._exhausted = False
        self._results: Channel[Future[R]] = Channel(depth)
        workers: list[Callable[[Any], R] | None] = [*functions] if functions else [None]
        self._running = len(workers)
        self.threads = [
            threading.Thread(target=self._work, args=(function,), name=f"{name}-{number}", daemon=True)
            for number, function in enumerate(workers)
        ]
        for thread in self.threads:
            thread.start()

    def __next__(self) -> R:
        try:
            return self._results.get().result()
        except (Cancelled, CancelledError):
            raise StopIteration from None

    def _work(self, function: Callable[[Any], R] | None) -> None:
        error: BaseException | None = None
        try:
            while True:
                place: Future[R] = Future()
                with self._turn:
                    if self._exhausted:
                        return
                    # In one step, so that places stand in the order of the items.
                    try:
                        if self._iterator is None:
                            self._iterator = iter(self._items)
                        item = next(self._iterator)
                    except BaseException:
                        self._exhausted = True
                        raise
                    self._results.put(place)
                try:
                    place.set_result(item if function is None else function(item))
                except BaseException as failure:
                    place.set_exception(failure)
                    return
                finally:
                    # Not until the next one comes: a frame is large.
                    del item, place
        except (StopIteration, Cancelled):
            pass
        except BaseException as failure:
            error = failure
        finally:
            with self._results._changed:
                self._running -= 1
                last = self._running == 0
            if last or error is not None:
                self._results.finish(error)

    def close(self) -> None:
        """Stop, wait until all threads have ended, and close what is iterated, back to the first stage."""
        self.cancel()
        for thread in self.threads:
            thread.join()
        close = getattr(self._iterator if self._iterator is not None else self._items, "close", None)
        if close is not None:
            close()

    def cancel(self) -> None:
        """Tell this stage and those before it to stop, without waiting."""
        self._results.cancel()
        if isinstance(self._items, Stage):
            self._items.cancel()

    def __enter__(self) -> Stage[R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Sink(Generic[T]):
    """Context manager that works on what it is given in a thread of its own, in order.

    Leaving the block waits until everything is done, also when it is left by an exception: what was handed over counts
    as taken. An error in the thread drops the rest and is raised once, by the next call or at the end.

    Args:
        function: Called with every item.
        depth: Items that wait at most.
        name: Of the thread.
    """

    def __init__(self, function: Callable[[T], None], *, depth: int = 2, name: str = "sink") -> None:
        self._function = function
        self._waiting: Channel[T] = Channel(depth)
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)

    def put(self, item: T) -> None:
        """Hand over an item, once there is room.

        Raises:
            BaseException: What the thread failed with.
        """
        try:
            self._waiting.put(item)
        except Cancelled:
            self._raise()

    def _work(self) -> None:
        try:
            while True:
                item = self._waiting.get()
                self._function(item)
                del item
        except (StopIteration, Cancelled):
            pass
        except BaseException as failure:
            self._error = failure
            self._waiting.cancel()

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Sink[T]:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.finish()
        self.thread.join()
        # Often a method of what holds this sink: without it neither waits for the garbage collector.
        del self._function
        if kind is None:
            self._raise()
