"""Names of files and classes never steer the terminal."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from reg_yolo.cli.app import main
from reg_yolo.cli.speech import say, watch_log
from reg_yolo.text_tables import visible

HOSTILE = "a\x1b]0;pwned\x07\x1b[2J\x9b31m\u202egpj.mp4"


def test_what_steers_a_terminal_is_shown() -> None:
    assert visible(HOSTILE, keep="\n\t") == "a\\x1b]0;pwned\\x07\\x1b[2J\\x9b31m\\u202egpj.mp4"
    plain = "ป้ายเตือน\tnaïve 道路 12\n"
    assert visible(plain, keep="\n\t") == plain and visible("\udcff", keep="\n\t") == "\\udcff"


def test_say_and_errors_are_printable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    say(HOSTILE)
    say(HOSTILE, err=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["data", "check", HOSTILE])
    assert left.value.code == 2
    streams = capsys.readouterr()
    for stream in streams:
        assert "pwned" in stream and not set(stream) & set("\x1b\x07\x9b\u202e")


def test_our_log_lines_are_printable_and_those_of_others_keep_their_colours(caplog: pytest.LogCaptureFixture) -> None:
    watch_log()
    watch_log()
    logger = logging.getLogger("ultralytics")
    with caplog.at_level(logging.INFO, logger="ultralytics"):
        logger.info("\x1b[31mred")
        ours = logger.makeRecord(
            "ultralytics", logging.INFO, str(Path(main.__code__.co_filename)), 1, "Hole in %s", (HOSTILE,), None
        )
        logger.handle(ours)
    assert [record.getMessage() for record in caplog.records] == [
        "\x1b[31mred",
        "Hole in " + visible(HOSTILE),
    ]
