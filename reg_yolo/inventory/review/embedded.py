"""What report.html holds for a review without a server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.review.details import MOST_NEAR, NEAR_M, SHOWN
from reg_yolo.inventory.review.doubt import doubt_of
from reg_yolo.inventory.review.naming import named_by
from reg_yolo.inventory.review.words import words


def embedded_review(assets: Sequence[Asset], language: str) -> dict[str, Any]:
    """Return the doubt about each asset, the observations that name it, and the words of the page.

    Args:
        assets: In the order of the report.
        language: `en` or `th`.
    """
    sources: dict[str, int] = {}
    labels: dict[str, int] = {}
    digest = hashlib.sha256()
    seen = []
    for asset in assets:
        records = asset.observations.records()
        best = None if asset.view is None else {"source": asset.view.source, "frame": asset.view.frame}
        digest.update(f"{asset.asset_id} {len(records)}\n".encode())
        some = [records[n] for n in named_by(records, best)]
        seen.append([
            [
                sources.setdefault(one["source"], len(sources)), one["frame"], *(round(x, 1) for x in one["xyxy"]),
                labels.setdefault(one["class"], len(labels)),
            ]
            for one in some
        ])  # fmt: skip
    return {
        "build": digest.hexdigest()[:12],
        "doubt": [round(doubt_of(asset.row()), 3) for asset in assets],
        "seen": seen,
        "sources": list(sources),
        "labels": list(labels),
        "shown": SHOWN,
        "near_m": NEAR_M,
        "most_near": MOST_NEAR,
        "words": words(language),
    }
