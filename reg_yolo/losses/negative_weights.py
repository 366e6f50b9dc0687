"""Weights of negative entries: hard ones keep theirs, those of rare classes at frequent objects lose some."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.checks import Counts, at_least_float32, check_broadcast, check_range, checked_counts


@torch.no_grad()
def keep_hard_entries(weight: Tensor, pred_logits: Tensor, strength: float = 1.0) -> Tensor:
    """Lift a weight below 1 towards 1 where the predicted probability is high: 1 - (1 - g) (1 - p)^strength (ours).

    REG's g spares background near an object, the badly placed duplicates too, whose p is high: those keep weight 1.

    Args:
        weight: g in [0, 1], broadcasts to `pred_logits`.
        pred_logits: Tensor of any shape; p = sigmoid(z).
        strength: >= 0; 0 leaves g as it is, 1 is linear in p, more lifts moderately hard entries as well.

    Returns:
        Tensor of the shape of `pred_logits` in [0, 1], without gradient.

    Raises:
        ValueError: the shape does not fit or strength is negative.
    """
    check_broadcast("weight", weight, pred_logits.shape)
    check_range("strength", strength, 0.0)
    # (1 - p)^strength from the logit: no cancellation where p is close to 1
    spared = torch.nn.functional.softplus(at_least_float32(pred_logits)).mul_(-strength).exp_()
    return spared.mul_(weight - 1.0).add_(1.0)


def mitigation_weights(counts: Counts, exponent: float = 0.5) -> Tensor:
    """Weights M[c, c'] = min(1, N_c' / N_c)^exponent of negatives of class c' at positives of class c (Seesaw eq. 4).

    A frequent class's objects push a rare class down less; a frequent class feels those of a rare one in full. Seesaw's
    own counts grow over the training, these are the training split's.

    Args:
        counts: annotations per class, Tensor[C] or a sequence of C numbers >= 0.
        exponent: >= 0; 0 gives all ones. Seesaw uses 0.8.

    Returns:
        Tensor[C, C] in [0, 1], 1 on the diagonal; 1 too for a class without annotations, which is to be pushed down.

    Raises:
        ValueError: `counts` is not one-dimensional, is negative, not finite or zero throughout; exponent is negative.
    """
    values, dtype = checked_counts(counts)
    check_range("exponent", exponent, 0.0)
    present = values > 0
    matrix = (values[None, :] / values.clamp_min(1e-300)[:, None]).clamp(max=1.0) ** exponent
    return torch.where(present[None, :] & present[:, None], matrix, 1.0).to(dtype)
