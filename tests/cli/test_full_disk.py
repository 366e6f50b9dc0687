"""A disk that is full: a small one in memory where the test may mount it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reg_yolo.detections.files import read_detections
from tests.cli.conftest import Run, contents


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a function that mounts a disk of so many kilobytes and returns its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(kilobytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs more rights than this test has")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def test_training_on_a_full_disk_leaves_no_run(
    own_rectangles: Path, small_disk: Callable[[int], Path], run_cli: Run
) -> None:
    disk = small_disk(2000)
    (disk / "mine.txt").write_text("keep")
    words = ["device=cpu", "workers=0", "epochs=1", "imgsz=64", "batch=8", "plots=false", "val=false"]
    outcome = run_cli("train", "detect/yolov8n", f"data={own_rectangles}", *words, f"project={disk}/runs/deep")
    assert outcome.code == 2
    assert "disk is full" in outcome.err and "Traceback" not in outcome.err and len(outcome.err.splitlines()) == 1
    assert contents(disk) == {"mine.txt": b"keep"}


def test_prediction_on_a_full_disk_keeps_the_whole_frames(
    even_rectangles: Path, detector: Path, small_disk: Callable[[int], Path], run_cli: Run
) -> None:
    disk = small_disk(24)
    source = even_rectangles.parent / "images/train"
    outcome = run_cli("predict", detector, source, "device=cpu", "conf=0.05", "--out", disk / "found")
    assert outcome.code == 2
    assert "No space left on device" in outcome.err or "disk is full" in outcome.err
    assert "Traceback" not in outcome.err and len(outcome.err.splitlines()) == 1
    left = {path.name for path in (disk / "found").iterdir()}
    assert not any(name.endswith(".part") for name in left)
    reader = read_detections(disk / "found/detections.jsonl", tolerate_cut=True)
    assert len(list(reader)) > 0 and not reader.is_complete


def test_copies_of_the_configurations_are_all_there_or_none(small_disk: Callable[[int], Path], run_cli: Run) -> None:
    disk = small_disk(12)
    outcome = run_cli("init", disk / "mine")
    assert outcome.code == 2 and "disk is full" in outcome.err
    assert not [path for path in disk.rglob("*") if path.is_file()]
