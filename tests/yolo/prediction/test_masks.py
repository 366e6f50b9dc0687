"""Prediction with masks: which detections have one, none lost for want of one, the same from exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ultralytics import YOLO

import reg_yolo
from reg_yolo.detections.files import read_detections
from reg_yolo.detections.masks import decode_mask
from reg_yolo.yolo.weights.opening import open_detector
from tests.conftest import NAMES
from tests.detector import IMGSZ, write_detector

JOINT = {"format": 1, "task": "joint", "mask_classes": ["red", "blue"], "lambda_seg": 1.0}
FAST: dict[str, Any] = {"device": "cpu", "conf": 0.3}


@pytest.fixture(scope="module")
def images(even_rectangles: Path) -> Path:
    return even_rectangles.parent / "images/val"


@pytest.fixture(scope="module")
def make(even_rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes segmentation weights that find rectangles; every mask is full (logit 3) or empty (logit -3)."""
    pictures = sorted((even_rectangles.parent / "images/train").glob("*.png"))

    def weights(logit: float, metadata: dict[str, Any] | None = None) -> Path:
        folder = tmp_path_factory.mktemp("weights")
        return write_detector(folder / "best.pt", NAMES, pictures, mask_logit=logit, metadata=metadata)

    return weights


@pytest.fixture(scope="module")
def joint(make: Any) -> Path:
    """Joint weights with full masks."""
    return make(3.0, JOINT)


def found(weights: Path, images: Path, out: Path, **arguments: Any) -> list[Any]:
    """All detections, in the order of the images."""
    summary = reg_yolo.predict(weights, images, out=out, **{"save": False, **FAST, **arguments})
    return [(frame, detection) for frame in read_detections(summary.detections_file) for detection in frame.detections]


def test_only_mask_classes_have_masks_and_those_fill_their_boxes(joint: Path, images: Path, tmp_path: Path) -> None:
    everything = found(joint, images, tmp_path / "out")
    by_class = {name: [d for _, d in everything if d.class_name == name] for name in NAMES}
    assert all(by_class.values())
    assert all(d.mask is None for d in by_class["green"])
    assert all(d.mask is not None for name in ("red", "blue") for d in by_class[name])
    for frame, detection in everything:
        if detection.mask is None:
            continue
        mask = decode_mask(detection.mask)
        assert mask.shape == (frame.height, frame.width)
        rows, columns = np.nonzero(mask)
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array(edges) - np.clip(detection.box_xyxy, 0, [frame.width, frame.height] * 2)).max() <= 1.5
        assert mask.sum() == (edges[2] - edges[0]) * (edges[3] - edges[1])


@pytest.mark.parametrize("retina_masks", [True, False])
def test_a_detection_without_mask_pixels_stays_in_the_joint_task(
    make: Any, joint: Path, images: Path, tmp_path: Path, retina_masks: bool
) -> None:
    empty = make(-3.0, JOINT)
    results = YOLO(empty).predict(images, imgsz=IMGSZ, verbose=False, project=str(tmp_path), **FAST)
    assert sum(len(r.boxes) for r in results) == 0
    full = found(joint, images, tmp_path / "full")
    kept = found(empty, images, tmp_path / "empty", retina_masks=retina_masks)
    assert [d.box_xyxy for _, d in kept] == [d.box_xyxy for _, d in full]
    assert all(d.mask is None for _, d in kept)


def test_segment_weights_predict_as_upstream_does(make: Any, images: Path, tmp_path: Path) -> None:
    weights = make(3.0)
    ours = found(weights, images, tmp_path / "out")
    results = YOLO(weights).predict(
        images, imgsz=IMGSZ, verbose=False, retina_masks=True, rect=True, batch=1, project=str(tmp_path), **FAST
    )
    expected = [(box, mask) for r in results if r.masks for box, mask in zip(r.boxes.xyxy, r.masks.data, strict=True)]
    assert len(ours) == len(expected) > 10
    for (_, detection), (box, mask) in zip(ours, expected, strict=True):
        # Records have two decimals.
        assert np.abs(np.array(detection.box_xyxy) - box.numpy()).max() <= 0.0051
        assert np.array_equal(decode_mask(detection.mask), mask.numpy().astype(bool))


