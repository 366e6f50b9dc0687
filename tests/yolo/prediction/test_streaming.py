"""Frames stream through: nothing is kept, and an interruption leaves files that can be read."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import reg_yolo
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import MediaError
from reg_yolo.video.reading import SourceFrame
from reg_yolo.video.writer import AnnotatedVideoWriter
from reg_yolo.yolo.prediction import frames as predict_frames
from reg_yolo.yolo.prediction import job as predict_job
from tests.yolo.prediction.videos import write_video

# Results and images of the frames whose names the loops still hold; further ones would add up over a long video.
MOST_ALIVE = 6


@pytest.fixture(scope="module")
def long_video(even_rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 300 frames."""
    files = sorted((even_rectangles.parent / "images/val").glob("*.png"))
    pictures = [cv2.imread(str(path)) for path in files]
    return write_video(tmp_path_factory.mktemp("video") / "long.mp4", (pictures * 25)[:300])


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """At every frame, how many results and images of earlier frames are still in memory."""
    alive: list[weakref.ref] = []
    counts: list[int] = []
    original = predict_frames.detections_of

    def watch(pieces: Any, frame: SourceFrame, *arguments: Any, **named: Any) -> FrameDetections:
        alive[:] = [reference for reference in alive if reference() is not None]
        counts.append(len(alive))
        alive.extend(weakref.ref(thing) for thing in (pieces[0][1], frame.picture))
        return original(pieces, frame, *arguments, **named)

    monkeypatch.setattr(predict_frames, "detections_of", watch)
    return counts


@pytest.mark.slow
def test_results_of_a_video_are_not_kept(long_video: Path, detector: Path, watched: list[int]) -> None:
    summary = reg_yolo.predict(detector, long_video, device="cpu", save=False, conf=0.9)
    assert summary.frames == len(watched) == 300
    assert max(watched) <= MOST_ALIVE


def test_images_are_read_one_by_one(even_rectangles: Path, detector: Path, watched: list[int]) -> None:
    summary = reg_yolo.predict(detector, even_rectangles.parent / "images/train", device="cpu", save=False, conf=0.9)
    assert summary.frames == len(watched) == 40
    assert max(watched) <= MOST_ALIVE


def raise_interrupt() -> None:
    """What a second Ctrl-C does."""
    raise KeyboardInterrupt


def press_ctrl_c() -> None:
    """What a user does."""
    os.kill(os.getpid(), signal.SIGINT)


def send_sigterm() -> None:
    """What a batch system does when the time is up."""
    os.kill(os.getpid(), signal.SIGTERM)


# A signal lets the frame be finished.
@pytest.mark.parametrize("stop, drawn", [(raise_interrupt, 6), (press_ctrl_c, 7), (send_sigterm, 7)])
def test_interruption_leaves_valid_detections_and_playable_video(
    stop: Callable[[], None], drawn: int, long_video: Path, detector: Path
) -> None:
    seen: list[int] = []

    def stop_at_seven(frame: FrameDetections) -> None:
        seen.append(frame.frame)
        if frame.frame == 6:
            stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(KeyboardInterrupt):
        reg_yolo.predict(detector, long_video, device="cpu", out="found", on_frame=stop_at_seven)
    assert [signal.getsignal(number) for number in numbers] == before
    assert seen == list(range(7))
    assert sorted(path.name for path in Path("found").iterdir()) == ["detections.csv", "detections.jsonl", "long.mp4"]
    reader = read_detections("found/detections.jsonl")
    assert [frame.frame for frame in reader] == seen
    assert not reader.is_complete and reader.end["error"] == "KeyboardInterrupt"
    assert len(Path("found/detections.csv").read_text().splitlines()) > 7
    capture = cv2.VideoCapture("found/long.mp4")
    assert sum(capture.read()[0] for _ in range(20)) == drawn


def test_video_survives_an_interruption_in_the_middle_of_a_frame(
    long_video: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = AnnotatedVideoWriter.write

    def interrupted(writer: AnnotatedVideoWriter, *arguments: Any) -> None:
        """Write, and after the fifth frame be interrupted before anyone can count it."""
        original(writer, *arguments)
        if writer.frames == 5:
            writer.frames = 4
            raise KeyboardInterrupt

    monkeypatch.setattr(AnnotatedVideoWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reg_yolo.predict(detector, long_video, device="cpu", out="found")
    capture = cv2.VideoCapture("found/long.mp4")
    assert sum(capture.read()[0] for _ in range(20)) == 5
    assert not read_detections("found/detections.jsonl").is_complete


def test_interruption_before_the_first_frame_leaves_nothing(
    long_video: Path, detector: Path, monkeypatch: pytest.MonkeyPatch, working_directory: Path
) -> None:
    monkeypatch.setattr(predict_job, "predicted_frames", lambda *_: raise_interrupt())
    with pytest.raises(KeyboardInterrupt):
        reg_yolo.predict(detector, long_video, device="cpu")
    assert not any(working_directory.iterdir())


def test_failure_leaves_a_folder_alone_that_was_there_before(
    long_video: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("keep")
    monkeypatch.setattr(predict_job, "predicted_frames", lambda *_: raise_interrupt())
    with pytest.raises(KeyboardInterrupt):
        reg_yolo.predict(detector, long_video, device="cpu", out="mine")
    assert Path("mine/notes.txt").read_text() == "keep"


def test_other_threads_can_predict_too(even_rectangles: Path, detector: Path) -> None:
    source = even_rectangles.parent / "images/val/000.png"
    done: list[int] = []
    thread = threading.Thread(
        target=lambda: done.append(reg_yolo.predict(detector, source, device="cpu", save=False).frames)
    )
    thread.start()
    thread.join()
    assert done == [1]


def test_video_that_breaks_off_gives_the_frames_before(long_video: Path, detector: Path, tmp_path: Path) -> None:
    # The index of an mp4 comes last, so that the frames of a damaged one are destroyed in place.
    content = bytearray(long_video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    summary = reg_yolo.predict(detector, broken, device="cpu", save=False, conf=0.9)
    frames = [frame.frame for frame in read_detections(summary.detections_file)]
    assert len(frames) == summary.frames >= 100 and frames == sorted(set(frames))


def test_encoder_that_fails_says_so(detector: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reg_yolo.video import writer

    monkeypatch.setattr(writer, "_frame_count", lambda _: 0)
    short = write_video(Path("short.mp4"), [np.zeros((96, 128, 3), np.uint8)] * 3)
    with pytest.raises(MediaError, match="not all 3 frames were stored"):
        reg_yolo.predict(detector, short, device="cpu", out="found")
    # What was found is kept, and says that it is not the whole.
    reader = read_detections("found/detections.jsonl")
    assert len(list(reader)) == 3 and not reader.is_complete
