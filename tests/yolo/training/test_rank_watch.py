"""The heartbeat says which rank has died, ended or never come, and leaves those in peace that are there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reg_yolo.errors import RankLostError
from reg_yolo.yolo.training import rank_watch
from reg_yolo.yolo.training.rank_watch import RankWatch


class SharedStore:
    """What all ranks share, until it breaks."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.broken = False

    def set(self, key: str, value: str) -> None:
        self._require()
        self.values[key] = value.encode()

    def get(self, key: str) -> bytes:
        self._require()
        return self.values[key]

    def check(self, keys: list[str]) -> bool:
        self._require()
        return all(key in self.values for key in keys)

    def _require(self) -> None:
        if self.broken:
            raise ConnectionError("broken pipe")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> SharedStore:
    """An empty store, and time that passes a hundred times as fast."""
    for name, seconds in {"BEAT": 0.02, "LOST_AFTER": 0.6, "SUSPECTED_AFTER": 0.2, "COME_WITHIN": 0.4}.items():
        monkeypatch.setattr(rank_watch, f"{name}_S", seconds)
    monkeypatch.setattr(rank_watch, "LEAVE_WITHIN_S", 60.0)
    return SharedStore()


@pytest.fixture
def watches(store: SharedStore) -> list[RankWatch]:
    """Two ranks that have started."""
    both = [RankWatch(store, rank, 2) for rank in range(2)]
    for watch in both:
        watch.start()
    until(lambda: all(watch._counts for watch in both))
    return both


def until(true: Callable[[], object]) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def die(watch: RankWatch) -> None:
    """Stop without a word, as a killed process."""
    watch._over.set()


def test_ranks_that_are_there_are_not_lost(watches: list[RankWatch]) -> None:
    error = RuntimeError("a fault of ours")
    assert watches[0].explain(error) is error
    assert [watch.verdict for watch in watches] == ["", ""]
    for watch in watches:
        watch.end()


def test_a_rank_that_died_is_named_with_the_run(watches: list[RankWatch]) -> None:
    watches[0].note_run("/share/runs/a")
    die(watches[1])
    error = watches[0].explain(RuntimeError("Connection closed by peer"))
    assert isinstance(error, RankLostError)
    assert f"rank 1 of 2 ({watches[1].name.split('(')[1]} has died: no sign of life" in str(error)
    assert str(error).endswith("continue on all machines with train --resume /share/runs/a")
    watches[0].end()


def test_a_rank_that_ended_with_a_fault_is_named_with_it(watches: list[RankWatch]) -> None:
    watches[1].end("KeyError: 'x'")
    until(lambda: watches[0].verdict)
    assert watches[0].verdict.endswith("has ended: KeyError: 'x'")
    watches[0].end()


def test_a_rank_that_ended_in_order_is_not_lost(watches: list[RankWatch]) -> None:
    watches[1].end()
    time.sleep(1)
    assert not watches[0].verdict
    watches[0].end()


def test_a_store_that_is_gone_is_rank_0s(watches: list[RankWatch], store: SharedStore) -> None:
    store.broken = True
    until(lambda: watches[1].verdict)
    verdict = watches[1].verdict
    assert verdict.startswith("rank 0 of 2 (") and "has died, or its machine cannot be reached" in verdict
    for watch in watches:
        watch.end()


def test_a_rank_that_never_comes_is_named(store: SharedStore) -> None:
    watch = RankWatch(store, 0, 2)
    watch.start()
    until(lambda: watch.verdict)
    assert watch.verdict == "rank 1 of 2 has not started within 0.4 s"
    watch.end()


def test_a_process_that_nobody_can_reach_is_ended(
    store: SharedStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(rank_watch, "LEAVE_WITHIN_S", 0.05)
    watch = RankWatch(store, 0, 2)
    (tmp_path / "temporary/run").mkdir(parents=True)
    watch.temporary.append(tmp_path / "temporary")
    monkeypatch.setattr("os._exit", lambda code: (ended.append(code), watch.end()))
    watch.start()
    until(lambda: ended)
    assert ended == [2] and capsys.readouterr().err.startswith("error: rank 1 of 2 has not started")
    assert not (tmp_path / "temporary").exists()
