"""The REG criterion for YOLOv8 segmentation heads: L_det + lambda L_seg (REG §2.4), masks where there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from ultralytics.utils.loss import v8SegmentationLoss

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.mask_loss import MaskLossTerms
from reg_yolo.yolo.criterion.targets import Positives


class RegSegmentationLoss(RegDetectionLoss, v8SegmentationLoss):
    """Boxes and classes as `RegDetectionLoss`, instance masks with the same terms on their pixels (REG §2.2).

    A batch may say which objects have a mask (`has_mask`, Tensor[N] bool, one for each label) and which classes are
    annotated in each image (`annotated`, Tensor[B, C] bool). Objects without a mask bring box and class loss alone.

    Attributes:
        lambda_seg: Weight of the mask loss; 1 is upstream's gain.
        mask_terms: State and switches of the mask loss.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: RegSettings,
        class_counts: Sequence[int],
        mask_counts: Sequence[int],
        *,
        lambda_seg: float = 1.0,
        stored: Mapping[str, Any] | None = None,
        learned_deviation: nn.Parameter | None = None,
    ) -> None:
        """Build the criterion for an unwrapped YOLOv8 segmentation model.

        Args:
            model: Its `args` hold Ultralytics' gains, its last layer the head.
            settings: The `reg:` block.
            class_counts: Labelled objects of each class in the training split, which box alpha counts.
            mask_counts: Those that have a mask, which mask alpha counts.
            lambda_seg: Weight of the mask loss.
            stored: `state()` of the run that is resumed.
            learned_deviation: Tensor[C], the logarithm of the deviation, if it is learned per class.

        Raises:
            ConfigError: If counts or explicit class weights do not fit the number of classes.
        """
        super().__init__(model, settings, class_counts, stored=stored, learned_deviation=learned_deviation)
        if len(mask_counts) != self.nc:
            raise ConfigError(f"the model has {self.nc} classes, the training masks are counted for {len(mask_counts)}")
        self.lambda_seg = lambda_seg
        self.mask_terms = MaskLossTerms(settings, mask_counts, self.device, stored or {})

    def state(self) -> dict[str, Any]:
        """Return scales, class weights and what has been learned, as plain Python data."""
        return {**super().state(), **self.mask_terms.state()}

    def describe(self) -> str:
        """Return the preset and its switches in a line."""
        masks = "stock" if self.mask_terms.is_stock else "REG"
        weight = "" if self.lambda_seg == 1.0 else f", lambda {self.lambda_seg:g}"
        return f"{super().describe()}; masks {masks}{weight}"

    def epoch_terms(self, names: Mapping[int, str]) -> dict[str, float]:
        """Return the logged terms since the last call; `reg/mask_scale` is 1 until a batch has fixed it."""
        terms = {**super().epoch_terms(names), "reg/mask_scale": self.mask_terms.stock_scale.factor}
        alpha = self.mask_terms.alpha
        if alpha is not None:
            terms |= {f"reg/mask_weight/{names[i].replace(',', ' ')}": w for i, w in enumerate(alpha.tolist())}
        return terms

    def loss(self, preds: dict[str, Tensor], batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the gain-scaled losses (box, seg, cls, dfl, sem) times the batch size, and their items."""
        every_object_has_a_mask = "has_mask" not in batch or bool(batch["has_mask"].all())
        if self.mask_terms.is_stock and self.lambda_seg == 1.0 and every_object_has_a_mask and self.ranks == 1:
            # Upstream's own computation around our detection losses, which keeps its bits.
            return super().loss(preds, batch)
        head, assignment, (box, classes, distribution) = self.detection_losses(preds, batch)
        prototypes = preds["proto"]
        coefficients = preds["mask_coefficient"].permute(0, 2, 1)
        if self.lambda_seg == 0.0 or "masks" not in batch:
            # The same on every rank; several GPUs need every parameter in the graph.
            mask_loss = (prototypes * 0).sum() + (coefficients * 0).sum()
        else:
            masks = batch["masks"].to(self.device)
            if masks.shape[-2:] != prototypes.shape[-2:]:
                prototypes = F.interpolate(prototypes, masks.shape[-2:], mode="bilinear", align_corners=False)
            mask_loss = self.mask_terms.loss(
                coefficients, prototypes, masks, bool(self.overlap), assignment, head.image_size,
                first_rows(batch["batch_idx"], len(prototypes)), training=head.is_training,
            )  # fmt: skip
            mask_loss = mask_loss * self.hyp.box
            if self.lambda_seg != 1.0:
                mask_loss = mask_loss * self.lambda_seg
        loss = torch.stack((box, mask_loss.float(), classes, distribution, torch.zeros_like(box)))
        return loss * len(prototypes), dict(zip(self.loss_names, loss.detach(), strict=True))

    def _masked_positives(self, positives: Positives, batch: dict[str, Any]) -> Tensor:
        if "has_mask" not in batch:
            return torch.ones_like(positives.image, dtype=torch.bool)
        starts = first_rows(batch["batch_idx"], int(positives.image.max()) + 1 if len(positives.image) else 1)
        has_mask = batch["has_mask"].to(self.device)
        return has_mask[starts.to(self.device)[positives.image] + positives.object]


def first_rows(batch_index: Tensor, images: int) -> Tensor:
    """Return the first label row of each image, Tensor[B]; rows are ordered by image, as upstream collates them."""
    return torch.searchsorted(batch_index.reshape(-1).float().contiguous(), torch.arange(float(images)).to(batch_index))
