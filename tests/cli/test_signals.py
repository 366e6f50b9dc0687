"""Signals: nothing half-made is left of a data set, and no process of a pool outlives the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks Linux for processes")]


def start(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """Start the command as its users do."""
    command = [sys.executable, "-m", "reg_yolo.cli.app", *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        tasks = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
        return [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:
        return []


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_half_of_a_data_set(tmp_path: Path, number: signal.Signals) -> None:
    process = start("scenes", "made/scenes", "--images", 400, "--workers", 2, cwd=tmp_path)
    wait_for(lambda: len(list(tmp_path.glob("made/.scenes*/images/*/*.jpg"))) > 1 or process.poll() is not None)
    workers = children(process.pid)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "interrupted" in said and "Traceback" not in said, said
    assert list((tmp_path / "made").iterdir()) == []
    assert len(workers) >= 2
    wait_for(lambda: not any(map(is_running, workers)), 20)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    process = start("scenes", "scenes", "--images", 400, "--workers", 2, cwd=tmp_path)
    wait_for(lambda: list(tmp_path.glob(".scenes*/images/*/*.jpg")) or process.poll() is not None)
    workers = children(process.pid)
    assert len(workers) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    wait_for(lambda: not any(map(is_running, workers)), 20)
    assert not (tmp_path / "scenes").exists()
