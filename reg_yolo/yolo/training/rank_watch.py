"""Who of the processes of a training is still there: a heartbeat in the store that they share.

A rank that dies leaves the others in a collective operation. Over Gloo they see a connection break if its process was
killed, and nothing if its machine lost power; over NCCL they wait for minutes either way. Nobody says who it was. Here
each rank counts up in the store once a second, and each looks at the others' counts.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from reg_yolo.errors import RankLostError

BEAT_S = 1.0
LOST_AFTER_S = 30.0
"""A rank whose count stands still for so long is lost."""
SUSPECTED_AFTER_S = 4.0
"""The same once a connection has broken."""
COME_WITHIN_S = 300.0
"""How long a rank may take to start."""
LEAVE_WITHIN_S = 5.0
"""How long the work may take to notice by itself before the process is ended."""


class Store(Protocol):
    """What is used of `torch.distributed.Store`."""

    def set(self, key: str, value: str) -> Any: ...
    def get(self, key: str) -> bytes: ...
    def check(self, keys: list[str]) -> bool: ...


class RankWatch:
    """The heartbeat of this rank, and what it sees of the others.

    Attributes:
        rank, ranks: This process's number, and how many there are.
        verdict: Which rank was lost, in words; empty until one is.
        temporary: Folders of this rank, which are removed also where the process is ended from outside its work.
    """

    def __init__(self, store: Store, rank: int, ranks: int) -> None:
        """Prepare; `store` must be a connection that nothing else uses."""
        self.rank, self.ranks = rank, ranks
        self.verdict = ""
        self.temporary: list[Path] = []
        self._store = store
        self._found = threading.Event()
        self._over = threading.Event()
        self._suspected = self._store_is_gone = False
        self._names: dict[int, str] = {}
        self._counts: dict[int, tuple[bytes, float]] = {}
        self._answered = self._began = time.monotonic()
        self._run_folder = ""

    @property
    def name(self) -> str:
        """This rank in words."""
        return f"rank {self.rank} of {self.ranks} ({socket.gethostname()}, process {os.getpid()})"

    def start(self) -> None:
        """Begin to count and to look, each in a thread: looking must not wait for a store that no longer answers."""
        for work in (self._beat, self._judge):
            threading.Thread(target=work, name=f"reg_yolo{work.__name__}", daemon=True).start()

    def note_run(self, folder: str) -> None:
        """Keep where the run lies, on the machine of rank 0, for what is said when a rank is lost."""
        self._run_folder = folder

    def end(self, fault: str = "") -> None:
        """Stop, and tell the others how this rank has ended.

        Args:
            fault: What went wrong in this rank, in a line; empty for an end in order, or one that another rank caused.
        """
        if self._over.is_set():
            return
        self._over.set()
        if self._store_is_gone:
            return
        # In a thread: it may have gone just now.
        last = threading.Thread(target=self._leave_note, args=(fault,), daemon=True)
        last.start()
        last.join(2 * BEAT_S)

    def explain(self, error: BaseException) -> BaseException:
        """Return what to raise in place of an error of a collective operation.

        Waits for a few seconds, in which a rank that has died misses its beats.

        Returns:
            A `RankLostError` that names the rank, or `error` if all ranks are there.
        """
        self._suspected = True
        self._found.wait(SUSPECTED_AFTER_S + 5 * BEAT_S)
        return RankLostError(self._sentence()) if self.verdict else error

    # The threads --------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        count = 0
        try:
            self._store.set(f"name/{self.rank}", self.name)
            while not self._over.is_set():
                count += 1
                self._store.set(f"beat/{self.rank}", str(count))
                lost = self._look()
                self._answered = time.monotonic()
                if lost:
                    self._find(lost)
                self._over.wait(BEAT_S)
        except Exception as error:
            if not self._over.is_set():
                self._find(self._of_store(f"{type(error).__name__}"))

    def _look(self) -> str:
        """Return who is lost, in words, or nothing."""
        now = time.monotonic()
        for rank in range(self.ranks):
            if rank == self.rank:
                continue
            if not self._store.check([f"beat/{rank}"]):
                if now - self._began > COME_WITHIN_S:
                    return f"rank {rank} of {self.ranks} has not started within {COME_WITHIN_S:g} s"
                continue
            count = self._store.get(f"beat/{rank}")
            if rank not in self._names:
                self._names[rank] = self._store.get(f"name/{rank}").decode()
            before = self._counts.get(rank)
            if before is None or before[0] != count:
                self._counts[rank] = (count, now)
                continue
            silent = now - before[1]
            if silent < 2 * BEAT_S:
                continue
            if self._store.check([f"end/{rank}"]):
                note = json.loads(self._store.get(f"end/{rank}"))
                if note["fault"]:
                    return f"{self._names[rank]} has ended: {note['fault']}"
            elif silent > (SUSPECTED_AFTER_S if self._suspected else LOST_AFTER_S):
                return f"{self._names[rank]} has died: no sign of life for {silent:.0f} s"
        return ""

    def _judge(self) -> None:
        while not self._over.wait(BEAT_S):
            silent = time.monotonic() - self._answered
            if not self.verdict and silent > LOST_AFTER_S:
                self._find(self._of_store(f"no answer for {silent:.0f} s"))
            if self.verdict:
                if self._over.wait(LEAVE_WITHIN_S):
                    return
                # The work waits in an operation that no exception reaches.
                print(f"error: {self._sentence()}", file=sys.stderr, flush=True)
                if not self._store_is_gone:
                    self._leave_note("")
                for folder in self.temporary:
                    shutil.rmtree(folder, ignore_errors=True)
                os._exit(2)

    def _find(self, verdict: str) -> None:
        if not self.verdict:
            self.verdict = verdict
            self._found.set()

    def _of_store(self, how: str) -> str:
        """Return the verdict on whoever holds the store, which is not asked for anything any more."""
        self._store_is_gone = True
        return f"{self._names.get(0) or f'rank 0 of {self.ranks}'} has died, or its machine cannot be reached: {how}"

    def _sentence(self) -> str:
        saved = f" {self._run_folder}" if self._run_folder else " RUN, if it had begun"
        return f"{self.verdict}; the last whole epoch is saved, continue on all machines with train --resume{saved}"

    def _leave_note(self, fault: str) -> None:
        try:
            self._store.set(f"end/{self.rank}", json.dumps({"fault": fault}))
        except Exception:
            # Whoever is left finds out by the heartbeat.
            return
