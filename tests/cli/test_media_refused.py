"""Images and videos that are refused, and sources of which only a part can be read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.detections.files import read_detections
from tests.cli.conftest import Refused, Run, contents

FAST = ["device=cpu"]


def write_video(path: Path, frames: int = 6) -> Path:
    """Write a short mp4 of noise."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (128, 96))
    for _ in range(frames):
        writer.write(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8))
    writer.release()
    return path


def broken(kind: str, folder: Path) -> Path:
    """Write a file that is not an image and no video, and return it."""
    if kind == "cut video":
        whole = write_video(folder / "whole.mp4")
        path = folder / "cut.mp4"
        path.write_bytes(whole.read_bytes()[:600])
        return path
    name, content = {
        "empty video": ("empty.mp4", b""),
        "text as video": ("text.mp4", b"no video at all\n" * 50),
        "image as video": ("image.mp4", b"\xff\xd8\xff\xe0" + bytes(300)),
        "empty image": ("empty.jpg", b""),
        "text as image": ("text.png", b"no image"),
        "another suffix": ("notes.docx", b"notes"),
        "list of what is not there": ("list.txt", b"gone.jpg\n"),
        "empty list": ("list.txt", b"\n"),
    }[kind]
    path = folder / name
    path.write_bytes(content)
    return path


KINDS = [
    "cut video", "empty video", "text as video", "image as video", "empty image", "text as image", "another suffix",
    "list of what is not there", "empty list",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_source_that_cannot_be_read_is_refused(kind: str, detector: Path, tmp_path: Path, refused: Refused) -> None:
    path = broken(kind, tmp_path)
    assert str(path) in refused("predict", detector, path, *FAST)


@pytest.mark.parametrize("source", ["nowhere.mp4", "*.mp4", "rtsp://camera/1", "https://example.org/road.jpg"])
def test_source_that_is_not_there_is_refused(source: str, detector: Path, refused: Refused) -> None:
    assert source in refused("predict", detector, source, *FAST)


def test_folder_without_pictures_names_what_would_reach_them(
    detector: Path, even_rectangles: Path, refused: Refused
) -> None:
    message = refused("predict", detector, even_rectangles.parent / "images", *FAST)
    assert "holds no image and no video" in message and "**" in message


def test_folder_in_which_nothing_can_be_read_is_refused(detector: Path, tmp_path: Path, run_cli: Run) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    for kind in ("empty video", "text as image"):
        broken(kind, folder)
    outcome = run_cli("predict", detector, folder, *FAST)
    assert outcome.code == 2 and "none of its 2 sources could be processed" in outcome.err
    assert "empty.mp4 is empty" in outcome.err and "text.png" in outcome.err and "Traceback" not in outcome.err


def test_an_engine_that_is_not_there_is_refused(detector: Path, even_rectangles: Path, refused: Refused) -> None:
    images = even_rectangles.parent / "images/val"
    assert refused("predict", detector, images, *FAST, "--engine", "tensorrt").startswith("error: TensorRT")


def test_folder_of_which_a_part_can_be_read_is_partly_done(
    detector: Path, tmp_path: Path, even_rectangles: Path, run_cli: Run
) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    picture = sorted((even_rectangles.parent / "images/val").glob("*.png"))[0]
    (folder / "good.png").write_bytes(picture.read_bytes())
    write_video(folder / "good.mp4", frames=4)
    for kind in ("empty video", "text as image"):
        broken(kind, folder)
    outcome = run_cli("predict", detector, folder, *FAST, "--out", "found")
    assert outcome.code == 3
    assert "error: empty.mp4: failed" in outcome.err and "empty.mp4 is empty" in outcome.err
    assert "error: images: 1 frames" in outcome.err and "text.png does not decode" in outcome.out + outcome.err
    assert "2 of 3 sources are not whole" in outcome.err and "Traceback" not in outcome.err
    pictures, video = (read_detections(f"found/detections/{name}.jsonl") for name in ("images", "good.mp4"))
    assert [[Path(frame.source).name for frame in reader] for reader in (pictures, video)] == [
        ["good.png"], ["good.mp4"] * 4,
    ]  # fmt: skip
    assert video.is_complete and not pictures.is_complete and "1 of 2 files could not be read" in pictures.end["error"]


@pytest.mark.parametrize("command", ["predict", "val"])
def test_results_cannot_go_where_a_file_is(
    command: str, detector: Path, even_rectangles: Path, tmp_path: Path, refused: Refused
) -> None:
    taken = tmp_path / "results"
    taken.write_text("mine")
    where = [even_rectangles.parent / "images/val"] if command == "predict" else ["--data", even_rectangles]
    for out in (taken, taken / "deeper"):
        message = refused(command, detector, *where, "--out", out, *FAST)
        assert str(taken) in message and "is a file" in message


def test_source_is_never_written_over(detector: Path, tmp_path: Path, run_cli: Run) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    write_video(folder / "road.mp4")
    before = contents(folder)
    assert run_cli("predict", detector, folder / "road.mp4", "--out", folder, *FAST).code == 0
    after = contents(folder)
    assert after["road.mp4"] == before["road.mp4"]
    assert set(after) == {"road.mp4", "road-2.mp4", "detections.jsonl", "detections.csv"}
    cv2.imwrite(str(folder / "road.jpg"), np.zeros((96, 128, 3), np.uint8))
    picture = (folder / "road.jpg").read_bytes()
    assert run_cli("predict", detector, folder / "road.jpg", "--out", folder, *FAST).code == 0
    assert (folder / "road.jpg").read_bytes() == picture and (folder / "road-2.jpg").is_file()
