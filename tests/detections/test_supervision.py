"""Detections in the form of the package supervision."""

from __future__ import annotations

import doctest
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from reg_yolo.detections import Detection, FrameDetections, encode_mask
from reg_yolo.detections import detections as module
from reg_yolo.errors import DataError

SIZE = (8, 12)


def frame(*detections: Detection) -> FrameDetections:
    return FrameDetections("drive.mp4", 7, 0.28, SIZE[1], SIZE[0], detections)


def objects() -> tuple[Detection, ...]:
    pixels = np.zeros(SIZE, np.bool_)
    pixels[2:5, 3:9] = True
    corners = [1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]
    return (
        Detection("sign", 2, 0.75, (3, 2, 9, 5), encode_mask(pixels), 5),
        Detection("ป้าย", 0, 0.5, (1, 1, 5, 4), {"polygons": [corners]}),
        Detection("sign", 2, 0.25, (0, 0, 4, 4)),
    )


def check(found: object) -> None:
    assert isinstance(found.xyxy, np.ndarray) and found.xyxy.dtype == np.float32
    assert found.xyxy.tolist() == [[3, 2, 9, 5], [1, 1, 5, 4], [0, 0, 4, 4]]
    assert found.confidence.tolist() == [0.75, 0.5, 0.25]
    assert found.class_id.tolist() == [2, 0, 2]
    assert found.tracker_id.tolist() == [5, -1, -1]
    assert found.data["class_name"].tolist() == ["sign", "ป้าย", "sign"]
    assert found.mask.shape == (3, *SIZE) and found.mask.dtype == np.bool_
    assert found.mask.sum(axis=(1, 2)).tolist() == [18, 12, 0]
    assert found.mask[0, 2:5, 3:9].all() and found.mask[1, 1:4, 1:5].all()
    assert found.metadata == {"source": "drive.mp4", "frame": 7, "time_s": 0.28}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the package's name that keeps what it is given: runs where the package is not installed."""
    module = ModuleType("supervision")
    module.Detections = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "supervision", module)


@pytest.mark.usefixtures("stand_in")
def test_what_is_handed_over() -> None:
    check(frame(*objects()).to_supervision())


@pytest.mark.usefixtures("stand_in")
def test_without_masks_and_tracks() -> None:
    found = frame(objects()[2]).to_supervision()
    assert found.mask is None and found.tracker_id is None
    empty = frame().to_supervision()
    assert empty.xyxy.shape == (0, 4) and empty.mask is None and empty.tracker_id is None
    assert empty.confidence.shape == empty.class_id.shape == empty.data["class_name"].shape == (0,)


def test_the_package_itself_takes_it() -> None:
    pytest.importorskip("supervision")
    found = frame(*objects()).to_supervision()
    check(found)
    signs = found[found.data["class_name"] == "sign"]
    assert len(signs) == 2 and signs.tracker_id.tolist() == [5, -1]
    assert len(frame().to_supervision()) == 0
    assert doctest.testmod(module).failed == 0


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(DataError, match=r"^to_supervision needs the package supervision: pip install supervision$"):
        frame().to_supervision()
