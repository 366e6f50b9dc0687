"""What the criterion works on: the labelled objects of a batch, and which anchor points answer for which of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class GroundTruth:
    """Labelled objects of B images, padded to N an image.

    Attributes:
        labels: Tensor[B, N, 1], classes in [0, C); padding holds 0.
        boxes: Tensor[B, N, 4], xyxy in pixels.
        valid: Tensor[B, N, 1], 0 on padding and on boxes without extent at the origin, else 1.
    """

    labels: Tensor
    boxes: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Positives:
    """The P anchor points that have an object, ordered by image and anchor point.

    Attributes:
        image, anchor: Tensor[P], where the point is.
        object: Tensor[P], row of its object in the image's ground truth.
        label: Tensor[P], the object's class.
        score: Tensor[P], target score of that class, in [0, 1].
        ignored: Tensor[B, A] bool, the points that are neither positive nor background; None where there are none.
    """

    image: Tensor
    anchor: Tensor
    object: Tensor
    label: Tensor
    score: Tensor
    ignored: Tensor | None = None

    @classmethod
    def of_dense(cls, labels: Tensor, scores: Tensor, has_object: Tensor, object_index: Tensor) -> Positives:
        """Return the positives of upstream's dense tensors, [B, A] each and [B, A, C] for the scores."""
        image, anchor = has_object.nonzero(as_tuple=True)
        # Where a batch has no objects at all, upstream's labels and indices are floats.
        label = labels[image, anchor].long()
        return cls(image, anchor, object_index[image, anchor].long(), label, scores[image, anchor, label])

    def dense_scores(self, shape: Sequence[int]) -> Tensor:
        """Return the target scores, Tensor[B, A, C], 0 but for the positives' own class."""
        scores = self.score.new_zeros(*shape)
        scores[self.image, self.anchor, self.label] = self.score
        return scores

    def dense_assignment(self, images: int, anchors: int) -> tuple[Tensor, Tensor]:
        """Return upstream's pair of Tensor[B, A]: which points have an object, and whose it is (0 elsewhere)."""
        has_object = torch.zeros(images, anchors, dtype=torch.bool, device=self.image.device)
        has_object[self.image, self.anchor] = True
        object_index = torch.zeros(images, anchors, dtype=torch.long, device=self.image.device)
        object_index[self.image, self.anchor] = self.object
        return has_object, object_index


@dataclass(frozen=True)
class Assignment:
    """Ground truth, positives, and the soft targets made of both.

    Attributes:
        truth: The labelled objects.
        positives: The anchor points that answer for one.
        target_scores: Tensor[B, A, C], soft targets in [0, 1].
        normalizer: Scalar, max(sum of the targets, 1); over several ranks as `joint_normalizer` has it.
        has_mask: Tensor[P] bool, whether the positive's object has a mask; None in a task without masks.
        ignored: Bool, broadcastable to [B, A, C]: entries of which it is unknown whether the object is there, classes
            that an image's data set does not annotate and points that are neither positive nor background; None where
            there are none.
        ranks: Processes whose images are normalised together.
    """

    truth: GroundTruth
    positives: Positives
    target_scores: Tensor
    normalizer: Tensor
    has_mask: Tensor | None = None
    ignored: Tensor | None = None
    ranks: int = 1

    @cached_property
    def target_boxes(self) -> Tensor:
        """The object's box of each positive, Tensor[P, 4], xyxy in pixels."""
        return self.truth.boxes[self.positives.image, self.positives.object]

    def without_ignored(self, entries: Tensor) -> Tensor:
        """Return entries, Tensor[B, A, C], with 0 for those that are ignored."""
        return entries if self.ignored is None else entries.masked_fill(self.ignored, 0.0)

    def dense(self, images: int, anchors: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return upstream's dense tensors: which points have an object, whose it is, and its box (0 elsewhere)."""
        boxes = self.truth.boxes.new_zeros(images, anchors, 4)
        boxes[self.positives.image, self.positives.anchor] = self.target_boxes
        return *self.positives.dense_assignment(images, anchors), boxes


def joint_normalizer(own: Tensor, ranks: int) -> Tensor:
    """Return what a rank divides the sum of its losses by, so that all ranks together are as one process; all call it.

    Ranks add up the gradients of their mean losses times their own batch sizes. With n_r the normaliser of rank r's
    images, the sum of W / (n_1 + ... + n_W) times the ranks' losses is the mean over all images times a rank's batch
    size, whatever their shares of the objects; upstream divides by n_r.

    Args:
        own: Scalar, n_r.
        ranks: W; 1 for a process of its own.

    Returns:
        max(sum of n_r, 1) / W.
    """
    if ranks == 1:
        return own.clamp(min=1)
    total = own.detach().float().clone()
    distributed.all_reduce(total)
    return total.clamp_(min=1) / ranks


def ignored_entries(annotated: Tensor | None, points: Tensor | None) -> Tensor | None:
    """Return the mask of entries that the class loss leaves out, broadcastable to [B, A, C]; None for none.

    Args:
        annotated: Tensor[B, C] bool, the classes that an image's data set annotates; None where that is all of them.
        points: Tensor[B, A] bool, points that are neither positive nor background; None where there are none.
    """
    by_class = None if annotated is None else ~annotated.bool().unsqueeze(1)
    by_point = None if points is None else points.unsqueeze(2)
    if by_class is None or by_point is None:
        return by_point if by_class is None else by_class
    return by_class | by_point
