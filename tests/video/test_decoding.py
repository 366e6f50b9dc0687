"""Video is decoded as OpenCV decodes it, past damage, with what is missing told as holes."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.detections.holes import Hole
from reg_yolo.errors import MediaError
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.probing import probe_video
from tests.conftest import MakeVideo
from tests.video.clips import FPS, number_of, spoil, write_clip


def read(path: Path) -> tuple[list[VideoFrame], list[Hole]]:
    items = list(read_frames(path))
    frames = [item for item in items if isinstance(item, VideoFrame)]
    return frames, [item for item in items if isinstance(item, Hole)]


def check_true(frames: list[VideoFrame], holes: list[Hole]) -> None:
    """Every frame shows the image that belongs to its time, and no frame lies in a hole."""
    for frame in frames:
        assert frame.picture is not None
        assert number_of(frame.picture) == round(frame.time_s * FPS) % 20
        assert not any(hole.start_s < frame.time_s < (hole.end_s or 1e9) for hole in holes)
    times = [frame.time_s for frame in frames]
    assert times == sorted(set(times))
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_frames_and_times_are_opencvs(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, 30)
    frames, holes = read(path)
    assert len(frames) == 30 and holes == []
    capture = cv2.VideoCapture(str(path))
    for frame in frames:
        more, picture = capture.read()
        assert more and np.array_equal(frame.picture, picture)
        assert frame.time_s == pytest.approx(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, abs=1e-6)
    assert [frame.index for frame in frames] == list(range(30))


def test_a_frame_that_is_not_wanted_comes_without_its_picture(tmp_path: Path) -> None:
    asked: list[tuple[int, float]] = []

    def wanted(index: int, time_s: float) -> bool:
        asked.append((index, time_s))
        return index % 7 == 0

    frames = [item for item in read_frames(write_clip(tmp_path / "a.mp4", 20), wanted) if isinstance(item, VideoFrame)]
    assert [frame.index for frame in frames if frame.picture is not None] == [0, 7, 14]
    assert asked == [(index, pytest.approx(index / FPS)) for index in range(20)]


def test_variable_frame_rate_keeps_the_containers_times_and_is_no_damage(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.5, 0.52, 2.5, 2.54, 6.0, 6.04, 6.3]
    frames, holes = read(write_clip(tmp_path / "a.mp4", len(times), times=times))
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=1e-6)
    assert holes == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_broken_middle_is_a_hole_up_to_the_next_key_frame(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, 60)
    if name == "a.mp4":
        spoil(path, 23, 4)
    else:
        content = bytearray(path.read_bytes())
        middle = len(content) * 2 // 5
        content[middle : middle + 3000] = np.random.default_rng(0).integers(0, 256, 3000, dtype=np.uint8).tobytes()
        path.write_bytes(content)
    frames, holes = read(path)
    if name == "a.mp4":
        # The others may lose what is between two packets without a word, and show a frame late.
        check_true(frames, holes)
    assert len(holes) >= 1 and {hole.reason for hole in holes} == {"damaged"}
    assert {hole.source for hole in holes} == {str(path)}
    assert 30 <= len(frames) < 60
    assert frames[-1].time_s == pytest.approx(59 / FPS, abs=1e-3) and 57 <= frames[-1].index <= 59
    if name == "a.mp4":
        (hole,) = holes
        # Frame 30 is the next key frame.
        assert hole.end_s == pytest.approx(30 / FPS, abs=1e-6) and 20 / FPS <= hole.start_s <= 24 / FPS
        assert hole.frame == round(hole.start_s * FPS)
        assert len(frames) == 60 - (30 - hole.frame)


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.05, 0.999), name=st.sampled_from(["a.mp4", "a.mkv", "a.ts"]))
def test_a_video_truncated_at_any_byte(tmp_path_factory: pytest.TempPathFactory, share: float, name: str) -> None:
    path = write_clip(tmp_path_factory.mktemp("cut") / name, 60, fast_start=True)
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    try:
        frames, holes = read(path)
    except MediaError as error:
        assert share < 0.2 and "cannot be opened as a video" in str(error)
        return
    check_true(frames, holes)
    # MPEG-TS has no index: what is cut off it never announced. Durations are good to a tenth of a second.
    if name != "a.ts" and len(frames) < 57:
        *before, hole = holes
        # A frame shown before the last one may have been stored behind it, and be cut off.
        last = frames[-1].index if frames else -1
        assert len(before) <= 1 and all(last - 3 <= other.frame < last for other in before)
        assert hole.reason == "cut_off" and hole.frame == last + 1
        # A frame that another one after it was needed for may be missing, too.
        assert len(frames) / FPS - 1e-3 <= hole.start_s <= (len(frames) + 3) / FPS
        assert hole.end_s == pytest.approx(60 / FPS, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(place=st.floats(0.1, 0.95), length=st.integers(1, 5000), seed=st.integers(0, 99))
def test_noise_anywhere_gives_true_frames_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, place: float, length: int, seed: int
) -> None:
    path = write_clip(tmp_path_factory.mktemp("noise") / "a.mp4", 40)
    content = bytearray(path.read_bytes())
    start = round(len(content) * place)
    noise = np.random.default_rng(seed).integers(0, 256, length, dtype=np.uint8).tobytes()
    content[start : start + length] = noise[: len(content) - start]
    path.write_bytes(content)
    try:
        frames, _ = read(path)
    except MediaError as error:
        assert "cannot be opened" in str(error)
        return
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)


def test_a_spoilt_key_frame_costs_its_whole_group(tmp_path: Path) -> None:
    frames, holes = read(spoil(write_clip(tmp_path / "a.mp4", 40), 20, 1))
    check_true(frames, holes)
    (hole,) = holes
    assert hole.end_s == pytest.approx(30 / FPS) and hole.start_s == pytest.approx(20 / FPS, abs=2.1 / FPS)


def test_a_video_without_sound_frames_is_one_clear_error(tmp_path: Path, make_video: MakeVideo) -> None:
    for path in (make_video("none.avi", frames=0), spoil(write_clip(tmp_path / "a.mp4", 10, key_every=50), 0, 10)):
        with pytest.raises(MediaError, match=r"(holds no frame that decodes|cannot be opened as a video)") as caught:
            probe_video(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def turned(path: Path, degrees: int) -> Path:
    """Write into an mp4 that players turn its image clockwise."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 16
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, place, *matrix)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pictures_are_turned_as_opencv_turns_them(tmp_path: Path, degrees: int) -> None:
    path = turned(write_clip(tmp_path / "a.mp4", 3), degrees)
    frames, _ = read(path)
    capture = cv2.VideoCapture(str(path))
    for frame in frames:
        assert np.array_equal(frame.picture, capture.read()[1])
    shape = (160, 96) if degrees != 180 else (96, 160)
    assert frames[0].picture is not None and frames[0].picture.shape[:2] == shape
    info = probe_video(path)
    assert (info.height, info.width) == shape


def test_names_that_look_like_addresses(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 3).rename(tmp_path / "drive: 12:30 #1 100%.mp4")
    assert len(read(path)[0]) == 3


def test_nothing_of_ffmpeg_reaches_stderr(tmp_path: Path) -> None:
    path = spoil(write_clip(tmp_path / "a.mp4", 30), 12, 5)
    script = (
        "import sys; from pathlib import Path; from reg_yolo.video.decoding import read_frames\n"
        "print(len(list(read_frames(Path(sys.argv[1])))))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == "" and int(done.stdout) > 10


def test_holes_are_checked_and_come_back_from_their_records() -> None:
    hole = Hole("a.mp4", 1.25, 2.5, "damaged", 31)
    assert Hole.from_record({**hole.to_record(), "later": 1}) == hole
    assert str(hole) == "a.mp4: 1.25 s to 2.50 s (damaged)"
    assert Hole.from_record(Hole("a.mp4", 0.0, None, "unreadable").to_record()).end_s is None
    with pytest.raises(ValueError, match="not before start_s"):
        Hole("a.mp4", 2.0, 1.0, "damaged")
    with pytest.raises(ValueError, match="start_s must be finite"):
        Hole("a.mp4", float("nan"), None, "damaged")
