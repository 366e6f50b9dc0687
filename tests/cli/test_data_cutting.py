"""`reg-yolo data split` and `reg-yolo data tile` as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from tests.cli.conftest import Run
from tests.data.sets import picture, write_picture


@pytest.fixture
def drives(tmp_path: Path) -> Path:
    """Five drives of three frames, 200 x 100 pixels, all in train."""
    root = tmp_path / "ข้อมูล 1"
    (root / "labels/train").mkdir(parents=True)
    for drive in range(5):
        for frame in range(3):
            write_picture(
                root / f"images/train/drive{drive:02d}_{frame:06d}.jpg", picture(10 * drive + frame, 200, 100)
            )
            label = root / f"labels/train/drive{drive:02d}_{frame:06d}.txt"
            label.write_text("0 0.25 0.5 0.2 0.2\n1 0.6 0.1 0.9 0.1 0.9 0.8\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [pole, sign]\n")
    return root / "data.yaml"


def test_train_offers_the_split_that_then_trains(run_cli: Run, drives: Path) -> None:
    refused = run_cli("train", "detect/yolov8n", f"data={drives}", "--dry-run")
    assert refused.code == 2
    assert f"reg-yolo data split '{drives}' --by drive --val 0.2" in refused.err
    done = run_cli("data", "split", drives, "--by", "drive", "--val", "0.2")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["groups", "total", "train", "80%", "val", "20%"]
    assert lines[2].split() == ["images", "5", "15", "12", "80.0%", "3", "20.0%"]
    assert lines[-1] == f"Data set: {drives.parent}/data_split.yaml"
    description = read_dataset_yaml(drives.parent / "data_split.yaml")
    assert len({image.name[:7] for image in description.images("val")}) == 1


def test_tiles_of_a_split_keep_it(run_cli: Run, drives: Path, tmp_path: Path) -> None:
    assert run_cli("data", "split", drives).code == 0
    out = tmp_path / "tiles"
    done = run_cli("data", "tile", drives.parent / "data_split.yaml", out, "--size", "100", "--overlap", "0",
                   "--workers", "1")  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert "train: 12 images (0 copied whole) gave 24 tiles" in done.out
    assert done.out.splitlines()[-1] == f"Data set: {out}/data.yaml"
    held_out = {image.name[:7] for image in read_dataset_yaml(drives.parent / "data_split.yaml").images("val")}
    assert {image.name[:7] for image in read_dataset_yaml(out / "data.yaml").images("val")} == held_out
    again = run_cli("data", "tile", drives, out)
    assert again.code == 2
    assert again.err == f"error: {out} exists already; name a folder that does not, or remove it first.\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--by", "drvie"], "by: got drvie, expected some of drive, time, gps, burst, folder"),
        (["--val", "1.2"], "val must be a share between 0 and 1 such as 0.2, got 1.2"),
        (["--by", "folder"], "By folder, all 15 images are one group, too few for 2 splits."),
        (["--pattern", "("], "pattern: '(' is not a regular expression"),
    ],
)
def test_what_cannot_be_split_is_one_line(run_cli: Run, drives: Path, words: list[str], line: str) -> None:
    refused = run_cli("data", "split", drives, *words)
    assert refused.code == 2
    assert refused.err.removeprefix("error: ").removeprefix("--").startswith(line)
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["tile", "DATA", "OUT", "--size", "100"], "out"),
        (["split", "DATA", "--copy", "OUT"], "copy_to"),
        (["check", "DATA", "--out", "OUT"], "out"),
        (["stats", "DATA", "--png", "OUT/a.png"], "png"),
    ],
)
def test_nothing_is_written_into_the_set_or_below_a_file(
    run_cli: Run, drives: Path, command: list[str], option: str, tmp_path: Path
) -> None:
    def words(out: Path) -> list[str]:
        return [word.replace("DATA", str(drives)).replace("OUT", str(out)) for word in command]

    before = sorted(tmp_path.rglob("*"))
    inside = drives.parent / "images/train/out"
    refused = run_cli("data", *words(inside))
    assert refused.code == 2
    message = refused.err.removeprefix("error: ").removeprefix("--")
    assert message.startswith(f"{option}: {inside} is inside {inside.parent} of the 'train' split")
    refused = run_cli("data", *words(drives / "out"))
    assert refused.code == 2
    assert f"{drives}/out cannot be made: " in refused.err
    assert (refused.out, refused.err.count("\n")) == ("", 1)
    assert sorted(tmp_path.rglob("*")) == before
