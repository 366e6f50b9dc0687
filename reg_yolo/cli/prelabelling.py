"""`reg-yolo data prelabel`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say


def prelabel(
    detections: Annotated[
        list[Path], typer.Argument(metavar="DETECTIONS", help="Detections files, as `predict` writes them (.jsonl).")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that is made.")],
    to: Annotated[str, typer.Option(help="What is written: cvat, label-studio, labelme, coco or yolo.")] = "cvat",
    threshold: Annotated[
        float | None, typer.Option(help="Least confidence of an object.  [default: thresholds of the files]")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images or videos, where they are not where they were.")
    ] = None,
    uncertain: Annotated[
        int | None, typer.Option(metavar="N", help="Write only the N frames that are worth labelling next.")
    ] = None,
    labelled: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA", help="With --uncertain: what is labelled already; it says which classes are rare."
        ),
    ] = None,
    annotations_only: Annotated[
        bool, typer.Option("--annotations-only", help="Write no images: the tool has them.")
    ] = False,
    link: Annotated[bool, typer.Option("--link", help="Hard-link images that are copied unchanged.")] = False,
    keyframe_px: Annotated[
        float, typer.Option("--keyframe-px", help="Tracks: pixels that boxes may be off between keyframes.")
    ] = 2.0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write detections as pre-annotations for a labelling tool, of all frames or of those worth labelling next."""
    from reg_yolo.data import prelabel_detections

    with progress_bar("prelabel") as progress:
        summary = prelabel_detections(
            list(detections),
            out,
            to=to,
            threshold=threshold,
            images=images,
            uncertain=uncertain,
            labelled=labelled,
            annotations_only=annotations_only,
            link=link,
            keyframe_px=keyframe_px,
            progress=progress,
        )
    say(summary.as_text())
    say(f"Written: {summary.result}")
    answer("data_prelabel", summary.to_dict())
    if summary.images_lost:
        say(f"Partly done: frames whose images could not be used: {summary.images_lost}", err=True)
        raise typer.Exit(PARTLY_DONE)
