"""What counts in the joint task's metrics: every class for boxes, masked objects for masks, annotated classes alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.validation.joint_metrics import JointMetrics

SIZE = 16
SIGN, WALL, POLE = 0, 1, 2
Box = tuple[int, int, int, int]


def mask(box: Box | None) -> torch.Tensor:
    canvas = torch.zeros(SIZE, SIZE)
    if box is not None:
        x1, y1, x2, y2 = box
        canvas[y1:y2, x1:x2] = 1
    return canvas


@pytest.fixture
def validator() -> RegJointValidator:
    """A validator without a data set: signs and walls have masks, poles do not."""
    made = RegJointValidator.__new__(RegJointValidator)
    made.iouv = torch.linspace(0.5, 0.95, 10)
    made.niou = 10
    made.sets = SimpleNamespace(is_mask_class=[True, True, False])  # type: ignore[assignment]
    return made


def truth(*objects: tuple[int, Box, bool]) -> dict[str, Any]:
    """Labelled objects: class, box, and whether it has a mask (its box, filled)."""
    return {
        "cls": torch.tensor([float(c) for c, _, _ in objects]),
        "bboxes": torch.tensor([b for _, b, _ in objects], dtype=torch.float32).view(-1, 4),
        "has_mask": torch.tensor([m for _, _, m in objects], dtype=torch.bool),
        "masks": torch.stack([mask(b if m else None) for _, b, m in objects])
        if objects
        else torch.zeros(0, SIZE, SIZE),
    }


def predicted(*objects: tuple[int, Box, Box | None]) -> dict[str, Any]:
    """Predictions: class, box, and what the mask fills."""
    return {
        "cls": torch.tensor([float(c) for c, _, _ in objects]),
        "conf": torch.tensor([0.9 - 0.1 * i for i in range(len(objects))]),
        "bboxes": torch.tensor([b for _, b, _ in objects], dtype=torch.float32).view(-1, 4),
        "masks": torch.stack([mask(m) for _, _, m in objects]) if objects else torch.zeros(0, SIZE, SIZE),
    }


A, B, C = (0, 0, 6, 6), (8, 0, 14, 6), (0, 8, 6, 14)


def test_masks_of_mask_classes_are_matched(validator: RegJointValidator) -> None:
    stats = validator._process_batch(
        predicted((SIGN, A, A), (SIGN, B, C), (POLE, C, C)), truth((SIGN, A, True), (SIGN, B, True), (POLE, C, False))
    )
    assert stats["tp"].shape == (3, 10) and stats["tp"].all()
    # The second mask lies elsewhere; the pole's does not count whatever it is.
    assert stats["tp_m"][:, 0].tolist() == [True, False]
    assert stats["pred_cls_m"].tolist() == [SIGN, SIGN]
    assert stats["target_cls_m"].tolist() == [SIGN, SIGN]
    assert stats["target_img_m"].tolist() == [SIGN]


def test_a_box_only_object_of_a_mask_class_counts_for_boxes_alone(validator: RegJointValidator) -> None:
    stats = validator._process_batch(predicted((SIGN, A, A), (SIGN, B, B)), truth((SIGN, A, True), (SIGN, B, False)))
    assert stats["tp"][:, 0].tolist() == [True, True]
    # No true positive, no false positive, no missed object.
    assert stats["tp_m"][:, 0].tolist() == [True]
    assert stats["conf_m"].tolist() == pytest.approx([0.9])
    assert stats["target_cls_m"].tolist() == [SIGN]


def test_one_prediction_answers_for_a_box_only_object_and_its_double_is_false(validator: RegJointValidator) -> None:
    shifted = (9, 0, 15, 6)
    stats = validator._process_batch(predicted((SIGN, B, B), (SIGN, shifted, shifted)), truth((SIGN, B, False)))
    assert stats["tp_m"].shape == (1, 10) and not stats["tp_m"].any()
    assert stats["conf_m"].tolist() == pytest.approx([0.8])


def test_only_the_same_class_answers_for_a_box_only_object(validator: RegJointValidator) -> None:
    stats = validator._process_batch(predicted((WALL, B, B)), truth((SIGN, B, False)))
    assert stats["pred_cls_m"].tolist() == [WALL] and not stats["tp_m"].any()


def test_who_is_right_about_a_mask_does_not_answer_for_a_box(validator: RegJointValidator) -> None:
    # Two signs in one place, one of them without a mask: the prediction is a true positive, not left out.
    stats = validator._process_batch(predicted((SIGN, A, A)), truth((SIGN, A, False), (SIGN, A, True)))
    assert stats["tp_m"].shape == (1, 10) and stats["tp_m"].all()
    assert stats["target_cls_m"].tolist() == [SIGN]


@pytest.mark.parametrize("pair", [(predicted(), truth((SIGN, A, True))), (predicted((SIGN, A, A)), truth())])
def test_nothing_predicted_and_nothing_labelled(validator: RegJointValidator, pair: Any) -> None:
    preds, labels = pair
    stats = validator._process_batch(preds, labels)
    assert stats["tp_m"].shape == (len(preds["cls"]), 10) and not stats["tp_m"].any()
    assert len(stats["target_cls_m"]) == len(labels["cls"])


def test_classes_that_a_set_does_not_annotate_are_not_counted_on_its_images(
    validator: RegJointValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[dict[str, Any]]] = []
    host = RegJointValidator.__mro__[1]
    monkeypatch.setattr(host, "update_metrics", lambda _self, preds, _batch: seen.append(preds))
    preds = [predicted((SIGN, A, A), (POLE, C, None)), predicted((SIGN, A, A), (POLE, C, None))]
    validator.update_metrics(preds, {"annotated": torch.tensor([[True, True, False], [True, True, True]])})
    assert [p["cls"].tolist() for p in seen[0]] == [[SIGN], [SIGN, POLE]]
    assert seen[0][0]["masks"].shape[0] == 1


def metrics_of(*images: dict[str, np.ndarray]) -> JointMetrics:
    metrics = JointMetrics({0: "sign", 1: "wall", 2: "pole"})
    for number, image in enumerate(images):
        metrics.update_stats({**image, "im_name": f"{number}.png"})
    metrics.process()
    return metrics


def test_metrics_of_masks_are_over_mask_classes_alone(validator: RegJointValidator) -> None:
    labels = truth((SIGN, A, True), (WALL, B, True), (POLE, C, False))
    preds = predicted((SIGN, A, A), (WALL, B, A), (POLE, C, None))
    stats = validator._process_batch(preds, labels)
    image = {
        **stats, "conf": preds["conf"].numpy(), "pred_cls": preds["cls"].numpy(), "target_cls": labels["cls"].numpy(),
        "target_img": np.unique(labels["cls"].numpy()),
    }  # fmt: skip
    metrics = metrics_of(image)
    assert metrics.box.ap50.tolist() == pytest.approx([0.995] * 3)
    assert metrics.seg.ap_class_index.tolist() == [SIGN, WALL]
    assert metrics.seg.ap50.tolist() == pytest.approx([0.995, 0.0])
    assert metrics.mask_nt_per_class.tolist() == [1, 1, 0]
    assert metrics.nt_per_class.tolist() == [1, 1, 1]
    assert metrics.class_result(0)[6] == pytest.approx(0.995)
    assert np.isnan(metrics.class_result(2)[4:]).all()
    rows = metrics.summary()
    assert [row["Class"] for row in rows] == ["sign", "wall", "pole"]
    assert np.isnan(rows[2]["Mask-P"]) and rows[0]["Mask-R"] == pytest.approx(1.0)


def test_a_mask_that_nobody_predicts_lowers_the_recall_of_masks(validator: RegJointValidator) -> None:
    labels = truth((SIGN, A, True), (WALL, B, True), (WALL, C, False))
    preds = predicted((SIGN, A, A), (POLE, B, B))
    stats = validator._process_batch(preds, labels)
    image = {
        **stats, "conf": preds["conf"].numpy(), "pred_cls": preds["cls"].numpy(), "target_cls": labels["cls"].numpy(),
        "target_img": np.unique(labels["cls"].numpy()),
    }  # fmt: skip
    metrics = metrics_of(image)
    assert metrics.seg.ap_class_index.tolist() == [SIGN, WALL]
    assert metrics.seg.ap50.tolist() == pytest.approx([0.995, 0.0])
    assert metrics.nt_per_class.tolist() == [1, 2, 0] and metrics.mask_nt_per_class.tolist() == [1, 1, 0]
