"""Heads without a network for tests of the criterion: raw predictions as parameters, labels, both criteria."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss

NAMES = {0: "pole", 1: "sign", 2: "bus_stop"}
COUNTS = [600, 300, 20]
CLASSES, BINS = len(COUNTS), 16
STRIDES = (8, 16, 32)
IMAGE_SIZE = 64


def head_like_model(class_weights: list[float] | None = None) -> nn.Module:
    """What a criterion asks of a model: a parameter for the device, the gains, the head's strides and bins."""
    head = nn.Conv2d(1, 1, 1)
    head.nc, head.reg_max, head.stride = CLASSES, BINS, torch.tensor([float(s) for s in STRIDES])
    model = nn.Module()
    model.model = nn.Sequential(head)
    model.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    model.class_weights = None if class_weights is None else torch.tensor(class_weights)
    return model


def criterion(reg: Any = "stock", **arguments: Any) -> RegDetectionLoss:
    """Our criterion for `head_like_model()`; `reg` is what stands under `reg:`."""
    model = arguments.pop("model", None) or head_like_model()
    return RegDetectionLoss(model, RegSettings.from_mapping(reg), COUNTS, **arguments)


def over_stock(**switches: Any) -> dict[str, Any]:
    """The stock preset with some switches set."""
    return {"preset": "stock", **switches}


def anchor_points(image_size: int = IMAGE_SIZE) -> tuple[Tensor, Tensor]:
    """Anchor points Tensor[A, 2] and their strides Tensor[A], pixels."""
    points, strides = [], []
    for stride in STRIDES:
        side = image_size // stride
        cells = (torch.arange(side) + 0.5) * stride
        rows, columns = torch.meshgrid(cells, cells, indexing="ij")
        points.append(torch.stack((columns, rows), -1).view(-1, 2))
        strides.append(torch.full((side * side,), float(stride)))
    return torch.cat(points), torch.cat(strides)


def labels(*images: list[tuple[int, float, float, float, float]]) -> dict[str, Tensor]:
    """A batch's labels as a loader gives them; an object is class, x1, y1, x2, y2 in pixels."""
    rows = [
        (number, c, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        for number, objects in enumerate(images)
        for c, x1, y1, x2, y2 in objects
    ]
    table = torch.tensor(rows, dtype=torch.float32).view(-1, 6)
    return {"batch_idx": table[:, 0], "cls": table[:, 1:2], "bboxes": table[:, 2:] / IMAGE_SIZE}


def random_labels(seed: int, images: int, objects: int) -> dict[str, Tensor]:
    """Labels of random boxes, all classes, `objects` in every image."""
    generator = torch.Generator().manual_seed(seed)
    size = 6.0 + 40.0 * torch.rand(images * objects, 2, generator=generator)
    low = torch.rand(images * objects, 2, generator=generator) * (IMAGE_SIZE - size)
    return {
        "batch_idx": torch.arange(images).repeat_interleave(objects).float(),
        "cls": torch.randint(0, CLASSES, (images * objects, 1), generator=generator).float(),
        "bboxes": torch.cat((low + size / 2, size), 1) / IMAGE_SIZE,
    }


# A pole and a sign side by side, a bus stop around a sign, and an image without anything.
BATCH = labels(
    [(0, 4, 4, 20, 60), (1, 28, 8, 60, 30), (1, 30, 36, 44, 46)],
    [(2, 6, 6, 58, 50), (1, 20, 16, 40, 34)],
    [],
)
IMAGES = 3


def predictions(
    batch: dict[str, Tensor], images: int, seed: int = 0, sure: float = 3.0, image_size: int = IMAGE_SIZE
) -> dict[str, Any]:
    """A head's raw output in the middle of a training, as leaves with gradient.

    Inside an object most anchor points predict a box near its own and raise the logit of its class by up to `sure`.
    """
    generator = torch.Generator().manual_seed(seed)
    points, strides = anchor_points(image_size)
    anchors = len(points)
    distances = 5.0 * torch.rand(images, anchors, 4, generator=generator)
    logits = torch.randn(images, CLASSES, anchors, generator=generator) - 3.0
    for image, label, (x, y, w, h) in zip(
        batch["batch_idx"].long(), batch["cls"][:, 0].long(), (batch["bboxes"] * image_size).tolist(), strict=True
    ):
        edges = torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        sides = torch.cat((points - edges[:2], edges[2:] - points), 1)
        inside = (sides.min(1).values > 0) & (torch.rand(anchors, generator=generator) < 0.8)
        noise = torch.randn(int(inside.sum()), 4, generator=generator)
        distances[image, inside] = (sides[inside] / strides[inside, None] + 0.8 * noise).clamp(0.0, BINS - 1.0)
        logits[image, label, inside] += sure * torch.rand(int(inside.sum()), generator=generator)
    bins = torch.arange(float(BINS))
    box_logits = -0.5 * (distances.unsqueeze(-1) - bins).square()
    box_logits += 0.5 * torch.randn(box_logits.shape, generator=generator)
    return {
        "boxes": box_logits.flatten(2).transpose(1, 2).contiguous().requires_grad_(),
        "scores": logits.requires_grad_(),
        "feats": [torch.empty(images, 1, image_size // s, image_size // s) for s in STRIDES],
    }


def loss_and_gradients(
    loss_function: Any, batch: dict[str, Tensor], images: int = IMAGES, **arguments: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Items of the loss, and its gradients by the head's box and class logits; predictions are made anew."""
    preds = predictions(batch, images, **arguments)
    loss, items = loss_function(preds, batch)
    loss.sum().backward()
    return items, {key: preds[key].grad for key in ("boxes", "scores")}
