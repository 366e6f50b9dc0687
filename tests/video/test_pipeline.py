"""Stages overlap, keep the order, pass every error on once, and end all their threads whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.video.pipeline import Cancelled, Channel, Sink, Stage

NAMES = ("source", "work", "end", "encode")


def threads_left() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(NAMES)]


@pytest.fixture(autouse=True)
def no_lost_threads() -> Iterator[None]:
    """After every test, all threads of its stages have ended."""
    yield
    deadline = time.monotonic() + 5
    while threads_left() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads_left() == []


def numbers(count: int, closed: list[bool] | None = None, fail_at: int | None = None) -> Iterator[int]:
    try:
        for number in range(count):
            if number == fail_at:
                raise RuntimeError("disk gone")
            yield number
    finally:
        if closed is not None:
            closed.append(True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_results_come_in_the_order_of_the_items(count: int, workers: int, depth: int, random: object) -> None:
    pauses = [random.random() / 1000 for _ in range(count)]  # type: ignore[attr-defined]

    def work(number: int) -> int:
        time.sleep(pauses[number])
        return number * number

    with Stage(Stage(numbers(count), name="source"), [work] * workers, depth=depth, name="work") as stage:
        assert list(stage) == [number * number for number in range(count)]


def test_stages_overlap() -> None:
    def slow(number: int) -> int:
        time.sleep(0.03)
        return number

    started = time.perf_counter()
    with Stage(Stage(numbers(12), [slow], name="source"), [slow], name="work") as stage:
        for number in stage:
            slow(number)
    # One after the other would take 12 * 0.09 s.
    assert time.perf_counter() - started < 0.8


def test_two_functions_work_at_once_and_each_in_one_thread() -> None:
    together = threading.Barrier(2, timeout=5)
    users: list[set[str]] = [set(), set()]

    def function(place: int) -> Callable[[int], int]:
        def work(number: int) -> int:
            users[place].add(threading.current_thread().name)
            together.wait()
            return number

        return work

    with Stage(numbers(6), [function(0), function(1)], name="work") as stage:
        assert list(stage) == list(range(6))
    assert [len(names) for names in users] == [1, 1]


def test_no_more_than_the_depth_is_taken_ahead() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with Stage(source(), depth=3, name="source") as stage:
        assert next(stage) == 0
        time.sleep(0.1)
        # One was delivered, three wait, one is in hand.
        assert len(taken) <= 5


@pytest.mark.parametrize("where", ["source", "first", "second"])
@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_once_after_what_was_before_it(where: str, workers: int) -> None:
    def failing(name: str) -> Callable[[int], int]:
        def work(number: int) -> int:
            if where == name and number == 5:
                raise ValueError(f"{name} broke")
            return number

        return work

    closed: list[bool] = []
    items = Stage(numbers(50, closed, 5 if where == "source" else None), [failing("first")] * workers, name="source")
    seen: list[int] = []
    with (
        pytest.raises(RuntimeError if where == "source" else ValueError, match=r"disk gone|broke"),
        Stage(items, [failing("second")] * workers, name="work") as stage,
    ):
        seen.extend(stage)
    assert seen == [0, 1, 2, 3, 4]
    assert closed == [True]


@pytest.mark.parametrize("depth", [1, 4])
def test_leaving_early_ends_everything(depth: int) -> None:
    closed: list[bool] = []
    stage = Stage(
        Stage(Stage(numbers(10**9, closed), depth=depth, name="source"), [str], depth=depth, name="work"),
        [len, len],
        depth=depth,
        name="end",
    )
    assert next(stage) == 1
    stage.close()
    assert closed == [True] and threads_left() == []
    assert list(stage) == []


def test_interruption_of_the_consumer_ends_everything() -> None:
    closed: list[bool] = []
    with pytest.raises(KeyboardInterrupt), Stage(numbers(10**9, closed), [abs], name="source") as stage:
        for number in stage:
            if number == 7:
                raise KeyboardInterrupt
    assert closed == [True]


def test_a_sink_works_in_order_and_finishes_before_it_is_left() -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.005)
        done.append(number)

    with Sink(slow, depth=3, name="encode") as sink:
        for number in range(20):
            sink.put(number)
    assert done == list(range(20))


def test_a_sink_finishes_what_it_was_given_also_after_an_interruption() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), Sink(done.append, name="encode") as sink:
        for number in range(5):
            sink.put(number)
        raise KeyboardInterrupt
    assert done == list(range(5))


@pytest.mark.parametrize("at_end", [False, True])
def test_an_error_in_a_sink_is_raised_once(at_end: bool) -> None:
    def fail(number: int) -> None:
        if number == 3:
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"), Sink(fail, depth=1, name="encode") as sink:
        for number in range(4 if at_end else 100):
            sink.put(number)
    # One that is under way is not replaced by the sink's.
    with pytest.raises(KeyboardInterrupt), Sink(fail, depth=8, name="encode") as sink:
        sink.put(3)
        raise KeyboardInterrupt


def test_a_cancelled_channel_wakes_everybody() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    raised: list[str] = []

    def put() -> None:
        try:
            channel.put(2)
        except Cancelled:
            raised.append("put")

    thread = threading.Thread(target=put, name="work")
    thread.start()
    channel.cancel()
    thread.join(5)
    with pytest.raises(Cancelled):
        channel.get()
    assert raised == ["put"]
    with pytest.raises(ValueError, match="depth must be 1 or more"):
        Channel(0)
