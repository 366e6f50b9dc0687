"""Hand out groups of images to splits so that every class gets its share in each.

The idea is iterative stratification's (Sechidis et al., *On the stratification of multi-label data*, ECML PKDD 2011):
what is rarest is handed out first, to the split that lacks most of it. Here whole groups are handed out, and the result
is then improved by moving and exchanging groups as long as that brings the shares nearer. scikit-learn's
StratifiedGroupKFold takes one label for each sample, equal folds and no wish that every class be in every split, so it
does not serve images that hold several classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]

# A class that a split lacks costs more than any share that is off.
_ABSENT = 100.0
# An exchange looks at all pairs of groups; beyond this many groups single moves come near enough.
_EXCHANGED_GROUPS = 256
_STARTS = 24
# So few assignments are all looked at.
_ALL = 10_000


def assign_groups(counts: Counts, shares: Sequence[float], seed: int = 0) -> list[int]:
    """Return the split of every group.

    Args:
        counts: `[G, C]`, what each group holds of each column: objects of a class, say, or images. Columns count
            alike, however rare they are.
        shares: `[S]` wanted share of every column in each split; they sum to 1.
        seed: Decides between assignments that are equally good.

    Returns:
        For each group the index into `shares`. A column that as many groups hold as there are splits is in every
        split, where the groups allow it for all columns together.
    """
    groups, splits = counts.shape[0], len(shares)
    held = counts > 0
    totals = counts.sum(0)
    used = totals > 0
    portions = counts[:, used] / totals[used]
    wanted = np.asarray(shares, dtype=np.float64)
    divisible = held[:, used].sum(0) >= splits
    rng = np.random.default_rng(seed)
    if groups and splits**groups <= _ALL:
        order = rng.permutation(groups)
        assignment = np.empty(groups, dtype=np.int64)
        assignment[order] = _best_of_all(portions[order], wanted, divisible)
        return list(assignment.tolist())
    best: tuple[float, list[int]] | None = None
    for start in range(_STARTS if groups <= _EXCHANGED_GROUPS else 1):
        order = rng.permutation(groups)
        # With few groups the rarest-first start may be a dead end; chance finds ways out of it.
        by_chance = np.asarray(rng.choice(splits, groups, p=wanted), dtype=np.int64)
        first = by_chance if start % 2 else _hand_out(portions[order], wanted)
        found = _improve(portions[order], wanted, divisible, first)
        cost = _cost(_filled(portions[order], found, splits), wanted, divisible)
        if best is None or cost < best[0] - 1e-9:
            assignment = np.empty(groups, dtype=np.int64)
            assignment[order] = found
            best = cost, assignment.tolist()
    assert best is not None
    return best[1]


def _best_of_all(portions: Counts, wanted: Counts, divisible: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The assignment that costs least, of all that there are."""
    every = np.indices((len(wanted),) * len(portions)).reshape(len(portions), -1).T
    cost = sum(_split_cost((every == split) @ portions, wanted[split], divisible) for split in range(len(wanted)))
    return np.asarray(every[np.argmin(cost)])


def _hand_out(portions: Counts, wanted: Counts) -> NDArray[np.int64]:
    """Give the groups of the rarest column to the split that lacks most of it, then those of the next rarest."""
    groups = len(portions)
    assignment = np.full(groups, -1, dtype=np.int64)
    missing = np.repeat(wanted[:, None], portions.shape[1], axis=1)
    for column in np.argsort((portions > 0).sum(0), kind="stable"):
        waiting = np.flatnonzero((assignment < 0) & (portions[:, column] > 0))
        for group in waiting[np.argsort(-portions[waiting, column], kind="stable")]:
            # Equal needs: the split that lacks most over all columns.
            need = missing[:, column] + 1e-6 * missing.sum(1)
            split = int(need.argmax())
            assignment[group] = split
            missing[split] -= portions[group]
    assignment[assignment < 0] = int(wanted.argmax())
    return assignment


def _improve(
    portions: Counts, wanted: Counts, divisible: NDArray[np.bool_], assignment: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Take the best single move, or else the best exchange of two groups, until neither helps."""
    assignment = assignment.copy()
    splits = len(wanted)
    for _ in range(4 * len(portions) + 100):
        filled = _filled(portions, assignment, splits)
        move = _best_move(portions, wanted, divisible, assignment, filled)
        if move is not None:
            assignment[move[0]] = move[1]
            continue
        pair = None
        if len(portions) <= _EXCHANGED_GROUPS:
            pair = _best_exchange(portions, wanted, divisible, assignment, filled)
        if pair is None:
            break
        assignment[list(pair)] = assignment[list(pair[::-1])]
    return assignment


def _best_move(
    portions: Counts, wanted: Counts, divisible: NDArray[np.bool_], assignment: NDArray[np.int64], filled: Counts
) -> tuple[int, int] | None:
    current = np.array([_split_cost(filled[s], wanted[s], divisible) for s in range(len(wanted))])
    left = _split_cost(filled[assignment] - portions, wanted[assignment], divisible) - current[assignment]
    best: tuple[float, int, int] | None = None
    for split in range(len(wanted)):
        change = left + _split_cost(filled[split] + portions, wanted[split], divisible) - current[split]
        change[assignment == split] = 0.0
        group = int(change.argmin())
        if change[group] < (best[0] if best else -1e-9):
            best = float(change[group]), group, split
    return None if best is None else best[1:]


def _best_exchange(
    portions: Counts, wanted: Counts, divisible: NDArray[np.bool_], assignment: NDArray[np.int64], filled: Counts
) -> tuple[int, int] | None:
    best: tuple[float, int, int] | None = None
    for first in range(len(wanted)):
        for second in range(first + 1, len(wanted)):
            ours, theirs = np.flatnonzero(assignment == first), np.flatnonzero(assignment == second)
            if not len(ours) or not len(theirs):
                continue
            swapped = portions[theirs][None] - portions[ours][:, None]
            cost = _split_cost(filled[first] + swapped, wanted[first], divisible)
            cost += _split_cost(filled[second] - swapped, wanted[second], divisible)
            before = _split_cost(filled[first], wanted[first], divisible)
            before += _split_cost(filled[second], wanted[second], divisible)
            at = int(cost.argmin())
            change = float(cost.flat[at] - before)
            if change < (best[0] if best else -1e-9):
                best = change, int(ours[at // len(theirs)]), int(theirs[at % len(theirs)])
    return None if best is None else best[1:]


def _filled(portions: Counts, assignment: NDArray[np.int64], splits: int) -> Counts:
    return np.stack([portions[assignment == split].sum(0) for split in range(splits)])


def _split_cost(filled: Counts, wanted: Counts, divisible: NDArray[np.bool_]) -> Counts:
    """Squared distance from the wanted share, summed over columns (the last axis), and a price for absent ones."""
    off = ((filled - np.asarray(wanted)[..., None]) ** 2).sum(-1)
    return np.asarray(off + _ABSENT * ((filled < 1e-9) & divisible).sum(-1))


def _cost(filled: Counts, wanted: Counts, divisible: NDArray[np.bool_]) -> float:
    return float(_split_cost(filled, wanted, divisible).sum())