def test_polygons_on_request(joint: Path, images: Path, tmp_path: Path) -> None:
    with_polygons = found(joint, images, tmp_path / "a", polygons=True)
    without = found(joint, images, tmp_path / "b")
    masks = [d.mask for _, d in with_polygons if d.mask is not None]
    assert masks and all(len(mask["polygons"][0]) >= 8 and mask["counts"] for mask in masks)
    assert not [d for _, d in without if d.mask is not None and "polygons" in d.mask]


def test_masks_are_drawn(make: Any, joint: Path, images: Path, tmp_path: Path) -> None:
    full = reg_yolo.predict(joint, images, out=tmp_path / "full", **FAST)
    empty = reg_yolo.predict(make(-3.0, JOINT), images, out=tmp_path / "empty", **FAST)
    frames = {Path(frame.source).stem: frame for frame in read_detections(full.detections_file)}
    seen = 0
    for one, other in zip(sorted(full.annotated), sorted(empty.annotated), strict=True):
        # The same boxes and texts on both; only the masks differ.
        change = np.abs(cv2.imread(str(one)).astype(int) - cv2.imread(str(other))).max(2)
        masks = [decode_mask(d.mask) for d in frames[one.stem].detections if d.mask is not None]
        covered = np.any(masks, axis=0) if masks else np.zeros(change.shape, bool)
        near = cv2.dilate(covered.astype(np.uint8), np.ones((17, 17), np.uint8)).astype(bool)
        if covered.any():
            # Beside the masks there is only what JPEG makes of them.
            assert change[covered].mean() > 10 > 2 > change[~near].mean()
            seen += 1
    assert seen > 5


def test_roi_and_tiles_give_masks_in_the_full_frame(joint: Path, images: Path, tmp_path: Path) -> None:
    everything = found(joint, images, tmp_path / "out", tiles=64)
    with_mask = [(frame, d) for frame, d in everything if d.mask is not None]
    assert with_mask
    for frame, detection in with_mask:
        mask = decode_mask(detection.mask)
        assert mask.shape == (frame.height, frame.width)
        left, top, right, bottom = detection.box_xyxy
        rows, columns = np.nonzero(mask)
        assert left - 1 <= columns.min() and columns.max() <= right + 1
        assert top - 1 <= rows.min() and rows.max() <= bottom + 1


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_exports_give_the_same_boxes_and_masks(joint: Path, images: Path, tmp_path: Path, format_: str) -> None:
    from reg_yolo.yolo.commands.export import export

    exported = export(joint, out=tmp_path, format=format_, imgsz=IMGSZ)
    opened = open_detector(exported.path)
    assert (opened.task, opened.mask_classes) == ("joint", ["red", "blue"])
    engine = {"onnx": "onnxruntime", "openvino": "openvino"}[format_]
    same = {"rect": False, "imgsz": IMGSZ}
    reference = found(joint, images, tmp_path / "pt", engine="pytorch", **same)
    ours = found(exported.path, images, tmp_path / "export", engine=engine, precision="f32", **same)
    assert len(ours) == len(reference) > 10
    for (_, one), (_, other) in zip(ours, reference, strict=True):
        assert one.class_name == other.class_name
        assert np.abs(np.array(one.box_xyxy) - other.box_xyxy).max() <= 0.05
        assert (one.mask is None) == (other.mask is None)
        if one.mask is not None:
            a, b = decode_mask(one.mask), decode_mask(other.mask)
            assert (a & b).sum() / (a | b).sum() > 0.97


def test_the_header_names_the_mask_classes(joint: Path, images: Path, tmp_path: Path) -> None:
    summary = reg_yolo.predict(joint, images, out=tmp_path / "out", save=False, **FAST)
    header = json.loads(summary.detections_file.read_text().splitlines()[0])
    assert header["mask_classes"] == ["red", "blue"]
