"""`predict --blur`: real weights find what is private, and it is blurred in what is stored and nowhere else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from ultralytics import YOLO

from reg_yolo.cli.labelling import private_boxes_of
from reg_yolo.detections.files import read_detections
from reg_yolo.video.privacy import MARGIN
from reg_yolo.yolo.prediction.blurring import BLUR_CONFIDENCE
from tests.cli.conftest import Run
from tests.detector import IMGSZ


def test_what_the_weights_find_is_blurred_through_the_whole_command(
    run_cli: Run, even_rectangles: Path, detector: Path, tmp_path: Path
) -> None:
    picture = cv2.imread(str(sorted((even_rectangles.parent / "images/val").glob("*.png"))[0]))
    road = tmp_path / "road.png"
    cv2.imwrite(str(road), cv2.resize(picture, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST))
    arguments = {"conf": BLUR_CONFIDENCE, "imgsz": IMGSZ, "device": "cpu", "verbose": False}
    private = YOLO(detector).predict(str(road), classes=[0], **arguments)[0].boxes.xyxy.tolist()
    assert private
    words = ["predict", detector, road, "conf=1.0", "device=cpu"]
    for out, more in (("plain", []), ("blurred", ["--blur", f"{detector}:red"])):
        outcome = run_cli(*words, "--out", out, *more)
        assert outcome.code == 0, outcome.err
    changed = np.abs(cv2.imread("blurred/road.jpg").astype(int) - cv2.imread("plain/road.jpg")).max(axis=2)
    allowed = np.zeros(changed.shape, bool)
    for x1, y1, x2, y2 in private:
        assert changed[round(y1) : round(y2), round(x1) : round(x2)].mean() > 3
        margin_x, margin_y = MARGIN * (x2 - x1) + 16, MARGIN * (y2 - y1) + 16
        rows = slice(max(0, round(y1 - margin_y)), round(y2 + margin_y))
        allowed[rows, max(0, round(x1 - margin_x)) : round(x2 + margin_x)] = True
    # A block of JPEG beyond the margin nothing has changed.
    assert changed[~allowed].max() <= 2
    # What is found does not suffer: the network sees the image as it was.
    headers = [read_detections(f"{name}/detections.jsonl").header for name in ("plain", "blurred")]
    assert headers[1].extra["blur"] == [f"{detector.name}:red"] and "blur" not in headers[0].extra
    assert Path("plain/detections.csv").read_text() == Path("blurred/detections.csv").read_text()


def test_thumbnails_of_an_inventory_are_blurred_by_the_same_boxes(even_rectangles: Path, detector: Path) -> None:
    picture = cv2.imread(str(sorted((even_rectangles.parent / "images/val").glob("*.png"))[0]))
    arguments = {"conf": BLUR_CONFIDENCE, "imgsz": IMGSZ, "device": "cpu", "verbose": False}
    expected = YOLO(detector).predict(picture, classes=[0], **arguments)[0].boxes.xyxy.tolist()
    find, names = private_boxes_of([f"{detector}:red"], trust=False)
    assert names == (f"{detector.name}:red",)
    assert expected and np.allclose(find(picture), expected, atol=0.01)
