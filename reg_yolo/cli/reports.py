"""`reg-yolo report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.speech import answer, say


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    labels: Annotated[str | None, typer.Option(help="What the runs are called: A,B,C.")] = None,
    images: Annotated[
        str | None, typer.Option(help="Images of the panel: a.jpg,b.jpg, files or validation images.")
    ] = None,
    hardest: Annotated[
        int, typer.Option(help="Without --images, how many of the hardest validation images; 0 for no panel.")
    ] = 4,
    group: Annotated[bool, typer.Option("--group", help="Mean and deviation of runs that differ in the seed.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Make the paper's tables, a chart and a panel of predictions from finished runs."""
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(trust=trust)
    from reg_yolo.yolo.commands.report import report as run

    result = run(
        list(runs), out=out, labels=_listed(labels), images=_listed(images), hardest=hardest, group=group, trust=trust
    )
    for table in result.tables:
        say(table.as_text())
    say(f"Report: {result.page} (and report.html, the same as one file)\nChart:  {result.chart}")
    if result.panel is not None:
        say(f"Panel:  {result.panel}")
    tables = [
        {"name": table.name, "title": table.title, "headings": table.all_headings, "rows": table.styled(str, str)}
        for table in result.tables
    ]
    answer("report", {**vars(result), "tables": tables})


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]
