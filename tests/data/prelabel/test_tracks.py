"""Tracks of CVAT for video: what a person corrects, and that interpolation gives back what was found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.data import convert_dataset, prelabel_detections
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.prelabel.tracks import NO_OUTLINE, OTHER_CLASS, SECOND, keyframes, track_elements
from reg_yolo.detections import encode_mask
from tests.data.convert.exports import pixel_rows
from tests.data.prelabel.videos import NAMES, SIZE, found, scene, video_frame, write, write_video

RING = np.array([[10.0, 10.0], [30.0, 10.0], [20.0, 30.0]])


def box(left: float, name: str = "sign", score: float = 0.9) -> ObjectAnnotation:
    return ObjectAnnotation(name, "", (left, 10.0, left + 10, 30.0), score=score)


def shapes(track: object) -> list[tuple[int, str, str]]:
    """Frame, tag and `outside` of every keyframe."""
    return [(int(one.get("frame")), one.tag, one.get("outside")) for one in track]  # type: ignore[attr-defined]


def test_a_track_ends_and_comes_back_where_it_was_looked_for() -> None:
    objects = {0: [(box(0), 4)], 5: [(box(5), 4)], 10: [], 15: [(box(20), 4)], 20: [(box(21), 4)]}
    (track,) = track_elements([0, 5, 10, 15, 20], objects, 2.0, Counter())
    # Missed in frame 10; in frame 20, the last that was looked at, nothing says that it is gone.
    assert shapes(track) == [(0, "box", "0"), (5, "box", "0"), (10, "box", "1"), (15, "box", "0"), (20, "box", "0")]
    assert track.get("label") == "sign" and track.get("source") == "auto"
    assert all(one.get("keyframe") == "1" and one.get("occluded") == "0" for one in track)
    assert [one.findtext("attribute") for one in track] == ["0.900", "0.900", None, "0.900", "0.900"]


def test_objects_without_a_track_are_seen_in_one_frame() -> None:
    tracks = track_elements([3, 4, 5], {4: [(box(0), None), (box(50), None)]}, 2.0, Counter())
    assert [shapes(track) for track in tracks] == [[(4, "box", "0"), (5, "box", "1")]] * 2


def test_classes_shapes_and_doubles_of_a_track_are_made_one_and_counted() -> None:
    outlined = ObjectAnnotation("pole", "", parts=[RING], score=0.3)
    skipped: Counter[str] = Counter()
    objects = {0: [(box(0), 1)], 1: [(outlined, 1)], 2: [(box(2), 1), (box(60), 1)]}
    first, second = track_elements([0, 1, 2], objects, 0.0, skipped)
    assert first.get("label") == "sign" and [one.tag for one in first] == ["box"] * 3
    assert (first[1].get("xtl"), first[1].get("ybr")) == ("10.0", "30.0")
    assert shapes(second) == [(2, "box", "0")]
    assert skipped == {OTHER_CLASS: 1, NO_OUTLINE: 1, SECOND: 1}


@pytest.mark.parametrize("most_px", [0.0, 0.5, 3.0])
def test_keyframes_are_few_and_give_all_boxes_back(most_px: float) -> None:
    rng = np.random.default_rng(1)
    frames = np.cumsum(rng.integers(1, 4, 60)).tolist()
    paths = np.cumsum(rng.normal(0, 0.6, (60, 4)), axis=0) + np.linspace(0, 200, 60)[:, None]
    kept = keyframes(frames, [tuple(row) for row in paths], most_px)
    assert kept[0] == 0 and kept[-1] == 59 and kept == sorted(set(kept))
    times = [frames[index] for index in kept]
    given = np.stack([np.interp(frames, times, paths[kept, side]) for side in range(4)], axis=1)
    assert np.abs(given - paths).max() <= most_px + 1e-9
    assert len(kept) == 60 if most_px == 0 else len(kept) < 60
    assert most_px < 3 or len(kept) < 20


def test_a_video_comes_back_through_our_reader(tmp_path: Path) -> None:
    video = write_video(tmp_path / "drive1.avi", [scene(number) for number in range(12)])
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[20:40, 50:70] = True
    wall = found("ป้าย", 0.7, (50, 20, 70, 40), mask=encode_mask(mask), track=9)
    frames = []
    for index in range(12):
        sign = found("sign", 0.8, (2.0 * index, 5, 2.0 * index + 12, 25), track=1)
        frames.append(
            video_frame(video, index, *([sign] if index not in (6, 7) else []), *([wall] if index < 4 else []))
        )
    detections = write(tmp_path / "detections.jsonl", frames, frame_count=12)
    summary = prelabel_detections(detections, tmp_path / "cvat", keyframe_px=1.0)
    assert (summary.tracks, summary.frames, summary.objects["sign"], summary.outlines) == (2, 12, 10, 4)
    text = (tmp_path / "cvat/drive1.xml").read_text("utf-8")
    # Straight on for six frames: two keyframes and one where it is gone; four outlines and one where it is gone.
    assert text.count("<box ") == 5 and text.count("<polygon ") == 5 and "<stop_frame>11</stop_frame>" in text
    (tmp_path / "cvat/drive1.avi").write_bytes(video.read_bytes())
    convert_dataset(tmp_path / "cvat", tmp_path / "back", classes=NAMES, background=True)
    labels = sorted((tmp_path / "back/labels/train").iterdir())
    assert [path.stem for path in labels] == [f"drive1_{index:06d}" for index in range(12)]
    for index, path in enumerate(labels):
        rows = pixel_rows(tmp_path / "back", path.stem, size=SIZE)
        wanted = [] if index in (6, 7) else [(0, [2.0 * index, 5, 2.0 * index + 12, 25])]
        assert [row for row in rows if row[0] == 0] == wanted
        assert [len(row[1]) for row in rows if row[0] == 2] == ([8] if index < 4 else [])


def test_every_fifth_frame_is_a_task_with_a_step(tmp_path: Path) -> None:
    frames = [video_frame(tmp_path / "a.avi", index, found("sign", 0.9, track=0)) for index in (0, 5, 10)]
    prelabel_detections(write(tmp_path / "d.jsonl", frames, frame_count=13), tmp_path / "out")
    text = (tmp_path / "out/a.xml").read_text("utf-8")
    assert "<frame_filter>step=5</frame_filter>" in text and "<size>3</size>" in text
    assert [f'frame="{index}"' in text for index in (0, 5, 10, 11, 13, 15)] == [True, False, True, False, False, False]
