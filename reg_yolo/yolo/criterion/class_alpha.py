"""Class weights alpha of one task, counted from its labels or learned by the dual ascent (REG A.8, A.10.2, §2.6.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from reg_yolo import losses
from reg_yolo.config.reg_sections import AlphaSettings
from reg_yolo.errors import ConfigError


class ClassAlpha:
    """Weights of the classes; those of the scheme `dual` move with every training batch.

    Attributes:
        weights: Tensor[C] on the device of the model, or None where classes are not weighted.
        dual: What the scheme `dual` learns, else None.
    """

    def __init__(
        self,
        settings: AlphaSettings,
        counts: Sequence[int],
        device: torch.device,
        stored: Mapping[str, Any] | None = None,
    ) -> None:
        """Count the weights, or continue from what a resumed run had learned.

        Args:
            settings: The `reg.alpha:` block.
            counts: Annotations of each class.
            device: Of the model.
            stored: `dual_state()` of the run that is resumed.

        Raises:
            ConfigError: If explicit weights do not fit the number of classes.
        """
        self.dual: losses.DualClassWeights | None = None
        if settings.scheme == "dual" and settings.weights is None:
            dual = settings.dual
            self.dual = losses.DualClassWeights(
                counts, step_size=dual.step, pull=dual.pull, momentum=dual.momentum, limit=dual.limit
            )
            if stored:
                self.dual.load_state_dict(stored)
        weights = counted_weights(settings, counts) if self.dual is None else self.dual.weights()
        self.weights = None if weights is None else weights.to(device=device, dtype=torch.float32)

    def to_list(self) -> list[float] | None:
        """Return the weights as plain numbers, None where classes are not weighted."""
        return None if self.weights is None else self.weights.tolist()

    def dual_state(self) -> dict[str, Any] | None:
        """Return what a resumed run needs, as plain data; None unless the weights are learned."""
        return None if self.dual is None else self.dual.state_dict()

    @torch.no_grad()
    def learn(self, each: Tensor, scores: Tensor, label: Tensor) -> None:
        """Let learned weights ascend on a training batch's mean loss by class; all ranks must call this.

        Args:
            each: Tensor[P], unweighted losses.
            scores: Tensor[P], what each counts in its class's mean.
            label: Tensor[P], classes.
        """
        if self.dual is None or self.weights is None:
            return
        sums = torch.zeros(2, len(self.weights), device=each.device)
        sums[0].index_add_(0, label, each.float())
        sums[1].index_add_(0, label, scores.float())
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
        self.dual.ascend(sums[0], sums[1])
        self.weights = self.dual.weights()


def counted_weights(alpha: AlphaSettings, counts: Sequence[int]) -> Tensor | None:
    """Return alpha from the label counts (REG A.8 eq. 1, A.10.2), or None where every class weighs 1.

    Raises:
        ConfigError: If explicit weights do not fit the number of classes.
    """
    if alpha.weights is not None:
        if len(alpha.weights) != len(counts):
            raise ConfigError(
                f"reg.alpha.weights must have one weight for each of the {len(counts)} classes, "
                f"got {len(alpha.weights)}"
            )
        return torch.tensor(alpha.weights)
    if alpha.is_neutral:
        return None
    if alpha.scheme == "inverse_frequency":
        return losses.inverse_frequency_weights(counts, alpha.temper)
    return losses.balanced_weights(counts, alpha.temper)
