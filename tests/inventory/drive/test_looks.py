"""Which weak boxes of a file count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.inventory.drive.looks import DriveLooks, read_drive


def looks_of(
    folder: Path,
    frames: list[dict[str, list[float]]],
    thresholds: dict[str, float] | None,
    step: float = 10.0,
    name: str = "a",
) -> DriveLooks:
    """Read a file whose frames have boxes of these confidences by class, 8 px wide and `step` px apart."""
    header = DetectionsHeader(
        source="a.mp4", classes=("pole", "sign"), weights_name="w.pt", weights_sha256="0" * 64, engine="pytorch",
        precision="f32", imgsz=(64, 64), device="cpu", thresholds={}, reg_yolo_version="0", width=64, height=64,
        extra={} if thresholds is None else {"stored_thresholds": thresholds},
    )  # fmt: skip
    with DetectionsWriter(folder / f"{name}.jsonl", header) as writer:
        for number, found in enumerate(frames):
            boxes = [
                Detection(kind, ("pole", "sign").index(kind), confidence, (1.0 + n * step, 1.0, 9.0 + n * step, 9.0))
                for kind, some in found.items()
                for n, confidence in enumerate(some)
            ]
            writer.write(FrameDetections(f"{name}.mp4", number, number / 10, 64, 64, tuple(boxes)))
    return read_drive([folder / f"{name}.jsonl"])


def test_of_each_class_one_weak_box_counts_for_four_strong_ones_the_surest_first(tmp_path: Path) -> None:
    frames = [
        {"pole": [0.9, 0.3, 0.1], "sign": [0.2, 0.1]},
        {"pole": [0.8, 0.2]},
        {"pole": [0.7, 0.25]},
        {"pole": [0.6]},
    ]
    looks = looks_of(tmp_path, frames, {"pole": 0.5, "sign": 0.5})
    pole = looks.class_id == 0
    assert looks.confidence[pole & ~looks.strong] == pytest.approx([0.3])
    assert np.count_nonzero(pole & looks.strong) == 4
    # Nothing strong: nothing that weak ones could join.
    assert not (looks.class_id == 1).any()
    assert (looks.weak_left_out, looks.doubles_left_out) == (5, 0)
    assert looks.of_frame.tolist() == sorted(looks.of_frame.tolist())
    assert looks.frames == 4


def test_without_stored_thresholds_every_box_counts(tmp_path: Path) -> None:
    looks = looks_of(tmp_path, [{"pole": [0.9, 0.05]}, {"sign": [0.1]}], None)
    assert len(looks) == 3
    assert looks.strong.all()
    assert looks.weak_left_out == 0


def test_where_weak_boxes_are_kept_a_box_on_a_surer_one_of_its_class_is_a_double(tmp_path: Path) -> None:
    """Boxes 2 px apart have an IoU of 0.6, 3 px apart of 0.45."""
    thresholds = {"pole": 0.5, "sign": 0.5}
    near = looks_of(tmp_path, [{"pole": [0.7, 0.9]}], thresholds, step=2.0)
    assert (near.confidence.tolist(), near.doubles_left_out, near.weak_left_out) == ([0.9], 1, 0)
    apart = looks_of(tmp_path, [{"pole": [0.7, 0.9]}], thresholds, step=3.0)
    assert (len(apart), apart.doubles_left_out) == (2, 0)
    alike = looks_of(tmp_path, [{"pole": [0.9, 0.9]}], thresholds, step=2.0)
    assert (len(alike), alike.doubles_left_out) == (2, 0)
    of_two_classes = looks_of(tmp_path, [{"pole": [0.7], "sign": [0.9]}], thresholds)
    assert (len(of_two_classes), of_two_classes.doubles_left_out) == (2, 0)


def test_a_file_without_weak_boxes_has_no_doubles_next_to_one_that_has(tmp_path: Path) -> None:
    looks_of(tmp_path, [{"pole": [0.7, 0.9]}], {"pole": 0.5}, step=2.0)
    looks_of(tmp_path, [{"pole": [0.7, 0.9]}], None, step=2.0, name="b")
    both = read_drive([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert both.of_frame.tolist() == [0, 1, 1]
    assert both.doubles_left_out == 1


def test_weak_boxes_are_counted_after_doubles_are_out(tmp_path: Path) -> None:
    """Two strong ones and two doubles of them: of four weak boxes half a one counts, which is none."""
    frames = [{"pole": [0.9, 0.8, 0.3]}, {"pole": [0.9, 0.8]}]
    looks = looks_of(tmp_path, frames, {"pole": 0.5}, step=2.0)
    assert looks.strong.tolist() == [True, True]
    assert (looks.doubles_left_out, looks.weak_left_out) == (2, 1)
