"""`reg-yolo train` and `reg-yolo val`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.speech import answer, say
from reg_yolo.cli.words import config_and_overrides, train_arguments
from reg_yolo.errors import ConfigError

if TYPE_CHECKING:
    from reg_yolo.yolo.commands.train import TrainingResult

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
    cluster: Annotated[
        str | None, typer.Option(help="Train by several processes of a Ray cluster: HOST:PORT, auto or local.")
    ] = None,
    workers: Annotated[int, typer.Option("--cluster-workers", help="Processes that train together.")] = 2,
    cpus: Annotated[float, typer.Option("--cluster-cpus", help="Cores for each of them.")] = 1.0,
    gpus: Annotated[float, typer.Option("--cluster-gpus", help="GPUs for each of them.")] = 0.0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Train a model: reg-yolo train detect/yolov8n data=roads.yaml, or train model=yolov8n.pt data=roads.yaml."""
    config, overrides = config_and_overrides(words or [], data)
    if cluster is not None:
        if dry_run:
            raise ConfigError("`dry_run`: is of one process; leave out `cluster`")
        from reg_yolo.jobs.cluster import Cluster
        from reg_yolo.yolo.commands.train_cluster import train_on_cluster

        named = [*([] if config is None else [config]), *overrides, *(["--trust"] if trust else [])]
        named += [] if resume is None else ["--resume", str(resume)]
        train_on_cluster(named, workers, Cluster(cluster, cpus, gpus))
        answer("train_cluster", {"processes": workers, "arguments": named})
        return
    _prepare(overrides, trust)
    if resume is not None:
        _resume(resume, config, overrides, trust=trust)
        return
    if dry_run:
        _show_dry_run(config, overrides, trust=trust)
        return
    from reg_yolo.yolo.commands.train import train as run

    _show_run(run(config, overrides, trust=trust))


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
    _json: Json = False,
    _quiet: Quiet = False,
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
        say(f"{measured.report.as_text()}\nTables and plots: {measured.folder}")
        answer("val_pixels", vars(measured))
        return
    result = run(
        weights, named, min_precision=min_precision, suppression=suppression, rescore=rescore, calibration=calibration,
        coco=coco, out=out, trust=trust, **arguments,
    )  # fmt: skip
    say(result.report.as_text())
    if result.mask_report is not None:
        say(result.mask_report.as_text())
    if result.coco is not None:
        say(result.coco.as_text())
    if result.calibration is not None:
        say(result.calibration.as_text())
    for name, note in result.thresholds.notes.items():
        say(f"Threshold of {name}: {note}.")
    say(f"Tables and plots: {result.folder}\nThresholds:       {result.thresholds_file}")
    answer("val", {**vars(result), "thresholds": result.thresholds.to_dict()})


def _prepare(named: list[str], trust: bool) -> None:
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment([word.partition("=")[2] or word for word in named], trust=trust)


def _resume(run: Path, config: str | None, overrides: list[str], *, trust: bool) -> None:
    from reg_yolo.yolo.commands.resume import resume_with_overrides

    _show_run(resume_with_overrides(run, config, overrides, trust=trust))


def _show_run(result: TrainingResult) -> None:
    from reg_yolo.parallel import launched_rank

    if launched_rank() == 0:
        say(f"Done. Best weights: {result.best}\nPer-class table:    {result.folder / 'per_class.txt'}")
        answer("train", vars(result))


def _show_dry_run(config: str | None, overrides: list[str], *, trust: bool) -> None:
    from reg_yolo.yolo.commands.train import dry_run

    result = dry_run(config, overrides, trust=trust)
    say(f"\n{result.description}")
    say(f"{result.parameters:,} parameters, {result.images} training images")
    say("Labelled boxes: " + ", ".join(f"{name} {count}" for name, count in result.class_counts.items()))
    say("Losses of one batch: " + ", ".join(f"{name} {value:.4g}" for name, value in result.losses.items()))
    for name, value in result.terms.items():
        say(f"  {name:<32} {value:.5g}")
    say("Dry run: everything checked, nothing trained, no run folder made.")
    answer("train_dry_run", vars(result))
