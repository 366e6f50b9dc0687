"""Class weights from annotation counts (REG appendix A.8, A.10.2, A.10.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.checks import Counts, check_range, checked_counts


def inverse_frequency_weights(counts: Counts, temper: float = 1.0) -> Tensor:
    """Inverse class frequency alpha_c = N_total / N_c (REG A.8, eq. 1).

    Args:
        counts: annotations per class, Tensor[C] or a sequence of C numbers >= 0.
        temper: in [0, 1]. 1 is the printed form. Below 1 (ours) the weight is alpha_c ** temper, renormalised so that
            sum_c N_c alpha_c = N_total: the same as `balanced_weights` with that temper. 0 gives all ones.

    Returns:
        Tensor[C] of positive weights; a class without annotations gets the present classes' mean weight.

    Raises:
        ValueError: `counts` is not one-dimensional, is negative, not finite or zero throughout; `temper` out of range.
    """
    values, dtype = checked_counts(counts)
    check_range("temper", temper, 0.0, 1.0)
    if temper < 1.0:
        return _tempered(values, temper).to(dtype)
    present = values > 0
    weights = values.sum() / values.clamp_min(1e-300)
    return _fill_absent(weights, present).to(dtype)


def balanced_weights(counts: Counts, temper: float = 1.0) -> Tensor:
    """Inverse class frequency with annotation-weighted mean 1, alpha_c = N_total / (C N_c) (REG A.10.2).

    Args:
        counts: annotations per class, Tensor[C] or a sequence of C numbers >= 0. C and N_total count present classes.
        temper: in [0, 1]. 1 is the printed form; below 1 (ours) alpha_c ** temper, renormalised so that
            sum_c N_c alpha_c = N_total; 0 gives all ones.

    Returns:
        Tensor[C] of positive weights; a class without annotations gets the present classes' mean weight.

    Raises:
        ValueError: as `inverse_frequency_weights`.
    """
    values, dtype = checked_counts(counts)
    check_range("temper", temper, 0.0, 1.0)
    return _tempered(values, temper).to(dtype)


def imbalance_ratio(counts: Counts) -> float:
    """Ratio of the most to the least frequent present class, N_max / N_min (REG A.10.4).

    Args:
        counts: annotations per class, Tensor[C] or a sequence of C numbers >= 0.

    Raises:
        ValueError: `counts` is not one-dimensional, is negative, not finite or zero throughout.
    """
    values, _ = checked_counts(counts)
    present = values[values > 0]
    return float(present.max() / present.min())


def _tempered(values: Tensor, temper: float) -> Tensor:
    present = values > 0
    weights = torch.where(present, values.clamp_min(1e-300).pow(-temper), 0.0)
    weights = weights * (values.sum() / (values * weights).sum())
    return _fill_absent(weights, present)


def _fill_absent(weights: Tensor, present: Tensor) -> Tensor:
    return torch.where(present, weights, weights[present].mean())
