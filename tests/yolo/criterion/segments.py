"""A segmentation network, a batch with masks, and gradients, for tests of the mask loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import SegmentationModel

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss
from tests.yolo.criterion.heads import COUNTS, labels

IMAGE_SIZE = 64
MASK_SIZE = 16
MASK_COUNTS = [0, 250, 20]

# Boxes that overlap, one that sticks out, a tiny one, and an image without anything.
OBJECTS = [
    [(0, 4, 4, 20, 60), (1, 28, 8, 60, 30), (1, 30, 26, 44, 46)],
    [(2, 6, 6, 58, 50), (1, 20, 16, 40, 34), (2, 50, 50, 54, 53)],
    [],
]


def network(classes: int = 3) -> SegmentationModel:
    """YOLOv8n-seg with a deterministic start that already answers for its objects."""
    torch.manual_seed(3)
    model = SegmentationModel("yolov8n-seg.yaml", nc=classes, verbose=False)
    model.args = get_cfg()
    with torch.no_grad():
        for layer in model.model[-1].cv3:
            layer[-1].bias.fill_(-2.0)
    return model.train()


def ellipse_masks(overlap: bool = True) -> Tensor:
    """An ellipse in each box: one map an image, Tensor[B, H, W], or one for each object, Tensor[N, H, W]."""
    rows, columns = torch.meshgrid(
        (torch.arange(MASK_SIZE) + 0.5) * 4, (torch.arange(MASK_SIZE) + 0.5) * 4, indexing="ij"
    )
    maps = torch.zeros(len(OBJECTS), MASK_SIZE, MASK_SIZE)
    single = []
    for number, objects in enumerate(OBJECTS):
        for index, (_, x1, y1, x2, y2) in enumerate(objects):
            horizontal = (columns - (x1 + x2) / 2) / ((x2 - x1) / 2)
            vertical = (rows - (y1 + y2) / 2) / ((y2 - y1) / 2)
            inside = horizontal.square() + vertical.square() <= 1
            maps[number][inside] = index + 1
            single.append(inside.float())
    return maps if overlap else torch.stack(single)


def batch(has_mask: list[bool] | None = None, overlap: bool = True) -> dict[str, Any]:
    """A batch as the loader gives it; `has_mask` clears the masks of the other objects, as our data set does."""
    given: dict[str, Any] = {**labels(*OBJECTS), "masks": ellipse_masks(overlap)}
    if has_mask is not None:
        given["has_mask"] = torch.tensor(has_mask)
        row = 0
        for number, objects in enumerate(OBJECTS):
            for index in range(len(objects)):
                if not has_mask[row] and overlap:
                    given["masks"][number][given["masks"][number] == index + 1] = 0
                row += 1
    return given


def criterion(model: SegmentationModel, reg: Any = "stock", **arguments: Any) -> RegSegmentationLoss:
    """Our criterion for a network of this module."""
    return RegSegmentationLoss(model, RegSettings.from_mapping(reg), COUNTS, MASK_COUNTS, **arguments)


def run(model: SegmentationModel, loss_function: Any, given: dict[str, Any]) -> dict[str, Tensor]:
    """Loss, items, and the gradient of every parameter by name, on fixed images."""
    model.zero_grad(set_to_none=True)
    image = torch.rand(len(OBJECTS), 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(5))
    statistics = {key: value.clone() for key, value in model.state_dict().items()}
    loss, items = loss_function(model(image), given)
    loss.sum().backward()
    # The batch statistics of the forward pass must not reach the next one.
    model.load_state_dict(statistics)
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **{f"item/{k}": v for k, v in items.items()}, **gradients}
