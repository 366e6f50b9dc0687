"""The page of a comparison: what was run on what, then tables and plots of every set, then what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reg_yolo.evaluation.comparison import Comparison
from reg_yolo.evaluation.comparison_records import RunRecord
from reg_yolo.evaluation.comparison_tables import ComparisonTable
from reg_yolo.text_tables import escape_markdown


def comparison_page(
    title: str,
    comparison: Comparison,
    tables: Mapping[str, Sequence[ComparisonTable]],
    plots: Mapping[str, Sequence[tuple[str, str]]],
    notes: Sequence[str],
) -> str:
    """Return the page as Markdown.

    Args:
        title: Name of the plan.
        comparison: What is shown.
        tables: By set.
        plots: By set, title and file name of each.
        notes: Sentences for the end.
    """
    parts = [f"# Comparison: {escape_markdown(title)}", *(escape_markdown(line) for line in scope_lines(comparison))]
    for name, own in tables.items():
        means, differences, *others = own
        pictures = [f"![{name}: {caption}]({file})" for caption, file in plots.get(name, ())]
        parts += [f"## {escape_markdown(name)}", means.as_markdown().rstrip(), differences.as_markdown().rstrip()]
        parts += [*pictures, *(table.as_markdown().rstrip() for table in others)]
    if notes:
        parts += ["## Mind", "\n".join(f"- {escape_markdown(note)}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def scope_lines(comparison: Comparison) -> list[str]:
    """Return a sentence for every set: network, start, schedule, data, machine and time. Figures hold for these."""
    return [_scope(name, own) for name in comparison.settings.sets if (own := comparison.of_set(name))]


def _scope(name: str, records: Sequence[RunRecord]) -> str:
    first = records[0]
    train: Mapping[str, Any] = first.content.get("train", {})
    model = _one([str(record.content.get("model")) for record in records])
    start = (
        "from random weights"
        if ".pt" not in model and not isinstance(train.get("pretrained"), str)
        else "from trained weights"
    )
    seeds = sorted({record.seed for record in records})
    hours = sum(record.seconds["whole"] for record in records) / 3600
    schedule = f"{train.get('epochs', 100)} epochs at {train.get('imgsz', 640)} px, batch {train.get('batch', 16)}"
    environment = first.environment
    return (
        f"{name}: {model} {start}, {schedule}, {first.steps} optimizer steps, {first.images['train']} training images; "
        f"the last epoch's EMA evaluated once on {first.images['evaluated']} images. {len(seeds)} seeds "
        f"({', '.join(map(str, seeds))}), {len(records)} runs, {hours:.1f} h on {environment['processor']} "
        f"({environment['threads']} threads, {environment['precision']})."
    )


def _one(values: Sequence[str]) -> str:
    return " / ".join(dict.fromkeys(values))
