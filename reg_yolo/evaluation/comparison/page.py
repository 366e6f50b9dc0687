"""The page of a comparison: what was run on what, then tables and plots of every set, then what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from reg_yolo.evaluation.comparison.differences import Comparison
from reg_yolo.evaluation.comparison.records import RunRecord
from reg_yolo.evaluation.comparison.tables import ComparisonTable
from reg_yolo.text_tables import escape_markdown

PAGE_SCHEMA = "reg_yolo.comparison/1"


@dataclass(frozen=True)
class SetScope:
    """What the figures of one set hold for.

    Attributes:
        set_name: The set.
        model: Name of the network, and what it starts from.
        epochs, imgsz, batch, steps: Schedule: epochs, pixels, images in a batch, optimizer steps.
        train_images, evaluated_images: Images of the two splits.
        seeds: The seeds with a run.
        runs: Finished runs.
        hours: Sum of their times.
        machine: Processor, threads and precision.
    """

    set_name: str
    model: str
    epochs: int
    imgsz: int
    batch: int
    steps: int
    train_images: int
    evaluated_images: int
    seeds: tuple[int, ...]
    runs: int
    hours: float
    machine: str

    @property
    def short(self) -> str:
        """What belongs in a headline."""
        return f"{self.model}, {self.imgsz} px, {self.epochs} epochs, {_counted(len(self.seeds), 'seed')}"

    def as_text(self) -> str:
        """Return everything as two sentences."""
        return (
            f"{self.set_name}: {self.model}, {self.epochs} epochs at {self.imgsz} px, batch {self.batch}, "
            f"{self.steps} optimizer steps, {self.train_images} training images; the last EMA is evaluated once "
            f"on {self.evaluated_images} images. {_counted(len(self.seeds), 'seed')} "
            f"({', '.join(map(str, self.seeds))}), {_counted(self.runs, 'run')}, {self.hours:.1f} h on {self.machine}."
        )


def set_scopes(comparison: Comparison) -> list[SetScope]:
    """Return the scope of every set that has runs."""
    return [_scope(name, own) for name in comparison.settings.sets if (own := comparison.of_set(name))]


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
        tables: By set: means, differences, and others.
        plots: By set, title and file name of each.
        notes: Sentences for the end.
    """
    parts = [f"# Comparison: {escape_markdown(title)}"]
    for scope in set_scopes(comparison):
        name = scope.set_name
        parts += [f"## {escape_markdown(name)}", escape_markdown(scope.as_text())]
        parts.append(set_section(tables[name], plots.get(name, ())))
    if notes:
        parts += ["## Mind", "\n".join(f"- {escape_markdown(note)}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def set_section(tables: Sequence[ComparisonTable], plots: Sequence[tuple[str, str]], folder: str = "") -> str:
    """Return tables and plots of one set as Markdown; the plots stand before the last tables.

    Args:
        tables: Means, differences, and others.
        plots: Title and file name of each.
        folder: Where the plots lie from the page's point of view, with a slash at the end.
    """
    first, others = tables[:2], tables[2:]
    pictures = [f"![{escape_markdown(caption)}]({folder}{file})" for caption, file in plots]
    return "\n\n".join(
        [*(table.as_markdown().rstrip() for table in first), *pictures, *(t.as_markdown().rstrip() for t in others)]
    )


def comparison_data(
    title: str,
    comparison: Comparison,
    tables: Mapping[str, Sequence[ComparisonTable]],
    plots: Mapping[str, Sequence[tuple[str, str]]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return the page as plain data for JSON, for pages that show several comparisons."""
    return {
        "schema": PAGE_SCHEMA,
        "title": title,
        "reference": comparison.settings.reference,
        "plan_hashes": sorted({record.plan_hash[:16] for record in comparison.records}),
        "scopes": [asdict(scope) for scope in set_scopes(comparison)],
        "tables": {name: [table.to_dict() for table in own] for name, own in tables.items()},
        "plots": {name: [list(plot) for plot in own] for name, own in plots.items()},
        "notes": list(notes),
    }


def _scope(name: str, records: Sequence[RunRecord]) -> SetScope:
    first = records[0]
    train: Mapping[str, Any] = first.content.get("train", {})
    machine = first.environment
    precisions = " and ".join(dict.fromkeys(record.environment["precision"] for record in records))
    seconds = sum(record.seconds["whole"] for record in records)
    return SetScope(
        set_name=name,
        model=" / ".join(dict.fromkeys(_start(record.content) for record in records)),
        epochs=int(train.get("epochs", 100)),
        imgsz=int(train.get("imgsz", 640)),
        batch=int(train.get("batch", 16)),
        steps=first.steps,
        train_images=int(first.images["train"]),
        evaluated_images=int(first.images["evaluated"]),
        seeds=tuple(sorted({record.seed for record in records})),
        runs=len(records),
        hours=round(seconds / 3600, 3),
        machine=f"{machine['processor']} ({_counted(machine['threads'], 'thread')}, {precisions})",
    )


def _start(content: Mapping[str, Any]) -> str:
    """Return a network and what it starts from; weights stand as `name digest`."""
    model = str(content.get("model", ""))
    pretrained = content.get("train", {}).get("pretrained")
    weights = model if ".pt" in model else pretrained if isinstance(pretrained, str) else ""
    network = model.removesuffix(".yaml") if ".pt" not in model else ""
    return " ".join(part for part in (network, f"from {weights}" if weights else "from random weights") if part)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
