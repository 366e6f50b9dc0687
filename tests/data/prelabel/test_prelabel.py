"""`data prelabel`: from detections files to folders that tools import, and one line for what goes wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.data import convert_dataset, prelabel_detections
from reg_yolo.data.prelabel.frames import TWICE
from reg_yolo.data.prelabel.objects import BAD_MASK, BELOW
from reg_yolo.data.prelabel.pictures import NO_FRAME, NOT_FOUND, OTHER_SIZE
from reg_yolo.detections import Chapter, DetectionsWriter, encode_mask
from reg_yolo.errors import DataError
from tests.data.convert.exports import pixel_rows
from tests.data.convert.exports import rows as label_rows
from tests.data.prelabel.videos import NAMES, SIZE, found, header, image, scene, video_frame, write, write_video


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, scene(seed, size))[1].tobytes())
    return path


def code_of(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["data", "prelabel", *map(str, words)])
    return int(ended.value.code or 0)


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """Detections of two images: a box, a mask with a hole in two parts, one below 0.5, and nothing."""
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[10:40, 40:70] = True
    mask[20:30, 50:60] = False
    mask[50:60, 40:60] = True
    objects = [
        found("sign", 0.9, (1.5, 2.25, 20, 30)),
        found("ป้าย", 0.8, (40, 10, 70, 60), mask=encode_mask(mask)),
        found("pole", 0.3, (80, 5, 85, 60)),
    ]
    frames = [
        image(write_image(tmp_path / "in/ภาพ 1.png"), *objects),
        image(write_image(tmp_path / "in/b.png", 1)),
    ]
    return write(tmp_path / "stills.jsonl", frames)


@pytest.mark.parametrize("tool", ["yolo", "coco", "cvat", "labelme"])
def test_objects_come_back_as_they_were_found(tool: str, stills: Path, tmp_path: Path) -> None:
    summary = prelabel_detections(stills, tmp_path / "tool", to=tool, threshold=0.5)
    assert (summary.frames, summary.outlines, summary.skipped[BELOW]) == (2, 1, 1)
    convert_dataset(tmp_path / "tool", tmp_path / "back", classes=NAMES, background=True)
    box, outline = pixel_rows(tmp_path / "back", "ภาพ 1", size=SIZE)
    assert box == (0, [1.5, 2.25, 20, 30]) and outline[0] == 2
    ring = np.array(label_rows(tmp_path / "back", "ภาพ 1")[1][1:]).reshape(-1, 2) * SIZE
    painted = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.fillPoly(painted, [np.round(ring * 16).astype(np.int32)], 1, shift=4)
    # The mask's pixels but for those that the painted outline covers with half of its width.
    assert painted[15, 45] and painted[55, 50] and not painted[25, 55] and not painted[45, 50]
    assert abs(int(painted.sum()) - (900 - 100 + 200)) < 130
    assert (tmp_path / "back/labels/train/b.txt").read_text() == ""


def test_label_studio_shows_predictions_with_their_scores(stills: Path, tmp_path: Path) -> None:
    prelabel_detections(stills, tmp_path / "ls", to="label-studio")
    tasks = json.loads((tmp_path / "ls/tasks_train.json").read_text("utf-8"))
    empty, full = tasks
    assert empty["predictions"] == [{"model_version": "best.pt", "result": []}] and "annotations" not in full
    (prediction,) = full["predictions"]
    assert prediction["model_version"] == "best.pt" and prediction["score"] == 0.85
    assert [region["score"] for region in prediction["result"]] == [0.9, 0.8]
    box = prediction["result"][0]
    assert (box["type"], box["from_name"], box["to_name"]) == ("rectanglelabels", "box", "image")
    assert box["value"]["x"] == pytest.approx(1.5 / 96 * 100) and box["value"]["width"] == pytest.approx(
        18.5 / 96 * 100
    )
    assert (box["original_width"], box["original_height"]) == SIZE
    assert full["data"]["image"] == "/data/local-files/?d=images/train/%E0%B8%A0%E0%B8%B2%E0%B8%9E%201.png"
    assert (tmp_path / "ls/images/train/ภาพ 1.png").is_file()


def test_frames_of_a_video_become_images_for_other_tools(tmp_path: Path) -> None:
    pictures = [scene(number) for number in range(6)]
    video = write_video(tmp_path / "drive1.avi", pictures)
    frames = [video_frame(video, index, found("sign", 0.9)) for index in (1, 4, 9)]
    summary = prelabel_detections(write(tmp_path / "d.jsonl", frames), tmp_path / "out", to="yolo")
    assert summary.images_lost == 1 and summary.skipped[NO_FRAME] == 1 and summary.frames == 2
    assert sorted(path.name for path in (tmp_path / "out/images/train").iterdir()) == [
        "drive1_000001.jpg",
        "drive1_000004.jpg",
    ]
    for index in (1, 4):
        seen = cv2.imread(str(tmp_path / f"out/images/train/drive1_{index:06d}.jpg"))
        apart = [np.abs(seen.astype(int) - picture).mean() for picture in pictures]
        assert int(np.argmin(apart)) == index


def test_frames_of_a_drive_are_counted_in_their_chapter(tmp_path: Path) -> None:
    first, second = tmp_path / "GX010012.avi", tmp_path / "GX020012.avi"
    with DetectionsWriter(tmp_path / "d.jsonl", header("drive")) as writer:
        writer.write_event(Chapter(first, 0, 0.0))
        writer.write(video_frame(first, 3, found("sign", 0.9, track=0)))
        writer.write_event(Chapter(second, 100, 10.0))
        writer.write(video_frame(second, 102, found("sign", 0.9, track=0)))
    summary = prelabel_detections(tmp_path / "d.jsonl", tmp_path / "out")
    assert summary.tracks == 2
    assert 'frame="3"' in (tmp_path / "out/GX010012.xml").read_text("utf-8")
    assert 'frame="2"' in (tmp_path / "out/GX020012.xml").read_text("utf-8")


def test_uncertain_frames_are_written_as_images_and_listed(tmp_path: Path) -> None:
    still = scene(0)
    video = write_video(tmp_path / "drive1.avi", [still if number < 20 else scene(number) for number in range(40)])
    frames = [video_frame(video, index, found("sign", 0.5 + index / 100), every_s=0.5) for index in range(0, 40, 5)]
    frames.append(video_frame(video, 39, found("pole", 0.99), every_s=0.5))
    detections = write(tmp_path / "d.jsonl", frames)
    summary = prelabel_detections(detections, tmp_path / "out", to="cvat", uncertain=3)
    # The car stands until frame 20: of these the first is enough, although the others have lower margins than 20.
    rows = list(csv.DictReader((tmp_path / "out/picks.csv").open(encoding="utf-8")))
    assert [(row["frame"], row["class"], row["known_objects"]) for row in rows] == [
        ("39", "pole", "1"),
        ("0", "sign", "8"),
        ("20", "sign", "8"),
    ]
    assert summary.picked is not None and summary.picked.near >= 1 and summary.frames == 3
    text = (tmp_path / "out/annotations_train.xml").read_text("utf-8")
    assert 'name="drive1_000020.jpg"' in text and 'source="auto"' in text
    assert "from 1 drives or places" in summary.as_text()
    again = prelabel_detections(detections, tmp_path / "again", to="cvat", uncertain=3)
    assert again.as_text() == summary.as_text()
    # What has been labelled is not asked for a second time.
    prelabel_detections(detections, tmp_path / "set", to="yolo", uncertain=3)
    third = prelabel_detections(detections, tmp_path / "third", uncertain=9, labelled=tmp_path / "set")
    assert third.picked is not None and third.picked.labelled == 3
    assert [pick.frame.frame for pick in third.picked.picks] == [25, 30, 35]
    assert third.notes == ["9 frames were asked for; 3 are left that look like no labelled or picked one"]
    with pytest.raises(DataError, match="looks like one that is labelled"):
        standing = write(tmp_path / "s.jsonl", [frame for frame in frames if frame.frame < 20])
        prelabel_detections(standing, tmp_path / "none", uncertain=1, labelled=tmp_path / "set")


def test_images_are_found_elsewhere_left_out_where_they_are_not_and_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, day in enumerate(("day1", "day2")):
        write_image(tmp_path / f"moved/{day}/1.png", number)
    write_image(tmp_path / "moved/day3/small.png", 5, (48, 32))
    gone = [image(Path(f"/card/{day}/{name}.png"), found("sign", 0.9)) for day, name in
            (("day1", "1"), ("day2", "1"), ("day3", "small"), ("day3", "gone"))]  # fmt: skip
    detections = write(tmp_path / "d.jsonl", gone)
    assert code_of(detections, detections, tmp_path / "out", "--to", "yolo", "--images", tmp_path / "moved") == 3
    said = capsys.readouterr()
    assert "frames whose images could not be used: 2" in said.err
    assert all(f"1  {reason}" in said.out for reason in (NOT_FOUND, OTHER_SIZE)) and f"4  {TWICE}" in said.out
    assert sorted(p.name for p in (tmp_path / "out/labels/train").iterdir()) == ["1.txt", "day2__1.txt"]
    assert (tmp_path / "out/images/train/day2__1.png").read_bytes() == (tmp_path / "moved/day2/1.png").read_bytes()
    # With the images in the tool already, neither they nor their sizes matter.
    assert code_of(detections, tmp_path / "only", "--to", "cvat", "--annotations-only") == 0
    assert sorted(p.name for p in (tmp_path / "only").iterdir()) == ["annotations_train.xml", "labels.json"]


REFUSED: dict[str, tuple[list[Any], str]] = {
    "format": (["--to", "cvta"], "--to: got 'cvta', expected yolo, coco, cvat, label-studio, labelme"),
    "threshold": (["--threshold", "1.5"], "--threshold: got 1.5"),
    "uncertain": (["--uncertain", "0"], "--uncertain: got 0"),
    "labelled": (["--labelled", "x"], "--labelled: says what not to pick"),
    "keyframe": (["--keyframe-px", "-1"], "--keyframe-px: got -1"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_words_get_one_line(
    words: list[str], message: str, stills: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(stills, tmp_path / "out", *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0], lines
    assert not (tmp_path / "out").exists()


def test_nothing_to_write_is_said(tmp_path: Path) -> None:
    gone = write(tmp_path / "d.jsonl", [image(Path("gone.png"), found("sign", 0.9))])
    with pytest.raises(DataError, match="nothing is left to write: 1 times image or video not found"):
        prelabel_detections(gone, tmp_path / "out", to="coco")
    empty = write(tmp_path / "e.jsonl", [])
    with pytest.raises(DataError, match="no frame in it"):
        prelabel_detections(empty, tmp_path / "out")
    bare = write(tmp_path / "f.jsonl", [image(Path("gone.png"))])
    with pytest.raises(DataError, match="no frame has a detection"):
        prelabel_detections(bare, tmp_path / "out", uncertain=3, annotations_only=True)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jsonl"] * 3


def test_weak_detections_are_left_out_by_the_thresholds_of_the_weights(tmp_path: Path) -> None:
    frames = [image(Path("a.png"), found("sign", 0.2), found("pole", 0.2), found("pole", 0.1))]
    weak = dict.fromkeys(NAMES, 0.05)
    stored = {"sign": 0.4, "pole": 0.2, "ป้าย": 0.2}
    detections = write(tmp_path / "d.jsonl", frames, thresholds=weak, extra={"stored_thresholds": stored})
    summary = prelabel_detections(detections, tmp_path / "a", annotations_only=True)
    assert summary.objects == {"pole": 1} and summary.skipped[BELOW] == 2
    assert prelabel_detections(detections, tmp_path / "b", threshold=0.15, annotations_only=True).objects.total() == 2


def test_what_cannot_be_written_is_not_picked(tmp_path: Path) -> None:
    here = write_image(tmp_path / "b.png")
    frames = [image(Path("gone.png"), found("sign", 0.5)), image(here, found("sign", 0.9))]
    summary = prelabel_detections(write(tmp_path / "d.jsonl", frames), tmp_path / "out", to="yolo", uncertain=1)
    assert summary.images_lost == 1 and summary.frames == 1
    assert [path.name for path in (tmp_path / "out/images/train").iterdir()] == ["b.png"]
    with pytest.raises(DataError, match=r"none of 1 frames is found, such as gone\.png"):
        prelabel_detections(write(tmp_path / "e.jsonl", frames[:1]), tmp_path / "none", uncertain=1)


def test_a_broken_mask_leaves_its_box(tmp_path: Path) -> None:
    broken = found("sign", 0.9, mask={"size": [SIZE[1], SIZE[0]], "counts": "22"})
    detections = write(tmp_path / "d.jsonl", [image(Path("a.png"), broken)])
    summary = prelabel_detections(detections, tmp_path / "out", annotations_only=True)
    assert summary.objects == {"sign": 1} and summary.outlines == 0 and summary.skipped[BAD_MASK] == 1


def test_a_file_that_breaks_off_is_taken_as_far_as_it_goes(stills: Path, tmp_path: Path) -> None:
    lines = stills.read_bytes().splitlines(keepends=True)
    stills.write_bytes(b"".join(lines[:2]))
    summary = prelabel_detections(stills, tmp_path / "out", to="coco")
    assert summary.frames == 1 and "is not complete" in summary.notes[0]


def test_a_frame_and_an_image_of_one_name_stay_two(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    video = write_video(tmp_path / "a" / "drive.avi", [scene(number) for number in range(3)])
    still = write_image(tmp_path / "b" / "drive_000002.jpg", 7)
    frames = [video_frame(video, 2, found("sign", 0.9)), image(still, found("pole", 0.9))]
    summary = prelabel_detections(write(tmp_path / "d.jsonl", frames), tmp_path / "out", to="yolo")
    assert summary.frames == 2
    names = {path.name for path in (tmp_path / "out").rglob("*.jpg")}
    assert names == {"drive_000002.jpg", "b__drive_000002.jpg"}


def test_label_studio_needs_the_images(stills: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`annotations_only`: Label Studio makes a new task"):
        prelabel_detections(stills, tmp_path / "out", to="label-studio", annotations_only=True)


def test_a_broken_label_of_what_is_labelled_is_said(stills: Path, tmp_path: Path) -> None:
    prelabel_detections(stills, tmp_path / "set", to="yolo", threshold=0.5)
    next((tmp_path / "set").rglob("*.txt")).write_text("broken\n")
    with pytest.raises(DataError, match=r"\.txt:1: "):
        prelabel_detections(stills, tmp_path / "out", uncertain=1, labelled=tmp_path / "set")
