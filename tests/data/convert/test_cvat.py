"""CVAT XML: images with every kind of shape, video tracks with keyframes and `outside`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.errors import DataError
from tests.data.convert.exports import HEIGHT, WIDTH, painted, pixel_rows, rows, write_picture

META = """<version>1.1</version><meta><task><size>{size}</size><mode>{mode}</mode><start_frame>0</start_frame>
<stop_frame>{stop}</stop_frame><frame_filter></frame_filter><labels><label><name>sign</name></label>
<label><name>pole</name></label></labels><original_size><width>80</width><height>60</height></original_size>
<source>drive.mp4</source></task></meta>"""


def write_images(folder: Path, shapes: str, attributes: str = "", name: str = "a.png") -> Path:
    write_picture(folder / "images" / name)
    image = f'<image id="0" name="{name}" width="80" height="60" {attributes}>{shapes}</image>'
    meta = META.format(size=1, mode="annotation", stop=0)
    (folder / "annotations.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\r\n<annotations>{meta}{image}</annotations>'
    )
    return folder


def write_video(folder: Path, tracks: str, frames: int = 11, first: int | None = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if first is not None:
        for number in range(frames):
            write_picture(folder / f"images/frame_{number + first:06d}.png", seed=number)
    meta = META.format(size=frames, mode="interpolation", stop=frames - 1)
    (folder / "annotations.xml").write_text(f"<annotations>{meta}{tracks}</annotations>")
    return folder


def box(frame: int, left: float, *, outside: int = 0, keyframe: int = 1, extra: str = "") -> str:
    return (
        f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="{keyframe}" xtl="{left}" ytl="10" '
        f'xbr="{left + 10}" ybr="30" z_order="0" {extra}></box>'
    )


def test_boxes_polygons_ellipses_and_masks(tmp_path: Path) -> None:
    shapes = """
    <box label="pole" occluded="1" xtl="1.5" ytl="2" xbr="10" ybr="20.25"><attribute name="x">1</attribute></box>
    <polygon label="sign" occluded="0" points="10.00,10.00;30.00,10.00;30.00,40.00" z_order="0"/>
    <ellipse label="sign" cx="40" cy="30" rx="10" ry="5"/>
    <mask label="sign" rle="1, 2, 1, 4, 1, 3" left="60" top="20" width="4" height="3"/>
    <box label="sign" xtl="20" ytl="20" xbr="40" ybr="30" rotation="90"/>
    <polyline label="sign" points="1,1;2,2"/><points label="sign" points="1,1"/><tag label="sign"/>"""
    summary = convert(write_images(tmp_path / "in", shapes), tmp_path / "out")
    found = pixel_rows(tmp_path / "out")
    assert found[0] == (1, [1.5, 2, 10, 20.25])
    assert found[1] == (0, [10, 10, 30, 10, 30, 40])
    ellipse = np.reshape(found[2][1], (-1, 2))
    assert ellipse.min(axis=0) == pytest.approx([30, 25]) and ellipse.max(axis=0) == pytest.approx([50, 35])
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[20:23, 60:64] = [[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    # The runs: one outside, two inside, one outside, four inside, the rest outside and inside again.
    expected[22, 61:64] = 1
    np.testing.assert_array_equal(painted(rows(tmp_path / "out")[3]), expected)
    assert found[4] == (0, [25, 15, 35, 35])
    assert sorted(remark.reason for remark in summary.remarks) == [
        "a line has no area",
        "a tag of the whole image has no place",
        "points have no area",
    ]


@pytest.mark.parametrize(
    ("shape", "drop", "written"),
    [
        ('<polyline label="pole" points="1,1;2,2"/>', [], 1),
        ('<polyline label="pole" points="1,1;2,2"/>', ["pole"], 2),
        ('<tag label="pole"/>', [], 2),
    ],
    ids=["line", "line of a class that is dropped", "tag"],
)
def test_a_picture_with_a_line_is_no_background(tmp_path: Path, shape: str, drop: list[str], written: int) -> None:
    folder = write_images(tmp_path / "in", '<box label="sign" xtl="1" ytl="1" xbr="20" ybr="20"/>')
    write_picture(folder / "images/line.png")
    text = (folder / "annotations.xml").read_text(encoding="utf-8")
    line = f'<image id="9" name="line.png" width="{WIDTH}" height="{HEIGHT}">{shape}</image>'
    (folder / "annotations.xml").write_text(text.replace("</annotations>", f"{line}</annotations>"), encoding="utf-8")
    summary = convert(folder, tmp_path / "out", drop=drop, background=True)
    assert summary.images["train"] == written
    assert ("none of its objects can be used" in summary.as_csv()) == (written == 1)


def test_masks_with_many_corners_are_thinned_and_said_so(tmp_path: Path) -> None:
    comb = np.zeros((52, 72), np.uint8)
    comb[0] = 1
    comb[:, ::2] = 1
    comb[::2, 35:] = 1
    runs = [0, *np.diff(np.flatnonzero(np.diff(np.r_[0, comb.ravel(), 0]))).tolist()]
    runs.append(comb.size - sum(runs))
    mask = f'<mask label="sign" rle="{", ".join(map(str, runs))}" left="4" top="4" width="72" height="52"/>'
    summary = convert(write_images(tmp_path / "in", mask), tmp_path / "out")
    assert [(r.kind, r.file, r.place) for r in summary.remarks] == [("changed", "a.png", "mask 1")]
    assert "outline of a mask simplified" in summary.as_csv()


def test_shapes_of_a_group_are_one_object_and_boxes_are_not_merged(tmp_path: Path) -> None:
    shapes = """<polygon label="sign" group_id="3" points="10,10;20,10;20,20;10,20"/>
    <polygon label="sign" group_id="3" points="30,10;40,10;40,20;30,20"/>
    <polygon label="pole" group_id="3" points="50,10;60,10;60,20"/>
    <polygon label="sign" group_id="0" points="50,40;60,40;60,50"/>
    <box label="sign" group_id="3" xtl="1" ytl="1" xbr="9" ybr="9"/>
    <box label="sign" group_id="3" xtl="1" ytl="2" xbr="9" ybr="9"/>"""
    convert(write_images(tmp_path / "in", shapes), tmp_path / "out")
    assert [len(row) for row in rows(tmp_path / "out")] == [21, 7, 7, 5, 5]


@pytest.mark.parametrize(
    "subset, split", [("Train", "train"), ("Validation", "val"), ("test", "test"), ("default", "train")]
)
def test_subsets_are_splits(tmp_path: Path, subset: str, split: str) -> None:
    folder = write_images(tmp_path / "in", '<box label="sign" xtl="1" ytl="1" xbr="9" ybr="9"/>', f'subset="{subset}"')
    assert dict(convert(folder, tmp_path / "out").images) == {split: 1}


def test_a_zip_is_read_and_its_thai_names_stay(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", '<box label="sign" xtl="1" ytl="1" xbr="9" ybr="9"/>', name="ถนน/ก.png")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    convert(tmp_path / "export.zip", tmp_path / "out")
    assert (tmp_path / "out/labels/train/ก.txt").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip", "in", "out"]
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"broken\.zip"):
        convert(tmp_path / "broken.zip", tmp_path / "out2")


@pytest.mark.parametrize("encoding", ["utf-8", "cp874"])
def test_names_of_a_zip_without_a_mark_are_told(tmp_path: Path, encoding: str) -> None:
    name = "ถนน"
    folder = write_images(tmp_path / "in", '<box label="sign" xtl="1" ytl="1" xbr="20" ybr="20"/>', name=f"{name}.png")
    stored = name.encode(encoding)
    stand_in = "x" * len(stored)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(folder / "annotations.xml", "annotations.xml")
        archive.write(folder / f"images/{name}.png", f"images/{stand_in}.png")
    content = (tmp_path / "export.zip").read_bytes()
    assert content.count(stand_in.encode()) == 2
    (tmp_path / "export.zip").write_bytes(content.replace(stand_in.encode(), stored))
    summary = convert(tmp_path / "export.zip", tmp_path / "out")
    assert summary.images["train"] == 1 and (tmp_path / f"out/images/train/{name}.png").is_file()


def lefts(out: Path, frames: int = 11) -> dict[int, list[float]]:
    """By frame, the left border of each box."""
    found = {}
    for frame in range(frames):
        path = out / f"labels/train/frame_{frame:06d}.txt"
        if path.is_file():
            found[frame] = [values[0] for _, values in pixel_rows(out, path.stem)]
    return found


def test_keyframes_are_interpolated_until_outside(tmp_path: Path) -> None:
    shapes = box(0, 0) + box(4, 40) + box(6, 50, outside=1) + box(8, 5) + box(9, 5, outside=1)
    tracks = f'<track id="0" label="sign">{shapes}</track>'
    summary = convert(write_video(tmp_path / "in", tracks), tmp_path / "out")
    assert lefts(tmp_path / "out") == {0: [0], 1: [10], 2: [20], 3: [30], 4: [40], 5: [45], 8: [5]}
    assert summary.unlabelled == 4 and not summary.notes
    assert read_dataset_yaml(tmp_path / "out/data.yaml", ["train"]).class_names == ["sign", "pole"]


def test_a_track_without_an_end_goes_on_to_the_last_frame(tmp_path: Path) -> None:
    tracks = f'<track id="0" label="sign">{box(7, 0)}{box(8, 10)}</track>'
    summary = convert(write_video(tmp_path / "in", tracks), tmp_path / "out", background=True)
    assert lefts(tmp_path / "out") == {**{k: [] for k in range(7)}, 7: [0], 8: [10], 9: [10], 10: [10]}
    assert "tracks without a closing 'outside': 1 (0), carried to frame 10" in summary.notes[0]


def test_frames_with_a_line_are_no_background(tmp_path: Path) -> None:
    line = '<polyline frame="{}" outside="{}" keyframe="1" points="1,1;2,2"/>'
    lines = f'<track id="1" label="pole">{line.format(3, 0)}{line.format(6, 1)}</track>'
    tracks = f'<track id="0" label="sign">{box(0, 0)}{box(1, 0, outside=1)}</track>{lines}'
    summary = convert(write_video(tmp_path / "in", tracks), tmp_path / "out", background=True)
    written = sorted(int(path.stem[-6:]) for path in (tmp_path / "out/images/train").iterdir())
    assert written == [0, 1, 2, 6, 7, 8, 9, 10]
    assert [r.place for r in summary.remarks if r.reason == "a line has no area"] == ["track 1"] * 3


def test_frames_that_cvat_wrote_are_taken_as_they_stand(tmp_path: Path) -> None:
    dense = box(0, 0) + box(1, 3, keyframe=0) + box(2, 20, keyframe=0) + box(5, 50)
    convert(write_video(tmp_path / "in", f'<track id="0" label="sign">{dense}</track>'), tmp_path / "out")
    assert lefts(tmp_path / "out") == {0: [0], 1: [3], 2: [20], 5: [50]}


def test_rotation_turns_the_shorter_way_and_polygons_move_corner_by_corner(tmp_path: Path) -> None:
    turned = box(0, 30, extra='rotation="350"') + box(3, 30, extra='rotation="10"') + box(4, 30, outside=1)
    polygon = (
        '<polygon frame="4" keyframe="1" outside="0" points="0,0;10,0;10,10;0,10"/>'
        '<polygon frame="6" keyframe="1" outside="0" points="20,0;30,0;30,10;20,10"/>'
        '<polygon frame="8" keyframe="1" outside="1" points="20,0;40,0;40,10"/>'
    )
    tracks = f'<track id="0" label="sign">{turned}</track><track id="1" label="sign">{polygon}</track>'
    convert(write_video(tmp_path / "in", tracks), tmp_path / "out")
    # A third of the way from 350 to 370 degrees; the other way around would be at 237.
    angle = np.radians(10 / 3)
    centre = np.array([35, 20])
    half = np.array([10 * np.cos(angle) + 20 * np.sin(angle), 20 * np.cos(angle) + 10 * np.sin(angle)]) / 2
    found = pixel_rows(tmp_path / "out", "frame_000001")[0][1]
    assert found == pytest.approx([*(centre - half), *(centre + half)], abs=0.02)
    assert pixel_rows(tmp_path / "out", "frame_000005") == [(0, [10, 0, 20, 0, 20, 10, 10, 10])]
    between = np.reshape(pixel_rows(tmp_path / "out", "frame_000007")[0][1], (-1, 2))
    assert between.min(axis=0) == pytest.approx([20, 0]) and 30 < between[:, 0].max() < 40


def test_frame_filters_and_pictures_counted_from_one(tmp_path: Path) -> None:
    tracks = f'<track id="0" label="sign">{box(0, 0)}{box(10, 50)}</track>'
    folder = write_video(tmp_path / "one", tracks, first=1)
    summary = convert(folder, tmp_path / "out1")
    assert pixel_rows(tmp_path / "out1", "frame_000001") == [(0, [0, 10, 10, 30])]
    assert "numbered from 1" in summary.notes[0]
    stepped = write_video(tmp_path / "step", tracks)
    text = (stepped / "annotations.xml").read_text()
    (stepped / "annotations.xml").write_text(
        text.replace("<frame_filter></frame_filter>", "<frame_filter>step=5</frame_filter>")
    )
    convert(stepped, tmp_path / "out2")
    assert lefts(tmp_path / "out2") == {0: [0], 5: [25], 10: [50]}


def test_frames_come_out_of_the_video(tmp_path: Path) -> None:
    folder = write_video(
        tmp_path / "in", f'<track id="0" label="sign">{box(2, 0)}{box(3, 10, outside=1)}{box(5, 9)}</track>', 7, None
    )
    writer = cv2.VideoWriter(str(folder / "drive.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    for number in range(6):
        writer.write(np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8))
    writer.release()
    # An image beside the video whose number is that of a frame is none of its frames.
    write_picture(folder / "photo 2.png")
    summary = convert(folder, tmp_path / "out")
    written = sorted((tmp_path / "out/images/train").iterdir())
    assert [path.name for path in written] == ["drive_000002.jpg", "drive_000005.jpg"]
    assert [round(float(cv2.imread(str(path)).mean()) / 40) for path in written] == [2, 5]
    # The file speaks of seven frames, the video has six.
    assert summary.images_lost == 1 and "ends before this frame" in summary.as_text()


def test_neither_frames_nor_video_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    folder = write_video(tmp_path / "in", f'<track id="0" label="sign">{box(2, 0)}</track>', 7, None)
    with pytest.raises(DataError, match=r"drive\.mp4.*folder as images"):
        convert(folder, tmp_path / "out")


BROKEN = {
    "no frames": ('<annotations><track label="s"></track></annotations>', "images of its 0 frames"),
    "cut off": ("<annotations><image", r"annotations\.xml:1:\d+ is not valid XML"),
    "coordinate": (
        '<annotations><image name="a.png"><box label="s" xtl="x"/></image></annotations>',
        r"box 1 \(xtl.*'x'",
    ),
    "no label": ('<annotations><image name="a.png"><box xtl="1"/></image></annotations>', r"box 1 \(it has no label\)"),
    "points": (
        '<annotations><image name="a.png"><polygon label="s" points="1,2;3"/></image></annotations>',
        r"polygon 1 \(points",
    ),
    "mask": (
        '<annotations><image name="a.png"><mask label="s" rle="1" left="0" top="0" width="2" height="2"/>'
        "</image></annotations>",
        "rle: runs of 1",
    ),
}


@pytest.mark.parametrize("text, message", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    write_picture(tmp_path / "in/a.png")
    (tmp_path / "in/annotations.xml").write_text(text)
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "in", tmp_path / "out")


def test_keyframes_that_cannot_be_read_are_skipped_and_their_neighbours_joined(tmp_path: Path) -> None:
    broken = box(2, 0).replace('xtl="', 'xtl="x').replace("box", "box", 1)
    shapes = f"{box(0, 0)}{broken}{box(-1, 0)}{box(4, 0)}"
    folder = write_video(tmp_path / "in", f'<track id="0" label="sign">{shapes}</track>')
    summary = convert(folder, tmp_path / "out")
    dropped = [remark for remark in summary.remarks if remark.kind == "dropped"]
    assert [remark.place.partition(" (")[0] for remark in dropped] == ["box 2", "box 3"]
    assert {remark.reason for remark in dropped} == {"object that cannot be read"}
    # Frames 1 to 3 are between 0 and 4.
    assert summary.images["train"] >= 5


def test_tracks_of_several_tasks_are_refused(tmp_path: Path) -> None:
    folder = write_video(tmp_path / "in", f'<track id="0" label="sign">{box(2, 0)}</track>')
    text = (folder / "annotations.xml").read_text()
    (folder / "annotations.xml").write_text(text.replace("</meta>", "<task><size>3</size></task></meta>"))
    with pytest.raises(DataError, match="several tasks"):
        convert(folder, tmp_path / "out")


def test_pictures_without_frame_numbers_are_frames_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = write_video(
        tmp_path / "in", f'<track id="0" label="sign">{box(1, 7)}{box(2, 7, outside=1)}</track>', 3, None
    )
    for name in ("a", "b", "c"):
        write_picture(folder / f"{name}.png")
    summary = convert(folder, tmp_path / "out")
    assert [path.stem for path in (tmp_path / "out/labels/train").iterdir()] == ["b"]
    assert "in the order of their names" in summary.notes[0]
    write_picture(folder / "d.png")
    with pytest.raises(DataError, match="found neither the video"):
        convert(folder, tmp_path / "out2")
