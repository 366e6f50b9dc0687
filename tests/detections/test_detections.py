"""Detections are checked on construction and survive their records."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.header import DetectionsHeader

BOX = (1.0, 2.0, 30.0, 40.0)
RLE = {"size": [480, 640], "counts": "abc"}


def header(**changes: Any) -> DetectionsHeader:
    values: dict[str, Any] = {
        "source": "drive.mp4",
        "classes": ("pole", "ป้ายเตือน"),
        "weights_name": "best.pt",
        "weights_sha256": "0" * 64,
        "engine": "pytorch",
        "precision": "f32",
        "imgsz": (384, 640),
        "device": "cpu",
        "thresholds": {"pole": 0.3},
        "reg_yolo_version": "0.1.0",
    }
    return DetectionsHeader(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_name": ""}, "class_name must not be empty"),
        ({"class_id": -1}, "class_id must be 0 or more, got -1"),
        ({"confidence": 1.2}, r"confidence must be in \[0, 1\], got 1.2"),
        ({"confidence": float("nan")}, r"confidence must be in \[0, 1\], got nan"),
        ({"box_xyxy": (1.0, 2.0, 3.0)}, "box_xyxy must have 4 elements, got 3"),
        ({"box_xyxy": (5.0, 2.0, 3.0, 4.0)}, "box_xyxy must be finite with x1 <= x2"),
        ({"box_xyxy": (1.0, 9.0, 3.0, 4.0)}, "box_xyxy must be finite with x1 <= x2"),
        ({"box_xyxy": (1.0, 2.0, float("inf"), 4.0)}, "box_xyxy must be finite"),
        ({"track": -1}, "track must be a whole number from 0"),
        ({"mask": {}}, "mask must have 'size' and 'counts', or 'polygons'"),
        ({"mask": {"size": [4], "counts": "a"}}, "mask must have a size"),
        ({"mask": {"size": [4, 4], "counts": [1, 2]}}, "counts as compressed COCO text"),
        ({"mask": {"polygons": [[1, 2, 3, 4]]}}, "at least 3 points"),
    ],
)
def test_a_wrong_detection_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"class_name": "pole", "class_id": 0, "confidence": 0.5, "box_xyxy": BOX}
    with pytest.raises(ValueError, match=message):
        Detection(**{**values, **changes})


def test_the_record_rounds_and_is_plain_json() -> None:
    detection = Detection("ป้ายเตือน", 1, np.float32(0.123456789), (-0.001, 2.006, 30.0, 40.0), RLE, 7)  # type: ignore[arg-type]
    record = detection.to_record()
    assert record == {
        "class": "ป้ายเตือน",
        "class_id": 1,
        "confidence": 0.12346,
        "xyxy": [0.0, 2.01, 30.0, 40.0],
        "mask": RLE,
        "track": 7,
    }
    assert "-0.0" not in json.dumps(record)


def test_a_frame_without_objects_is_a_record_too() -> None:
    assert FrameDetections("a.jpg", 0, None, 640, 480).to_record() == {
        "record": "frame",
        "source": "a.jpg",
        "frame": 0,
        "time_s": None,
        "width": 640,
        "height": 480,
        "detections": [],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame": -1}, "frame must be 0 or more"),
        ({"time_s": float("nan")}, "time_s must be finite or None"),
        ({"width": 0}, "frame size must be at least 1x1 pixels, got 0x480"),
    ],
)
def test_a_wrong_frame_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"source": "a", "frame": 0, "time_s": 0.0, "width": 640, "height": 480}
    with pytest.raises(ValueError, match=message):
        FrameDetections(**{**values, **changes})


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    boxes=st.lists(st.tuples(*[st.floats(0, 4000)] * 4), max_size=4),
    frame=st.integers(0, 10**6),
    time_s=st.none() | st.floats(-1, 1e5),
)
def test_records_survive_json_up_to_their_rounding(
    boxes: list[tuple[float, float, float, float]], frame: int, time_s: float | None
) -> None:
    found = tuple(
        Detection("pole", 0, 0.5, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), None, index)
        for index, (x1, y1, x2, y2) in enumerate(boxes)
    )
    record = json.loads(json.dumps(FrameDetections("a.mp4", frame, time_s, 640, 480, found).to_record()))
    again = FrameDetections.from_record(record)
    assert again.to_record() == record
    for before, after in zip(found, again.detections, strict=True):
        assert np.allclose(before.box_xyxy, after.box_xyxy, atol=0.0051)


def test_from_arrays_takes_what_a_detector_returns() -> None:
    frame = FrameDetections.from_arrays(
        "a.mp4",
        3,
        0.12,
        640,
        480,
        boxes_xyxy=np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.float32),
        confidences=np.array([0.9, 0.2], np.float32),
        class_ids=np.array([1.0, 0.0], np.float32),
        class_names=["pole", "sign"],
        masks=[None, RLE],
        tracks=np.array([4, 2]),
    )
    assert [(item.class_name, item.class_id, item.track) for item in frame.detections] == [
        ("sign", 1, 4),
        ("pole", 0, 2),
    ]
    assert frame.detections[1].mask == RLE
    json.dumps(frame.to_record())
    empty = FrameDetections.from_arrays(
        "a", 0, None, 9, 9, boxes_xyxy=[], confidences=[], class_ids=[], class_names=["pole"]
    )
    assert empty.detections == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_xyxy": np.zeros((4, 2))}, r"boxes_xyxy must have shape \(2, 4\) as class_ids, got \(4, 2\)"),
        ({"confidences": [0.5]}, "confidences must have 2 elements as class_ids, got 1"),
        ({"tracks": [1]}, "tracks must have 2 elements"),
        ({"class_ids": [0, 2]}, "class_ids must be in 0 to 1, got 2"),
    ],
)
def test_from_arrays_checks_shapes(changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"boxes_xyxy": np.zeros((2, 4)), "confidences": [0.5, 0.5], "class_ids": [0, 1]}
    with pytest.raises(ValueError, match=message):
        FrameDetections.from_arrays("a", 0, None, 9, 9, **{**values, **changes}, class_names=["pole", "sign"])


def test_header_survives_json_and_keeps_further_keys() -> None:
    made = header(width=960, height=540, fps=25.0, frame_count=221, extra={"roi": [0, 0, 960, 400]})
    record = json.loads(json.dumps(made.to_record()))
    assert (record["record"], record["schema"]) == ("header", "reg_yolo.detections/1")
    assert record["weights"] == {"name": "best.pt", "sha256": "0" * 64}
    assert record["imgsz"] == [384, 640]
    assert record["created"].endswith("+00:00")
    assert DetectionsHeader.from_record(record) == made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ()}, "classes must be different names"),
        ({"classes": ("a", "a")}, "classes must be different names"),
        ({"weights_sha256": "abc"}, "weights_sha256 must be 64"),
        ({"imgsz": (640,)}, "imgsz must be height and width"),
        ({"thresholds": {"wall": 0.2}}, "thresholds must name classes of the file, got 'wall'"),
        ({"thresholds": {"pole": 2}}, r"threshold of 'pole' must be in \[0, 1\]"),
        ({"fps": 0.0}, "fps must be positive or None"),
        ({"created": "yesterday"}, "Invalid isoformat"),
        ({"extra": {"schema": 2}}, "extra must not repeat keys of the header, got schema"),
    ],
)
def test_a_wrong_header_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        header(**changes)
