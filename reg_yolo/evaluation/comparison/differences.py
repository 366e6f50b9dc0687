"""A comparison of arms from the records of their runs: means, paired differences to the reference, and verdicts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reg_yolo.evaluation.comparison.detection_matches import DetectionMatches, class_figures
from reg_yolo.evaluation.comparison.endpoints import ENDPOINTS, endpoint_value, rare_classes
from reg_yolo.evaluation.comparison.image_bootstrap import DRAWS, bootstrap_interval, draw_images
from reg_yolo.evaluation.comparison.paired_differences import (
    PairedDifference,
    holm,
    paired_difference,
    seeds_needed,
    smallest_effect,
)
from reg_yolo.evaluation.comparison.records import RunRecord


@dataclass(frozen=True)
class ReportSettings:
    """What a plan says about the report.

    Attributes:
        reference: The arm that the others are compared with.
        arms: All arms in their order.
        sets: All sets in theirs.
        endpoints: Keys of `ENDPOINTS`.
        family: Arms, endpoints and sets whose p-values are adjusted together.
        effects: By endpoint, the difference in points worth finding.
        rare: By set, names of the rare classes; None for those under a third of the median count.
        draws: Draws of the bootstrap over images; 0 for none.
    """

    reference: str
    arms: tuple[str, ...]
    sets: tuple[str, ...]
    endpoints: tuple[str, ...]
    family: tuple[frozenset[str], frozenset[str], frozenset[str]]
    effects: Mapping[str, float] = field(default_factory=dict)
    rare: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    draws: int = DRAWS

    def effect(self, endpoint: str) -> float:
        """Return the difference in points worth finding."""
        return self.effects.get(endpoint, 3.0 if ENDPOINTS[endpoint].rare else 1.0)


@dataclass(frozen=True)
class ArmValues:
    """Values of an arm at one endpoint, in points (percent), by seed."""

    set_name: str
    arm: str
    endpoint: str
    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over seeds; NaN without any."""
        return statistics.fmean(self.by_seed.values()) if self.by_seed else math.nan

    @property
    def deviation(self) -> float:
        """Sample standard deviation over seeds; NaN for fewer than two."""
        return statistics.stdev(self.by_seed.values()) if len(self.by_seed) > 1 else math.nan


@dataclass(frozen=True)
class ArmComparison:
    """An arm against the reference at one endpoint on one set, in points.

    Attributes:
        set_name, arm, endpoint: What is compared.
        difference: By seed, with the t interval that decides.
        bootstrap: Ends of the studentised bootstrap interval over images and seeds; NaN where it was not made.
        adjusted: Holm's p-value; NaN outside the family.
        effect: The difference worth finding.
    """

    set_name: str
    arm: str
    endpoint: str
    difference: PairedDifference
    bootstrap: tuple[float, float]
    adjusted: float
    effect: float

    @property
    def smallest_effect(self) -> float:
        """The true difference that so many seeds find with a chance of 80 %; NaN for one seed."""
        seeds = len(self.difference.seeds)
        return smallest_effect(self.difference.deviation, seeds) if seeds > 1 else math.nan

    @property
    def verdict(self) -> str:
        """What can be said, in a few words."""
        own, seeds = self.difference, len(self.difference.seeds)
        if seeds < 2:
            return "one seed: no interval"
        if own.deviation == 0 and own.mean == 0:
            return "equal with every seed"
        if own.is_decided:
            word = "better" if own.mean > 0 else "worse"
            if math.isnan(self.adjusted):
                return word
            return f"{word}, also after Holm" if self.adjusted < 0.05 else f"{word}, not after Holm"
        needed = seeds_needed(self.effect, own.deviation)
        many = "more than 1000" if needed is None else str(needed)
        return (
            f"inconclusive: smallest effect this could show {self.smallest_effect:.1f}, "
            f"seeds needed for {self.effect:g}: {many}"
        )


