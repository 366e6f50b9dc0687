"""Measure precision and recall after part of an inventory was reviewed, by doubt and in random order.

    python -m scripts.bench_review DRIVES --out results [--draws 3] [--passes one|both]

DRIVES are folders that `reg-yolo scenes OUT --drive 10 --every 5 --both-directions --truth-only --seed N` wrote. Their
true boxes are made worse (T- of bench_inventory.py), and the truth is the reviewer: what is right is accepted, what
stands for an asset of another class is called so, all else is rejected. Candidates have a probability of 0.05 at least;
what nobody has looked at is listed as `inventory build` does.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.inventory.diff.differences import one_to_one
from reg_yolo.inventory.review.doubt import doubt_of
from scripts.bench_inventory import LISTED, WITHIN_M, build, read_truth

CANDIDATE = 0.05
SHARES = (0.0, 0.05, 0.1, 0.2)
SAME_PLACE_M = 5.0
RANDOM_ORDERS = 20


def measure(root: Path, directions: list[str], draw: int, folder: Path) -> dict[str, Any]:
    """Return counts for each order and share of the candidates."""
    assets, labelled, projection = build(root, directions, "T-", draw, folder)
    truth, places = read_truth(root, projection)
    some = [asset for asset in assets if asset.probability >= CANDIDATE and asset.kind != "line"]
    middles = np.array([asset.middle_m for asset in some]).reshape(-1, 2)
    names, true_names = [asset.class_name for asset in some], [one["class"] for one in truth]
    right = _pairs(middles, names, range(len(some)), places, true_names)
    said = _said(middles, names, right, places, true_names)
    counted = {n for n, one in enumerate(truth) if labelled[one["asset_id"]] >= 2}
    listed = np.array([asset.probability >= LISTED for asset in some])
    rng = np.random.default_rng(draw)
    by_doubt = np.argsort([-doubt_of(asset.row()) for asset in some], kind="stable")
    by_probability = np.argsort([abs(asset.probability - 0.5) for asset in some], kind="stable")
    orders = {"doubt": [by_doubt], "existence": [by_probability]}
    orders["random"] = [rng.permutation(len(some)) for _ in range(RANDOM_ORDERS)]
    result: dict[str, Any] = {"candidates": len(some), "truth": len(counted)}
    for order, ways in orders.items():
        for share in SHARES:
            counts = Counter[str]()
            for way in ways:
                kept, called = listed.copy(), list(names)
                for n in way[: round(share * len(some))].tolist():
                    kept[n] = said[n] is not None
                    called[n] = said[n] or called[n]
                rows = np.flatnonzero(kept).tolist()
                pairs = _pairs(middles, called, rows, places, true_names)
                counts["listed"] += len(rows)
                counts["right"] += len(pairs)
                counts["found"] += len(set(pairs.values()) & counted)
                counts["true"] += len(counted)
            result[f"{order} {share:g}"] = dict(counts)
    return result


def _pairs(middles: Any, names: list[str], rows: Any, places: Any, true_names: list[str]) -> dict[int, int]:
    pairs: dict[int, int] = {}
    for name in set(true_names):
        own = [n for n in rows if names[n] == name]
        columns = [n for n, one in enumerate(true_names) if one == name]
        pairs |= one_to_one(middles, places, own, columns, WITHIN_M)
    return pairs


def _said(
    middles: Any, names: list[str], right: dict[int, int], places: Any, true_names: list[str]
) -> list[str | None]:
    """What the reviewer calls each candidate; None for one that is rejected, as those listed twice are."""
    said: list[str | None] = [None] * len(names)
    taken = set(right.values())
    for n in right:
        said[n] = names[n]
    for n in set(range(len(names))) - set(right):
        apart = np.linalg.norm(places - middles[n], axis=1)
        near = int(apart.argmin())
        if apart[near] <= SAME_PLACE_M and near not in taken:
            said[n] = true_names[near]
            taken.add(near)
    return said


def table(results: list[dict[str, Any]]) -> str:
    """Return precision and recall by order and share, over all runs."""
    lines = [f"{len(results)} runs, {sum(one['candidates'] for one in results)} candidates"]
    for share in SHARES:
        cells = []
        for order in ("doubt", "existence", "random"):
            total = Counter[str]()
            for one in results:
                total.update(one[f"{order} {share:g}"])
            precision, recall = total["right"] / total["listed"], total["found"] / total["true"]
            cells.append(f"{order} {precision:.4f} / {recall:.4f}")
        lines.append(f"{share:4.0%} reviewed, precision / recall: " + ", ".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drives", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("bench_review"))
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--passes", choices=("one", "both"), default="one")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    directions = ["forward", "backward"] if options.passes == "both" else ["forward"]
    results = []
    for draw in range(options.draws):
        for root in options.drives:
            target = options.out / f"{root.name}_{options.passes}_{draw}.json"
            if not target.exists():
                found = measure(root, directions, draw, options.out)
                target.write_text(json.dumps(found), encoding="utf-8")
            results.append(json.loads(target.read_text(encoding="utf-8")))
            print(table(results), flush=True)


if __name__ == "__main__":
    main()
