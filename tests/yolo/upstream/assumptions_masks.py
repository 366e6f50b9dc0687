"""Assumptions about Ultralytics that the tasks with masks are built on, each a function that fails when it is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from ultralytics.models.yolo.segment import SegmentationPredictor, SegmentationTrainer, SegmentationValidator
from ultralytics.nn.modules import Segment
from ultralytics.nn.tasks import SegmentationModel
from ultralytics.utils.loss import v8SegmentationLoss
from ultralytics.utils.metrics import DetMetrics, SegmentMetrics
from ultralytics.utils.ops import process_mask, process_mask_native


def segmentation_model_builds_the_v8_criterion() -> None:
    """A YOLOv8 segmentation model trains with `v8SegmentationLoss`, a `Segment26` head with another."""
    source = inspect.getsource(SegmentationModel.init_criterion)
    assert "v8SegmentationLoss" in source and "Segment26" in source


def mask_loss_is_built_around_the_detection_losses() -> None:
    """The segmentation loss takes assignment and detection losses from one method, and scales the rest by gains."""
    source = inspect.getsource(v8SegmentationLoss.loss)
    assert "self.get_assigned_targets_and_loss(preds, batch)" in source
    assert "loss[1] *= self.hyp.box" in source and "return loss * batch_size" in source
    names = inspect.getsource(v8SegmentationLoss.__init__)
    assert '("box_loss", "seg_loss", *self.loss_names[1:], "sem_loss")' in names


def mask_loss_is_a_mean_over_positives_of_sums_over_boxes() -> None:
    """Each positive's loss is cropped to its box and divided by the box's share of the image."""
    assert "crop_mask(loss, xyxy).mean(dim=(1, 2)) / area" in inspect.getsource(v8SegmentationLoss.single_mask_loss)
    assert "return loss / fg_mask.sum()" in inspect.getsource(v8SegmentationLoss.calculate_segmentation_loss)


def segmentation_head_names_its_outputs() -> None:
    """In training a head returns prototypes and mask coefficients by name."""
    assert 'preds["proto"] = proto' in inspect.getsource(Segment.forward)
    assert 'preds["mask_coefficient"]' in inspect.getsource(Segment.forward_head)


def segmentation_hooks_exist() -> None:
    """The hooks that we override exist upstream with these arguments."""
    expected = {
        SegmentationTrainer.build_dataset: ["self", "img_path", "mode", "batch"],
        SegmentationValidator.build_dataset: ["self", "img_path", "mode", "batch"],
        SegmentationValidator.update_metrics: ["self", "preds", "batch"],
        SegmentationValidator._prepare_batch: ["self", "si", "batch"],
        SegmentationValidator._process_batch: ["self", "preds", "batch"],
        SegmentationPredictor.construct_result: ["self", "pred", "img", "orig_img", "img_path", "proto"],
        process_mask: ["protos", "masks_in", "bboxes", "shape", "upsample"],
        process_mask_native: ["protos", "masks_in", "bboxes", "shape"],
    }
    for function, names in expected.items():
        assert list(inspect.signature(function).parameters) == names, function.__qualname__


def mask_steps_call_those_of_detection() -> None:
    """Validator and predictor of masks hand the boxes on to the next class, where ours stands."""
    for function in (SegmentationValidator.postprocess, SegmentationPredictor.postprocess):
        assert "super().postprocess(preds[0]" in inspect.getsource(function)


def detections_without_a_mask_are_dropped() -> None:
    """Upstream's predictor drops a detection whose mask has no pixel, which the joint task must not do."""
    assert "keep = masks.amax((-2, -1)) > 0" in inspect.getsource(SegmentationPredictor.construct_result)


def mask_metrics_share_the_lists_of_boxes() -> None:
    """Mask metrics take confidences, predicted and true classes from the box lists; the joint task has its own."""
    assert 'self.stats["tp_m"] = []' in inspect.getsource(SegmentMetrics.__init__)
    assert "for k in self.stats" in inspect.getsource(DetMetrics.update_stats)
    assert 'stats["pred_cls"]' in inspect.getsource(SegmentMetrics.process)


ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    segmentation_model_builds_the_v8_criterion,
    mask_loss_is_built_around_the_detection_losses,
    mask_loss_is_a_mean_over_positives_of_sums_over_boxes,
    segmentation_head_names_its_outputs,
    segmentation_hooks_exist,
    mask_steps_call_those_of_detection,
    detections_without_a_mask_are_dropped,
    mask_metrics_share_the_lists_of_boxes,
)
