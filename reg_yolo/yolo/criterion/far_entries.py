"""Distances of anchor points to the objects of each class, and which entries of a batch lie far from all of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reg_yolo import losses
from reg_yolo.config.reg_sections import SpatialSettings
from reg_yolo.yolo.criterion.head_output import AnchorGrid
from reg_yolo.yolo.criterion.targets import Assignment, GroundTruth


def distance_to_class(grid: AnchorGrid, truth: GroundTruth, num_classes: int, kind: str) -> Tensor:
    """Return each anchor point's distance to the nearest object of each class (REG §2.3), without gradient.

    Args:
        grid: A anchor points.
        truth: Objects of B images.
        num_classes: C.
        kind: `center`, over half the box diagonal, or `edge`, over the stride.

    Returns:
        Tensor[B, A, C], a view of [B, C, A]; infinity where the image has no object of the class.
    """
    arguments = (grid.points, truth.boxes, truth.labels, truth.valid, num_classes)
    if kind == "center":
        return losses.center_distance(*arguments, level_shapes=grid.level_shapes)
    return losses.edge_distance(*arguments, grid.strides, level_shapes=grid.level_shapes)


@dataclass(frozen=True)
class BatchTruth:
    """What a training batch has shown, kept until the optimizer's step; nothing of it has a graph.

    Attributes:
        grid: The A anchor points.
        assignment: Objects and targets, Tensor[B, A, C].
    """

    grid: AnchorGrid
    assignment: Assignment

    @torch.no_grad()
    def far_entries(self, spatial: SpatialSettings) -> Tensor:
        """Return the negatives farther than `spatial.delta` from every object of their class.

        Entries of which it is unknown whether an object is there are none of them.

        Returns:
            Boolean Tensor[B, C, A].
        """
        targets = self.assignment.target_scores
        distance = distance_to_class(self.grid, self.assignment.truth, targets.shape[2], spatial.distance)
        far = (distance > spatial.delta) & (targets == 0)
        if self.assignment.ignored is not None:
            far = far & ~self.assignment.ignored
        return far.transpose(1, 2)
