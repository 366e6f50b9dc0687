"""`reg-yolo predict` over many sources, and the word behind `--track`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.speech import answer, say
from reg_yolo.errors import ConfigError


def predict_each(weights: Path, source: Any, *, out: Path | None, **options: Any) -> None:
    """Run weights over every source that needs it, show what became of each, and leave with the code that says so.

    Args:
        weights: As for `predict`.
        source: A folder, a glob pattern or a text list, or the `Source` that it stands for.
        out: Folder for the results.
        options: As for `predict_many`.
    """
    from reg_yolo.yolo.commands.many_progress import final_table, finished_line
    from reg_yolo.yolo.commands.predict_many import predict_many

    summary = predict_many(weights, source, out=out, **options)
    say(final_table(summary.records))
    say(f"Detections: {summary.folder / 'detections'}\nManifest:   {summary.manifest_file}")
    if summary.removed:
        say(
            f"Removed: stored images of {len(summary.removed)} sources, which were not blurred as asked for now: "
            + ", ".join(summary.removed[:5])
        )
    skipped = getattr(source, "skipped_note", "")
    if skipped:
        say(f"Skipped: {skipped}")
    answer(
        "predict_many",
        {
            "folder": summary.folder,
            "manifest": summary.manifest_file,
            "sources": {name: record and record.to_record() for name, record in summary.records.items()},
            "unfinished": summary.unfinished,
            "removed": summary.removed,
            "skipped": skipped,
        },
    )
    for name in summary.unfinished:
        record = summary.records[name]
        say(f"error: {finished_line(record) if record else name + ': not done'}", err=True)
    if summary.unfinished:
        say(f"Partly done: {len(summary.unfinished)} of {len(summary.records)} sources are not whole", err=True)
        raise typer.Exit(PARTLY_DONE)


def tracker_among(words: Sequence[str], *, asked: bool) -> tuple[bool | str, list[str]]:
    """Take the tracker's YAML behind `--track` out of the words behind WEIGHTS.

    Args:
        words: SOURCE and KEY=VALUE words, among them the tracker's YAML if one is named.
        asked: Whether `--track` was given.

    Returns:
        The YAML, True for the default tracker, or False for none; and the other words.

    Raises:
        ConfigError: If several are named.
    """
    named = [word for word in words if asked and "=" not in word and word.lower().endswith((".yaml", ".yml"))]
    if len(named) > 1:
        raise ConfigError(f"`track`: takes one tracker, got {' and '.join(named)}")
    return (named[0] if named else asked), [word for word in words if word not in named]
