"""What a YOLOv8 head predicts for a batch, read without copying it: boxes are decoded only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from ultralytics.utils.tal import make_anchors

# Anchor points Tensor[K, 2] in strides and box logits Tensor[1, K, 4 R] -> boxes Tensor[1, K, 4], xyxy in strides
Decode = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AnchorGrid:
    """Where the A anchor points of a head are.

    Attributes:
        points: Tensor[A, 2], x and y in pixels.
        strides: Tensor[A, 1], pixels.
        level_shapes: Rows and columns of each feature level.
    """

    points: Tensor
    strides: Tensor
    level_shapes: list[tuple[int, int]]


@dataclass(frozen=True)
class HeadOutput:
    """Raw output of a head for B images at A anchor points, C classes, R bins a side.

    Attributes:
        box_logits: Tensor[B, 4 R, A], logits of the distribution of each side's distance.
        class_logits: Tensor[B, C, A].
        anchor_points: Tensor[A, 2], in strides.
        strides: Tensor[A, 1], pixels.
        image_size: Tensor[2], height and width in pixels.
        level_shapes: Rows and columns of each feature level.
        decode: upstream's decoding of box logits.
    """

    box_logits: Tensor
    class_logits: Tensor
    anchor_points: Tensor
    strides: Tensor
    image_size: Tensor
    level_shapes: list[tuple[int, int]]
    decode: Decode

    @classmethod
    def read(cls, preds: dict[str, Tensor], level_strides: Tensor, decode: Decode) -> HeadOutput:
        """Return the output of a head in training mode."""
        features = preds["feats"]
        anchor_points, strides = make_anchors(features, level_strides, 0.5)
        shapes = [(int(f.shape[2]), int(f.shape[3])) for f in features]
        logits = preds["scores"]
        size = torch.tensor(shapes[0], device=logits.device, dtype=logits.dtype) * level_strides[0]
        return cls(preds["boxes"], logits, anchor_points, strides, size, shapes, decode)

    @property
    def grid(self) -> AnchorGrid:
        """Where the anchor points are."""
        return AnchorGrid(self.anchor_points * self.strides, self.strides, self.level_shapes)

    @property
    def is_training(self) -> bool:
        """Whether the loss of this output is going to be differentiated."""
        return self.class_logits.requires_grad

    @property
    def logits(self) -> Tensor:
        """Class logits as Tensor[B, A, C], a view: the classes lie A elements apart in memory."""
        return self.class_logits.transpose(1, 2)

    @property
    def distributions(self) -> Tensor:
        """Box logits as Tensor[B, A, 4, R], a view."""
        batch, channels, anchors = self.box_logits.shape
        return self.box_logits.view(batch, 4, channels // 4, anchors).permute(0, 3, 1, 2)

    @torch.no_grad()
    def boxes_in_pixels(self, image: Tensor, anchor: Tensor) -> Tensor:
        """Return the predicted boxes at K anchor points, Tensor[K, 4], xyxy in pixels, without gradient."""
        rows = self.box_logits.transpose(1, 2)[image, anchor]
        return self.decode(self.anchor_points[anchor], rows.unsqueeze(0))[0] * self.strides[anchor]

    def at(self, image: Tensor, anchor: Tensor) -> BoxPredictions:
        """Return what is predicted for the boxes at P anchor points, with gradient."""
        # Indexed like this the gradient lies in memory as upstream's does, which decides how a bias's gradient rounds.
        rows = self.box_logits.transpose(1, 2)[image, anchor]
        points = self.anchor_points[anchor]
        return BoxPredictions(rows, self.decode(points, rows.unsqueeze(0))[0], points, self.strides[anchor])


@dataclass(frozen=True)
class BoxPredictions:
    """Predicted boxes at P anchor points.

    Attributes:
        logits: Tensor[P, 4 R], of the distances' distributions.
        boxes: Tensor[P, 4], xyxy in strides.
        points: Tensor[P, 2], the anchor points, in strides.
        strides: Tensor[P, 1], pixels.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor
    strides: Tensor
