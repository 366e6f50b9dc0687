"""Weights that find the coloured rectangles of the test data, made in a second without training.

The features are random. They are cut down to the fine level, where a cell sees only its surroundings; class scores are
fitted to the labels by least squares, and every box has about the size of a rectangle. The same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, SegmentationModel

from reg_yolo.data.dataset.dataset_yaml import label_path_for

IMGSZ = 128
STRIDE = 8
FOUND, NOT_FOUND = 3.0, -4.0


def write_detector(
    path: Path,
    names: Sequence[str],
    images: Sequence[Path],
    mask_logit: float | None = None,
    metadata: dict[str, Any] | None = None,
    **train_args: Any,
) -> Path:
    """Write YOLOv8n weights just as plain Ultralytics saves them, and return their path.

    Args:
        path: The checkpoint to write.
        names: Class names.
        images: Images with YOLO labels beside them, at most 128 pixels large.
        mask_logit: For YOLOv8n-seg: the logit of every pixel of every mask; above 0 a mask fills its box.
        metadata: What reg_yolo stores in weights.
        train_args: What the checkpoint says about its training, beside the image size.
    """
    torch.manual_seed(0)
    # As Ultralytics on two cores; more threads wait for each other where other tests run beside.
    torch.set_num_threads(1)
    name = "yolov8n.yaml" if mask_logit is None else "yolov8n-seg.yaml"
    kind = DetectionModel if mask_logit is None else SegmentationModel
    model = kind(name, nc=len(names), verbose=False)
    head: Any = model.model[-1]
    batch = torch.stack([_input_of(image) for image in images])
    # Without what comes from the coarse levels, the fine one is local.
    model.model[15].cv1.conv.weight.data[:, :128] = 0.0
    fine = normalised_features(model, batch)
    with torch.no_grad():
        fit_class_scores(head.cv3[0], fine, _wanted_scores(images, len(names)))
        for branch in head.cv3[1:]:
            branch[-1].weight.zero_()
            branch[-1].bias.fill_(-20.0)
        for branch in head.cv2:
            branch[-1].weight *= 0.1
            # The mode of the distribution: 2 cells to every side.
            branch[-1].bias.copy_(-2.0 * (torch.arange(head.reg_max) - 2.0).abs().repeat(4))
        if mask_logit is not None:
            # The first prototype is about 5 everywhere, and the only one that counts.
            head.proto.cv3.bn.weight[0], head.proto.cv3.bn.bias[0] = 0.0, 5.0
            for branch in head.cv4:
                branch[-1].weight.zero_()
                branch[-1].bias.zero_()
                branch[-1].bias[0] = mask_logit / 5.0
    if metadata is not None:
        model.reg_yolo = metadata
    model.names = dict(enumerate(names))
    model.args = {"imgsz": IMGSZ, "task": "detect" if mask_logit is None else "segment", **train_args}
    wrapper = YOLO(name, verbose=False)
    wrapper.model = model
    wrapper.ckpt = {"train_args": model.args}
    path.parent.mkdir(parents=True, exist_ok=True)
    wrapper.save(path)
    return path


def normalised_features(model: DetectionModel, batch: Tensor) -> Tensor:
    """Set the normalisation layers to the statistics of `batch`; return the head's fine input Tensor[B, 64, H, W]."""
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    model.train()
    with torch.no_grad():
        model(batch)
    for layer in layers:
        layer.momentum = 0.03
    model.eval()
    inputs: list[Tensor] = []
    handle = model.model[-1].register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0][0].clone()))
    with torch.no_grad():
        model(batch)
    handle.remove()
    return inputs[-1]


def fit_class_scores(branch: nn.Sequential, features: Tensor, wanted: Tensor) -> None:
    """Fit the last convolution of a class branch to logits Tensor[B, C, H, W] by regularised least squares."""
    hidden = branch[:-1](features).permute(0, 2, 3, 1).flatten(0, 2).double()
    columns = torch.cat((hidden, torch.ones(len(hidden), 1, dtype=torch.float64)), 1)
    targets = wanted.permute(0, 2, 3, 1).flatten(0, 2).double()
    # Cells with an object are rare, and count more for it.
    weighted = columns * torch.where(targets.amax(1, keepdim=True) == FOUND, 8.0, 1.0)
    penalty = 1e-4 * len(columns) * torch.eye(columns.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(weighted.T @ columns + penalty, weighted.T @ targets).float()
    branch[-1].weight.copy_(solution[:-1].T[..., None, None])
    branch[-1].bias.copy_(solution[-1])


def _wanted_scores(images: Sequence[Path], classes: int) -> Tensor:
    side = IMGSZ // STRIDE
    wanted = torch.full((len(images), classes, side, side), NOT_FOUND)
    for number, image in enumerate(images):
        height, width = _picture(image).shape[:2]
        top, left = (IMGSZ - height) / 2, (IMGSZ - width) / 2
        for line in label_path_for(image).read_text().splitlines():
            label, x, y, _, _ = map(float, line.split())
            row, column = int((y * height + top) / STRIDE), int((x * width + left) / STRIDE)
            wanted[number, int(label), max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = FOUND
    return wanted


def _picture(image: Path) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and max(picture.shape) <= IMGSZ
    return picture


def _input_of(image: Path) -> Tensor:
    picture = _picture(image)
    height, width = picture.shape[:2]
    canvas = np.full((IMGSZ, IMGSZ, 3), 114, np.uint8)
    top, left = (IMGSZ - height) // 2, (IMGSZ - width) // 2
    canvas[top : top + height, left : left + width] = picture
    return torch.from_numpy(canvas[..., ::-1].copy()).permute(2, 0, 1).float() / 255
