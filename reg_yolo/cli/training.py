"""`reg-yolo train` and `reg-yolo val`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.words import config_and_overrides, train_arguments
from reg_yolo.errors import ConfigError

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG [KEY=VALUE]...",
        help="A YAML or a shipped name (may be left out next to model=), then settings that override it.",
    ),
]
Data = Annotated[str | None, typer.Option("--data", help="Data-set YAML; the same as data=...")]
Trust = Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")]


def train(
    words: Words = None,
    data: Data = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue this interrupted run: its folder or its last.pt.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Check everything, show one batch's loss, train nothing.")] = False,
    trust: Trust = False,
) -> None:
    """Train a model: reg-yolo train detect/yolov8n data=roads.yaml, or train model=yolov8n.pt data=roads.yaml."""
    config, overrides = config_and_overrides(words or [], data)
    _prepare(overrides, trust)
    if resume is not None:
        _resume(resume, config, overrides, trust=trust)
        return
    if dry_run:
        _show_dry_run(config, overrides, trust=trust)
        return
    from reg_yolo.yolo.commands.train import train as run

    result = run(config, overrides, trust=trust)
    typer.echo(f"Done. Best weights: {result.best}\nPer-class table:    {result.folder / 'per_class.txt'}")


def val(
    weights: Annotated[Path, typer.Argument(help="A checkpoint, such as runs/detect/train/weights/best.pt.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Ultralytics' arguments.")] = None,
    data: Data = None,
    min_precision: Annotated[
        float | None, typer.Option(help="Choose the lowest thresholds with this precision, e.g. 0.9, not best F1.")
    ] = None,
    suppression: Annotated[
        str | None, typer.Option(help="stock (default), soft or balanced: which of overlapping boxes stay.")
    ] = None,
    rescore: Annotated[
        str | None, typer.Option(help="Weigh how sure the box is: none (default), dfl or spread.")
    ] = None,
    calibration: Annotated[
        bool,
        typer.Option("--calibration", help="Also: are confidences honest? Fits a temperature for each class."),
    ] = False,
    coco: Annotated[
        bool, typer.Option("--coco", help="Also COCO's figures: AP by size of the objects, average recall.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the table and the plots.")] = None,
    trust: Trust = False,
) -> None:
    """Measure weights class by class, and choose a confidence threshold for each class."""
    arguments = train_arguments(words or [])
    named = data or arguments.pop("data", None)
    _prepare([str(weights), str(named)], trust)
    from reg_yolo.yolo.commands.predict_pixels import gives_pixels
    from reg_yolo.yolo.commands.val import val as run

    if gives_pixels(weights, trust=trust):
        from reg_yolo.yolo.commands.val_pixels import val_pixels

        for_boxes = {
            "min_precision": min_precision, "suppression": suppression, "rescore": rescore, "calibration": calibration,
            "coco": coco,
        }  # fmt: skip
        given = next((name for name, value in for_boxes.items() if value not in (None, False)), None)
        if given is not None:
            raise ConfigError(f"`{given}`: {weights} gives each pixel its most probable class, without boxes")
        measured = val_pixels(weights, named, out=out, trust=trust, **arguments)
        typer.echo(f"{measured.report.as_text()}\nTables and plots: {measured.folder}")
        return
    result = run(
        weights, named, min_precision=min_precision, suppression=suppression, rescore=rescore, calibration=calibration,
        coco=coco, out=out, trust=trust, **arguments,
    )  # fmt: skip
    typer.echo(result.report.as_text())
    if result.mask_report is not None:
        typer.echo(result.mask_report.as_text())
    if result.coco is not None:
        typer.echo(result.coco.as_text())
    if result.calibration is not None:
        typer.echo(result.calibration.as_text())
    for name, note in result.thresholds.notes.items():
        typer.echo(f"Threshold of {name}: {note}.")
    typer.echo(f"Tables and plots: {result.folder}\nThresholds:       {result.thresholds_file}")


def _prepare(named: list[str], trust: bool) -> None:
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment([word.partition("=")[2] or word for word in named], trust=trust)


def _resume(run: Path, config: str | None, overrides: list[str], *, trust: bool) -> None:
    from reg_yolo.yolo.commands.resume import resume_with_overrides

    result = resume_with_overrides(run, config, overrides, trust=trust)
    typer.echo(f"Done. Best weights: {result.best}\nPer-class table:    {result.folder / 'per_class.txt'}")


def _show_dry_run(config: str | None, overrides: list[str], *, trust: bool) -> None:
    from reg_yolo.yolo.commands.train import dry_run

    result = dry_run(config, overrides, trust=trust)
    typer.echo(f"\n{result.description}")
    typer.echo(f"{result.parameters:,} parameters, {result.images} training images")
    typer.echo("Labelled boxes: " + ", ".join(f"{name} {count}" for name, count in result.class_counts.items()))
    typer.echo("Losses of one batch: " + ", ".join(f"{name} {value:.4g}" for name, value in result.losses.items()))
    for name, value in result.terms.items():
        typer.echo(f"  {name:<32} {value:.5g}")
    typer.echo("Dry run: everything checked, nothing trained, no run folder made.")
