"""The commands and the example of docs/labelling.md run, in their order, on a small set and two detections files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from reg_yolo.cli.app import main
from tests.data.convert.exports import write_picture
from tests.data.export.test_round_trip import IMAGES, NAMES, SIZE, write_set
from tests.data.prelabel import videos
from tests.data.prelabel.videos import found, image, scene, video_frame, write, write_video

PAGE = (Path(__file__).parents[3] / "docs/labelling.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = [line.partition("  #")[0] for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doc")
    write_set(folder / "roads", {**IMAGES, "train/labelled.png": []})
    frames = []
    for number in range(8):
        path = write_picture(folder / f"new_drives/day{number % 3}_{number:04d}.png", videos.SIZE, number)
        frames.append(image(path, found("sign", 0.5 + number / 20), found("pole", 0.9 - number / 20)))
    (folder / "found").mkdir()
    for name in ("detections.jsonl", "found/detections.jsonl"):
        write(folder / name, frames)
    video = write_video(folder / "drive.avi", [scene(number) for number in range(30)])
    tracked = [video_frame(video, n, found("ป้าย", 0.6 + n / 100, track=3), every_s=0.4) for n in range(0, 30, 3)]
    write(folder / "drive.jsonl", tracked, frame_count=30)
    return folder


@pytest.mark.parametrize("command", [line for line in COMMANDS if "corrected.zip" not in line and " data " in line])
def test_commands_run(command: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    words = shlex.split(command)
    assert words[0] == "reg-yolo"
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    assert not ended.value.code


def test_the_example_runs(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = [block for kind, block in BLOCKS if kind == "python"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "detections.jsonl").write_bytes((place / "detections.jsonl").read_bytes())
    exec(compile(code, "docs/labelling.md", "exec"), {})
    assert (tmp_path / "to_label/tasks_train.json").is_file() and (tmp_path / "hints/labels.json").is_file()


def test_all_commands_are_known() -> None:
    kinds = [" ".join(line.split()[:3]) for line in COMMANDS]
    assert set(kinds) == {"reg-yolo predict best.pt", "reg-yolo data prelabel", "reg-yolo data convert"}
    assert len(NAMES) == 4 and SIZE == (97, 61)
