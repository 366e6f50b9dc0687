"""`reg-yolo diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.speech import answer, say
from reg_yolo.cli.words import train_arguments
from reg_yolo.errors import ConfigError

if TYPE_CHECKING:
    from reg_yolo.diagnosis.report import Diagnosis


def diagnose(
    weights: Annotated[Path, typer.Argument(help="A checkpoint, or a detections file (.jsonl) of `predict`.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Ultralytics' arguments.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="Data-set YAML; the same as data=...")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Split to diagnose: val, test, train.")] = None,
    hints: Annotated[int, typer.Option(min=0, help="How many label hints go to the labelling tool's files.")] = 200,
    worst: Annotated[int, typer.Option(min=0, help="Images on the contact sheet of the worst.")] = 12,
    out: Annotated[Path | None, typer.Option(help="Folder for page, tables and hints.")] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Say why weights miss: kinds of error and what each costs, where they happen, and doubtful labels."""
    arguments = train_arguments(words or [])
    named = data or arguments.pop("data", None)
    if split is not None:
        arguments["split"] = split
    if weights.suffix.lower() == ".jsonl":
        _stored(weights, named, arguments, hints, worst, out)
        return
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment([str(weights), str(named)], trust=trust)
    from reg_yolo.yolo.commands.diagnose import diagnose as run
    from reg_yolo.yolo.commands.predict_pixels import gives_pixels

    if gives_pixels(weights, trust=trust):
        raise ConfigError(f"`weights`: {weights} gives each pixel its most probable class, without boxes")
    result = run(weights, named, hints=hints, worst=worst, out=out, trust=trust, **arguments)
    _show(result.diagnosis, result.page)


def _stored(file: Path, named: str | None, arguments: dict[str, Any], hints: int, worst: int, out: Path | None) -> None:
    """Diagnose detections that are stored already; no network runs."""
    split = arguments.pop("split", "val")
    if arguments:
        raise ConfigError(f"{next(iter(arguments))}: belongs to a network, and {file} holds detections already")
    if named is None:
        raise ConfigError(f"`data`: name the data set whose labels {file} is held against")
    from reg_yolo.diagnosis.stored import diagnose_detections
    from reg_yolo.diagnosis.writing import write_diagnosis

    folder = out or file.parent / "diagnosis"
    found = diagnose_detections(file, named, split)
    page = write_diagnosis(folder, found, hints=hints, worst=worst)
    _show(found, page)


def _show(found: Diagnosis, page: Path) -> None:
    from reg_yolo.diagnosis.writing import to_dict

    say(found.as_text())
    say(f"Page:  {page}\nHints: {page.parent / 'label_hints.csv'}")
    answer("diagnose", {**to_dict(found), "page": page})
