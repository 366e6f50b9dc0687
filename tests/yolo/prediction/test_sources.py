"""Damaged video, drives, thinning, regions and tiles through the whole of `predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import reg_yolo
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.yolo.prediction.networks import prepare, set_up
from reg_yolo.yolo.prediction.predictors import RegDetectionPredictor
from tests.video.clips import FPS, spoil, write_clip
from tests.yolo.prediction.videos import write_video


def found(source: object, weights: Path, **arguments: Any) -> tuple[Any, Any, list[FrameDetections]]:
    """Predict, and return the summary, the reader of the detections file and its frames."""
    summary = reg_yolo.predict(weights, source, **{"device": "cpu", **arguments})  # type: ignore[arg-type]
    reader = read_detections(summary.detections_file)
    return summary, reader, list(reader)


def records(summary: Any, kind: str) -> list[dict[str, Any]]:
    lines = summary.detections_file.read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["record"] == kind]


@pytest.fixture(scope="module")
def pictures(even_rectangles: Path) -> list[np.ndarray]:
    """Twelve images with rectangles."""
    return [cv2.imread(str(path)) for path in sorted((even_rectangles.parent / "images/val").glob("*.png"))]


# The network's input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(96, 128), (540, 960), (33, 500), (128, 128), (720, 1280)])
def test_input_is_upstreams_bit_for_bit(shape: tuple[int, int], detector: Path) -> None:
    settings = {"imgsz": 128, "device": "cpu", "task": "detect", "rect": True, "save_dir": "unused", "verbose": False}
    predictor = RegDetectionPredictor(overrides=settings)
    predictor.setup_model(str(detector), verbose=False)
    set_up(predictor)
    some = list(np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8))
    # Part of a frame, as with a region, is not a contiguous array.
    for batch in (some[:1], some, [some[0][5:, 7:]], [some[0], some[1][:-8]]):
        ours = prepare(predictor, batch)
        assert torch.equal(ours, predictor.preprocess(batch)) and ours.is_contiguous()


# Damage -------------------------------------------------------------------------------------------------------------


def test_holes_are_recorded_and_the_rest_is_done(detector: Path, tmp_path: Path) -> None:
    path = spoil(write_clip(tmp_path / "drive.mp4", 60), 23, 4)
    summary, reader, frames = found(path, detector)
    (hole,) = summary.holes
    assert (
        [h.to_record() for h in reader.holes] == [hole.to_record()] and reader.is_complete and reader.end["holes"] == 1
    )
    assert hole.end_s == pytest.approx(30 / FPS) and hole.reason == "damaged"
    assert not any(hole.start_s <= frame.time_s < hole.end_s for frame in frames)
    assert [frame.frame for frame in frames] == [round(frame.time_s * FPS) for frame in frames]
    # It stands in its place among the frames.
    order = [json.loads(line) for line in summary.detections_file.read_text().splitlines()]
    place = next(number for number, record in enumerate(order) if record["record"] == "hole")
    assert order[place - 1]["frame"] < hole.frame <= order[place + 1]["frame"] == 30
    # The copy shows the frame before the hole until it ends.
    capture, times = cv2.VideoCapture(str(summary.annotated[0])), []
    while capture.read()[0]:
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    assert times == pytest.approx([frame.time_s for frame in frames], abs=1e-3)


def test_a_video_cut_off_is_done_up_to_there(detector: Path, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "drive.mp4", 60, fast_start=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    summary, _, frames = found(path, detector, save=False)
    (hole,) = summary.holes
    assert hole.reason == "cut_off" and hole.end_s == pytest.approx(60 / FPS) and len(frames) == hole.frame
    assert 20 < len(frames) < 50


def test_a_video_without_frames_is_one_clear_error(detector: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "none.avi", [np.zeros((96, 128, 3), np.uint8)])
    spoilt = spoil(write_clip(tmp_path / "spoilt.mp4", 10, key_every=50), 0, 10)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(MediaError, match=r"spoilt\.mp4 holds no frame that decodes"):
        found(spoilt, detector)
    assert not Path("runs").exists()


def test_the_copy_of_a_variable_rate_keeps_its_times(detector: Path, tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.1, 0.5, 0.52, 2.5, 2.54]
    summary, _, frames = found(write_clip(tmp_path / "a.mp4", len(times), times=times), detector)
    assert [frame.time_s for frame in frames] == pytest.approx(times) and summary.holes == []
    capture, shown = cv2.VideoCapture(str(summary.annotated[0])), []
    while capture.read()[0]:
        shown.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    assert shown == pytest.approx(times, abs=1e-3)


# Drives and thinning ------------------------------------------------------------------------------------------------


@pytest.fixture
def drive(pictures: list[np.ndarray], tmp_path: Path) -> Path:
    """A drive in three chapters of 4, 5 and 3 frames, the second of which comes last by its name."""
    folder = tmp_path / "card"
    folder.mkdir()
    for name, some in (("GH010007", pictures[:4]), ("GH020007", pictures[4:9]), ("GH010008", pictures[9:])):
        write_video(folder / f"{name}.MP4", some)
    return folder


def test_frames_and_time_go_on_over_the_chapters_of_a_drive(drive: Path, detector: Path) -> None:
    summary, _, frames = found(drive, detector, drive=True)
    assert [frame.frame for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == pytest.approx([index / 25 for index in range(12)], abs=1e-6)
    names = ["GH010007.MP4"] * 4 + ["GH020007.MP4"] * 5 + ["GH010008.MP4"] * 3
    assert [Path(frame.source).name for frame in frames] == names
    chapters = records(summary, "chapter")
    assert [(Path(c["source"]).stem, c["frame"], c["start_s"]) for c in chapters] == [
        ("GH010007", 0, 0.0), ("GH020007", 4, 0.16), ("GH010008", 9, 0.36),
    ]  # fmt: skip
    # One annotated copy of the whole drive.
    assert [path.name for path in summary.annotated] == ["GH010007.mp4"]
    assert cv2.VideoCapture(str(summary.annotated[0])).get(cv2.CAP_PROP_FRAME_COUNT) == 12
    apart = found(drive, detector, save=False)[2]
    by_file = {(Path(frame.source).name, frame.detections) for frame in apart}
    assert by_file == {(Path(frame.source).name, frame.detections) for frame in frames}


def test_a_chapter_that_cannot_be_read_is_a_hole_and_partly_done(drive: Path, detector: Path) -> None:
    (drive / "GH020007.MP4").write_bytes(b"no video")
    summary, reader, frames = found(drive, detector, drive=True, save=False)
    assert len(frames) == 7 and not reader.is_complete
    assert list(summary.failed) == [drive / "GH020007.MP4"]
    (hole,) = summary.holes
    assert (hole.reason, hole.end_s, hole.frame) == ("unreadable", None, 4)


def test_every_thins_by_frames_time_and_metres_over_chapters(drive: Path, detector: Path) -> None:
    everything = found(drive, detector, drive=True, save=False)[2]
    for settings, kept in (
        ({"every": 5}, [0, 5, 10]),
        ({"every": "0.2s"}, [0, 5, 10]),
        # 90 km/h is a metre a frame.
        ({"every": "3m", "speed": 90}, [0, 3, 6, 9]),
    ):
        summary, reader, frames = found(drive, detector, drive=True, **settings)
        assert [frame.frame for frame in frames] == kept
        assert frames == [everything[index] for index in kept]
        assert {key: reader.header.extra[key] for key in settings} == {
            key: str(value) if key == "every" else value for key, value in settings.items()
        }
        assert cv2.VideoCapture(str(summary.annotated[0])).get(cv2.CAP_PROP_FRAME_COUNT) == len(kept)


# Regions and tiles --------------------------------------------------------------------------------------------------


def mosaic(pictures: list[np.ndarray]) -> np.ndarray:
    """Four images of 128 x 96 as one, a quarter of each in every corner."""
    return np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:4])])


def test_a_region_is_looked_at_as_if_it_were_alone_and_told_in_full_frame_pixels(
    pictures: list[np.ndarray], detector: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "four.png"), mosaic(pictures))
    cv2.imwrite(str(tmp_path / "one.png"), pictures[3])
    (alone,) = found(tmp_path / "one.png", detector, save=False)[2]
    for region in ("0.5,0.5,1,1", "128,96,256,192", (0.5, 0.5, 1, 1)):
        summary, _, (whole,) = found(tmp_path / "four.png", detector, roi=region)
        assert (whole.width, whole.height) == (256, 192)
        boxes = [d.box_xyxy for d in whole.detections]
        assert len(boxes) == len(alone.detections) > 0
        expected = [np.add(d.box_xyxy, (128, 96, 128, 96)) for d in alone.detections]
        assert np.allclose(boxes, expected, atol=0.011)
        assert cv2.imread(str(summary.annotated[0])).shape == (192, 256, 3)


def test_tiles_find_what_is_too_small_in_the_whole_frame(
    pictures: list[np.ndarray], detector: Path, tmp_path: Path
) -> None:
    canvas = np.zeros((384, 512, 3), np.uint8)
    canvas[144:240, 192:320] = pictures[0]
    cv2.imwrite(str(tmp_path / "small.png"), canvas)
    cv2.imwrite(str(tmp_path / "one.png"), pictures[0])
    (alone,) = found(tmp_path / "one.png", detector, save=False, conf=0.6)[2]
    (plain,) = found(tmp_path / "small.png", detector, save=False, conf=0.6)[2]
    (tiled,) = found(tmp_path / "small.png", detector, save=False, conf=0.6, tiles=128)[2]
    assert len(tiled.detections) > len(plain.detections)

    def near(box: tuple[float, ...]) -> bool:
        return any(np.allclose(np.array(box) - (192, 144, 192, 144), d.box_xyxy, atol=12) for d in alone.detections)

    assert any(near(d.box_xyxy) for d in tiled.detections)
    one, four = (found(tmp_path / "small.png", detector, save=False, tiles=128, batch=n)[2] for n in (1, 4))
    assert [len(frame.detections) for frame in one] == [len(frame.detections) for frame in four]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": "2 miles"}, "`every`"),
        ({"every": "2m"}, "`speed=KM/H` or `gnss=FILE`"),
        ({"roi": "1,2,3"}, "`roi`"),
        ({"tiles": "tiny"}, "`tiles`"),
        ({"every": 5, "vid_stride": 2}, "vid_stride"),
        ({"save_crop": True}, "save_crop"),
        ({"show": True}, "show"),
    ],
)
def test_wrong_settings_leave_nothing(
    settings: dict[str, Any], message: str, pictures: list[np.ndarray], detector: Path, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "a.mp4", pictures[:2])
    with pytest.raises(ConfigError, match=message):
        reg_yolo.predict(detector, video, device="cpu", **settings)
    assert not Path("runs").exists()
