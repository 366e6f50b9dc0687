"""The Refined Generalized Focal Loss of per-pixel classification: softmax over the classes of an image's pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.checks import check_choice, check_range
from reg_yolo.losses.classification import softmax_focal_loss
from reg_yolo.losses.reduction import reduce_loss
from reg_yolo.losses.refined import SPATIAL_SCOPES
from reg_yolo.losses.spatial import spatial_context_weight


def refined_pixel_loss(
    pred_logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    gamma: float = 1.5,
    spatial_weight: Tensor | None = None,
    ignore_index: int = 255,
    reduction: str = "none",
) -> Tensor:
    """Return the refined generalized focal loss of pixels, -alpha_c (1 - p_c)^gamma log(p_c) g (REG §2.2).

    c is the pixel's labelled class and p the softmax over all classes, background among them: REG-blog's per-pixel
    classification. §2.2 as printed sums over the classes of objects only, so that nothing teaches the background;
    here it is a class as any other. Without weights and with gamma 0 this is cross-entropy.

    Args:
        pred_logits: Tensor[B, C, H, W].
        labels: Integer Tensor[B, H, W], classes in [0, C) or `ignore_index`.
        class_weights: Tensor[C] alpha_c >= 0, or None for 1.
        gamma: Exponent >= 0.
        spatial_weight: Tensor[B, H, W] g >= 0, or None for 1.
        ignore_index: Label of pixels that count nowhere; their loss is 0.
        reduction: "none", "sum", or "mean" over the pixels that are not ignored.

    Returns:
        Tensor[B, H, W], or a scalar. Neither weight carries a gradient.

    Raises:
        ValueError: If shapes do not fit, or gamma or reduction is out of range.

    Example:
        >>> logits, labels = torch.zeros(1, 2, 1, 2), torch.tensor([[[1, 255]]])
        >>> refined_pixel_loss(logits, labels, class_weights=torch.tensor([0.5, 2.0]))
        tensor([[[0.4901, 0.0000]]])
    """
    alpha = None if class_weights is None else class_weights.detach()
    loss = softmax_focal_loss(pred_logits, labels.long(), alpha, gamma, ignore_index)
    if spatial_weight is not None:
        if spatial_weight.shape != labels.shape:
            raise ValueError(f"spatial_weight must have shape {tuple(labels.shape)}, got {tuple(spatial_weight.shape)}")
        loss = loss * spatial_weight.detach().to(loss)
    counted = (labels != ignore_index).sum().to(loss.dtype) if reduction == "mean" else None
    return reduce_loss(loss, reduction, counted)


def predicted_object_class(pred_logits: Tensor, background: int) -> Tensor:
    """Return the most probable class of each pixel among those of objects: the one that g asks the distance to.

    Args:
        pred_logits: Tensor[B, C, H, W], C >= 2.
        background: Index of the class background, in [0, C).

    Returns:
        Integer Tensor[B, H, W], without gradient; of equal logits the lower index.

    Raises:
        ValueError: If there is no class but background, or no such class.

    Example:
        >>> predicted_object_class(torch.tensor([0.1, 3.0, 0.2]).reshape(1, 3, 1, 1), background=1)
        tensor([[[2]]])
    """
    classes = pred_logits.shape[1]
    check_range("number of classes", classes, 2)
    check_range("background", background, 0, classes - 1)
    objects = torch.cat((pred_logits[:, :background], pred_logits[:, background + 1 :]), 1).detach()
    # On a CPU several times as fast over this dimension as argmax.
    found = objects.max(1).indices
    return found + (found >= background)


def pixel_context_weight(
    distance: Tensor,
    labels: Tensor,
    background: int,
    *,
    beta: float,
    delta: float,
    floor: float = 0.0,
    scope: str = "negatives",
) -> Tensor:
    """Return the spatial-contextual weight of each pixel, g = sigmoid(beta (d - delta)) (REG §2.2, §2.3).

    Args:
        distance: Tensor[B, H, W] d >= 0, to the nearest pixel that is labelled with the pixel's predicted object class,
            in pixels of the mask; infinity where the image has no object of that class.
        labels: Integer Tensor[B, H, W].
        background: Index of the class background.
        beta: Slope a pixel. > 0 grows with distance (§2.3), < 0 falls with it (A.4), 0 gives 0.5.
        delta: Distance at which g = 0.5, in pixels.
        floor: Smallest weight, in [0, 1].
        scope: "negatives" weighs background pixels and keeps 1 on objects, "all" is printed: every pixel.

    Returns:
        Tensor[B, H, W], in [floor, 1].

    Raises:
        ValueError: If shapes differ, a number is out of range, or the scope is unknown.

    Example:
        >>> distance, labels = torch.tensor([[[0.0, 2.0, 30.0]]]), torch.tensor([[[0, 1, 1]]])
        >>> pixel_context_weight(distance, labels, background=1, beta=0.5, delta=2.0)
        tensor([[[1.0000, 0.5000, 1.0000]]])
    """
    if distance.shape != labels.shape:
        raise ValueError(f"distance must have shape {tuple(labels.shape)}, got {tuple(distance.shape)}")
    check_choice("scope", scope, SPATIAL_SCOPES)
    weight = spatial_context_weight(distance, beta, delta, floor)
    return weight if scope == "all" else torch.where(labels == background, weight, 1.0)


def pixel_counts(labels: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """Return how many pixels each class has, the N_c of alpha in per-pixel classification (REG A.8).

    Args:
        labels: Integer Tensor of any shape, classes in [0, num_classes) or `ignore_index`.
        num_classes: C.
        ignore_index: Label of pixels that count nowhere.

    Returns:
        int64 Tensor[C].

    Raises:
        ValueError: If a label is neither a class nor `ignore_index`.

    Example:
        >>> pixel_counts(torch.tensor([[0, 2, 2], [255, 0, 0]]), num_classes=3)
        tensor([3, 0, 2])
    """
    counted = labels[labels != ignore_index].long()
    if len(counted) and (counted.min() < 0 or counted.max() >= num_classes):
        raise ValueError(
            f"labels must be in [0, {num_classes}) or {ignore_index}, got {int(counted.min())} to {int(counted.max())}"
        )
    return torch.bincount(counted, minlength=num_classes)
