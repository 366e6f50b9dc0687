"""A folder of drives: each is processed once, and all are merged."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.errors import DataError
from reg_yolo.inventory.decisions.applying import Decisions
from reg_yolo.inventory.observations import SeenAtHand
from reg_yolo.inventory.opening import BuildOptions, open_drives
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.work import folders
from reg_yolo.inventory.work.folders import drive_options
from reg_yolo.inventory.work.outcome import DriveOutcome, renumbered
from reg_yolo.inventory.work.stored import SeenInFile, read_outcomes, write_outcomes
from reg_yolo.inventory.work.working import worked
from tests.inventory.roads import Mounted, write_road

START = "2024-05-01T03:00:00Z"


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """Two passes of one road, and what the same files give in one command."""
    root = tmp_path_factory.mktemp("drives")
    for name in ("monday", "tuesday/morning"):
        folder = root / "in" / name
        write_road(folder, [Mounted("front")], noise_px=0.3 if name == "monday" else 0.4)
        (folder / "drive.yaml").write_text(f"camera: front.yaml\nstart: {START}\n")
    folders = [root / "in" / name for name in ("monday", "tuesday/morning")]
    words = [str(folder / "front.jsonl") for folder in folders]
    for folder in folders:
        words += ["--gnss", str(folder / "track.gpx"), "--camera", str(folder / "front.yaml"), "--start", START]
    assert build(*words, "--out", str(root / "plain")) == 0
    assert build(str(root / "in"), "--drive-per-folder", "--out", str(root / "out")) == 0
    return root, {"plain": root / "plain", "out": root / "out"}


def build(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["inventory", "build", *words])
    return int(end.value.code or 0)


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "inventory.csv").read_text(encoding="utf-8-sig").splitlines()))


def records(folder: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "drives" / "manifest.jsonl").read_text().splitlines()]
    return {line["source"]: line for line in lines if line["record"] == "source"}


def test_drives_of_folders_give_what_the_same_files_give(drives: tuple[Path, dict[str, Path]]) -> None:
    plain, out = (table(drives[1][name]) for name in ("plain", "out"))
    assert [row["asset_id"] for row in out] == [row["asset_id"] for row in plain]
    assert {row["passes"] for row in out} == {"2"}
    for ours, theirs in zip(out, plain, strict=True):
        differing = {key for key in ours if ours[key] != theirs[key]}
        # Each folder has metres of its own, which are taken to those of all: 4 cm in a last digit.
        assert differing <= {"settings_digest", "longitude", "latitude", "camera_longitude", "camera_latitude"}
        apart = [float(ours[key]) - float(theirs[key]) for key in ("longitude", "latitude")]
        assert np.abs(apart).max() < 2e-7
    kept = (drives[1]["out"] / "observations.jsonl").read_text()
    assert len(kept.splitlines()) == len(out) + 1
    assert kept == (drives[1]["plain"] / "observations.jsonl").read_text()


def test_only_what_is_new_changed_or_failed_is_worked_through(
    drives: tuple[Path, dict[str, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = drives[0], drives[1]["out"]
    before = records(out)
    assert {name: one["state"] for name, one in before.items()} == {"monday": "done", "tuesday/morning": "done"}
    broken = root / "in" / "wednesday"
    broken.mkdir()
    (broken / "front.jsonl").write_text((root / "in" / "monday" / "front.jsonl").read_text())
    capsys.readouterr()
    assert build(str(root / "in"), "--drive-per-folder", "--out", str(out)) == 3
    said = capsys.readouterr()
    assert "1 of 3 drives to process" in said.out + said.err
    assert "left out: wednesday" in said.out + said.err
    assert "expected one file with positions, got none" in said.out + said.err
    after = records(out)
    assert {name: after[name] for name in before} == before
    assert after["wednesday"]["state"] == "failed"
    assert len(table(out)) == len(table(drives[1]["plain"]))
    (broken / "front.jsonl").unlink()


def test_drives_that_another_version_kept_are_processed_again(
    drives: tuple[Path, dict[str, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (str(drives[0] / "in"), "--drive-per-folder", "--out", str(tmp_path / "out"))
    shutil.copytree(drives[1]["out"], tmp_path / "out")
    for schema, due in ((folders.SCHEMA, 0), ("reg_yolo.drives/0", 2)):
        with patch.object(folders, "SCHEMA", schema):
            assert build(*words) == 0
        said = capsys.readouterr()
        assert f"{due} of 2 drives to process" in said.out + said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--drive-per-folder", "--gnss", "a.gpx"], "--drive-per-folder: takes one folder"),
        (["--cluster", "local"], "--cluster: is for --drive-per-folder"),
        (["--retry"], "--retry: is for --drive-per-folder"),
    ],
)
def test_options_that_do_not_go_with_folders_are_refused(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(str(tmp_path), *words, "--out", str(tmp_path / "out")) == 2
    assert said in capsys.readouterr().err


def test_a_folder_says_which_camera_and_positions_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    for name in ("a.gpx", "b.gpx"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="expected one file with positions, got a"):
        drive_options(tmp_path, BuildOptions((), ()))
    text = "gnss: [b.gpx]\ncamera: {front: f.yaml, rear: r.yaml}\nstart: {rear: '2024-05-01T03'}\n"
    (tmp_path / "drive.yaml").write_text(text)
    options = drive_options(tmp_path, BuildOptions((), (), hfov_deg=60.0))
    assert (options.gnss, options.hfov_deg, options.cameras) == ((tmp_path / "b.gpx",), 60.0, ())
    assert [(one.name, one.file.name, one.start) for one in options.named_cameras] == [
        ("front", "f.yaml", None), ("rear", "r.yaml", "2024-05-01T03")
    ]  # fmt: skip


def test_notes_next_to_the_positions_are_no_positions(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "read me.txt").write_text("$4 for parking.\nRain until noon.\n")
    log = tmp_path / "receiver.TXT"
    log.write_text("# started\n03:00:00 $GPRMC,030000.00,A,1400.0,N,10100.0,E,0,0,010524,,*00\n")
    assert drive_options(tmp_path, BuildOptions((), ())).gnss == (log,)
    log.unlink()
    with pytest.raises(DataError, match="expected one file with positions, got none"):
        drive_options(tmp_path, BuildOptions((), ()))


def alike(one: Any, other: Any) -> bool:
    """Whether two things are the same to the last digit, and of the same types."""
    if isinstance(one, SeenInFile):
        one = SeenAtHand(one.observations, one.view)
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(alike(getattr(one, entry.name), getattr(other, entry.name)) for entry in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other) or one != one


def outcome_of(root: Path) -> DriveOutcome:
    folder = root / "in" / "monday"
    return next(worked(open_drives(drive_options(folder, BuildOptions((), ()))), Decisions.of_files(())))


def test_an_outcome_is_stored_to_the_last_digit_and_moved_to_other_metres(
    drives: tuple[Path, dict[str, Path]], tmp_path: Path
) -> None:
    outcome = outcome_of(drives[0])
    write_outcomes(tmp_path / "one.jsonl", [outcome])
    (stored,) = read_outcomes(tmp_path / "one.jsonl")
    assert len(stored.sightings) >= 20
    assert alike(stored, outcome)
    assert all(isinstance(one.seen, SeenInFile) and len(one.observations) >= one.frames for one in stored.sightings)
    target = LocalProjection(102.0, 15.0)
    places = np.array([one.place_m for one in outcome.sightings])
    moved = renumbered(stored, 7, 3, target)
    assert {one.drive for one in moved.sightings} == {one.drive for one in moved.stretches} == {7}
    there = target.to_degrees(np.array([one.place_m for one in moved.sightings]))
    assert there == pytest.approx(LocalProjection(*outcome.centre).to_degrees(places), abs=1e-9)
    # The grid of the other projection is turned by half a degree here, and speeds with it.
    own, new = (np.array([one.velocity_mps for one in some.sightings]) for some in (outcome, moved))
    turned = np.degrees(np.arctan2(new[:, 0], new[:, 1]) - np.arctan2(own[:, 0], own[:, 1]))
    assert np.abs(turned) == pytest.approx(0.48, abs=0.05)
    ahead = target.to_metres(*LocalProjection(*outcome.centre).to_degrees(places + own).T)
    assert ahead - np.array([one.place_m for one in moved.sightings]) == pytest.approx(new, rel=0.002, abs=0.02)


def test_what_is_no_outcome_is_refused(tmp_path: Path) -> None:
    header = '{"schema": "reg_yolo.drives/3"}\n'
    lines = (
        '{"is": "Path"}', '{"is": "list", "items": []}', '{"is": "same", "item": "x", "times": 1000000000000}',
        "[" * 100_000, '{"is": "array", "of": "object", "shape": [1], "bytes": ""}',
    )  # fmt: skip
    for text in ("", "{}\n", "no json", *(header + line for line in lines)):
        (tmp_path / "bad.jsonl").write_text(text)
        with pytest.raises(DataError, match="is not the outcome of a drive"):
            read_outcomes(tmp_path / "bad.jsonl")


def test_boxes_that_are_gone_when_they_are_asked_for(drives: tuple[Path, dict[str, Path]], tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    write_outcomes(path, [outcome_of(drives[0])])
    seen = read_outcomes(path)[0].sightings[1].seen
    write_outcomes(path, [])
    with pytest.raises(DataError, match=r"one\.jsonl changed while it was read .*; build again"):
        _ = seen.observations
    path.unlink()
    with pytest.raises(DataError, match=r"one\.jsonl cannot be read: No such file"):
        _ = seen.view
