"""The classification branch: class weights, focusing, spatial context and uncertainty for every anchor point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from reg_yolo import losses
from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.class_alpha import ClassAlpha
from reg_yolo.yolo.criterion.far_entries import distance_to_class
from reg_yolo.yolo.criterion.head_output import HeadOutput
from reg_yolo.yolo.criterion.logged_means import EpochTerms
from reg_yolo.yolo.criterion.targets import Assignment, Positives, joint_normalizer

# A learned deviation starts small against the logits' own range, so that training begins close to certain logits.
INITIAL_DEVIATION = 0.5
# The same where the deviation is one of probabilities, whose range is 1.
INITIAL_PROBABILITY_DEVIATION = 0.05
# A box distribution without any blur has deviation 0, whose divergence from the prior is infinite.
SMALLEST_FREE_ENERGY_DEVIATION = 1e-3


class ClassLossTerms:
    """State and switches of the classification loss: alpha (fixed or dual), the learned deviation."""

    def __init__(
        self,
        settings: RegSettings,
        class_counts: Sequence[int],
        device: torch.device,
        stored: Mapping[str, Any],
        learned_deviation: nn.Parameter | None,
    ) -> None:
        """Take the settings, count the class weights, and restore what a resumed run had learned."""
        self.settings = settings
        self.learned_deviation = learned_deviation
        self.class_alpha = ClassAlpha(settings.alpha, class_counts, device, stored.get("dual"))
        self.mitigation: Tensor | None = None
        if settings.alpha.mitigation:
            self.mitigation = losses.mitigation_weights(class_counts, settings.alpha.mitigation).to(device)
        self.gradient_ratio: losses.GradientRatio | None = None
        if settings.focal.form == "equalized":
            self.gradient_ratio = losses.GradientRatio(len(class_counts))
            if stored.get("equalized"):
                self.gradient_ratio.load_state_dict(stored["equalized"])

    @property
    def alpha(self) -> Tensor | None:
        """Weights of the classes, Tensor[C] on the device of the model, or None where classes are not weighted."""
        return self.class_alpha.weights

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs, as plain Python data."""
        deviations = self.learned_deviation
        return {
            "class_weights": self.class_alpha.to_list(),
            "dual": self.class_alpha.dual_state(),
            "equalized": None if self.gradient_ratio is None else self.gradient_ratio.state_dict(),
            "deviations": None if deviations is None else deviations.detach().exp().tolist(),
        }

    def weights_list(self, num_classes: int) -> list[float]:
        """Return alpha of each class, 1 where classes are not weighted."""
        return self.class_alpha.to_list() or [1.0] * num_classes

    def gradient_ratios(self) -> list[float]:
        """Return each class's ratio of positive to negative gradient; nothing unless the form is equalized."""
        return [] if self.gradient_ratio is None else self.gradient_ratio.ratio().tolist()

    def describe(self) -> str:
        """Return the switches that are on, in a line."""
        s = self.settings
        parts = [f"box {s.box.loss}"]
        if self.alpha is not None:
            kind: str = "given" if s.alpha.weights is not None else s.alpha.scheme
            if kind in {"balanced", "inverse_frequency"}:
                kind += f" (temper {s.alpha.temper:g})"
            parts.append(f"alpha {kind} on {s.alpha.on}")
        if s.focal.gamma or s.focal.form != "soft":
            own = f", s {s.focal.s:g}" if s.focal.form == "equalized" else ""
            own += f", alpha {s.focal.balance:g}" if s.focal.balance is not None else ""
            parts.append(f"gamma {s.focal.gamma:g} ({s.focal.form}{own})")
        if s.alpha.mitigation:
            parts.append(f"mitigation {s.alpha.mitigation:g}")
        if s.spatial.enabled:
            parts.append(
                f"g beta {s.spatial.beta:g} delta {s.spatial.delta:g} {s.spatial.distance} on {s.spatial.scope}"
                + (f", hard ones kept {s.spatial.keep_hard:g}" if s.spatial.keep_hard else "")
            )
        if s.uncertainty.mode == "printed":
            parts.append("p-hat printed (p itself)")
        elif s.uncertainty.mode != "none":
            parts.append(f"p-hat {s.uncertainty.mode}, deviation {s.uncertainty.deviation}")
        if s.dynamic_coefficient.enabled:
            parts.append(f"dynamic coefficient in {s.dynamic_coefficient.unit}")
        return ", ".join(parts)

    def normalizer(self, assignment: Assignment) -> Tensor:
        """Return the sum of the targets, at least 1; under `printed` the number of positives (REG A.10.2).

        With masks `printed` adds the positives that have one: N = N_det + N_seg (REG §2.4).
        """
        if self.settings.focal.form == "printed":
            count = (assignment.positives.score > 0).sum()
            count = count if assignment.has_mask is None else count + assignment.has_mask.sum()
            return joint_normalizer(count, assignment.ranks)
        return assignment.normalizer

    def entries(
        self, head: HeadOutput, assignment: Assignment, terms: EpochTerms | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss of every entry, Tensor[B, A, C], before its normaliser; means go to `terms` if given.

        Every tensor of that shape is a view of Tensor[B, C, A], the order that the head's output has in memory. Next to
        it comes the divergence from the prior, summed over the positives, where the free energy has one.
        """
        with torch.autocast(device_type=head.class_logits.device.type, enabled=False):
            weight = self._spatial_weight(head, assignment)
            deviation = self._deviation(head)
            if terms is not None and weight is not None:
                terms.add("reg/spatial_mean", weight.mean())
            weight = self._mitigated(weight, assignment)
            if terms is not None and isinstance(deviation, Tensor):
                terms.add("reg/deviation_mean", deviation.detach().mean())
            logits, targets = head.logits.float(), assignment.target_scores.float()
            if self.settings.uncertainty.mode == "free_energy" and deviation is not None:
                expected = losses.expected_quality_focal_loss(
                    logits, deviation, targets, gamma=self.settings.focal.gamma
                )
                factor = self._factor(targets, weight)
                divergence = self._divergence(head, assignment.positives, deviation)
                return expected if factor is None else expected * factor, divergence
            if self.gradient_ratio is not None:
                factor = self._factor(targets, weight)
                return self._equalized(self.gradient_ratio, logits, assignment, factor, terms is not None), None
            balance = self.settings.focal.balance
            if balance is not None:
                entries = self._balanced(logits, targets, balance)
                factor = self._factor(targets, weight)
                return entries if factor is None else entries * factor, None
            return losses.refined_generalized_focal_loss(
                logits,
                targets,
                class_weights=self.alpha,
                class_weights_on=self._class_weights_on,
                gamma=self.settings.focal.gamma,
                spatial_weight=weight,
                spatial_scope=self.settings.spatial.scope,
                deviation=deviation,
                uncertainty=self.settings.uncertainty.mode if deviation is not None else "logit_normal",
                form=self.settings.focal.form,
            ), None

    def _factor(self, targets: Tensor, weight: Tensor | None) -> Tensor | None:
        """Return what class weights and g multiply each entry by; None where everything is 1."""
        return losses.entry_weight(targets, self.alpha, self._class_weights_on, weight, self.settings.spatial.scope)

    @property
    def _class_weights_on(self) -> str:
        return "all" if self.settings.alpha.on == "both" else "positives"

    def _balanced(self, logits: Tensor, targets: Tensor, balance: float) -> Tensor:
        """Return the loss of the forms whose own alpha balances positives against negatives."""
        loss = losses.sigmoid_focal_loss if self.settings.focal.form == "sigmoid" else losses.varifocal_loss
        return loss(logits, targets, balance, self.settings.focal.gamma)

    def _equalized(
        self,
        gradient_ratio: losses.GradientRatio,
        logits: Tensor,
        assignment: Assignment,
        factor: Tensor | None,
        training: bool,
    ) -> Tensor:
        """Return the equalized focal loss; a training batch's own gradients count from the next batch on."""
        targets, focal = assignment.target_scores.float(), self.settings.focal
        ratio = gradient_ratio.ratio(logits.device)
        if training:
            slope = losses.equalized_focal_slope(logits.detach(), targets, ratio, focal.gamma, focal.s, factor)
            size = assignment.without_ignored(slope.abs_())
            positive = torch.where(targets > 0, size, 0.0).sum((0, 1))
            sums = torch.stack((positive, size.sum((0, 1)) - positive)) / self.normalizer(assignment)
            if distributed.is_available() and distributed.is_initialized():
                distributed.all_reduce(sums)
            gradient_ratio.accumulate(sums.clamp_(min=0.0))
        return losses.equalized_focal_loss(logits, targets, ratio, focal.gamma, focal.s, factor)

    def _mitigated(self, weight: Tensor | None, assignment: Assignment) -> Tensor | None:
        """Return the weight of negatives with that of rare classes at positives of frequent ones shrunk."""
        if self.mitigation is None:
            return weight
        if weight is None:
            weight = torch.ones_like(assignment.target_scores, dtype=torch.float32)
        positives = assignment.positives
        weight[positives.image, positives.anchor] *= self.mitigation[positives.label]
        return weight

    def _divergence(self, head: HeadOutput, positives: Positives, deviation: Tensor | float) -> Tensor:
        """Return kl_weight KL(q, prior) summed over the positives (REG §2.6.4), outside every weight and factor.

        On the background it would pull logits up to the prior, and there are thousands of them for each positive.
        """
        prior = self.settings.uncertainty.prior
        own = head.logits[positives.image, positives.anchor, positives.label].float()
        if isinstance(deviation, Tensor):
            deviation = deviation[positives.label] if deviation.ndim == 1 else deviation[
                positives.image, positives.anchor, 0
            ]  # fmt: skip
        mean: Tensor | float
        if prior.mean == "bias":
            mean = head_class_bias(head.strides[positives.anchor, 0].float(), head.class_logits.shape[1])
        else:
            mean = prior.mean
        return prior.kl_weight * losses.gaussian_kl(own, deviation, mean, prior.deviation).sum()

    def _spatial_weight(self, head: HeadOutput, assignment: Assignment) -> Tensor | None:
        spatial = self.settings.spatial
        if not spatial.enabled:
            return None
        distance = distance_to_class(head.grid, assignment.truth, head.class_logits.shape[1], spatial.distance)
        weight = losses.spatial_context_weight(distance, spatial.beta, spatial.delta, spatial.floor)
        return losses.keep_hard_entries(weight, head.logits, spatial.keep_hard) if spatial.keep_hard else weight

    def _deviation(self, head: HeadOutput) -> Tensor | float | None:
        """Return the deviation, of probabilities under truncated_normal, of logits otherwise; None where there is none.

        A number, Tensor[C] (learned) or Tensor[B, A, 1] (dfl).
        """
        uncertainty = self.settings.uncertainty
        if uncertainty.mode in {"none", "printed"}:
            return None
        if isinstance(uncertainty.deviation, float):
            return uncertainty.deviation
        if uncertainty.deviation == "learned":
            assert self.learned_deviation is not None, "the trainer's build_optimizer creates the learned deviation"
            return self.learned_deviation.exp()
        distributions = head.distributions if uncertainty.grad_to_box else head.distributions.detach()
        deviation = uncertainty.kappa * losses.distribution_spread(distributions.float()).unsqueeze(-1)
        return deviation.clamp(min=SMALLEST_FREE_ENERGY_DEVIATION) if uncertainty.mode == "free_energy" else deviation

    def learn(self, own_logits: Tensor, positives: Positives) -> None:
        """Let the dual class weights ascend on a training batch's mean loss by class (REG §2.6.2).

        Args:
            own_logits: Tensor[P], logit of each positive's own class.
            positives: Labels and target scores.
        """
        if self.class_alpha.dual is not None:
            scores = positives.score.float()
            each = losses.quality_focal_loss(own_logits.float(), scores, self.settings.focal.gamma)
            self.class_alpha.learn(each, scores, positives.label)


def initial_deviation(settings: RegSettings) -> float:
    """Return what a learned deviation starts from, in the unit of the mode."""
    return INITIAL_PROBABILITY_DEVIATION if settings.uncertainty.mode == "truncated_normal" else INITIAL_DEVIATION


def head_class_bias(strides: Tensor, num_classes: int) -> Tensor:
    """Return the class bias that upstream gives a head before training: 5 objects in an image of 640 pixels.

    Args:
        strides: Tensor of any shape, pixels.
        num_classes: C.

    Returns:
        Tensor of that shape, logits.
    """
    return (5.0 / num_classes / (640.0 / strides).square()).log()
