"""`reg-yolo data check` and `reg-yolo data stats` as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Refused, Run
from tests.data.sets import ROWS, picture, write_clean_set, write_labels, write_picture


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_clean_set(tmp_path / "set", images=10)


def test_clean_set_is_0_and_what_was_found_is_written_beside(
    run_cli: Run, clean: Path, working_directory: Path
) -> None:
    outcome = run_cli("data", "check", clean)
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line for line in outcome.out.splitlines() if line not in ("check", "sheets")]
    assert lines == [
        f"{clean}: train 10, val 10 images, 60 objects: 0 errors, 0 warnings, 0 notes",
        f"Full list: {working_directory}/runs/data_check/set/findings.csv",
        f"Image sheets: {working_directory}/runs/data_check/set/sheets",
    ]
    assert len(list((working_directory / "runs/data_check/set/sheets").iterdir())) == 3


def test_warnings_are_0_and_errors_are_2(run_cli: Run, clean: Path, tmp_path: Path) -> None:
    label = clean.parent / "labels/val/ภาพ_03.txt"
    write_labels(label, f"{ROWS[0]}\n{ROWS[0]}\n")
    words = ("data", "check", clean.parent, "--out", tmp_path / "out", "--no-sheets")
    outcome = run_cli(*words)
    assert outcome.code == 0
    assert "warning  row-repeated  x1" in outcome.out
    assert "labels/val/ภาพ_03.txt:2: the same as line 1; it counts once" in outcome.out
    write_labels(label, "5 0.5 0.5 0.1 0.1\n")
    outcome = run_cli(*words)
    assert (outcome.code, outcome.err) == (2, "")
    assert "error    row-class  x1" in outcome.out
    assert "labels/val/ภาพ_03.txt:1: class id 5 is out of range, expected 0 to 2" in outcome.out
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/findings.csv"]


def test_options_reach_the_check(run_cli: Run, clean: Path, tmp_path: Path) -> None:
    write_labels(clean.parent / "labels/val/ภาพ_03.txt", f"{ROWS[0]}\n0 0.214 0.3 0.2 0.2\n1 0.5 0.5 0.004 0.5\n")
    rest = ("data", "check", clean, "--out", tmp_path / "out", "--no-sheets")
    assert "0 warnings" in run_cli(*rest).out
    outcome = run_cli(*rest, "--same-iou", "0.85", "--imgsz", "160", "--min-objects", "11", "--task", "segment")
    for code in ("box-near-duplicate  x1", "box-subpixel  x1", "class-rare  x3", "row-kind  x20"):
        assert code in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "gone.yaml"), "gone.yaml does not exist"),
        (("check", "{set}", "--task", "pose"), "--task: got 'pose', expected detect, segment, joint, semantic"),
        (("check", "{set}", "--out", "{set}/images/val/x"), "nothing is written into a data set"),
        (("stats", "{set}/images"), "has no YAML file"),
        (("stats", "{set}", "--png", "{set}/labels/train/x.png"), "nothing is written into a data set"),
        (("stats", "{set}", "--imgsz", "1"), "--imgsz: got 1, expected 32"),
    ],
)
def test_refused_in_one_line(refused: Refused, clean: Path, words: tuple[str, ...], message: str) -> None:
    assert message in refused("data", *(word.format(set=clean.parent) for word in words), lines=1)


def test_stats_as_tables_json_and_picture(run_cli: Run, clean: Path, tmp_path: Path, working_directory: Path) -> None:
    outcome = run_cli("data", "stats", clean, "--json", tmp_path / "new/stats.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == f"Image: {working_directory}/runs/data_stats/set.png"
    assert "Imbalance ratio r = N_max / N_min of the training split: 1.00" in outcome.out
    assert json.loads((tmp_path / "new/stats.json").read_text(encoding="utf-8"))["splits"]["val"]["images"] == 10
    assert (working_directory / "runs/data_stats/set.png").read_bytes().startswith(b"\x89PNG")


def test_file_names_that_are_no_text(run_cli: Run, clean: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xe1\xf9 1")
    write_picture(clean.parent / f"images/train/{name}.png", picture(50))
    write_labels(clean.parent / f"labels/train/{name}.txt", "7 0.5 0.5 0.1 0.1\n" + ROWS[0])
    outcome = run_cli("data", "check", clean, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "row-class  x1" in outcome.out
    assert "7" not in run_cli("data", "stats", clean).err


def test_interrupted_check_leaves_nothing(clean: Path, working_directory: Path) -> None:
    first = clean.parent / "images/train/large.png"
    write_picture(first, picture(100, 640, 384))
    for index in range(300):
        os.link(first, first.with_name(f"{index:03d}.png"))
    command = [sys.executable, "-m", "reg_yolo.cli.app", "data", "check", str(clean), "--workers", "2"]
    terminal, its_end = os.openpty()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its_end, start_new_session=True)
    os.close(its_end)
    shown = os.read(terminal, 100)
    assert b"check" in shown
    # Its processes are starting or at work by then.
    time.sleep(0.8)
    # As from a terminal: to every process of the group.
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    try:
        while piece := os.read(terminal, 10_000):
            shown += piece
    except OSError:
        # Linux's way to say that nobody writes any more.
        os.close(terminal)
    assert (process.returncode, out) == (130, b"")
    assert shown.rstrip().endswith(b"interrupted") and b"Traceback" not in shown
    assert list(working_directory.rglob("*")) == []
