"""The line about something long: what it says, where it is shown, and that nothing is left of it."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest

from reg_yolo import progress
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import printing, say
from reg_yolo.progress import StatusLine, Steps, counted_line, waiting_line


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """Return what was shown, one text after the other."""
        return self.getvalue().split("\r\033[K")[1:]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    return stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the test sets."""
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_steps_say_how_many_and_how_long(terminal: Terminal, clock: list[float]) -> None:
    with progress_bar("check") as steps:
        for done, clock[0] in ((1, 10.0), (2, 12.0), (50, 108.0), (100, 208.0)):
            steps(done, 100)
    # Two seconds each from the first on; the ten before it are starting up.
    assert terminal.lines() == [
        "check: 1 of 100", "check: 2 of 100, 3 min left", "check: 50 of 100, 2 min left", "check: 100 of 100, 0 s left",
        "",
    ]  # fmt: skip


def test_a_second_pass_has_a_pace_of_its_own(terminal: Terminal, clock: list[float]) -> None:
    with counted_line("split") as steps:
        for done, clock[0] in ((1, 0.0), (10, 90.0), (1, 100.0), (2, 101.0)):
            steps(done, 10)
    assert terminal.lines()[2:4] == ["split: 1 of 10", "split: 2 of 10, 8 s left"]


def test_an_unknown_total_is_left_out_and_units_are_named(terminal: Terminal) -> None:
    with counted_line("predict", "frames") as steps:
        steps(3, None)
    assert terminal.lines() == ["predict: 3 frames", ""]


def test_texts_that_follow_too_fast_are_left_out_but_for_the_last(
    terminal: Terminal, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.5)
    clock[0] = 7.0
    with StatusLine() as line:
        line._last = 6.0
        steps = Steps("tile", "", line)
        for done in range(1, 6):
            steps(done, 5)
    assert [text.partition(",")[0] for text in terminal.lines()] == ["tile: 1 of 5", "tile: 5 of 5", ""]


def test_nothing_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    with printing(quiet=True), counted_line("quiet") as steps:
        steps(1, 2)
    with StatusLine(wanted=False) as line:
        Steps("unwanted", "", line)(1, 2)
    # One line at a time: a run over many files shows none for the frames of each.
    with StatusLine(), counted_line("inner") as steps:
        steps(1, 2)
    assert terminal.getvalue() == ""
    stream = io.StringIO()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    with counted_line("file") as steps, waiting_line("file"):
        steps(1, 2)
    assert stream.getvalue() == ""


def test_a_line_within_another_is_not_shown(terminal: Terminal) -> None:
    with counted_line("outer") as outer:
        with counted_line("inner") as inner:
            inner(1, 2)
        outer(1, 2)
    with counted_line("next") as steps:
        steps(1, 2)
    assert terminal.lines() == ["outer: 1 of 2", "", "next: 1 of 2", ""]


def test_text_has_lines_of_its_own_and_names_steer_nothing(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with counted_line("a\x1b[2J" + "long " * 10) as steps:
        steps(1, 2)
        say("result")
        assert terminal.lines()[-1] == ""
    assert terminal.lines()[0] == "a\\x1b[2Jlong long l"
    assert capsys.readouterr().out == "result\n"


def test_waiting_says_how_long_it_takes_as_a_rule(terminal: Terminal) -> None:
    with waiting_line("exporting", 100.0):
        while len(terminal.lines()) < 2:
            time.sleep(0.001)
    assert terminal.lines()[0] == "exporting: 0 s, about 2 min left"
    assert terminal.lines()[-1] == ""
    assert progress._expected(30.0, 20.0) == ", longer than the usual 20 s"
    assert progress._expected(30.0, None) == ""


def test_an_error_leaves_no_line_and_no_thread(terminal: Terminal) -> None:
    with pytest.raises(ValueError, match="gone"), waiting_line("exporting"):
        raise ValueError("gone")
    assert terminal.getvalue() == "" or terminal.lines()[-1] == ""
    with counted_line("next") as steps:
        steps(2, 2)
    assert terminal.lines()[-2] == "next: 2 of 2"
