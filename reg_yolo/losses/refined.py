"""The Refined Generalized Focal Loss: class weight, focusing, spatial context and uncertainty in one (REG §2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_broadcast, check_choice, check_range, check_same_shape
from reg_yolo.losses.modulated_bce import modulated_bce
from reg_yolo.losses.powers import guarded_power
from reg_yolo.losses.reduction import reduce_loss
from reg_yolo.losses.uncertainty import expected_logits

FORMS = ("soft", "printed")
CLASS_WEIGHT_TARGETS = ("positives", "all")
SPATIAL_SCOPES = ("negatives", "all")


def refined_generalized_focal_loss(
    pred_logits: Tensor,
    target_scores: Tensor,
    *,
    class_weights: Tensor | None = None,
    class_weights_on: str = "positives",
    gamma: float = 1.5,
    spatial_weight: Tensor | None = None,
    spatial_scope: str = "negatives",
    deviation: Tensor | float | None = None,
    uncertainty: str = "logit_normal",
    form: str = "soft",
    reduction: str = "none",
) -> Tensor:
    """Return the refined generalized focal loss (REG §2.1-2.5): alpha_c abs(y - p)^gamma BCE(z, y) g.

    p and z are made uncertain as `uncertainty` says. Neutral arguments (no weights, gamma 0, no deviation)
    give binary cross-entropy, bit for bit.

    Args:
        pred_logits: Tensor[..., C].
        target_scores: Same shape, soft targets y in [0, 1]; an entry is positive where y > 0.
        class_weights: Tensor[C] alpha_c >= 0, or None for 1.
        class_weights_on: "positives" weights the entries with y > 0 only, "all" both signs.
        gamma: Exponent >= 0.
        spatial_weight: g >= 0, broadcasts to `pred_logits`, or None for 1.
        spatial_scope: "negatives" keeps g = 1 where y > 0 (ours: with beta > 0 the printed weight switches the
            positives off), "all" is printed.
        deviation: s of `expected_probability`, or None for certain logits. Gradient flows into it where it has one.
        uncertainty: Mode of `expected_probability`.
        form: "soft" as above (§2.1 as printed has no label in it). "printed" is A.10.2 with its indicator:
            -alpha_c (1 - p)^gamma log(p) g where y > 0, and 0 elsewhere.
        reduction: "none", "sum", or "mean": over max(sum y, 1) for "soft", over the positive entries for "printed".

    Returns:
        Tensor of the shape of `pred_logits`, or a scalar. Neither weight carries a gradient.

    Raises:
        ValueError: If a shape does not fit, gamma is negative, or a choice is unknown.

    Example:
        >>> logits, targets = torch.zeros(1, 2), torch.tensor([[0.8, 0.0]])
        >>> refined_generalized_focal_loss(logits, targets, class_weights=torch.tensor([2.0, 1.0]))
        tensor([[0.2278, 0.2451]])
    """
    check_same_shape("pred_logits", pred_logits, "target_scores", target_scores)
    check_range("gamma", gamma, 0.0)
    check_choice("form", form, FORMS)
    z = at_least_float32(pred_logits)
    y = target_scores.detach().to(z.dtype)
    weight = entry_weight(y, class_weights, class_weights_on, spatial_weight, spatial_scope)
    if deviation is not None:
        z = expected_logits(z, deviation, uncertainty)
    if form == "soft":
        loss = modulated_bce(z, y, gamma, weight)
    else:
        positive = (y > 0).to(z.dtype)
        # 1 - p as the sigmoid of -z: no cancellation where p is close to 1
        loss = F.softplus(-z) * guarded_power((-z).sigmoid(), gamma) * positive
        if weight is not None:
            loss = loss * weight
    if reduction != "mean":
        return reduce_loss(loss, reduction)
    counted = y if form == "soft" else (y > 0).to(y.dtype)
    return reduce_loss(loss, reduction, counted.sum().clamp(min=1.0))


def entry_weight(
    target_scores: Tensor,
    class_weights: Tensor | None,
    class_weights_on: str,
    spatial_weight: Tensor | None,
    spatial_scope: str,
) -> Tensor | None:
    """Return the weight alpha_c g of each entry, on the signs that it applies to; None where everything is 1.

    Args:
        target_scores: Tensor[..., C], positive where > 0.
        class_weights: Tensor[C] or None.
        class_weights_on: "positives" or "all".
        spatial_weight: Broadcasts to `target_scores`, or None.
        spatial_scope: "negatives" or "all".

    Returns:
        Tensor that broadcasts to `target_scores`, without gradient, or None.

    Raises:
        ValueError: If a shape does not fit or a choice is unknown.

    Example:
        >>> targets, weights = torch.tensor([[0.8, 0.0]]), torch.tensor([2.0, 3.0])
        >>> entry_weight(targets, weights, "positives", torch.tensor(0.5), "negatives")
        tensor([[2.0000, 0.5000]])
    """
    check_choice("class_weights_on", class_weights_on, CLASS_WEIGHT_TARGETS)
    check_choice("spatial_scope", spatial_scope, SPATIAL_SCOPES)
    alpha = g = None
    if class_weights is not None:
        if tuple(class_weights.shape) != tuple(target_scores.shape[-1:]):
            raise ValueError(
                f"class_weights must have shape {tuple(target_scores.shape[-1:])}, got {tuple(class_weights.shape)}"
            )
        alpha = class_weights.detach().to(target_scores)
    if spatial_weight is not None:
        check_broadcast("spatial_weight", spatial_weight, target_scores.shape)
        g = spatial_weight.detach().to(target_scores)
    on_positives = alpha if g is None or spatial_scope == "negatives" else (g if alpha is None else alpha * g)
    on_negatives = g if alpha is None or class_weights_on == "positives" else (alpha if g is None else alpha * g)
    if on_positives is on_negatives:
        return on_positives
    one = target_scores.new_ones(())
    return torch.where(
        target_scores > 0,
        one if on_positives is None else on_positives,
        one if on_negatives is None else on_negatives,
    )
