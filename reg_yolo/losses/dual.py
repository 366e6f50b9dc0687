"""Class weights learned by the primal-dual game max over alpha, min over theta (REG §2.6.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from reg_yolo.losses.checks import check_range
from reg_yolo.losses.class_weights import balanced_weights


class DualClassWeights:
    """Class weights on the simplex that ascend the per-class mean loss and are pulled to the balanced weights.

    The paper's multipliers pin alpha_c to 1/C as printed. The reading that makes sense of its max-min is a game: the
    network descends sum_c alpha_c m_c, with m_c the mean loss of class c, and alpha ascends it by exponentiated
    gradient. `pull` keeps alpha near the prior; where the losses m_c stay put, alpha_c settles at
    prior_c exp(m_c step_size / pull), renormalised. The weight to use is scaled to sum_c N_c w_c = N_total and, after
    every step, lies between balanced / limit and balanced x limit: a class that cannot be learned does not take all.

    A plain object: no parameters, no buffers, nothing that training code moves, averages or saves behind its back.

    Args:
        counts: annotations per class, C numbers >= 0.
        step_size: > 0, of the ascent on the mean loss.
        pull: in [0, 1], share of the prior in each step (geometric).
        momentum: in [0, 1), of the average that stands in for classes missing from a batch.
        limit: >= 1, the largest factor between a class's weight and its balanced weight.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        counts: Tensor | Sequence[float],
        step_size: float = 0.01,
        pull: float = 0.01,
        momentum: float = 0.9,
        limit: float = 4.0,
    ) -> None:
        check_range("step_size", step_size, 1e-12)
        check_range("pull", pull, 0.0, 1.0)
        check_range("momentum", momentum, 0.0, 1.0 - 1e-9)
        self.step_size = float(step_size)
        self.pull = float(pull)
        self.momentum = float(momentum)
        check_range("limit", limit, 1.0)
        self.limit = float(limit)
        self._counts = torch.as_tensor(counts).detach().to("cpu", torch.float32)
        self._log_prior = balanced_weights(self._counts).log().log_softmax(0)
        self._log_alpha = self._log_prior.clone()
        # NaN marks a class that has not been seen yet.
        self._mean_loss = torch.full_like(self._counts, torch.nan)

    def ascend(self, class_losses: Tensor, class_scores: Tensor) -> None:
        """Take one step on a training batch's losses.

        Args:
            class_losses: Tensor[C], unweighted loss L_c summed over the batch (and over ranks).
            class_scores: Tensor[C], target scores y_c summed alike; 0 where the class is missing from the batch.

        Raises:
            ValueError: a shape is not (C,).
        """
        for name, tensor in (("class_losses", class_losses), ("class_scores", class_scores)):
            if tensor.shape != self._counts.shape:
                raise ValueError(f"{name} must have shape {tuple(self._counts.shape)}, got {tuple(tensor.shape)}")
        # Outside inference mode even if the caller is in it, and on the losses' device: no synchronisation.
        with torch.no_grad():
            self._move(class_losses.device)
            losses, scores = class_losses.detach().float(), class_scores.detach().float()
            batch_mean = losses / scores.clamp_min(1e-12)
            # An overflown batch says nothing about the classes.
            present = (scores > 0) & torch.isfinite(batch_mean)
            unseen = torch.isnan(self._mean_loss)
            average = torch.lerp(batch_mean, self._mean_loss, self.momentum)
            self._mean_loss = torch.where(present, torch.where(unseen, batch_mean, average), self._mean_loss)
            gain = torch.where(present, batch_mean, self._mean_loss)
            known = ~torch.isnan(gain)
            neutral = torch.where(known, gain, 0.0).sum() / known.sum().clamp(min=1)
            gain = torch.where(known, gain, neutral)
            pulled = torch.lerp(self._log_alpha, self._log_prior, self.pull)
            self._log_alpha = self._within_limit((pulled + self.step_size * gain).log_softmax(0))

    def alpha(self) -> Tensor:
        """Return the point on the simplex, Tensor[C] >= 0 with sum 1."""
        return self._log_alpha.exp()

    def weights(self, device: torch.device | str | None = None) -> Tensor:
        """Return the weights to use, Tensor[C]: alpha_c N_total / sum_c N_c alpha_c."""
        if device is not None:
            self._move(torch.device(device))
        alpha = self.alpha()
        return alpha * (self._counts.sum() / (self._counts * alpha).sum())

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and lists; None marks the mean loss of a class not yet seen."""
        mean_loss = [None if value != value else value for value in self._mean_loss.tolist()]
        return {"counts": self._counts.tolist(), "log_alpha": self._log_alpha.tolist(), "mean_loss": mean_loss}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict()`'s result; settings stay those of the constructor.

        Raises:
            ValueError: the state is of another number of classes, or lacks an entry.
        """
        for key in ("counts", "log_alpha", "mean_loss"):
            if key not in state or len(state[key]) != len(self._counts):
                got = len(state[key]) if key in state else "nothing"
                raise ValueError(f"state[{key!r}] must have {len(self._counts)} entries, one a class, got {got}")
        device = self._counts.device
        self._counts = torch.tensor(state["counts"], dtype=torch.float32, device=device)
        self._log_prior = balanced_weights(self._counts).log().log_softmax(0)
        self._log_alpha = self._within_limit(torch.tensor(state["log_alpha"], dtype=torch.float32, device=device))
        known = [torch.nan if value is None else value for value in state["mean_loss"]]
        self._mean_loss = torch.tensor(known, dtype=torch.float32, device=device)

    def _within_limit(self, log_alpha: Tensor) -> Tensor:
        """Return a point on the simplex whose weights lie within the limit and still sum to N_total over the labels.

        With r_c = alpha_c / prior_c the weights are balanced_c clamp(m r_c, 1/limit, limit) for the one m that keeps
        the sum. It is piecewise linear and increasing in m, so m lies on the line between two neighbouring kinks.
        """
        bound = math.log(self.limit)
        share = self._counts * self._log_prior.exp()
        share = share / share.sum()
        excess = log_alpha - self._log_prior
        excess = excess - (share * excess.exp()).sum().log()
        kinks = torch.cat((-bound - excess, bound - excess)).sort().values
        sums = (share * (kinks[:, None] + excess).clamp(-bound, bound).exp()).sum(1)
        upper = torch.searchsorted(sums, torch.ones_like(sums[:1])).clamp(1, len(sums) - 1)
        low, high = kinks[upper - 1].exp(), kinks[upper].exp()
        way = (1.0 - sums[upper - 1]) / (sums[upper] - sums[upper - 1]).clamp_min(1e-12)
        excess_within = ((low + (high - low) * way.clamp(0.0, 1.0)).log() + excess).clamp(-bound, bound)
        limited = (self._log_prior + excess_within).log_softmax(0)
        # No decision on the host, which would stall a GPU.
        return torch.where((excess.abs() <= bound).all(), log_alpha, limited)

    def _move(self, device: torch.device) -> None:
        if self._counts.device != device:
            for name in ("_counts", "_log_prior", "_log_alpha", "_mean_loss"):
                setattr(self, name, getattr(self, name).to(device))
