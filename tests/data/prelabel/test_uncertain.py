"""Frames worth labelling next: lowest margin, rare classes first, nothing twice, no drive above its share."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reg_yolo.data.prelabel.frames import DetectedFrame
from reg_yolo.data.prelabel.uncertain import pick_uncertain
from reg_yolo.detections import Detection
from tests.data.prelabel.videos import NAMES, SIZE, found

THRESHOLDS = dict.fromkeys(NAMES, 0.5)


def still(name: str, *detections: Detection, drive: str | None = None) -> DetectedFrame:
    return DetectedFrame(Path(name), None, None, None, SIZE, name, drive or name, detections, THRESHOLDS)


def frame(drive: str, index: int, time_s: float, *detections: Detection) -> DetectedFrame:
    name = f"{drive}_{index:06d}.jpg"
    return DetectedFrame(Path(drive), None, index, time_s, SIZE, name, drive, detections, THRESHOLDS)


def names(picked: object) -> list[str]:
    return [pick.frame.name for pick in picked.picks]  # type: ignore[attr-defined]


def test_the_lowest_margin_comes_first_on_either_side_of_the_threshold() -> None:
    confidences = {"a": 0.9, "b": 0.52, "c": 0.47, "d": 0.1}
    frames = [still(name, found("sign", value), found("sign", 0.99)) for name, value in confidences.items()]
    picked = pick_uncertain([*frames, still("empty")], 3, NAMES)
    assert names(picked) == ["b", "c", "a"] or names(picked) == ["b", "c", "d"]
    assert [round(pick.margin, 2) for pick in picked.picks[:2]] == [0.02, 0.03]
    assert picked.candidates == 4


def test_classes_take_turns_the_rarest_first() -> None:
    frames = [still(f"s{n}", found("sign", 0.5 + n / 100)) for n in range(6)]
    frames += [still(f"p{n}", found("pole", 0.7 + n / 100)) for n in range(3)]
    frames += [still("w0", found("ป้าย", 0.95))]
    picked = pick_uncertain(frames, 6, NAMES)
    assert picked.class_counts == {"sign": 6, "pole": 3, "ป้าย": 1}
    assert names(picked) == ["w0", "p0", "s0", "p1", "s1", "p2"]
    # Where labels say that signs are the rare ones, signs go first.
    told = pick_uncertain(frames, 2, NAMES, labelled_counts={"sign": 1, "pole": 50, "ป้าย": 90})
    assert names(told) == ["s0", "p0"] and told.class_counts["ป้าย"] == 90


def test_what_looks_like_a_labelled_or_picked_frame_is_left_out() -> None:
    rng = np.random.default_rng(0)
    one, other, third = (rng.integers(0, 256, 32, dtype=np.uint8) for _ in range(3))
    near = one.copy()
    near[:4] ^= 255
    frames = [still(name, found("sign", 0.5 + n / 100)) for n, name in enumerate("abcd")]
    signs = {"a": one.tobytes(), "b": near.tobytes(), "c": other.tobytes(), "d": third.tobytes()}
    assert names(pick_uncertain(frames, 3, NAMES, signs=signs)) == ["a", "c", "d"]
    picked = pick_uncertain(frames, 3, NAMES, signs=signs, labelled=[frames[0]])
    assert names(picked) == ["c", "d"] and (picked.near, picked.labelled) == (1, 1)
    told = pick_uncertain(frames, 3, NAMES, signs=signs, labelled_signs=[near.tobytes()])
    assert names(told) == ["c", "d"] and (told.near, told.labelled) == (2, 0)
    far = near.copy()
    far[4:12] ^= 255
    assert names(pick_uncertain(frames, 2, NAMES, signs={**signs, "b": far.tobytes()})) == ["a", "b"]


def test_without_pixels_time_and_names_tell_neighbours() -> None:
    video = [frame("v", n, n * 0.4, found("sign", 0.5 + n / 100)) for n in range(7)]
    assert [pick.frame.frame for pick in pick_uncertain(video, 9, NAMES).picks] == [0, 3, 6]
    stills = [still(f"f_{n}.jpg", found("sign", 0.7 - n / 100), drive="f") for n in range(8, 13)]
    # 9 comes before 10: 12 has the lowest margin, 11 is next to it.
    assert names(pick_uncertain(stills, 9, NAMES)) == ["f_12.jpg", "f_10.jpg", "f_8.jpg"]


def test_no_drive_gives_more_than_its_share_while_others_have_frames() -> None:
    frames = [frame("busy", n, 10.0 * n, found("sign", 0.5)) for n in range(30)]
    for drive in ("b", "c"):
        frames += [frame(drive, n, 10.0 * n, found("sign", 0.9)) for n in range(4)]
    picked = pick_uncertain(frames, 12, NAMES)
    counts = {drive: sum(pick.frame.drive == drive for pick in picked.picks) for drive in ("busy", "b", "c")}
    # An even share is 4 and half as much again 6.
    assert counts == {"busy": 6, "b": 4, "c": 2}
    more = pick_uncertain(frames, 20, NAMES)
    assert sum(pick.frame.drive == "busy" for pick in more.picks) == 12 and len(more.picks) == 20


def test_the_same_frames_in_another_order_give_the_same_picks() -> None:
    rng = np.random.default_rng(2)
    frames = [
        frame(
            f"d{n % 5}", n, 2.0 * n, *(found(NAMES[k], round(float(rng.uniform(0.2, 1)), 2)) for k in range(n % 3 + 1))
        )
        for n in range(60)
    ]
    first = pick_uncertain(frames, 17, NAMES)
    assert names(pick_uncertain(frames[::-1], 17, NAMES)) == names(first) and len(set(names(first))) == 17
