"""`reg-yolo inventory labels`: what reviewers have decided, or what an old list has, as labels of frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say
from reg_yolo.errors import ConfigError

if TYPE_CHECKING:
    from reg_yolo.inventory.thumbnails.cutting import PrivateBoxes

_REVIEWED, _LEGACY = "Of a reviewed inventory", "Of an old list (--legacy)"


def labels(
    given: Annotated[
        list[Path], typer.Argument(metavar="DIR | VIDEO...", help="Folder of an inventory; with --legacy videos.")
    ],
    to: Annotated[Path, typer.Option(help="Folder of the data set that is made.")],
    format_: Annotated[
        str | None,
        typer.Option("--format", help="yolo, coco, cvat, label-studio or labelme.  [default: yolo; --legacy: cvat]"),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(help="Least frames between two that are taken of a source.  [default: 1; --legacy: 10]"),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(metavar="DATA", help="data.yaml whose classes the result gets, in their order.")
    ] = None,
    decisions: Annotated[
        list[Path] | None,
        typer.Option(help="decisions.jsonl that the build does not know; several times.", rich_help_panel=_REVIEWED),
    ] = None,
    undecided: Annotated[
        str,
        typer.Option(
            help="Frames with assets that nobody has decided on: skip them, ignore the assets, or accept them.",
            rich_help_panel=_REVIEWED,
        ),
    ] = "skip",
    max_gap: Annotated[
        float,
        typer.Option(
            help="Seconds up to which an asset is projected between two detections; longer gaps skip the frames.",
            rich_help_panel=_REVIEWED,
        ),
    ] = 1.0,
    sources: Annotated[
        list[Path] | None,
        typer.Option(help="Folder where the sources lie now; several times.", rich_help_panel=_REVIEWED),
    ] = None,
    legacy: Annotated[
        Path | None,
        typer.Option(help="List of assets with places and classes: proposes labels.", rich_help_panel=_LEGACY),
    ] = None,
    gnss: Annotated[Path | None, typer.Option(help="Positions of the drive.", rich_help_panel=_LEGACY)] = None,
    camera: Annotated[Path | None, typer.Option(help="camera.yaml.", rich_help_panel=_LEGACY)] = None,
    columns: Annotated[
        Path | None, typer.Option(help="YAML of what the columns of the list mean.", rich_help_panel=_LEGACY)
    ] = None,
    sizes: Annotated[
        Path | None, typer.Option(help="YAML of sizes by class, in metres.", rich_help_panel=_LEGACY)
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(help="When the video's clock was zero, one each video.", rich_help_panel=_LEGACY),
    ] = None,
    time_base: Annotated[
        str, typer.Option(help="Of times without an offset: utc, gps or local+07:00.", rich_help_panel=_LEGACY)
    ] = "utc",
    farthest: Annotated[
        float, typer.Option(help="Metres ahead up to which assets are proposed.", rich_help_panel=_LEGACY)
    ] = 50.0,
    blur: Annotated[
        list[str] | None,
        typer.Option(help="Blur what these weights find; repeatable.", metavar="WEIGHTS[:CLASS,...]"),
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write frames with labels: of assets that reviewers accepted, or proposed from an old list of assets."""
    from reg_yolo.inventory.labels.choosing import ChoiceOptions
    from reg_yolo.inventory.labels.command import LabelsOptions, write_labels
    from reg_yolo.inventory.labels.images import Privacy
    from reg_yolo.inventory.labels.projecting import View
    from reg_yolo.inventory.labels.proposing import ProposalOptions, propose_labels

    reviewed_only = {"--decisions": decisions, "--sources": sources}
    legacy_only = {"--gnss": gnss, "--camera": camera, "--columns": columns, "--sizes": sizes, "--start": start}
    if legacy is None:
        _refuse(legacy_only, "is for --legacy; give that, too")
        if len(given) > 1:
            raise ConfigError(f"got {len(given)} folders; give the folder of one inventory, or --legacy and videos")
        choice = ChoiceOptions(every if every is not None else 1, max_gap, undecided)
    else:
        _refuse(reviewed_only, "is for a reviewed inventory, not for --legacy")
        if gnss is None or camera is None:
            raise ConfigError(f"--legacy: needs {'--gnss' if gnss is None else '--camera'} as well")
    privacy = Privacy(*private_boxes_of(blur, trust)) if blur else Privacy()
    with progress_bar("inventory labels") as progress:
        if legacy is None:
            options = LabelsOptions(
                tuple(decisions or ()), choice, format_ or "yolo", classes, tuple(sources or ()), privacy
            )
            summary = write_labels(given[0], to, options, say, progress)
        else:
            assert gnss is not None and camera is not None
            proposals = ProposalOptions(
                legacy, gnss, camera, columns, sizes, tuple(start or ()), time_base,
                every=every if every is not None else 10, view=View(farthest_m=farthest), to=format_ or "cvat",
                classes=classes, privacy=privacy,
            )  # fmt: skip
            summary = propose_labels(given, to, proposals, say, progress)
    say(summary.as_text())
    say(f"Written: {summary.result}")
    answer("inventory_labels", summary.to_dict())
    if summary.is_partial:
        say("Partly done: the lines above name what is missing", err=True)
        raise typer.Exit(PARTLY_DONE)


def _refuse(options: Mapping[str, object], why: str) -> None:
    for name, value in options.items():
        if value:
            raise ConfigError(f"{name}: {why}")


def private_boxes_of(blur: list[str], trust: bool) -> tuple[PrivateBoxes, tuple[str, ...]]:
    """Open the weights that find what is private; only this needs torch."""
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(blur, trust=trust)
    from reg_yolo.yolo.commands.private_boxes import private_boxes

    return private_boxes(blur, trust=trust)
