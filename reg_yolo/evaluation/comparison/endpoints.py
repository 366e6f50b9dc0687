"""The endpoints of a comparison: which figure, the mean over which classes, in points (percent)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from reg_yolo.evaluation.comparison.records import ClassFigures, RunRecord

RARE_BELOW_MEDIAN = 1 / 3


@dataclass(frozen=True)
class EndpointKind:
    """What an endpoint is the mean of.

    Attributes:
        title: What it is called in tables.
        kind: `box` or `mask`.
        figure: The figure of each class.
        rare: Whether the mean is over the rare classes only.
    """

    title: str
    kind: str
    figure: str
    rare: bool = False


ENDPOINTS = {
    "map50_95": EndpointKind("mAP50-95", "box", "ap"),
    "map50": EndpointKind("mAP50", "box", "ap50"),
    "f1_best": EndpointKind("F1 best", "box", "f1_best"),
    "f1_025": EndpointKind("F1 at 0.25", "box", "f1_025"),
    "rare_ap": EndpointKind("AP rare", "box", "ap", rare=True),
    "mask_map50_95": EndpointKind("mask mAP50-95", "mask", "ap"),
    "mask_map50": EndpointKind("mask mAP50", "mask", "ap50"),
    "mask_rare_ap": EndpointKind("mask AP rare", "mask", "ap", rare=True),
}


def rare_classes(classes: Sequence[ClassFigures], named: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the rare classes: those named, or those under a third of the median count in training.

    Classes without a training object are left out of the median, and not rare.
    """
    if named is not None:
        return tuple(named)
    counts = [figures.train for figures in classes if figures.train]
    edge = statistics.median(counts) * RARE_BELOW_MEDIAN if counts else 0
    return tuple(figures.name for figures in classes if 0 < figures.train < edge)


def endpoint_value(record: RunRecord, endpoint: str, rare: Sequence[str]) -> float:
    """Return the value of an endpoint in points: the mean over classes that have objects; NaN where there is none."""
    kind = ENDPOINTS[endpoint]
    classes = record.boxes if kind.kind == "box" else record.masks
    values = [getattr(figures, kind.figure) for figures in classes if not kind.rare or figures.name in rare]
    present = [value for value in values if value is not None]
    return 100 * math.fsum(present) / len(present) if present else math.nan
