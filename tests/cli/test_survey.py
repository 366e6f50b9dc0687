"""`reg-yolo survey` with a real network and a real build, from a folder with Thai names."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.survey.cards import START, write_drive_folder


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Return a card with two drives and one that has no positions."""
    root = tmp_path / "การ์ด"
    write_drive_folder(root / "ขาไป")
    write_drive_folder(root / "ขากลับ", start=START + timedelta(hours=1))
    write_drive_folder(root / "ไม่มีจีพีเอส")
    (root / "ไม่มีจีพีเอส/track.gpx").unlink()
    return root


def test_a_card_becomes_a_package_and_what_is_missing_is_named(
    card: Path, detector: Path, tmp_path: Path, run_cli: Run
) -> None:
    weights = shutil.copy(detector, tmp_path)
    words = ("survey", card, "imgsz=64", "--weights", weights, "--out", tmp_path / "ผล", "--engine", "pytorch")
    first = run_cli(*words)
    assert first.code == 3, first
    assert "problem  ไม่มีจีพีเอส: positions: none" in first.out
    assert "frames/s measured on this machine" in first.out
    assert first.err.endswith("error: partly done: 1 left out or not whole; the lines above say why\n")
    with zipfile.ZipFile(tmp_path / "ผล/survey.zip") as archive:
        readme = archive.read("README.txt").decode()
        assert "ไม่มีจีพีเอส: positions: none" in readme
        lines = readme.partition("\nFiles\n")[2].partition("\n\n")[0].splitlines()
        described = {name.strip() for name, colon, text in (line.partition(": ") for line in lines) if text}
        assert described == set(archive.namelist()) - {"README.txt"}
        table = archive.read("inventory.csv").decode("utf-8-sig").splitlines()
    assert "probability" in next(csv.reader(table))
    (card / "ไม่มีจีพีเอส").rename(tmp_path / "away")
    again = run_cli(*words, "--json")
    assert again.code == 0, again
    answer = json.loads(again.out)
    # The two others were predicted before.
    assert answer["did"] == ["preflight", "package"]
    assert answer["left_out"] == {}


def test_what_is_asked_for_wrongly_is_refused(card: Path, run_cli: Run, tmp_path: Path) -> None:
    for words, said in (
        ((card,), "error: --weights: expected a checkpoint such as best.pt; only --preflight-only does without"),
        ((card, "--preflight-only", "--blur", "x.pt"), "error: --blur: is for --thumbnails"),
        ((tmp_path / "none", "--preflight-only"), "is not there; expected the folder of a card"),
        ((card, "--preflight-only", "--gnss", "no.gpx"), "error: --gnss: no.gpx does not exist"),
        ((card, "--preflight-only", "--start", "x"), "error: --start: got 1 for 3 drives"),
        ((card, "--preflight-only", "--start", "ขาไป=2567-05-01T03:00:00Z"), "2567 is a Buddhist year; write 2024"),
        ((card, "--preflight-only", "--start", "ไป=2024-05-01T03:00:00Z"), "error: --start: no drive is named 'ไป'"),
        ((card, "--preflight-only", "--time-base", "local"), "error: --time-base: expected utc, gps or local+07:00"),
    ):
        outcome = run_cli("survey", *words, "--out", tmp_path / "out")
        assert outcome.code == 2 and said in outcome.err and outcome.err.count("\n") == 1, outcome
    assert not (tmp_path / "out").exists()
