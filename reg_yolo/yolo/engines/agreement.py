"""Whether an exported network says the same as PyTorch's: raw outputs of real frames, and the boxes they lead to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou
from ultralytics.utils import nms

Network = Callable[[Tensor], Any]


@dataclass(frozen=True)
class Tolerance:
    """How far an engine may be from PyTorch.

    Attributes:
        score: Largest difference of a class score, at any anchor point.
        logit_spread: Root mean square of the difference of the class logits, as a share of their spread; None where
            rounding hides what an untrained network says.
        box_px: Difference of a side of a box in pixels of the network's input, at 99 of 100 of the anchor points with
            the highest scores ...
        box_share: ... or as a share of the box's shorter side, where that is more.
        box_iou: Final boxes are the same where their overlap is at least this, the class is the same ...
        unmatched: ... and so many of them, as a share, may have no such partner.
        masks: Root mean square of the difference of mask coefficients and prototypes, as a share of their spread.
    """

    score: float
    logit_spread: float | None
    box_px: float
    box_share: float
    box_iou: float
    unmatched: float
    masks: float


# About ten times what exports of YOLOv8 differ by in float32, and three to five times what bfloat16 does.
TOLERANCES = {
    "f32": Tolerance(
        score=1e-3, logit_spread=0.02, box_px=0.1, box_share=0.001, box_iou=0.99, unmatched=0.0, masks=0.01
    ),
    "bf16": Tolerance(score=0.05, logit_spread=None, box_px=2.0, box_share=0.1, box_iou=0.8, unmatched=0.05, masks=0.1),
    "f16": Tolerance(score=0.05, logit_spread=None, box_px=2.0, box_share=0.1, box_iou=0.8, unmatched=0.05, masks=0.1),
    "int8": Tolerance(score=0.5, logit_spread=None, box_px=8.0, box_share=0.3, box_iou=0.6, unmatched=0.3, masks=0.5),
}
# Anchor points whose boxes are compared, and scores this close to the threshold that may fall on either side of it.
TOP_ANCHORS = 200
CONFIDENCE = 0.25
TURN, UNCOUNTED = 7, 2
_TINY = 1e-7
# Of the spread of PyTorch's logits; a network that works has all of it.
_BLIND_SPREAD = 0.1


@dataclass(frozen=True)
class Agreement:
    """The outcome of a comparison over some frames.

    Attributes:
        agrees: Whether every figure is within its tolerance.
        reason: One clause that says by how much, or what is wrong.
        score: Largest difference of a class score.
        box_px: 99th percentile of the difference of a box side, in pixels of the network's input.
        boxes: Final boxes of PyTorch.
        unmatched: Final boxes of either without a partner.
    """

    agrees: bool
    reason: str
    score: float = 0.0
    box_px: float = 0.0
    boxes: int = 0
    unmatched: int = 0


def compare(reference: Network, engine: Network, inputs: Sequence[Tensor], classes: int, precision: str) -> Agreement:
    """Compare an engine with PyTorch on prepared frames.

    Args:
        reference: PyTorch's network.
        engine: The other one.
        inputs: Tensors[B, 3, H, W] in [0, 1]; at least one.
        classes: Number of classes.
        precision: What the engine computes with, which decides the tolerance.
    """
    limit = TOLERANCES[precision]
    score = box_px = 0.0
    boxes = unmatched = 0
    with torch.inference_mode():
        for frame in inputs:
            expected, actual = _outputs(reference(frame)), _outputs(engine(frame))
            if [tuple(x.shape) for x in expected] != [tuple(x.shape) for x in actual]:
                shapes = f"{[list(x.shape) for x in actual]} instead of {[list(x.shape) for x in expected]}"
                return Agreement(False, f"its outputs have the shapes {shapes}")
            if not all(bool(torch.isfinite(x).all()) for x in actual):
                return Agreement(False, "its outputs are not all finite")
            want, got = expected[0], actual[0]
            score = max(score, float((want[:, 4 : 4 + classes] - got[:, 4 : 4 + classes]).abs().max()))
            if score > limit.score:
                return Agreement(False, f"class scores differ by up to {score:.2g}", score)
            spread = _logit_difference(want[:, 4 : 4 + classes], got[:, 4 : 4 + classes])
            if limit.logit_spread is not None and spread > limit.logit_spread:
                return Agreement(False, f"class logits differ by {spread:.1%} of their spread", score)
            for one, other in [
                (want[:, 4 + classes :], got[:, 4 + classes :]),
                *zip(expected[1:], actual[1:], strict=True),
            ]:
                if _spread_difference(one, other) > limit.masks:
                    return Agreement(False, "mask coefficients or prototypes differ", score)
            blind = _blindness(want[:, 4 : 4 + classes], got[:, 4 : 4 + classes], precision)
            if blind:
                return Agreement(False, blind, score)
            pixels, share = _box_difference(want, got, classes)
            box_px = max(box_px, pixels)
            if pixels > limit.box_px and share > limit.box_share:
                return Agreement(False, f"boxes differ by up to {pixels:.1f} px", score, box_px)
            count, alone = _final_boxes(want, got, classes, limit)
            boxes, unmatched = boxes + count, unmatched + alone
    if unmatched > limit.unmatched * max(boxes, 1):
        said = f"{unmatched} of {boxes} final boxes have no partner"
        return Agreement(False, said, score, box_px, boxes, unmatched)
    same = f", {boxes - min(unmatched, boxes)} of {boxes} final boxes the same" if boxes else ""
    return Agreement(
        True, f"scores within {score:.1g}, boxes within {box_px:.2g} px{same}", score, box_px, boxes, unmatched
    )


def time_side_by_side(
    networks: dict[str, Network], inputs: Sequence[Tensor], budget_s: float = 1.0
) -> dict[str, float]:
    """Return the median milliseconds a call of each network; they take turns, so that other work falls on all alike.

    A turn is a few calls, of which the first are not counted: threads of the network before still wait for work then.

    Args:
        networks: By name.
        inputs: Prepared frames.
        budget_s: Time to spend in all; every network has two turns at least.
    """
    times: dict[str, list[float]] = {name: [] for name in networks}
    started = time.perf_counter()
    turns = 0
    with torch.inference_mode():
        while turns < 2 or (time.perf_counter() - started < budget_s and turns < 8):
            for name, network in networks.items():
                for call in range(TURN):
                    frame = inputs[call % len(inputs)]
                    before = time.perf_counter()
                    network(frame)
                    if frame.is_cuda:
                        torch.cuda.synchronize(frame.device)
                    if call >= UNCOUNTED:
                        times[name].append(1000.0 * (time.perf_counter() - before))
            turns += 1
    return {name: statistics.median(values) for name, values in times.items()}


def _outputs(result: Any) -> list[Tensor]:
    """Return the raw outputs of a network as float32 tensors: predictions, and prototypes of masks where it has them.

    PyTorch's network returns them beside what its loss needs.
    """
    if isinstance(result, Tensor):
        return [result.float()]
    first = result[0]
    if isinstance(first, (list, tuple)):
        return [x.float() for x in first]
    tensors = [x for x in result if isinstance(x, Tensor)]
    return [x.float() for x in tensors]


def _logit_difference(want: Tensor, got: Tensor) -> float:
    logits, others = (torch.logit(x.clamp(_TINY, 1 - _TINY)) for x in (want, got))
    return _spread_difference(logits, others)


def _spread_difference(want: Tensor, got: Tensor) -> float:
    """Return the root mean square of the difference as a share of the spread; 0 where there is nothing to compare."""
    return float((want - got).square().mean().sqrt() / (want.std() + 1e-3)) if want.numel() else 0.0


def _blindness(want: Tensor, got: Tensor, precision: str) -> str:
    """Return how an engine does not see what PyTorch sees, whatever the tolerance; empty where it does.

    Half the confidence is asked of the engine, so that a score at the threshold may fall on either side of it. Where a
    frame holds nothing that PyTorch finds, an engine that says the same of every place is blind all the same; INT8
    rounds such small scores to one value and is measured on labelled images instead.
    """
    found = int((want.amax(1) >= CONFIDENCE).sum())
    if found and float(got.max()) < CONFIDENCE / 2:
        return f"it finds nothing where PyTorch finds something ({found} anchor points over {CONFIDENCE})"
    spreads = [float(torch.logit(x.clamp(_TINY, 1 - _TINY)).std()) for x in (want, got)]
    if precision != "int8" and spreads[1] < _BLIND_SPREAD * spreads[0]:
        return "it says the same of every place, whatever is in the frame"
    return ""


def _box_difference(want: Tensor, got: Tensor, classes: int) -> tuple[float, float]:
    """Return the 99th percentile over the top anchor points, in pixels and as a share of the shorter side."""
    top = want[:, 4 : 4 + classes].amax(1).topk(min(TOP_ANCHORS, want.shape[2]), 1).indices[:, None]
    expected = want[:, :4].gather(2, top.expand(-1, 4, -1))
    pixels = (expected - got[:, :4].gather(2, top.expand(-1, 4, -1))).abs().amax(1)
    share = pixels / expected[:, 2:4].amin(1).clamp_min(1.0)
    return float(torch.quantile(pixels, 0.99)), float(torch.quantile(share, 0.99))


def _final_boxes(want: Tensor, got: Tensor, classes: int, limit: Tolerance) -> tuple[int, int]:
    """Return the number of final boxes, and how many of either side have no partner on the other."""
    margin = limit.score
    alone = total = 0
    lists = [nms.non_max_suppression(x.clone(), CONFIDENCE, nc=classes) for x in (want, got)]
    for expected, actual in zip(*lists, strict=True):
        total += len(expected)
        for ours, theirs in ((expected, actual), (actual, expected)):
            sure = ours[ours[:, 4] >= CONFIDENCE + margin]
            if not len(sure):
                continue
            if not len(theirs):
                alone += len(sure)
                continue
            same = (box_iou(sure[:, :4], theirs[:, :4]) >= limit.box_iou) & (sure[:, None, 5] == theirs[None, :, 5])
            same &= (sure[:, None, 4] - theirs[None, :, 4]).abs() <= margin
            alone += int((~same.any(1)).sum())
    return total, alone