@dataclass(frozen=True)
class ClassRow:
    """Average precision of one class, in points.

    Attributes:
        name: Class name.
        train: Objects in the training split.
        objects: Objects that were evaluated.
        rare: Whether it counts as rare.
        by_arm: Mean over seeds for each arm.
        differences: By arm other than the reference, the paired difference.
    """

    name: str
    train: int
    objects: int
    rare: bool
    by_arm: Mapping[str, float]
    differences: Mapping[str, PairedDifference]


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables and plots show.

    Attributes:
        settings: What the plan says.
        records: The records that count.
        values: Means of every arm, endpoint and set.
        comparisons: Every arm against the reference.
        classes: By set, its classes from the most frequent to the rarest; boxes.
        rare: By set, names of the rare classes.
    """

    settings: ReportSettings
    records: tuple[RunRecord, ...]
    values: tuple[ArmValues, ...]
    comparisons: tuple[ArmComparison, ...]
    classes: Mapping[str, tuple[ClassRow, ...]]
    rare: Mapping[str, tuple[str, ...]]

    def of_set(self, set_name: str) -> list[RunRecord]:
        """Return the records of one set."""
        return [record for record in self.records if record.set_name == set_name]


def compare_records(
    records: Sequence[RunRecord],
    settings: ReportSettings,
    read_matches: Callable[[RunRecord, str], DetectionMatches | None] = lambda *_: None,
) -> Comparison:
    """Compare the arms of a plan.

    Args:
        records: One for each finished run, all comparable (`comparison_checks.require_comparable`).
        settings: What the plan says.
        read_matches: Returns the matched detections of a record, of `box` or `mask`, or None where they are gone.
    """
    by_set = {name: [record for record in records if record.set_name == name] for name in settings.sets}
    # An arm that samples may count what it draws; the reference counts the training split as it is.
    for own in by_set.values():
        own.sort(key=lambda record: record.arm != settings.reference)
    rare = {name: rare_classes(own[0].boxes, settings.rare.get(name)) for name, own in by_set.items() if own}
    values = tuple(
        ArmValues(name, arm, endpoint, _by_seed(by_set[name], arm, endpoint, rare.get(name, ())))
        for name in settings.sets
        for arm in settings.arms
        for endpoint in settings.endpoints
    )
    drawn = {name: _drawn(own, settings, rare[name], read_matches) for name, own in by_set.items() if own}
    found = {(v.set_name, v.arm, v.endpoint): v.by_seed for v in values}
    compared = []
    for (name, arm, endpoint), by_seed in found.items():
        reference = found[name, settings.reference, endpoint]
        if arm == settings.reference or not by_seed.keys() & reference.keys():
            continue
        difference = paired_difference(by_seed, reference)
        interval = _bootstrap(difference, drawn[name], arm, settings.reference, endpoint)
        compared.append((name, arm, endpoint, difference, interval))
    arms, endpoints, sets = settings.family
    members = [
        index
        for index, (name, arm, endpoint, *_) in enumerate(compared)
        if arm in arms and endpoint in endpoints and name in sets
    ]
    adjusted = dict(zip(members, holm([compared[i][3].p_value for i in members]), strict=True))
    comparisons = tuple(
        ArmComparison(*parts, adjusted.get(index, math.nan), settings.effect(parts[2]))
        for index, parts in enumerate(compared)
    )
    classes = {name: _class_rows(own, settings, rare[name]) for name, own in by_set.items() if own}
    return Comparison(settings, tuple(records), values, comparisons, classes, rare)


def _by_seed(records: Sequence[RunRecord], arm: str, endpoint: str, rare: Sequence[str]) -> dict[int, float]:
    found = {record.seed: endpoint_value(record, endpoint, rare) for record in records if record.arm == arm}
    return {seed: value for seed, value in sorted(found.items()) if math.isfinite(value)}


def _drawn(
    records: Sequence[RunRecord],
    settings: ReportSettings,
    rare: Sequence[str],
    read_matches: Callable[[RunRecord, str], DetectionMatches | None],
) -> dict[tuple[str, int, str], NDArray[np.float64]]:
    """Return by arm, seed and endpoint its values in points for every draw of the images, shape (B,)."""
    found: dict[tuple[str, int, str], NDArray[np.float64]] = {}
    if not settings.draws:
        return found
    weights: NDArray[np.float64] | None = None
    for record in records:
        for kind in ("box", "mask"):
            wanted = [name for name in settings.endpoints if ENDPOINTS[name].kind == kind]
            matches = read_matches(record, kind) if wanted and kind in record.matches else None
            if matches is None:
                continue
            if weights is None:
                weights = draw_images(len(matches.images), settings.draws)
            figures = class_figures(matches, len(record.boxes), weights)
            chosen = np.array([figures_of.name in rare for figures_of in record.boxes])
            for name in wanted:
                columns = figures[ENDPOINTS[name].figure]
                found[record.arm, record.seed, name] = _mean_of(columns[:, chosen] if ENDPOINTS[name].rare else columns)
    return found


def _mean_of(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over classes that have objects in the draw, in points; NaN where none has."""
    present = np.isfinite(columns)
    count = present.sum(axis=1)
    total = np.where(present, columns, 0.0).sum(axis=1)
    return np.divide(100 * total, count, out=np.full(len(total), np.nan), where=count > 0)


def _bootstrap(
    difference: PairedDifference,
    drawn: Mapping[tuple[str, int, str], NDArray[np.float64]],
    arm: str,
    reference: str,
    endpoint: str,
) -> tuple[float, float]:
    pairs = [(drawn.get((arm, s, endpoint)), drawn.get((reference, s, endpoint))) for s in difference.seeds]
    columns = [own - other for own, other in pairs if own is not None and other is not None]
    if len(columns) < len(pairs):
        return math.nan, math.nan
    return bootstrap_interval(np.array(difference.values), np.stack(columns, axis=1))


def _class_rows(records: Sequence[RunRecord], settings: ReportSettings, rare: Sequence[str]) -> tuple[ClassRow, ...]:
    rows = []
    for index, figures in enumerate(records[0].boxes):
        by_arm: dict[str, dict[int, float]] = {arm: {} for arm in settings.arms}
        for record in records:
            value = record.boxes[index].ap
            if value is not None and record.arm in by_arm:
                by_arm[record.arm][record.seed] = 100 * value
        reference = by_arm[settings.reference]
        rows.append(
            ClassRow(
                figures.name,
                figures.train,
                figures.objects,
                figures.name in rare,
                {arm: statistics.fmean(own.values()) for arm, own in by_arm.items() if own},
                {
                    arm: paired_difference(own, reference)
                    for arm, own in by_arm.items()
                    if arm != settings.reference and own.keys() & reference.keys()
                },
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.train, row.name)))
