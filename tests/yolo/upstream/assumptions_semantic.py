"""Assumptions about Ultralytics that task semantic is built on, each a function that fails when it is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from ultralytics.data.augment import LetterBox
from ultralytics.data.build import build_yolo_dataset
from ultralytics.data.dataset import PolygonSemanticDataset, SemanticDataset
from ultralytics.data.utils import add_polygon_background, polygons2masks_overlap
from ultralytics.models.yolo.semantic import (
    SemanticSegmentationPredictor,
    SemanticSegmentationTrainer,
    SemanticSegmentationValidator,
)
from ultralytics.nn.modules import SemanticSegment
from ultralytics.nn.tasks import SemanticSegmentationModel, guess_model_task
from ultralytics.utils.loss import SemanticSegmentationLoss

from reg_yolo.data.objects.rasterising import rasterised
from reg_yolo.yolo.upstream.models import read_model


def every_scale_of_our_model_builds_as_a_stock_one() -> None:
    """`parse_model` takes transposed convolutions and scales their width; the head stands on P3 with stride 8."""
    for scale, width in (("n", 64), ("x", 320)):
        model = SemanticSegmentationModel(read_model(f"yolov8{scale}-sem.yaml"), nc=3, verbose=False)
        up = [layer for layer in model.model if isinstance(layer, nn.ConvTranspose2d)]
        assert len(up) == 2 and all(layer.stride == (2, 2) and layer.kernel_size == (2, 2) for layer in up)
        assert type(model.model[-1]) is SemanticSegment and guess_model_task(model) == "semantic"
        assert model.model[-1].classifier[0].conv.in_channels == width
        logits, auxiliary = model.train()(torch.zeros(2, 3, 64, 96))
        assert logits.shape == (2, 3, 8, 12) and auxiliary.shape == (2, 3, 4, 6)


def the_head_returns_logits_alone_outside_of_training() -> None:
    """Validation has no auxiliary logits, and an export is eight times as large as the head's map."""
    source = inspect.getsource(SemanticSegment.forward)
    assert "return logits, self.aux_head(x[1])" in source and "scale_factor=8" in source


def the_stock_loss_has_three_terms_by_these_names() -> None:
    """Cross-entropy, Dice and 0.4 times the auxiliary cross-entropy; the parts that we call take these arguments."""
    source = inspect.getsource(SemanticSegmentationLoss.forward)
    assert "self._ce_loss(aux_logits, masks, valid) * 0.4" in source
    assert 'loss_items = {"ce_loss"' in source and "return total * preds.shape[0], loss_items" in source
    for part in (SemanticSegmentationLoss._ce_loss, SemanticSegmentationLoss._dice_loss):
        assert list(inspect.signature(part).parameters) == ["self", "preds", "masks", "valid"]


def class_weights_reach_the_stock_loss_through_the_model() -> None:
    """`cls_pw` leaves weights on the model, which the criterion takes when it is built; else it has none."""
    assert 'getattr(model, "class_weights", None)' in inspect.getsource(SemanticSegmentationLoss.__init__)


def a_background_that_is_marked_is_added_by_nobody() -> None:
    """The three keys of our data YAML keep upstream's rule for polygons, one channel for one class, from its data."""
    data = {"names": {0: "sign", 1: "background"}, "nc": 2, "bg_class_idx": 1, "_polygon_bg_added": True}
    assert add_polygon_background(dict(data)) == data
    assert add_polygon_background({"names": {0: "sign"}, "nc": 1})["nc"] == 1


def masks_dir_decides_between_masks_and_polygons() -> None:
    """The data set's class follows from `masks_dir`, whatever the task's labels are."""
    source = inspect.getsource(build_yolo_dataset)
    assert 'SemanticDataset if data.get("masks_dir") else PolygonSemanticDataset' in source
    assert 'data.get("bg_class_idx"' in inspect.getsource(PolygonSemanticDataset.__init__)


def small_polygons_lie_over_large_ones_as_in_our_rasteriser() -> None:
    """Statistics and tiles draw the pixels that training sees."""
    rng = np.random.default_rng(0)
    polygons = [rng.random(2) * 0.6 + rng.random((5, 2)) * size for size in (0.4, 0.1, 0.3, 0.05)]
    scaled = [(p * (64, 48)).astype(np.float32) for p in polygons]
    found, order = polygons2masks_overlap((48, 64), scaled, downsample_ratio=1)
    classes = np.array([3, 1, 0, 2])
    expected = np.full((48, 64), 9, np.uint8)
    expected[found > 0] = classes[order][found[found > 0] - 1]
    assert (rasterised(polygons, classes.tolist(), (48, 64), 9) == expected).all()


def padding_is_ignored() -> None:
    """What letterboxing adds around an image has label 255, and so counts nowhere."""
    labels = {"img": np.zeros((20, 40, 3), np.uint8), "semantic_mask": np.ones((20, 40), np.uint8)}
    padded = LetterBox(new_shape=(40, 40))(labels=labels)
    assert padded["semantic_mask"].shape == (40, 40)
    assert (padded["semantic_mask"][:10] == 255).all() and (padded["semantic_mask"][10:30] == 1).all()


def semantic_hooks_exist() -> None:
    """The hooks that we override exist upstream with these arguments."""
    expected = {
        SemanticSegmentationTrainer.get_class_counts: ["self", "max_masks"],
        SemanticSegmentationTrainer.get_model: ["self", "cfg", "weights", "verbose"],
        SemanticDataset.load_mask: ["self", "index", "image_shape"],
        SemanticSegmentationValidator.init_metrics: ["self", "model"],
        SemanticSegmentationValidator.update_metrics: ["self", "preds", "batch"],
        SemanticSegmentationValidator.gather_stats: ["self"],
        SemanticSegmentationPredictor.postprocess: ["self", "preds", "img", "orig_imgs"],
    }
    for function, names in expected.items():
        assert list(inspect.signature(function).parameters) == names, function.__qualname__


def stock_counts_of_pixels_are_rounded() -> None:
    """Upstream adds pixels up in float32 and leaves out masks that cannot be read; ours are exact."""
    source = inspect.getsource(SemanticSegmentationTrainer.get_class_counts)
    assert "dtype=np.float32" in source and "except Exception" in source


SEMANTIC_ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    every_scale_of_our_model_builds_as_a_stock_one,
    the_head_returns_logits_alone_outside_of_training,
    the_stock_loss_has_three_terms_by_these_names,
    class_weights_reach_the_stock_loss_through_the_model,
    a_background_that_is_marked_is_added_by_nobody,
    masks_dir_decides_between_masks_and_polygons,
    small_polygons_lie_over_large_ones_as_in_our_rasteriser,
    padding_is_ignored,
    semantic_hooks_exist,
    stock_counts_of_pixels_are_rounded,
)
