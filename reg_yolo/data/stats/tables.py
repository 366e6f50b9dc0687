"""Statistics of a data set as text tables."""

from __future__ import annotations

import numpy as np

from reg_yolo.data.stats.run import QUANTILES, SIZE_NAMES, DatasetStats
from reg_yolo.text_tables import text_table

_WIDEST_MATRIX = 14
_PAIRS = 20


def stats_text(stats: DatasetStats) -> str:
    """Return all tables, each under a heading."""
    blocks = [
        f"{stats.data_yaml}\n{_splits_table(stats)}",
        f"Objects by class\n{_classes_table(stats)}",
        f"Boxes by COCO's areas (small below 32 x 32 pixels, large from 96 x 96)\n{_areas_table(stats)}",
        f"Sizes in pixels at imgsz {stats.imgsz}: quantiles of the root of the area, median width and height\n"
        + _sizes_table(stats),
        f"Images with both classes\n{_co_occurrence_table(stats)}",
    ]
    if stats.alphas:
        blocks.append(f"Class weights (alpha) from the training split\n{_alpha_table(stats)}")
    if stats.sampling:
        blocks.append(f"Sampling for rare classes (training split, threshold: median)\n{_sampling_table(stats)}")
    return "\n\n".join(blocks)


def _splits_table(stats: DatasetStats) -> str:
    rows = []
    for name, split in stats.splits.items():
        counts = split.objects_per_image
        rows.append(
            [
                name,
                f"{split.images:,}",
                f"{split.images_without_objects:,}",
                f"{sum(split.objects):,}",
                f"{np.mean(counts):.2f}",
                f"{np.median(counts):g}",
                f"{max(counts):,}",
                f"{split.bad_rows:,}",
                f"{split.repeated_rows:,}",
                f"{split.unreadable_images:,}",
            ]
        )
    headings = ["split", "images", "without objects", "objects", "per image: mean", "median", "most"]
    table = text_table([*headings, "bad rows", "repeated rows", "unreadable images"], rows)
    lines = [table, *(f"Not counted: {reason}" for reason in stats.unread.values())]
    lines += [f"Note: {remark}" for remark in stats.remarks]
    if stats.typical_size is not None:
        lines.append("Typical image (median): {} x {} pixels".format(*stats.typical_size))
    if stats.imbalance_ratio is not None:
        lines.append(f"Imbalance ratio r = N_max / N_min of the training split: {stats.imbalance_ratio:.2f}")
    return "\n".join(lines)


def _classes_table(stats: DatasetStats) -> str:
    total = max(1, sum(stats.objects))
    splits = list(stats.splits.values())
    rows = [
        [
            name,
            *(f"{split.objects[index]:,}" for split in splits),
            f"{sum(split.boxes[index] for split in splits):,}",
            f"{sum(split.polygons[index] for split in splits):,}",
            f"{stats.objects[index]:,}",
            f"{100 * stats.objects[index] / total:.1f} %",
            f"{stats.co_occurrence[index, index]:,}",
        ]
        for index, name in enumerate(stats.class_names)
    ]
    return text_table(["class", *stats.splits, "boxes", "polygons", "all", "share", "images with"], rows)


def _areas_table(stats: DatasetStats) -> str:
    headings = ["class", *(f"{size}" for size in SIZE_NAMES), *(f"{size} at {stats.imgsz}" for size in SIZE_NAMES)]
    original, scaled = stats.area_counts(scaled=False), stats.area_counts(scaled=True)
    rows = [
        [name, *(f"{count:,}" for count in (*original[index], *scaled[index]))]
        for index, name in enumerate(stats.class_names)
    ]
    sums = [f"{sum(column):,}" for column in zip(*(a + b for a, b in zip(original, scaled, strict=True)), strict=True)]
    return text_table(headings, [*rows, ["all", *sums]])


def _sizes_table(stats: DatasetStats) -> str:
    headings = ["class", *(f"{100 * quantile:g} %" for quantile in QUANTILES), "width", "height"]
    middle = QUANTILES.index(0.5)
    sizes, widths, heights = (stats.size_quantiles_px(what) for what in ("size", "width", "height"))
    rows = []
    for name, size, width, height in zip(stats.class_names, sizes, widths, heights, strict=True):
        if size is None or width is None or height is None:
            rows.append([name, *["-"] * (len(QUANTILES) + 2)])
        else:
            rows.append([name, *(f"{value:.1f}" for value in (*size, width[middle], height[middle]))])
    return text_table(headings, rows)


def _co_occurrence_table(stats: DatasetStats) -> str:
    if len(stats.class_names) <= _WIDEST_MATRIX:
        rows = [
            [f"{index} {name}", *(f"{count:,}" for count in stats.co_occurrence[index])]
            for index, name in enumerate(stats.class_names)
        ]
        return text_table(["class", *map(str, range(len(stats.class_names)))], rows)
    upper = np.triu(stats.co_occurrence, 1)
    order = np.argsort(-upper, axis=None, kind="stable")[:_PAIRS]
    pairs = [(int(a), int(b)) for a, b in zip(*np.unravel_index(order, upper.shape), strict=True) if upper[a, b]]
    rows = [[f"{stats.class_names[a]} + {stats.class_names[b]}", f"{upper[a, b]:,}"] for a, b in pairs]
    return text_table([f"the {len(rows)} most frequent pairs", "images"], rows)


def _alpha_table(stats: DatasetStats) -> str:
    rows = [
        [name, *(f"{weights[index]:.3f}" for weights in stats.alphas.values())]
        for index, name in enumerate(stats.class_names)
    ]
    return text_table(["class", *stats.alphas], rows)


def _sampling_table(stats: DatasetStats) -> str:
    objects = stats.splits["train"].objects
    rows = [
        [
            name,
            f"{objects[index]:,}",
            *(
                value
                for effect in stats.sampling.values()
                for value in (f"{effect.factors[index]:.2f}", f"{effect.objects[index]:,.0f}")
            ),
        ]
        for index, name in enumerate(stats.class_names)
    ]
    headings = [heading for method in stats.sampling for heading in (method, "objects an epoch")]
    lines = [text_table(["class", "objects", *headings], rows)]
    for method, effect in stats.sampling.items():
        lines.append(
            f"{method}: threshold {effect.threshold:.4g}; epoch: fixed is {stats.splits['train'].images:,} draws, "
            f"epoch: scaled {effect.scaled_draws:,.0f}"
        )
    return "\n".join(lines)
