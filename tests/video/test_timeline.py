"""Every source has one clock that rises, whatever the timestamps of its container do."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import pytest

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.probing import probe_video
from reg_yolo.video.reading import SourceFrame, read_source
from reg_yolo.video.sources import resolve_source
from reg_yolo.video.thinning import Thinner, parse_every
from reg_yolo.video.timeline import Timeline
from tests.video.clips import FPS, SIZE, number_of, write_clip

OTHER_SIZE = (192, 112)


def opencv_count(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


def ffmpeg_count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def split(path: Path) -> tuple[list[VideoFrame], list[Hole], list[Join]]:
    items = list(read_frames(path))
    frames = [item for item in items if isinstance(item, VideoFrame)]
    return frames, [i for i in items if isinstance(i, Hole)], [i for i in items if isinstance(i, Join)]


def any_parts(seed: int) -> list[dict[str, Any]]:
    """Return how the parts of a file are written: frames, groups, sizes and clocks of any kind."""
    rng = random.Random(seed)
    return [
        {
            # FFmpeg takes some frames to find the rate of a program stream.
            "frames": rng.randint(8, 24),
            "key_every": rng.choice([1, 4, 50]),
            "reordered": rng.choice([0, 1, 2]),
            "size": rng.choice([SIZE, OTHER_SIZE]),
            "start_s": rng.choice([0.0, 0.0, 60.0, 4000.0]),
        }
        for _ in range(rng.randint(1, 4))
    ]


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".mkv"])
@pytest.mark.parametrize("seed", range(5))
def test_joined_parts_are_one_drive_without_a_frame_lost(tmp_path: Path, suffix: str, seed: int) -> None:
    content, total, joined_at = b"", 0, []
    # FFmpeg reads two segments of Matroska.
    parts = any_parts(seed)[: 2 if suffix == ".mkv" else None]
    for number, part in enumerate(parts):
        # Matroska keeps what the decoder must know once.
        written = {**parts[0], "start_s": 0.0} if suffix == ".mkv" else part
        written = {**written, "frames": part["frames"]}
        content += write_clip(tmp_path / f"{number}{suffix}", first=total, **written).read_bytes()
        joined_at += [total] if number else []
        total += part["frames"]
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(content)
    frames, holes, joins = split(path)
    assert [number_of(frame.picture) for frame in frames] == [number % 20 for number in range(total)]
    assert len(frames) == opencv_count(path) == ffmpeg_count(path)
    # Where a program stream has one timestamp for several frames, FFmpeg may give it to the frame before.
    near = 1.01 / FPS if suffix == ".mpg" else 2e-3
    assert [frame.time_s for frame in frames] == pytest.approx([number / FPS for number in range(total)], abs=near)
    assert [frame.index for frame in frames] == list(range(total))
    assert holes == [] and [join.frame for join in joins] == joined_at


def test_every_half_second_looks_at_both_parts(tmp_path: Path) -> None:
    content = write_clip(tmp_path / "a.ts", 30).read_bytes()
    path = tmp_path / "twice.ts"
    path.write_bytes(content + content)
    thinner = Thinner(parse_every("0.5s"))
    frames = [item for item in read_frames(path, thinner) if isinstance(item, VideoFrame)]
    assert [frame.index for frame in frames if frame.picture is not None] == [0, 13, 25, 38, 50]


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4", ".flv", ".mpg"])
def test_pictures_that_begin_after_the_sound_are_whole(tmp_path: Path, suffix: str) -> None:
    path = write_clip(tmp_path / f"a{suffix}", 30, start_s=1.52, sound_s=4.0)
    frames, holes, joins = split(path)
    assert [frame.time_s for frame in frames] == pytest.approx([number / FPS for number in range(30)], abs=2e-3)
    assert (holes, joins) == ([], []) and len(frames) == opencv_count(path) == ffmpeg_count(path)
    info = probe_video(path)
    assert info.frame_count in {30, None} and (info.frame_count is None) == (suffix in {".ts", ".mpg", ".flv"})


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_a_late_start_does_not_make_a_drive_longer(tmp_path: Path, suffix: str) -> None:
    for number in range(3):
        write_clip(tmp_path / f"{number}{suffix}", 25, first=25 * number, start_s=3.0 * (number + 1))
    items = list(read_source(resolve_source(tmp_path, drive=True), lambda _: None))
    assert [item.start_s for item in items if isinstance(item, Chapter)] == pytest.approx([0.0, 1.0, 2.0], abs=2e-3)
    times = [item.time_s for item in items if isinstance(item, SourceFrame)]
    assert times == pytest.approx([number / FPS for number in range(75)], abs=2e-3)
    assert not any(isinstance(item, Hole | Join) for item in items)


@pytest.mark.parametrize("suffix", [".mkv", ".flv", ".mp4"])
def test_parts_that_ffmpeg_does_not_read_are_a_hole(tmp_path: Path, suffix: str) -> None:
    content = write_clip(tmp_path / f"a{suffix}", 20).read_bytes()
    assert split(tmp_path / f"a{suffix}")[1] == []
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(3 * content)
    frames, holes, _ = split(path)
    assert len(frames) in {20, 40} and len(frames) == opencv_count(path)
    assert [(hole.reason, hole.end_s, hole.frame) for hole in holes] == [("cut_off", None, len(frames))]


def test_a_pause_of_seconds_is_a_hole_and_one_of_hours_a_join(tmp_path: Path) -> None:
    first = write_clip(tmp_path / "a.ts", 20).read_bytes()
    for start_s, is_hole in ((4.0, True), (7200.0, False)):
        path = tmp_path / "joined.ts"
        path.write_bytes(first + write_clip(tmp_path / "b.ts", 20, first=20, start_s=start_s).read_bytes())
        frames, holes, joins = split(path)
        # MPEG-TS tells the last packets before lost ones to be damaged.
        assert len(frames) == 40 or (is_hole and len(frames) >= 37)
        assert [hole.reason for hole in holes] == (["damaged"] if is_hole else [])
        assert [round(join.jump_s) for join in joins] == ([] if is_hole else [7199])
        assert frames[-20].time_s == pytest.approx(3.92 if is_hole else 20 / FPS, abs=2e-3)


def test_a_part_that_begins_between_key_frames_is_a_hole_at_the_join(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.ts", 40, key_every=20)
    content = whole.read_bytes()
    # Packets of 188 bytes: cut the second part in the middle of its first group.
    cut = len(content) // 4 // 188 * 188
    path = tmp_path / "joined.ts"
    path.write_bytes(content + content[cut:])
    frames, holes, joins = split(path)
    times = [frame.time_s for frame in frames]
    assert times == sorted(set(times)) and len(joins) == 1
    assert [number_of(frame.picture) for frame in frames][:38] == [n % 20 for n in range(38)]
    assert [number_of(frame.picture) for frame in frames][-20:] == [n % 20 for n in range(20, 40)]
    (hole,) = holes
    assert (
        hole.start_s + 2e-3 > 38 / FPS
        and frames[-20].time_s == pytest.approx(52 / FPS, abs=2e-3)
        and hole.reason == "damaged"
    )


def test_joins_are_checked_and_come_back_from_their_records() -> None:
    join = Join("a.ts", 20, 0.8, -0.8)
    assert Join.from_record({**join.to_record(), "later": 1}) == join
    assert str(join) == "a.ts: timestamps jump by -0.80 s at 0.80 s"
    with pytest.raises(ValueError, match="must be finite"):
        Join("a.ts", 20, float("nan"), 0.0)


@pytest.mark.parametrize("restarts", [True, False])
@pytest.mark.parametrize("stray_s", [-300.0, 40_000.0])
def test_single_frames_stamped_hours_away_move_nothing(restarts: bool, stray_s: float) -> None:
    timeline = Timeline(Fraction(1, 1000), None, 1 / FPS, restarts=restarts)
    told = [400_000 + 40 * number + (round(1000 * stray_s) if number in {9, 31} else 0) for number in range(50)]
    packets = [
        SimpleNamespace(pts=stamp, dts=stamp, size=1, is_corrupt=False, is_keyframe=number % 10 == 0)
        for number, stamp in enumerate(told)
    ]
    taken = [ready for packet in [*packets, SimpleNamespace(size=0)] for ready, _ in timeline.take(packet)][:-1]
    frames = [SimpleNamespace(pts=packet.pts, dts=packet.dts, key_frame=packet.is_keyframe) for packet in taken]
    placed = [timeline.time_of(frame) for frame in frames]
    assert [jump_s for _, jump_s in placed if jump_s is not None] == []
    assert [time_s for time_s, _ in placed] == pytest.approx([number / FPS for number in range(50)], abs=1e-6)
