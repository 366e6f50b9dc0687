"""Exit codes, what goes with them, and how fast `--help` answers."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Outcome, Refused, Run

HEAVY = ("torch", "torchvision", "ultralytics", "cv2", "numpy", "pydantic", "albumentations", "matplotlib", "yaml")


def run_process(*words: object, **environment: str) -> Outcome:
    """Run the command as its users do."""
    command = [sys.executable, "-m", "reg_yolo.cli.app", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def test_nothing_heavy_is_imported_for_help() -> None:
    script = "import sys, reg_yolo, reg_yolo.cli.app; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in loaded
    assert not set(HEAVY) & set(loaded)


def test_help_answers_at_once() -> None:
    taken, bare = [], []
    for _ in range(3):
        started = time.perf_counter()
        outcome = run_process("--help")
        middle = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import typer.rich_utils"], check=True)
        taken.append(middle - started)
        bare.append(time.perf_counter() - middle)
        assert outcome.code == 0 and "train" in outcome.out
    # 0.15 s alone on a core, hardly more than the library that prints it; in turns, as others may use the machine.
    assert min(taken) < 3 * min(bare)


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["train", "-h"], ["val", "--help"], ["predict", "-h"], ["init", "-h"]]
)
def test_every_command_explains_itself(words: list[str], run_cli: Run) -> None:
    outcome = run_cli(*words)
    assert outcome.code == 0 and outcome.err == "" and "Usage: reg-yolo" in outcome.out


def test_version(run_cli: Run) -> None:
    from reg_yolo import __version__

    outcome = run_cli("--version")
    assert (outcome.code, outcome.out) == (0, f"reg-yolo {__version__}\n")


def test_refusal_of_a_real_process(working_directory: Path) -> None:
    outcome = run_process("predict", "nowhere.pt", "nowhere.mp4")
    assert outcome.code == 2
    assert outcome.err.startswith("error: nowhere.pt: no such file") and len(outcome.err.splitlines()) == 1
    assert not any(working_directory.iterdir())


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_anywhere_shows_the_traceback(place: int, run_cli: Run) -> None:
    words = ["predict", "nowhere.pt", "nowhere.mp4"]
    words.insert(place, "--debug")
    outcome = run_cli(*words)
    assert outcome.code == 2
    assert "Traceback (most recent call last)" in outcome.err and "WeightsError" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("error: nowhere.pt: no such file")


def test_our_own_fault_is_code_1_with_a_log(
    detector: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch, working_directory: Path
) -> None:
    from reg_yolo.yolo.commands import predict as predict_run

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(predict_run, "resolve_source", fail)
    outcome = run_cli("predict", detector, "road.mp4")
    assert outcome.code == 1
    assert outcome.err.startswith("error: RuntimeError: no such luck\n") and "Traceback" not in outcome.err
    logs = list(working_directory.iterdir())
    assert len(logs) == 1 and str(logs[0]) in outcome.err
    text = logs[0].read_text()
    assert "Traceback (most recent call last)" in text and "RuntimeError: no such luck" in text


def test_log_goes_elsewhere_where_the_folder_is_not_writable(
    detector: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from reg_yolo.cli import failures
    from reg_yolo.yolo.commands import predict as predict_run

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(predict_run, "resolve_source", fail)
    monkeypatch.setattr(failures.Path, "cwd", lambda: tmp_path / "gone")
    monkeypatch.setattr(failures.tempfile, "gettempdir", lambda: str(tmp_path))
    assert str(tmp_path / "reg-yolo-error-") in run_cli("predict", detector, "road.mp4").err


def test_ctrl_c_is_code_130(detector: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from reg_yolo.yolo.commands import predict as predict_run

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predict_run, "resolve_source", interrupt)
    outcome = run_cli("predict", detector, "road.mp4")
    assert (outcome.code, outcome.err) == (130, "interrupted\n")


@pytest.mark.slow
def test_missing_libgl_names_the_headless_wheel(tmp_path: Path, working_directory: Path) -> None:
    fake = tmp_path / "fake" / "cv2"
    fake.mkdir(parents=True)
    message = "libGL.so.1: cannot open shared object file: No such file or directory"
    (fake / "__init__.py").write_text(f"raise ImportError({message!r})\n")
    places = [str(fake.parent), os.environ.get("PYTHONPATH", "")]
    outcome = run_process("predict", "weights.pt", "road.mp4", PYTHONPATH=os.pathsep.join(filter(None, places)))
    assert outcome.code == 2
    assert "opencv-python-headless" in outcome.err and "libGL" in outcome.err
    assert "Traceback" not in outcome.err and len(outcome.err.splitlines()) <= 2
    assert not any(working_directory.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_says_so_wherever_it_shows(
    number: int, detector: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.commands import predict as predict_run

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "results/labels.jpg")

    monkeypatch.setattr(predict_run, "resolve_source", fail)
    message = refused("predict", detector, "road.mp4")
    assert "disk is full" in message and "results/labels.jpg" in message


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EFBIG, "grows larger"),
        (errno.EROFS, "can only be read"),
        (errno.ENAMETOOLONG, "name is longer"),
        (errno.EIO, "failed to read or write"),
        (errno.EACCES, "no permission"),
    ],
)
def test_faults_of_the_place_are_the_inputs(
    number: int, said: str, detector: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.commands import predict as predict_run

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "results/labels.jpg")

    monkeypatch.setattr(predict_run, "resolve_source", fail)
    message = refused("predict", detector, "road.mp4", lines=1)
    assert said in message and "(results/labels.jpg)" in message
