"""IoU-classification-aware assignment on top of the task-aligned one (CLE eq. 5-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from ultralytics.utils.tal import TaskAlignedAssigner

from reg_yolo.config.assign import AssignSettings
from reg_yolo.losses import localization_score
from reg_yolo.losses.localization_score import BACKGROUND_IOU, POSITIVE_IOU
from reg_yolo.yolo.criterion.assigner import SparseTaskAlignedAssigner
from reg_yolo.yolo.criterion.candidates import Candidates, Claims
from reg_yolo.yolo.criterion.targets import GroundTruth, Positives


def assigner_for(stock: TaskAlignedAssigner, settings: AssignSettings) -> SparseTaskAlignedAssigner:
    """Return the assigner of the `reg.assign:` block with the numbers of `stock`."""
    if settings.is_stock:
        return SparseTaskAlignedAssigner.like(stock)
    assigner = IacAssigner.like(stock)
    assigner.settings = settings
    return assigner


@dataclass(frozen=True)
class Recall:
    """What s and IoU say about N candidates.

    Attributes:
        recalled: Tensor[N] bool, pairs recalled: at most one of each anchor point.
        iou: Tensor[N].
        in_band: Tensor[B A] bool, points whose highest IoU lies between background and positive.
    """

    recalled: Tensor
    iou: Tensor
    in_band: Tensor


class IacAssigner(SparseTaskAlignedAssigner):
    """Recall candidates that miss the top-k although they fit (CLE eq. 5-7).

    A point inside an object that no object's top-k chose is recalled if s >= threshold and the IoU of the box predicted
    there is at least 0.5, by the object that it overlaps most (the first of equals). What the task-aligned assigner has
    assigned stays as it is: one point serves one object. Under `recall_target: ignore` the class loss leaves recalled
    points out, because their task-aligned target, near 0, would push them down. Under `iou` they are positives, and the
    targets of all positives of their object are at least their IoU, or the recalled would outrank the others.
    """

    settings: AssignSettings = AssignSettings(kind="iac")

    def _recall(self, candidates: Candidates, taken: Tensor, objects: int) -> Recall:
        """Return what is recalled; `taken` is Tensor[B A] bool, points that serve an object already."""
        cell = candidates.cell
        score, iou = localization_score(
            candidates.score, candidates.predicted, candidates.true, alpha=self.settings.alpha
        )
        recalled = (score >= self.settings.threshold) & (iou >= POSITIVE_IOU) & ~taken[cell]
        best = iou.new_zeros(len(taken)).scatter_reduce_(0, cell, iou.masked_fill(~recalled, 0.0), "amax")
        recalled &= iou == best[cell]
        first = cell.new_full((len(taken),), objects)
        first.scatter_reduce_(0, cell, candidates.slot.masked_fill(~recalled, objects), "amin")
        recalled &= candidates.slot == first[cell]
        highest = iou.new_zeros(len(taken)).scatter_reduce_(0, cell, iou.nan_to_num(0.0), "amax")
        return Recall(recalled, iou, (highest > BACKGROUND_IOU) & (highest < POSITIVE_IOU))

    def _left_out(self, recall: Recall, cell: Tensor, taken: Tensor) -> Tensor:
        """Return the points that are neither positive nor background, Tensor[B A] bool."""
        left_out = recall.in_band & ~taken if self.settings.ignore_band else torch.zeros_like(taken)
        if self.settings.recall_target == "ignore":
            left_out[cell[recall.recalled]] = True
        return left_out

    # On candidates alone ----------------------------------------------------------------------------------------

    def _positives(
        self,
        claims: Claims,
        candidates: Candidates,
        metrics: Tensor,
        overlaps: Tensor,
        shape: Sequence[int],
        truth: GroundTruth,
    ) -> Positives:
        objects = truth.boxes.shape[1]
        taken = torch.zeros(shape[0] * shape[1], dtype=torch.bool, device=metrics.device)
        taken[claims.cell] = True
        recall = self._recall(candidates, taken, objects)
        recalled = recall.recalled.nonzero().squeeze(1)
        with_object = torch.zeros(shape[0] * objects, dtype=torch.bool, device=metrics.device)
        if self.settings.recall_target == "iou":
            more = (candidates.cell, candidates.slot, metrics, overlaps)
            own = (claims.cell, claims.slot, claims.metric, claims.overlap)
            claims = Claims(*(torch.cat((a, b[recalled])) for a, b in zip(own, more, strict=True)))
            with_object[candidates.cell[recalled] // shape[1] * objects + candidates.slot[recalled]] = True
            taken = taken.clone()
            taken[claims.cell] = True
        positives = self._scored(claims, shape, truth)
        # The IoU of each positive with its object; 0 where upstream gave a point to an object that does not hold it.
        iou = recall.iou.new_zeros(shape[0] * shape[1])
        owner = torch.full_like(taken, -1, dtype=torch.long)
        owner[positives.image * shape[1] + positives.anchor] = positives.object
        own_pair = candidates.slot == owner[candidates.cell]
        iou[candidates.cell[own_pair]] = recall.iou[own_pair]
        floored = with_object[positives.image * objects + positives.object]
        floor = iou[positives.image * shape[1] + positives.anchor].to(positives.score.dtype)
        score = torch.where(floored, torch.maximum(positives.score, floor), positives.score)
        left_out = self._left_out(recall, candidates.cell, taken)
        return replace(positives, score=score, ignored=left_out.view(shape[0], shape[1]))

    # On every pair, as upstream ---------------------------------------------------------------------------------

    def get_pos_mask(
        self,
        pd_scores: Tensor,
        pd_bboxes: Tensor,
        gt_labels: Tensor,
        gt_bboxes: Tensor,
        anc_points: Tensor,
        mask_gt: Tensor,
        **extra: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return upstream's masks with the recalled pairs among the positives; `_forward` reads what else is found."""
        chosen, metrics, overlaps = super().get_pos_mask(
            pd_scores, pd_bboxes, gt_labels, gt_bboxes, anc_points, mask_gt, **extra
        )
        images, objects, anchors = chosen.shape
        inside = self.select_candidates_in_gts(anc_points, gt_bboxes, mask_gt) & mask_gt.bool()
        image, slot, anchor = inside.nonzero(as_tuple=True)
        candidates = Candidates(
            image * anchors + anchor,
            slot,
            pd_scores[image, anchor, gt_labels[image, slot, 0].long()],
            gt_bboxes[image, slot],
            pd_bboxes[image, anchor],
        )
        taken = (chosen > 0).any(1).view(-1)
        recall = self._recall(candidates, taken, objects)
        with_object = torch.zeros(images, objects, dtype=torch.bool, device=chosen.device)
        if self.settings.recall_target == "iou":
            chosen[image, slot, anchor] += recall.recalled.to(chosen.dtype)
            with_object[image[recall.recalled], slot[recall.recalled]] = True
            taken = (chosen > 0).any(1).view(-1)
        iou = torch.zeros_like(overlaps)
        iou[image, slot, anchor] = recall.iou.to(iou.dtype)
        self._found = (self._left_out(recall, candidates.cell, taken).view(images, anchors), with_object, iou)
        return chosen, metrics, overlaps

    def _forward(self, *arguments: Any, **extra: Any) -> tuple[Tensor, ...]:
        """Return upstream's five with the floors under the scores, and which points are left out, Tensor[B, A] bool.

        Upstream calls this for the whole batch, or for one image after the other where memory is short.
        """
        labels, boxes, scores, has_object, object_index = super()._forward(*arguments, **extra)
        left_out, with_object, iou = self._found
        del self._found
        floor = iou.gather(1, object_index.unsqueeze(1)).squeeze(1)
        floor = floor.masked_fill(~(has_object & with_object.gather(1, object_index)), 0.0)
        own = torch.zeros_like(scores).scatter_(2, labels.unsqueeze(2), floor.unsqueeze(2).to(scores.dtype))
        return labels, boxes, torch.maximum(scores, own), has_object, object_index, left_out
