"""Running the real command in this process, and checking that a refusal leaves nothing behind."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import ultralytics

from reg_yolo.cli.app import main


@dataclass(frozen=True)
class Outcome:
    """What a command ended with."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]
Refused = Callable[..., str]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file under a folder with its content, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `reg-yolo` with the given words."""

    def run(*words: object) -> Outcome:
        # Ultralytics keeps the stream that it found when it was imported, in another test.
        for handler in logging.getLogger(ultralytics.utils.LOGGING_NAME).handlers:
            if type(handler) is logging.StreamHandler:
                handler.stream = sys.stdout
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def refused(run_cli: Run, tmp_path: Path, working_directory: Path) -> Refused:
    """Return a function that runs a command which must be refused, and returns what it said.

    The exit code is 2, stderr holds at most `lines` lines without a traceback, and no file has changed or come to be.
    """

    def run(*words: object, lines: int = 2) -> str:
        before = contents(tmp_path), contents(working_directory)
        outcome = run_cli(*words)
        assert outcome.code == 2, outcome
        assert "Traceback" not in outcome.err
        assert outcome.err.startswith("error: ")
        assert 1 <= len(outcome.err.splitlines()) <= lines, outcome.err
        assert (contents(tmp_path), contents(working_directory)) == before
        return outcome.err

    return run
