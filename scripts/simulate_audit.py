"""Does the audit's confidence hold? Inventories whose truth is known, audited again and again.

Each simulated inventory has classes and roads of its own, of its own quality; misses and faults come in clusters, along
roads and within stretches. Every audit plans, draws and estimates as `reg-yolo inventory audit` does. Printed are the
share of audits whose interval holds the truth, and that of inventories just below the limit that would have passed.

    python scripts/simulate_audit.py --inventories 200 --audits 25
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.audit.estimates import PASS, Estimate, Group, asset_share, design_effect, stretch_share
from reg_yolo.inventory.audit.recapture import chapman
from reg_yolo.inventory.audit.sampling import draw_assets, draw_stratified
from reg_yolo.inventory.audit.sizes import sample_size
from reg_yolo.text_tables import text_table

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

CONFIDENCE = 0.95
RHO = 0.05


@dataclass(frozen=True)
class Simulated:
    """An inventory whose truth is known.

    Attributes:
        classes, roads, wrong: Of each asset that it lists, N of them.
        stands, missed: What stands along each stretch and what of it the inventory lacks, by class, shape (S, C).
        stretch_roads: Of each stretch.
    """

    classes: list[str]
    roads: list[str]
    wrong: BoolArray
    stands: IntArray
    missed: IntArray
    stretch_roads: list[str]


def simulate_inventory(
    rng: np.random.Generator, faults: float, misses: float, clustering: float, scale: float = 1.0
) -> Simulated:
    """Return an inventory.

    Args:
        rng: Source of chance.
        faults, misses: Mean share of wrong ones in it, and of those that it lacks.
        clustering: Correlation of misses within a stretch.
        scale: Of its size; 1 is some 1,400 to 4,800 assets.
    """
    count = int(rng.integers(3, 8))
    names = [f"class {n}" for n in range(count)]
    frequency = rng.dirichlet(np.linspace(4.0, 0.4, count))
    roads = [f"road {n}" for n in range(int(rng.integers(2, 7)))]
    stretches = int(rng.integers(600, 2000) * scale)
    owners = np.sort(rng.integers(0, len(roads), stretches))
    density = rng.gamma(2.0, 1.2, stretches)
    stands = rng.poisson(density[:, None] * frequency)
    # Each class and each road has its own quality; a stretch shares its luck.
    quality = np.clip(misses * rng.lognormal(0, 0.4, (len(roads), 1)) * rng.lognormal(0, 0.5, (1, count)), 0, 0.9)
    share = quality[owners]
    if clustering > 0:
        strength = 1 / clustering - 1
        share = rng.beta(np.maximum(share * strength, 1e-6), np.maximum((1 - share) * strength, 1e-6))
    missed = rng.binomial(stands, share)
    listed = (stands - missed).ravel()
    classes = np.repeat(np.tile(np.arange(count), stretches), listed)
    at = np.repeat(np.repeat(owners, count), listed)
    worse = np.clip(faults * rng.lognormal(0, 0.4, len(roads))[at] * rng.lognormal(0, 0.5, count)[classes], 0, 0.9)
    return Simulated(
        [names[n] for n in classes],
        [roads[n] for n in at],
        rng.random(len(classes)) < worse,
        stands,
        missed,
        [roads[n] for n in owners],
    )


@lru_cache
def needed(limit: float, expected: float) -> int:
    """Return the size of a sample."""
    return sample_size(limit, expected, CONFIDENCE).checked


def drawn(world: Simulated, size: int, each_class: int, rng: np.random.Generator) -> dict[str, Group]:
    """Return the classes of a sample of assets."""
    rows = draw_assets(world.classes, world.roads, size, each_class, rng)
    totals, checked = Counter(world.classes), Counter(world.classes[row] for row in rows)
    wrong = Counter(world.classes[row] for row in rows[world.wrong[rows]])
    return {name: Group(total, checked[name], wrong[name]) for name, total in sorted(totals.items())}


def audit_assets(world: Simulated, groups: dict[str, Group]) -> tuple[Estimate, float]:
    """Return what an audit says of the share of right ones, and what is true."""
    return asset_share(list(groups.values()), CONFIDENCE), 1 - float(world.wrong.mean())


def audit_classes(world: Simulated, groups: dict[str, Group]) -> Iterator[tuple[Estimate, float]]:
    """Yield what an audit says of each class of which it checked a part, and what is true."""
    faults = Counter(world.classes[row] for row in np.flatnonzero(world.wrong))
    for name, group in groups.items():
        if 0 < group.checked < group.population:
            yield asset_share([group], CONFIDENCE), 1 - faults[name] / group.population


def audit_stretches(
    world: Simulated, limit: float, expected: float, rng: np.random.Generator
) -> tuple[Estimate, float]:
    """Return what an audit says of recall, and what is true."""
    stands, missed = world.stands.sum(axis=1), world.missed.sum(axis=1)
    size = needed(limit, expected) * design_effect(stands, RHO)
    count = min(int(np.ceil(size / stands.mean())), len(stands))
    rows = draw_stratified(world.stretch_roads, count, rng)
    found = stretch_share(stands[rows], missed[rows], count / len(stands), RHO, CONFIDENCE)
    return found, 1 - float(missed.sum() / stands.sum())


@dataclass
class Tally:
    """What came of many audits."""

    name: str
    held: int = 0
    audits: int = 0
    below: int = 0
    passed: int = 0
    width: float = 0.0

    def add(self, found: Estimate, truth: float, limit: float) -> None:
        """Count one."""
        self.audits += 1
        self.held += found.low - 1e-9 <= truth <= found.high + 1e-9
        self.width += found.high - found.low
        if truth < limit:
            self.below += 1
            self.passed += found.verdict(limit) == PASS

    def row(self) -> list[str]:
        """Return its cells."""
        wrong = f"{self.passed / self.below:.1%}" if self.below else "-"
        return [
            self.name, str(self.audits), f"{self.held / self.audits:.1%}", f"{self.width / self.audits:.3f}",
            str(self.below), wrong,
        ]  # fmt: skip


def run(inventories: int, audits: int, seed: int = 0, scale: float = 1.0) -> list[Tally]:
    """Audit simulated inventories.

    Args:
        inventories: How many.
        audits: Of each.
        seed: Of all chance.
        scale: Of the inventories' size.
    """
    rng = np.random.default_rng(seed)
    tallies = [
        Tally("precision, one rate"), Tally("precision, rare classes more often"), Tally("precision of single classes"),
        Tally("recall, misses independent"), Tally("recall, misses in clusters"),
    ]  # fmt: skip
    size = needed(0.95, 0.975)
    for _ in range(inventories):
        # From good ones to bad ones, many near the limit.
        faults, misses = rng.uniform(0.01, 0.08), rng.uniform(0.02, 0.16)
        alone = simulate_inventory(rng, faults, misses, 0.0, scale)
        clustered = simulate_inventory(rng, faults, misses, 0.1, scale)
        for _ in range(audits):
            tallies[0].add(*audit_assets(clustered, drawn(clustered, size, 0, rng)), 0.95)
            groups = drawn(clustered, size, 40, rng)
            tallies[1].add(*audit_assets(clustered, groups), 0.95)
            for found, truth in audit_classes(clustered, groups):
                tallies[2].add(found, truth, 0.95)
            tallies[3].add(*audit_stretches(alone, 0.9, 0.95, rng), 0.9)
            tallies[4].add(*audit_stretches(clustered, 0.9, 0.95, rng), 0.9)
    return tallies


def worst_case(audits: int, seed: int = 0) -> list[Tally]:
    """Audit inventories that just miss their limits, where a wrong pass is most probable."""
    rng = np.random.default_rng(seed)
    tallies = [
        Tally("precision 0.9495"), Tally("precision 0.9495, faults in the rarest class"), Tally("recall just below 0.9")
    ]  # fmt: skip
    size = needed(0.95, 0.975)
    world = simulate_inventory(rng, 0.05, 0.1, 0.05)
    total = len(world.classes)
    bad = int(np.ceil(total * 0.0505))
    counts = Counter(world.classes)
    rarest_first = sorted(range(total), key=lambda n: counts[world.classes[n]])
    for tally, rows in (
        (tallies[0], rng.choice(total, bad, replace=False)),
        (tallies[1], np.array(rarest_first[:bad])),
    ):
        wrong = np.zeros(total, np.bool_)
        wrong[rows] = True
        own = Simulated(world.classes, world.roads, wrong, world.stands, world.missed, world.stretch_roads)
        for _ in range(audits):
            tally.add(*audit_assets(own, drawn(own, size, 40, rng)), 0.95)
    stands = world.stands.sum(axis=1)
    missed = rng.binomial(stands, rng.beta(0.1 * 19, 0.9 * 19, len(stands)))
    while missed.sum() <= 0.1 * stands.sum():
        missed = np.minimum(missed + (rng.random(len(stands)) < 0.002), stands)
    own = Simulated(world.classes, world.roads, world.wrong, stands[:, None], missed[:, None], world.stretch_roads)
    for _ in range(audits):
        tallies[2].add(*audit_stretches(own, 0.9, 0.95, rng), 0.9)
    return tallies


def recapture(draws: int, seed: int = 0) -> list[list[str]]:
    """Return what Chapman's estimate says of two passes: independent ones, and ones that miss the same assets."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, spread in (("independent", 0.0), ("slightly alike", 0.5), ("alike", 1.5)):
        said, true, held = [], [], 0
        for _ in range(draws):
            assets = 800
            seen = 1 / (1 + np.exp(-(1.5 + spread * rng.standard_normal(assets))))
            first, second = rng.random(assets) < seen, rng.random(assets) < seen
            found = chapman(int(first.sum()), int(second.sum()), int((first & second).sum()), CONFIDENCE)
            assert found is not None
            truth = float((first | second).mean())
            said.append(found.completeness)
            true.append(truth)
            held += found.low <= truth <= found.high
        rows.append([name, f"{np.mean(true):.3f}", f"{np.mean(said):.3f}", f"{held / draws:.1%}"])
    return rows


def main() -> None:
    """Print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventories", type=int, default=200)
    parser.add_argument("--audits", type=int, default=25, help="of each inventory")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    head = ["", "audits", "interval holds", "width", "truth below limit", "of these passed"]
    print(text_table(head, [one.row() for one in run(given.inventories, given.audits, given.seed)]), end="\n\n")
    print("Just below the limit:")
    print(text_table(head, [one.row() for one in worst_case(1000, given.seed)]), end="\n\n")
    print(text_table(["two passes", "complete", "said", "interval holds"], recapture(1000, given.seed)))


if __name__ == "__main__":
    main()
