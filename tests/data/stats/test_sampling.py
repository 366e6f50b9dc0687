"""What `data stats` says of sampling is what training does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.data.sampling.factors import count_matrix
from reg_yolo.data.stats.run import dataset_stats
from reg_yolo.data.stats.sampling import sampling_effects
from reg_yolo.data.stats.tables import stats_text


def test_effects_by_hand() -> None:
    # Class 0 on four images, class 1 on one of them: frequencies 1 and 1/4, median 5/8, factor of class 1 sqrt(5/2).
    effect = sampling_effects([[0], [0], [0], [0, 1]], 2)["repeat_factor"]
    rare = (5 / 2) ** 0.5
    assert effect.threshold == pytest.approx(0.625)
    assert effect.factors == pytest.approx([1.0, rare])
    assert effect.scaled_draws == pytest.approx(3 + rare)
    assert effect.objects == pytest.approx([4.0, 4 * rare / (3 + rare)])


def test_nothing_without_objects() -> None:
    assert sampling_effects([], 3) == {}
    assert sampling_effects([[], []], 3) == {}


def test_data_stats_shows_the_training_split(even_rectangles: Path) -> None:
    stats = dataset_stats(even_rectangles)
    counts = count_matrix(
        [
            [int(row.split()[0]) for row in file.read_text().splitlines()]
            for file in sorted((even_rectangles.parent / "labels/train").glob("*.txt"))
        ],
        3,
    )
    effect = stats.sampling["repeat_factor"]
    shares = (counts > 0).mean(axis=0)
    assert effect.threshold == pytest.approx(np.median(shares))
    assert effect.factors == pytest.approx(np.sqrt(np.maximum(1, np.median(shares) / shares)).tolist())
    written = json.loads(stats.as_json())["sampling"]["instance_repeat_factor"]
    assert written["factors"] == pytest.approx(stats.sampling["instance_repeat_factor"].factors)
    text = stats_text(stats)
    assert "Sampling for rare classes (training split, threshold: median)" in text
    assert f"epoch: scaled {effect.scaled_draws:,.0f}" in text
    assert f"{effect.objects[2]:,.0f}" in text
