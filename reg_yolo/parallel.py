"""A function over many small items in several processes, in order, with a bounded number of them under way."""

import math
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection
from pathlib import Path
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")

_UNDER_WAY = 4


def available_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use: those that taskset and a container's share of time leave it.

    Args:
        root: Where the files of the system are.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A share of one and a half cores keeps two busy three quarters of the time.
    return min([allowed, *(max(1, math.ceil(share)) for share in _shares_of_time(root))])


def _shares_of_time(root: Path) -> Iterator[float]:
    """Yield the cores' worth of time that each control group above this process grants it (Linux, version 1 or 2)."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / controllers
        group = base / path.lstrip("/")
        # In a container the path may be the host's, and the container's own group is the top.
        for folder in {group, *group.parents, base}:
            if folder.is_relative_to(base):
                yield from _share_in(folder)


def _share_in(folder: Path) -> Iterator[float]:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            files = (folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
            quota, period = (file.read_text(encoding="ascii") for file in files)
        # `max`, in version 1 -1, is not a limit.
        if float(quota) > 0 and float(period) > 0:
            yield float(quota) / float(period)
    except (OSError, ValueError):
        return


def launched_rank() -> int:
    """Return the number of this process among those that `torchrun` or Ray has started together, 0 for one alone."""
    together = int(os.environ.get("WORLD_SIZE") or 1) > 1
    return int(os.environ.get("RANK") or 0) if together else 0


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, chunk: int = 32
) -> Iterator[Result]:
    """Yield `function(item)` for every item in order; at most a few chunks wait, so that memory stays flat.

    Args:
        function: A function of a module, or a partial of one.
        items: What it is called with.
        workers: Processes; 1 works in this one, and so do so few items that starting processes would take longer.
            More need the caller's main module to be importable.
        chunk: Items that a process is handed at once.
    """
    if workers <= 1 or len(items) <= chunk:
        yield from map(function, items)
        return
    # Spawned, not forked: the caller may have threads (torch, OpenCV) that a fork would freeze.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, -(-len(items) // chunk)), mp_context=context, initializer=start_worker)
    waiting: deque[Future[list[Result]]] = deque()
    chunks = (items[start : start + chunk] for start in range(0, len(items), chunk))
    try:
        with _interrupts_held_back():
            waiting.extend(pool.submit(_run_chunk, function, part) for part in islice(chunks, _UNDER_WAY * workers))
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(pool.submit(_run_chunk, function, part) for part in islice(chunks, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back while processes start, which inherit that: it would end them with a traceback each.

    It reaches every process of a terminal; the first one ends the others in order.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Let this worker process end when the one that started it is gone, killed for instance: it would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_leave, args=(parent.sentinel,), daemon=True).start()


def _wait_and_leave(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def start_worker() -> None:
    """Prepare a worker process of a pool: one thread of OpenCV, no Ctrl-C of its own, gone when its parent is."""
    # Where it cannot be held back.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _end_with_parent()


def _run_chunk(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
