"""The REG criterion for per-pixel classification: Ultralytics' criterion with REG's terms on its cross-entropy (§2.2).

With every term neutral it equals the stock criterion bit for bit. Like the other criteria it is a plain object, shared
by the live model and its EMA, and validation changes nothing in it. Upstream's own criterion is held, not inherited:
it is a module, which would become part of the model that it is set on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from ultralytics.utils.loss import SemanticSegmentationLoss

from reg_yolo import losses
from reg_yolo.config.pixel_terms import check_pixel_terms
from reg_yolo.config.problems import KeyedError, show_path
from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.criterion.class_alpha import ClassAlpha
from reg_yolo.yolo.criterion.logged_means import EpochTerms
from reg_yolo.yolo.criterion.mask_loss import FLAT_SIGMOID
from reg_yolo.yolo.criterion.mask_windows import distance_to_mask
from reg_yolo.yolo.criterion.precision import in_float32, without_bfloat16
from reg_yolo.yolo.criterion.stock_scale import StockScale
from reg_yolo.yolo.criterion.targets import joint_normalizer

IGNORE = 255


class RegSemanticLoss:
    """Refined Generalized Focal Loss on pixels, with upstream's Dice and auxiliary loss next to it (REG §2.2).

    Attributes:
        settings: The `reg:` block.
        stock: Upstream's criterion.
        class_alpha: Class weights, of pixel counts.
        stock_scale: The factor on the loss of pixels.
        training_calls: Batches seen with gradients.
        ranks: Processes whose pixels are normalised together; 1 leaves each to itself, as upstream does.
    """

    ranks: int = 1

    def __init__(
        self,
        model: nn.Module,
        settings: RegSettings,
        pixel_counts: Sequence[int],
        background: int | None,
        *,
        stored: Mapping[str, Any] | None = None,
    ) -> None:
        """Build the criterion for an unwrapped semantic segmentation model.

        Args:
            model: Its last layer is upstream's head.
            settings: The `reg:` block.
            pixel_counts: Pixels of each class in the training split, background among them.
            background: Index of the class background; None where every class is one of objects.
            stored: `state()` of the run that is resumed.

        Raises:
            ConfigError: If a term has no meaning for pixels, or counts or weights do not fit the classes.
        """
        try:
            check_pixel_terms(settings)
        except KeyedError as error:
            raise ConfigError(f"{show_path(error.path)}: {error}") from None
        self.stock = SemanticSegmentationLoss(model)
        classes = self.stock.nc
        if len(pixel_counts) != classes:
            raise ConfigError(
                f"the model has {classes} classes, the training pixels are counted for {len(pixel_counts)}"
            )
        if settings.semantic.spatial.enabled and background is None:
            raise ConfigError(
                "reg.semantic.spatial.enabled: g weighs the background by its distance to objects, and the data set "
                "has no class background; name one in its YAML, or set it to false"
            )
        stored = stored or {}
        self.settings = settings
        self.background = background
        self.class_alpha = ClassAlpha(settings.alpha, pixel_counts, self.stock.device, stored.get("dual"))
        self.stock_scale = StockScale(settings.pixel_scale, stored.get("scale"))
        self.training_calls = 0
        self.terms = EpochTerms()

    def __deepcopy__(self, memo: dict[int, Any]) -> RegSemanticLoss:
        """Return itself: the EMA's copy of a model validates with the very criterion that trains."""
        return self

    # What survives ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return scale, class weights and what has been learned, as plain Python data."""
        return {
            "scale": self.stock_scale.value,
            "class_weights": self.class_alpha.to_list(),
            "dual": self.class_alpha.dual_state(),
        }

    def class_weights_list(self) -> list[float]:
        """Return alpha of each class, 1 where classes are not weighted."""
        return self.class_alpha.to_list() or [1.0] * self.stock.nc

    def describe(self) -> str:
        """Return the preset and its switches in a line."""
        reg, spatial = self.settings, self.settings.semantic.spatial
        parts = ["pixels stock" if reg.is_neutral_on_pixels else "pixels REG"]
        if self.class_alpha.weights is not None:
            kind = "given" if reg.alpha.weights is not None else reg.alpha.scheme
            tempered = f" (temper {reg.alpha.temper:g})" if kind in {"balanced", "inverse_frequency"} else ""
            parts.append(f"alpha {kind}{tempered} of pixel counts")
        if reg.focal.gamma:
            parts.append(f"gamma {reg.focal.gamma:g}")
        if spatial.enabled:
            parts.append(f"g beta {spatial.beta:g} delta {spatial.delta:g} on {spatial.scope}")
        parts.append("Dice" if reg.semantic.dice else "no Dice")
        parts.append(f"auxiliary {reg.semantic.auxiliary:g}")
        return f"{type(self).__name__}, preset {reg.preset}: {', '.join(parts)}"

    def epoch_terms(self, names: Mapping[int, str]) -> dict[str, float]:
        """Return the logged terms since the last call, and scale and class weights as they stand now.

        Each term is a mean over the training batches that this process has seen. `reg/pixels_object` and
        `reg/pixels_background` add up to `ce_loss`, `reg/spatial_mean` is the mean g of the background.
        """
        weights = {
            f"reg/weight/{names[i].replace(',', ' ')}": value for i, value in enumerate(self.class_weights_list())
        }
        return {**self.terms.take(), "reg/scale": self.stock_scale.factor, **weights}

    # The loss ---------------------------------------------------------------------------------------------------

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss times the batch size and its items (ce_loss, dice_loss, aux_loss), as upstream names them.

        Args:
            preds: Logits, Tensor[B, C, h, w], with those of the auxiliary head as a tuple while training.
            batch: `semantic_mask` is Tensor[B, H, W], classes or 255 for pixels that count nowhere.
        """
        with without_bfloat16(self.stock.device):
            preds = in_float32(preds)
            main = preds[0] if isinstance(preds, tuple) else preds
            training = main.requires_grad
            self.training_calls += training
            if self.settings.is_stock_on_pixels and (self.ranks == 1 or not training):
                result: tuple[Tensor, dict[str, Tensor]] = self.stock(preds, batch)
                return result
            return self._loss(main, preds[1] if isinstance(preds, tuple) else None, batch, training)

    def _loss(
        self, main: Tensor, auxiliary: Tensor | None, batch: dict[str, Any], training: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        masks = batch["semantic_mask"].to(main.device)
        main = _to_size_of(masks, main)
        ranks = self.ranks if training else 1
        pixels = self._pixel_loss(main, masks, training, ranks)
        zero = torch.zeros_like(pixels)
        semantic = self.settings.semantic
        dice = self.stock._dice_loss(main, masks, masks.reshape(-1) != IGNORE) if semantic.dice else zero
        total = pixels + dice
        at_p4 = zero
        if auxiliary is not None:
            # Also at weight 0: several GPUs need every parameter in the graph.
            at_p4 = auxiliary.float().sum() * 0.0
            if semantic.auxiliary:
                at_p4 = self._pixel_loss(_to_size_of(masks, auxiliary), masks, False, ranks) * semantic.auxiliary
            total = total + at_p4
        items = {"ce_loss": pixels.detach(), "dice_loss": dice.detach(), "aux_loss": at_p4.detach()}
        return total * main.shape[0], items

    def _pixel_loss(self, logits: Tensor, masks: Tensor, training: bool, ranks: int) -> Tensor:
        """Return -alpha_c (1 - p_c)^gamma log(p_c) g over the pixels that count; a training batch teaches and logs."""
        valid = masks.reshape(-1) != IGNORE
        # Ultralytics' own class weights (cls_pw) divide by their sum; alpha has a mean of 1 by itself.
        stock_weight = self.stock.ce.weight
        own_count = valid.sum()
        if self.class_alpha.weights is None and stock_weight is not None:
            own_count = stock_weight[masks.reshape(-1)[valid].long()].sum()
        count = joint_normalizer(own_count, ranks)
        # What brings upstream's mean over this process's pixels to all ranks' normaliser.
        share = own_count.clamp_min(1) / count
        if self.settings.is_neutral_on_pixels:
            loss: Tensor = self.stock._ce_loss(logits, masks, valid)
            return loss if ranks == 1 else loss * share
        with torch.autocast(device_type=logits.device.type, enabled=False):
            logits = logits.float()
            weight = self._spatial_weight(logits, masks)
            gamma = self.settings.focal.gamma
            alpha = self.class_alpha.weights if self.class_alpha.weights is not None else stock_weight
            each = losses.refined_pixel_loss(logits, masks, class_weights=alpha, gamma=gamma, spatial_weight=weight)
            total = each.sum()
            scale = self.stock_scale.factor
            if training:
                scale = self._scale_on(logits, masks, valid, total.detach() / count, share)
                self._record(each.detach(), masks, weight, scale / count)
                if self.class_alpha.dual is not None:
                    # The mean loss of a class, before weights (REG §2.6.2).
                    plain = losses.refined_pixel_loss(logits.detach(), masks, gamma=gamma).reshape(-1)[valid]
                    self.class_alpha.learn(plain, torch.ones_like(plain), masks.reshape(-1)[valid].long())
        loss = total / count
        return loss if scale == 1.0 else loss * scale

    @torch.no_grad()
    def _spatial_weight(self, logits: Tensor, masks: Tensor) -> Tensor | None:
        """Return g of each pixel, Tensor[B, H, W], or None where it is off."""
        spatial = self.settings.semantic.spatial
        if not spatial.enabled or self.background is None:
            return None
        # Where the sigmoid is flat in float32 no distance matters.
        reach = abs(spatial.delta) + FLAT_SIGMOID / abs(spatial.beta) if spatial.beta else 0.0
        predicted = losses.predicted_object_class(logits, self.background)
        weighed = masks == self.background if spatial.scope == "negatives" else masks != IGNORE
        distance = distance_to_predicted(masks, predicted, weighed, reach)
        return losses.pixel_context_weight(
            distance,
            masks,
            self.background,
            beta=spatial.beta,
            delta=spatial.delta,
            floor=spatial.floor,
            scope=spatial.scope,
        )

    def _scale_on(self, logits: Tensor, masks: Tensor, valid: Tensor, ours: Tensor, share: Tensor) -> float:
        """Return the factor on the loss of pixels, which the first training batch may have to fix."""
        if self.stock_scale.value is not None:
            return self.stock_scale.value
        stock = self.stock._ce_loss(logits.detach(), masks, valid) * share
        return self.stock_scale.fix(stock, ours, valid.sum())

    def _record(self, each: Tensor, masks: Tensor, weight: Tensor | None, share: Tensor) -> None:
        on_background = masks == (-1 if self.background is None else self.background)
        background = each[on_background].sum()
        self.terms.add("reg/pixels_object", (each.sum() - background) * share)
        self.terms.add("reg/pixels_background", background * share)
        if weight is not None:
            self.terms.add("reg/spatial_mean", (weight * on_background).sum() / on_background.sum().clamp_min(1))


def distance_to_predicted(labels: Tensor, predicted: Tensor, weighed: Tensor, reach: float) -> Tensor:
    """Return each pixel's distance to the nearest pixel that is labelled with its predicted class.

    Args:
        labels: Integer Tensor[B, H, W].
        predicted: Integer Tensor[B, H, W], classes.
        weighed: Bool Tensor[B, H, W], the pixels whose distance is asked for.
        reach: As for `distance_to_mask`.

    Returns:
        float32 Tensor[B, H, W]; infinity where the image has no such pixel, and where nothing is asked for.
    """
    distance = torch.full(labels.shape, torch.inf, device=labels.device)
    for index in torch.bincount(predicted[weighed]).nonzero().flatten().tolist():
        asked = weighed & (predicted == index)
        # A transform for each image that asks, since on a CPU they come one by one.
        images = asked.flatten(1).any(1)
        of_class = distance_to_mask(labels[images] == index, reach)
        distance[images] = torch.where(asked[images], of_class, distance[images])
    return distance


def _to_size_of(masks: Tensor, logits: Tensor) -> Tensor:
    """Return logits at the size of the masks, as upstream interpolates them."""
    if logits.shape[2:] == masks.shape[1:]:
        return logits
    return F.interpolate(logits, size=masks.shape[1:], mode="bilinear", align_corners=False)
