"""`reg-yolo inventory review`, and what is done with decisions: put together, read from a GeoPackage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.speech import answer, say

app = typer.Typer(help="Decisions of reviewers: merge their files, read edits made in QGIS.", no_args_is_help=True)

_MOST_SAID = 20


def review(
    folder: Annotated[Path, typer.Argument(help="Folder of an inventory.")],
    reviewer: Annotated[str | None, typer.Option(help="Who decides; the account's name if not given.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="File that decisions are added to; decisions_REVIEWER.jsonl in the folder else.")
    ] = None,
    port: Annotated[int, typer.Option(help="Of 127.0.0.1; 0 takes any free one.")] = 8765,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address only.")] = False,
    language: Annotated[str, typer.Option(help="Of the page: en or th.")] = "en",
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Review an inventory in the browser, the most doubtful assets first; Ctrl-C ends."""
    from reg_yolo.inventory.review.serving import ReviewOptions, review_folder

    options = ReviewOptions(reviewer, decisions, port, not no_browser, language)
    answer("inventory_review", vars(review_folder(folder, options, say)))


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Decisions files of several reviewers.")],
    to: Annotated[Path, typer.Option(help="Decisions file that is written.")],
    inventory: Annotated[
        Path | None, typer.Option(help="Folder of the inventory, to name assets and what no longer fits.")
    ] = None,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Put decisions files together and list where reviewers differ."""
    from reg_yolo.inventory.review.merging import merge_files

    done = merge_files(files, to, inventory)
    people = ", ".join(f"{who} {count}" for who, count in sorted(done.people.items()))
    say(f"{done.decisions} decisions ({people}): {to}")
    _say_some([one.as_text() for one in done.conflicts], "decisions conflict; a build follows none of them")
    _say_some(done.left, "decisions and lines do not count")
    answer("inventory_decisions_merge", vars(done))
    if done.conflicts or done.left:
        raise typer.Exit(PARTLY_DONE)


@app.command(name="import")
def import_(
    edited: Annotated[Path, typer.Argument(help="GeoPackage that was edited in QGIS.")],
    folder: Annotated[Path, typer.Argument(help="Folder of the inventory as it was built.")],
    to: Annotated[Path, typer.Option(help="Decisions file that edits are added to.")],
    reviewer: Annotated[
        str | None, typer.Option(help="Who made the edits of rows whose reviewed_by was not changed.")
    ] = None,
    sigma: Annotated[float, typer.Option(help="Deviation of moved places on each axis in metres.")] = 1.0,
    fields: Annotated[Path | None, typer.Option(help="The --fields file that the inventory was built with.")] = None,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Read edits made in QGIS as decisions: moved, another class, deleted, reviewed_by filled."""
    from reg_yolo.inventory.review.edits import EditOptions, import_edits

    edits = import_edits(edited, folder, to, EditOptions(reviewer, sigma, fields))
    counts = ", ".join(f"{count} {action}" for action, count in sorted(edits.counts.items())) or "none"
    say(f"{len(edits.decisions)} decisions added ({counts}), {edits.known} known before: {to}")
    _say_some(edits.left, "edits are not held by decisions")
    answer("inventory_decisions_import", {"file": to, "counts": edits.counts, "known": edits.known, "left": edits.left})
    if edits.left:
        raise typer.Exit(PARTLY_DONE)


def _say_some(lines: list[str], what: str) -> None:
    """Say how many there are, and the first ones."""
    if not lines:
        return
    say(f"{len(lines)} {what}:", err=True)
    for line in lines[:_MOST_SAID]:
        say(f"  {line}", err=True)
    if len(lines) > _MOST_SAID:
        say(f"  and {len(lines) - _MOST_SAID} more, which --json lists", err=True)
