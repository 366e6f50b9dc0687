"""`reg-yolo scenes` and `reg-yolo demo`: the embedded highway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say
from reg_yolo.errors import ConfigError


def scenes(
    out: Annotated[Path, typer.Argument(help="Folder that is made.")],
    images: Annotated[int, typer.Option(help="Number of still images.")] = 400,
    size: Annotated[str, typer.Option(help="Width x height in pixels.")] = "640x384",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Boxes for every class, instead of polygons for five.")
    ] = False,
    semantic: Annotated[
        bool, typer.Option("--semantic", help="Masks with the class of each pixel, for task semantic.")
    ] = False,
    val_fraction: Annotated[float, typer.Option(help="Share of the places that are held out for validation.")] = 0.2,
    traffic: Annotated[str, typer.Option(help="Side of the road that traffic keeps to: left or right.")] = "left",
    workers: Annotated[int, typer.Option(help="Processes; 0 takes every core.")] = 0,
    drive: Annotated[
        float | None, typer.Option(help="Write a drive of this many kilometres instead of stills.")
    ] = None,
    fps: Annotated[float, typer.Option(help="Drive: frames a second.")] = 10.0,
    speed: Annotated[float, typer.Option(help="Drive: km/h of the camera car.")] = 72.0,
    every: Annotated[float | None, typer.Option(help="Drive: single frames every so many metres, no video.")] = None,
    both_directions: Annotated[bool, typer.Option("--both-directions", help="Drive: there and back.")] = False,
    gps_hz: Annotated[float, typer.Option(help="Drive: position fixes a second in the GPX tracks, 1 or 10.")] = 10.0,
    truth_only: Annotated[bool, typer.Option("--truth-only", help="Drive: truth and tracks without images.")] = False,
    features: Annotated[
        str,
        typer.Option(
            help="Drive: what makes it harder, with commas between: speed, stops, distortion, tunnel, clock, twins, "
            "chevrons, hidden, lorries; or all."
        ),
    ] = "",
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Make images, or a drive, of a procedural highway with the full ground truth."""
    width_height = _size(size)
    processes = workers or os.cpu_count() or 1
    if semantic and (boxes or drive is not None):
        other = "--boxes" if boxes else "--drive"
        raise ConfigError(f"--semantic: writes still images with a class for each pixel; leave out {other}")
    if features and drive is None:
        raise ConfigError("--features: is for --drive; give that, too")
    if drive is not None:
        from reg_yolo.scenes import DriveFeatures

        options = {
            "fps": fps,
            "speed_kmh": speed,
            "every_m": every,
            "both_directions": both_directions,
            "gps_hz": gps_hz,
            "truth_only": truth_only,
            "features": DriveFeatures.parse(features),
        }
        _drive(out, drive, width_height, seed, traffic_side=traffic, workers=processes, **options)
        return
    from reg_yolo.scenes import write_stills

    with progress_bar("scenes") as progress:
        summary = write_stills(
            out,
            images,
            width_height,
            seed,
            boxes_only=boxes,
            semantic=semantic,
            val_fraction=val_fraction,
            workers=processes,
            traffic_side=traffic,
            progress=progress,
        )
    for split, counts in summary.objects.items():
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        say(f"{split}: {summary.images[split]} images; {listed}")
    say(f"Data set: {summary.data_yaml}")
    answer("scenes", {"data": summary.data_yaml, "images": summary.images, "objects": summary.objects})


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo"),
    short: Annotated[
        bool, typer.Option("--short", help="A minute instead of eight: shows the way, learns little.")
    ] = False,
    task: Annotated[
        str,
        typer.Option(
            help="detect, joint (boxes of seven classes, masks of five) or semantic (a class for each pixel)."
        ),
    ] = "detect",
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Make scenes, train YOLOv8n with REG on them, measure it and run it over a short drive."""
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(trust=False)
    from reg_yolo.yolo.commands.demo import demo as run

    result = run(out, short=short, task=task)
    say(result.report.as_text())
    if result.mask_report is not None:
        say(result.mask_report.as_text())
    say(f"Done in {result.seconds / 60:.1f} minutes.")
    say(f"Annotated video:  {result.video}")
    say(f"Per-class table:  {result.table}")
    say(f"Plots:            {result.plots}")
    say(f"Weights:          {result.weights}")
    answer("demo", vars(result))


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ConfigError(f"--size: got {text!r}, expected WIDTHxHEIGHT such as 640x384")
    return int(width), int(height)


def _drive(out: Path, km: float, size: tuple[int, int], seed: int, **options: Any) -> None:
    from reg_yolo.scenes import write_drive

    with progress_bar("drive") as progress:
        summary = write_drive(out, km, size, seed, progress=progress, **options)
    for direction, videos in summary.videos.items():
        say(f"{direction}: {summary.frames[direction]} frames" + "".join(f"\n  {video}" for video in videos))
    say(f"Truth: {summary.root}")
    answer("scenes_drive", vars(summary))
