"""Prediction over images, lists, folders and video: what is found, what is written, and in which order."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ultralytics import YOLO

import reg_yolo
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import read_detections
from tests.detector import IMGSZ, write_detector
from tests.yolo.prediction.videos import REAL_VIDEO, slow_down_halfway, write_video


def found(source: object, weights: Path, **arguments: Any) -> tuple[Any, Any, list[FrameDetections]]:
    """Predict, and return the summary, the reader of the detections file and its frames."""
    summary = reg_yolo.predict(weights, str(source), **{"device": "cpu", **arguments})
    reader = read_detections(summary.detections_file)
    return summary, reader, list(reader)


@pytest.fixture(scope="module")
def images(even_rectangles: Path) -> Path:
    """A folder of 12 images."""
    return even_rectangles.parent / "images/val"


@pytest.fixture(scope="module")
def pictures(images: Path) -> list[np.ndarray]:
    """The same images, decoded."""
    return [cv2.imread(str(path)) for path in sorted(images.glob("*.png"))]


@pytest.fixture
def video(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    """A video of 12 frames at 25 frames/s."""
    return write_video(tmp_path / "road.mp4", pictures)


def frame_count(path: Path) -> int:
    """Return how many frames of a video decode."""
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def test_folder_gives_one_record_for_each_image(images: Path, detector: Path) -> None:
    summary, reader, frames = found(images, detector)
    assert [Path(frame.source) for frame in frames] == sorted(images.glob("*.png"))
    assert all((frame.frame, frame.time_s, frame.width, frame.height) == (0, None, 128, 96) for frame in frames)
    assert reader.is_complete and summary.frames == 12 and not summary.failed
    counts = dict.fromkeys(("red", "green", "blue"), 0)
    for frame in frames:
        for detection in frame.detections:
            counts[detection.class_name] += 1
    assert summary.counts == counts and min(counts.values()) > 0
    assert [path.name for path in summary.annotated] == [f"{number:03d}.jpg" for number in range(12)]
    drawn = cv2.imread(str(summary.annotated[0]))
    assert drawn.shape == (96, 128, 3)
    assert summary.folder == Path.cwd() / "runs/detect/predict"
    assert found(images, detector, save=False)[0].folder == Path.cwd() / "runs/detect/predict-2"


def test_header_says_what_made_the_file(images: Path, detector: Path) -> None:
    import hashlib

    _, reader, _ = found(images, detector, conf=0.4)
    header = reader.header
    assert header.classes == ("red", "green", "blue") and header.source == str(images)
    assert header.weights_name == detector.name
    assert header.weights_sha256 == hashlib.sha256(detector.read_bytes()).hexdigest()
    assert (header.engine, header.precision, header.device, header.imgsz) == ("pytorch", "f32", "cpu", (IMGSZ, IMGSZ))
    assert header.thresholds == {"red": 0.4, "green": 0.4, "blue": 0.4}
    assert (header.width, header.height, header.fps, header.frame_count) == (None, None, None, None)
    assert header.reg_yolo_version == reg_yolo.__version__


def test_frames_without_objects_have_a_record_too(images: Path, video: Path, detector: Path) -> None:
    for source in (images, video):
        summary, reader, frames = found(source, detector, conf=1.0)
        assert len(frames) == 12 and not any(frame.detections for frame in frames)
        assert reader.is_complete and summary.counts == {"red": 0, "green": 0, "blue": 0}
        assert summary.csv_file.read_text().splitlines()[1:] == []


@pytest.mark.parametrize("kind", ["images", "video"])
def test_boxes_are_those_of_plain_ultralytics(kind: str, images: Path, video: Path, detector: Path) -> None:
    source = images if kind == "images" else video
    _, _, frames = found(source, detector, conf=0.3, save=False)
    stock = list(YOLO(detector).predict(str(source), conf=0.3, imgsz=IMGSZ, device="cpu", verbose=False, stream=True))
    assert len(frames) == len(stock) and sum(len(result.boxes) for result in stock) > 20
    for frame, result in zip(frames, stock, strict=True):
        ours = [(d.class_id, d.confidence, *d.box_xyxy) for d in frame.detections]
        theirs = result.boxes.data[:, [5, 4, 0, 1, 2, 3]].tolist()
        assert np.allclose(ours or np.zeros((0, 6)), theirs or np.zeros((0, 6)), atol=0.006)


@pytest.mark.parametrize("kind", ["image", "glob", "list"])
def test_image_pattern_and_list(kind: str, images: Path, detector: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"{images}/003.png\n\n{images}/001.png\n")
    source, names = {
        "image": (images / "004.png", ["004"]),
        "glob": (f"{images}/00[0-3].png", ["000", "001", "002", "003"]),
        "list": (listed, ["001", "003"]),
    }[kind]
    summary, reader, frames = found(source, detector)
    assert [Path(frame.source).stem for frame in frames] == names
    assert [path.name for path in summary.annotated] == [f"{name}.jpg" for name in names]
    assert reader.header.source == str(source)


def test_video_gives_timestamps_and_an_annotated_copy(video: Path, detector: Path) -> None:
    summary, reader, frames = found(video, detector)
    assert [frame.frame for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 25 for index in range(12)], abs=1e-6)
    assert {frame.source for frame in frames} == {str(video)}
    assert summary.annotated == [summary.folder / "road.mp4"]
    assert frame_count(summary.annotated[0]) == 12
    header = reader.header
    assert (header.width, header.height, header.fps, header.frame_count) == (128, 96, 25.0, 12)
    # The frame is 128 x 96, which enters a network of 128 pixels as it is.
    assert header.imgsz == (96, 128)


def test_csv_has_one_row_for_each_object(video: Path, detector: Path) -> None:
    summary, _, frames = found(video, detector)
    rows = list(csv.DictReader(summary.csv_file.open(encoding="utf-8")))
    objects = [(frame, detection) for frame in frames for detection in frame.detections]
    assert len(rows) == len(objects) > 10
    for row, (frame, detection) in zip(rows, objects, strict=True):
        assert (row["source"], int(row["frame"]), row["class"]) == (frame.source, frame.frame, detection.class_name)
        assert float(row["time_s"]) == frame.time_s and float(row["confidence"]) == detection.confidence
        assert tuple(float(row[key]) for key in ("x1", "y1", "x2", "y2")) == detection.box_xyxy


def test_timestamps_of_a_variable_frame_rate_are_the_containers(video: Path, detector: Path) -> None:
    times = slow_down_halfway(video)
    assert times[1] == pytest.approx(0.02) and times[11] - times[10] == pytest.approx(0.06)
    _, _, frames = found(video, detector, save=False)
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=1e-3)
    _, _, thinned = found(video, detector, save=False, vid_stride=2)
    assert [frame.time_s for frame in thinned] == pytest.approx(times[1::2], abs=1e-3)


def test_stride_keeps_the_true_indices_and_the_speed(video: Path, detector: Path) -> None:
    summary, reader, frames = found(video, detector, vid_stride=3)
    assert [frame.frame for frame in frames] == [2, 5, 8, 11]
    assert [frame.time_s for frame in frames] == pytest.approx([0.08, 0.2, 0.32, 0.44], abs=1e-6)
    assert reader.header.extra == {"vid_stride": 3, "suppression": "stock"}
    every = found(video, detector, save=False)[2]
    assert [frame.detections for frame in frames] == [every[index].detections for index in (2, 5, 8, 11)]
    copy = cv2.VideoCapture(str(summary.annotated[0]))
    assert copy.get(cv2.CAP_PROP_FPS) == pytest.approx(25 / 3, rel=1e-3) and frame_count(summary.annotated[0]) == 4


def test_batches_find_the_same(images: Path, video: Path, detector: Path) -> None:
    for source in (images, video):
        one, five = (found(source, detector, batch=size, save=False)[2] for size in (1, 5))
        assert [(f.source, f.frame, f.time_s) for f in one] == [(f.source, f.frame, f.time_s) for f in five]
        for left, right in zip(one, five, strict=True):
            boxes = [[d.box_xyxy for d in frame.detections] for frame in (left, right)]
            assert np.allclose(*boxes, atol=0.02)


def test_images_of_one_stem_are_drawn_side_by_side(pictures: list[np.ndarray], detector: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for suffix, picture in zip(("bmp", "jpg", "png"), pictures, strict=False):
        cv2.imwrite(str(folder / f"road.{suffix}"), picture)
    for _ in range(2):
        summary, _, frames = found(folder, detector, out="drawn")
        assert len(frames) == 3
        assert [path.name for path in summary.annotated] == ["road.jpg", "road-2.jpg", "road-3.jpg"]
        # A second run into the same folder replaces the first one's images.
        assert len(list(Path("drawn").glob("*.jpg"))) == 3


def test_folder_of_images_and_videos_takes_each_by_itself(
    pictures: list[np.ndarray], detector: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "drive"
    folder.mkdir()
    cv2.imwrite(str(folder / "z.png"), pictures[0])
    write_video(folder / "a.mp4", pictures[:3])
    write_video(folder / "b.mp4", pictures[3:8], fps=10)
    summary, reader, frames = found(folder, detector)
    assert [(Path(frame.source).name, frame.frame) for frame in frames] == [
        ("z.png", 0), *(("a.mp4", index) for index in range(3)), *(("b.mp4", index) for index in range(5)),
    ]  # fmt: skip
    assert [frame.time_s for frame in frames] == pytest.approx(
        [None, 0.0, 0.04, 0.08, 0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-6
    )
    assert reader.is_complete
    # Many files get no annotated video.
    assert [path.name for path in summary.annotated] == ["z.jpg"]
    assert not list(summary.folder.glob("*.mp4"))


def test_thai_names_of_files_and_classes(
    even_rectangles: Path, images: Path, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    names = ["ศาลา", "ป้ายเตือน", "สะพานลอยคนข้าม"]
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    weights = write_detector(tmp_path / "น้ำหนัก.pt", names, training)
    folder = tmp_path / "ถนนหลวง"
    folder.mkdir()
    shutil.copy(images / "000.png", folder / "ภาพ.png")
    summary, reader, frames = found(folder, weights, out=folder / "ผลลัพธ์")
    assert reader.header.classes == tuple(names) and Path(frames[0].source).name == "ภาพ.png"
    assert [path.name for path in summary.annotated] == ["ภาพ.jpg"]
    assert {detection.class_name for detection in frames[0].detections} <= set(names)
    video = write_video(tmp_path / "road.mp4", pictures[:3]).rename(folder / "วิดีโอ.mp4")
    summary, _, frames = found(video, weights, out=folder / "วิดีโอผล")
    assert [path.name for path in summary.annotated] == ["วิดีโอ.mp4"] and frame_count(summary.annotated[0]) == 3
    assert any(name in summary.csv_file.read_text(encoding="utf-8") for name in names)


def test_nothing_is_drawn_when_nothing_is_to_be_saved(video: Path, detector: Path) -> None:
    summary, _, _ = found(video, detector, save=False)
    assert summary.annotated == []
    assert sorted(path.name for path in summary.folder.iterdir()) == ["detections.csv", "detections.jsonl"]


def test_project_and_name_make_up_the_folder(images: Path, detector: Path, tmp_path: Path) -> None:
    source = images / "000.png"
    assert found(source, detector, project="mine", name="first")[0].folder == Path.cwd() / "mine/first"
    assert found(source, detector, project=tmp_path / "p", name="x")[0].folder == tmp_path / "p/x"
    assert found(source, detector, project="mine", name="first")[0].folder.name == "first-2"
    assert found(source, detector, project="mine", name="first", exist_ok=True)[0].folder.name == "first"


def test_highway_video(detector: Path, highway_video: Path) -> None:
    summary, reader, frames = found(highway_video, detector, vid_stride=20, conf=0.8)
    assert [frame.frame for frame in frames] == list(range(19, 221, 20))
    assert [frame.time_s for frame in frames] == pytest.approx([frame.frame / 25 for frame in frames], abs=1e-6)
    assert (reader.header.width, reader.header.height, reader.header.frame_count) == (960, 540, 221)
    assert reader.header.imgsz == (96, 128)
    assert frame_count(summary.annotated[0]) == len(frames) == 11


@pytest.fixture
def highway_video() -> Path:
    """The real highway video."""
    if not REAL_VIDEO.is_file():
        pytest.skip("the real highway video is not here")
    return REAL_VIDEO
