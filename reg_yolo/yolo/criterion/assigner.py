"""The task-aligned assignment of Ultralytics, computed on the pairs of ground truth and anchor point that can matter.

The result is upstream's to the last bit. Upstream fills tensors of every ground truth times every anchor point and
reads them a dozen times over; all but a few percent of their entries are pairs whose point lies outside the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from ultralytics.utils.ops import xywh2xyxy, xyxy2xywh
from ultralytics.utils.tal import TaskAlignedAssigner

from reg_yolo.yolo.criterion.candidates import CandidatePairs, Candidates, Claims, pairs_of_mask, pairs_on_grids
from reg_yolo.yolo.criterion.targets import GroundTruth, Positives

# Image Tensor[K] and anchor point Tensor[K] -> predicted boxes Tensor[K, 4], xyxy in pixels
BoxesAt = Callable[[Tensor, Tensor], Tensor]

# Ground truths are taken together by their number of candidates, so that a large one does not pad many small ones.
GROUP_LIMITS = (128, 1024)


class SparseTaskAlignedAssigner(TaskAlignedAssigner):
    """Upstream's assigner with the same result, by `assign` on candidates alone or by `assign_densely`.

    Attributes:
        sparse_on: Types of device on which `assign` works; elsewhere it leaves the work to upstream. Its steps wait
            for the device several times, which costs a GPU more than the dense arithmetic it saves.
    """

    sparse_on: frozenset[str] = frozenset({"cpu"})

    @classmethod
    def like(cls, stock: TaskAlignedAssigner) -> SparseTaskAlignedAssigner:
        """Return an assigner with the settings of `stock`."""
        names = ("topk", "num_classes", "alpha", "beta", "stride", "eps", "topk2")
        return cls(**{name: getattr(stock, name) for name in names})

    @torch.no_grad()
    def assign(
        self,
        scores: Tensor,
        boxes_at: BoxesAt,
        points: Tensor,
        truth: GroundTruth,
        level_shapes: Sequence[tuple[int, int]] | None = None,
    ) -> Positives | None:
        """Return the positives, or None where only upstream's dense computation gives its result.

        Args:
            scores: Tensor[B, A, C], predicted probabilities.
            boxes_at: decodes the boxes of some anchor points; called once, on points inside a ground truth.
            points: Tensor[A, 2], anchor points in pixels.
            truth: the labelled objects.
            level_shapes: rows and columns of each level where the points are regular grids; None compares every
                point with every object.
        """
        if self.topk2 != self.topk or scores.device.type not in self.sparse_on:
            return None
        image, slot = truth.valid.squeeze(-1).bool().nonzero(as_tuple=True)
        pairs = self._candidates(truth, image, slot, points, level_shapes)
        label = truth.labels[image, slot, 0].long()
        anchors = scores.shape[1]
        # index_select, because square brackets take ten times as long on a CPU.
        cell = (image * anchors).index_select(0, pairs.rows).add_(pairs.anchors)
        true, predicted = self._paired_boxes(truth.boxes[image, slot], boxes_at, pairs.rows, cell, scores.shape[:2])
        overlaps = self.iou_calculation(true, predicted)
        own_logit = (cell * scores.shape[2]).add_(label.index_select(0, pairs.rows))
        own_score = scores.reshape(-1).index_select(0, own_logit)
        metrics = own_score.pow(self.alpha) * overlaps.pow(self.beta)
        if not bool(torch.isfinite(metrics).all()):
            # Where NaN stands in an order is known to upstream's dense operations alone.
            return None
        chosen = self._best_of_each_object(metrics, pairs, anchors)
        slots = slot.index_select(0, pairs.rows)
        claims = self._without_conflicts(chosen, metrics, overlaps, cell, slots, scores.shape, truth.boxes.shape[1])
        candidates = Candidates(cell, slots, own_score, true, predicted)
        return self._positives(claims, candidates, metrics, overlaps, scores.shape, truth)

    @torch.no_grad()
    def assign_densely(
        self, scores: Tensor, boxes: Tensor, points: Tensor, truth: GroundTruth, **extra: Any
    ) -> Positives:
        """Return the positives by upstream's own computation, which compares every point with every object.

        Args:
            scores: Tensor[B, A, C], predicted probabilities.
            boxes: Tensor[B, A, 4], predicted boxes, xyxy in pixels.
            points: Tensor[A, 2], anchor points in pixels.
            truth: the labelled objects.
            extra: what upstream passes through to its overlaps.
        """
        labels, _, targets, has_object, object_index, *ignored = self(
            scores, boxes, points, truth.labels, truth.boxes, truth.valid, **extra
        )
        found = Positives.of_dense(labels, targets, has_object, object_index)
        return replace(found, ignored=ignored[0]) if ignored else found

    def _candidates(
        self,
        truth: GroundTruth,
        image: Tensor,
        slot: Tensor,
        points: Tensor,
        level_shapes: Sequence[tuple[int, int]] | None,
    ) -> CandidatePairs:
        if level_shapes is None:
            return pairs_of_mask(self.select_candidates_in_gts(points, truth.boxes, truth.valid)[image, slot])
        # Through centre and size and back, as upstream goes: the corners round differently on a shorter way.
        center, size = xyxy2xywh(truth.boxes[image, slot]).split(2, 1)
        enlarged = xywh2xyxy(torch.cat((center, size.clamp(min=self.stride_val)), 1))
        return pairs_on_grids(enlarged, points, level_shapes)

    def _paired_boxes(
        self, true_boxes: Tensor, boxes_at: BoxesAt, rows: Tensor, cell: Tensor, grid: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return both boxes of each pair; the box of a point inside several objects is decoded once."""
        wanted = torch.zeros(grid[0] * grid[1], dtype=torch.bool, device=cell.device)
        wanted[cell] = True
        cells = wanted.nonzero().squeeze(1)
        boxes = boxes_at(cells // grid[1], cells % grid[1]).to(true_boxes.dtype)
        place = wanted.cumsum(0).sub_(1).index_select(0, cell)
        # Columns in contiguous memory: upstream's arithmetic takes the boxes apart by column.
        true = true_boxes.t().contiguous().index_select(1, rows)
        predicted = boxes.t().contiguous().index_select(1, place)
        return true.t(), predicted.t()

    def _best_of_each_object(self, metrics: Tensor, pairs: CandidatePairs, anchors: int) -> Tensor:
        """Return the pairs that upstream's top-k over each object's row of all anchor points would choose."""
        starts = pairs.counts.cumsum(0) - pairs.counts
        chosen, undecided = [], []
        for rows in _groups(pairs.counts):
            counts = pairs.counts[rows, None]
            column = torch.arange(int(counts.max()), device=metrics.device)
            place = (starts[rows, None] + column).clamp_(max=len(metrics) - 1)
            # -1 is below every metric: padding comes last.
            padded = metrics.index_select(0, place.view(-1)).view_as(place).masked_fill_(column >= counts, -1.0)
            best, index = padded.topk(min(self.topk + 1, len(column)), dim=1)
            # Decided, whatever the order of ties: all candidates positive and few enough, or a clear last one.
            decided = ((best > 0).sum(1, keepdim=True) == counts) & (counts <= self.topk)
            if best.shape[1] > self.topk:
                last, next_best = best[:, self.topk - 1 :].split(1, 1)
                decided |= last > next_best.clamp(min=0.0)
            best, index = best[:, : self.topk], index[:, : self.topk]
            chosen.append((starts[rows, None] + index)[(best > 0) & decided])
            decided = decided.squeeze(1)
            undecided.append(rows[~decided])
        if undecided and len(rows := torch.cat(undecided)):
            chosen.append(self._best_of_dense_rows(rows.sort().values, metrics, pairs, anchors))
        return torch.cat(chosen) if chosen else pairs.rows.new_empty(0)

    def _best_of_dense_rows(self, rows: Tensor, metrics: Tensor, pairs: CandidatePairs, anchors: int) -> Tensor:
        """Return the choice of objects where candidates tie, zeros included.

        Which of equals a top-k takes is not specified: it takes its choice on the very row that upstream gives it.
        """
        first = torch.full_like(pairs.counts, -1)
        starts = torch.arange(0, len(rows) * anchors, anchors, device=rows.device)
        first[rows] = starts
        first = first.index_select(0, pairs.rows)
        pair = (first >= 0).nonzero().squeeze(1)
        place = first[pair].add_(pairs.anchors[pair])
        dense = metrics.new_zeros(len(rows), anchors)
        dense.view(-1)[place] = metrics[pair]
        best = dense.topk(self.topk, dim=1).indices
        best = best.add_(starts.unsqueeze(1)).view(-1)
        # The places ascend as the pairs do. What is none of them is a point outside the object.
        found = torch.searchsorted(place, best).clamp_(max=len(place) - 1)
        return pair[found[place[found] == best]]

    def _without_conflicts(
        self,
        chosen: Tensor,
        metrics: Tensor,
        overlaps: Tensor,
        cell: Tensor,
        slots: Tensor,
        shape: Sequence[int],
        objects: int,
    ) -> Claims:
        """Give points that several objects chose to the one that overlaps most."""
        times = torch.zeros(shape[0] * shape[1], dtype=torch.long, device=cell.device)
        times.index_add_(0, cell[chosen], torch.ones_like(chosen))
        shared = (times > 1).nonzero().squeeze(1)
        single = chosen[times[cell[chosen]] == 1]
        cells, owner = cell[single], slots[single]
        metric, overlap = metrics[single], overlaps[single]
        if len(shared):
            place = torch.full_like(times, -1)
            place[shared] = torch.arange(len(shared), device=cell.device)
            place = place.index_select(0, cell)
            pair = (place >= 0).nonzero().squeeze(1)
            where = (place[pair], slots[pair])
            all_overlaps = overlaps.new_zeros(len(shared), objects)
            all_overlaps[where] = overlaps[pair]
            all_metrics = metrics.new_zeros(len(shared), objects)
            all_metrics[where] = metrics[pair]
            # The first of equals, and so the image's first object where nothing overlaps at all, as upstream has it.
            highest, winner = all_overlaps.max(1)
            cells, owner = torch.cat((cells, shared)), torch.cat((owner, winner))
            metric = torch.cat((metric, all_metrics.gather(1, winner.unsqueeze(1)).squeeze(1)))
            overlap = torch.cat((overlap, highest))
        return Claims(cells, owner, metric, overlap)

    def _positives(
        self,
        claims: Claims,
        _candidates: Candidates,
        _metrics: Tensor,
        _overlaps: Tensor,
        shape: Sequence[int],
        truth: GroundTruth,
    ) -> Positives:
        """Return the claims with their targets, all that there is for upstream's assigner."""
        return self._scored(claims, shape, truth)

    def _scored(self, claims: Claims, shape: Sequence[int], truth: GroundTruth) -> Positives:
        """Return the claims in order, each with its target score."""
        objects = truth.boxes.shape[1]
        order = claims.cell.argsort()
        cells, owner, metric, overlap = (
            values[order] for values in (claims.cell, claims.slot, claims.metric, claims.overlap)
        )
        image, anchor = cells // shape[1], cells % shape[1]
        group = image * objects + owner
        best_metric, best_overlap = (
            values.new_zeros(shape[0] * objects).scatter_reduce_(0, group, values, "amax")[group]
            for values in (metric, overlap)
        )
        score = metric * best_overlap / (best_metric + self.eps)
        label = truth.labels[image, owner, 0].long().clamp_(min=0)
        return Positives(image, anchor, owner, label, score)


def _groups(counts: Tensor) -> Iterator[Tensor]:
    """Yield the rows that have candidates, those with similar counts together."""
    # Compared with numbers, since limits in a tensor would have to be copied to the device of the counts.
    group = torch.stack([counts > limit for limit in (0, *GROUP_LIMITS)]).sum(0)
    for number in range(1, len(GROUP_LIMITS) + 2):
        rows = (group == number).nonzero().squeeze(1)
        if len(rows):
            yield rows
