"""`reg-yolo predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.many_files import predict_each, tracker_among
from reg_yolo.cli.words import train_arguments
from reg_yolo.errors import ConfigError


def predict(
    weights: Annotated[
        Path,
        typer.Argument(help="A checkpoint such as runs/detect/train/weights/best.pt, or `demo` for the shipped one."),
    ],
    source: Annotated[
        str | None,
        typer.Argument(help="An image, a video, a folder, a glob pattern or a text list; `demo` alone makes a drive."),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Ultralytics' arguments: conf=0.4, imgsz=960, save=false."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    drive: Annotated[
        bool, typer.Option("--drive", help="The videos of SOURCE are the chapters of one drive: frames and time go on.")
    ] = False,
    every: Annotated[
        str | None, typer.Option(help="Look at one frame every 5 frames (5), 0.2 seconds (0.2s) or 2 metres (2m).")
    ] = None,
    speed: Annotated[float | None, typer.Option(help="Constant speed in km/h, for --every in metres.")] = None,
    gpx: Annotated[Path | None, typer.Option(help="GPX track, for --every in metres.")] = None,
    gpx_offset: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time of the first frame after the track's first fix.")
    ] = 0.0,
    roi: Annotated[
        str | None,
        typer.Option(metavar="X1,Y1,X2,Y2", help="Look at this part only, as fractions (0,0.3,1,0.9) or in pixels."),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(metavar="PIXELS", help="Look at tiles of this size, too (960 or 960x540), for small objects."),
    ] = None,
    blur: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WEIGHTS[:CLASS]", help="Blur what these weights find before anything is stored; repeatable."
        ),
    ] = None,
    polygons: Annotated[
        bool, typer.Option("--polygons", help="Write masks as polygons too, beside their run lengths.")
    ] = False,
    track: Annotated[
        bool,
        typer.Option("--track", help="Give objects identities over frames; a tracker's YAML may stand behind it."),
    ] = False,
    drives: Annotated[
        bool, typer.Option("--drives", help="The videos of each folder are the chapters of one drive, by name.")
    ] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Do the i-th of n shares of the sources.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Take up again what was set aside after failing.")] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Spread sources over a Ray cluster: auto, local or HOST:PORT.")
    ] = None,
    cluster_cpus: Annotated[float, typer.Option(help="Cores for each source on the cluster.")] = 1.0,
    cluster_gpus: Annotated[float, typer.Option(help="GPUs for each source on the cluster.")] = 0.0,
    engine: Annotated[str, typer.Option(help="auto, pytorch, onnxruntime, openvino or tensorrt.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="f32 (reproducible), f16, bf16 or int8.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to INT8 and say what it costs in mAP.")] = False,
    data: Annotated[str | None, typer.Option("--data", help="Data-set YAML that INT8 is calibrated on.")] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
) -> None:
    """Find the objects in images or video; without conf=, every class has its own stored threshold."""
    from reg_yolo.yolo.upstream.environment import prepare_environment

    tracker: bool | str = track
    if source is not None:
        tracker, behind = tracker_among([source, *(words or [])], asked=track)
        source, words = (behind[0], behind[1:]) if behind else (None, [])
    if source is None:
        if str(weights) != "demo":
            raise ConfigError(f"predict: no source after {weights}; expected an image, a video, a folder or a pattern")
        source = str(make_drive(Path("runs") / "demo_drive"))
    prepare_environment([str(weights), source], trust=trust)
    from reg_yolo.yolo.upstream.arguments import check_own_keys

    # Before the call, which has parameters of its own with some of these names.
    given = train_arguments(words or [])
    named = data or given.pop("data", None)
    arguments = check_own_keys(given, "predict")
    options = {
        "trust": trust,
        "every": every,
        "speed": speed,
        "gpx": gpx,
        "gpx_offset": gpx_offset,
        "roi": roi,
        "tiles": tiles,
        "blur": blur or (),
        "track": tracker,
        "polygons": polygons,
        "engine": engine,
        "precision": precision,
        "int8": int8,
        "data": named,
        **arguments,
    }
    from reg_yolo.yolo.commands.predict_many import is_many

    asked = drives or retry or shard is not None or cluster is not None
    if drive and asked:
        raise ConfigError("--drive: makes one source of all videos; leave out --drives, --shard, --retry and --cluster")
    if not drive and (asked or is_many(source)):
        from reg_yolo.jobs.cluster import Cluster

        where = None if cluster is None else Cluster(cluster, cluster_cpus, cluster_gpus)
        predict_each(weights, source, out=out, drives=drives, shard=shard, retry=retry, cluster=where, **options)
        return
    from reg_yolo.yolo.commands.predict import predict as run

    result = run(weights, source, out=out, drive=drive, **options)
    rate = result.frames / result.seconds if result.seconds else 0.0
    typer.echo(f"{result.frames} frames in {result.seconds:.1f} s ({rate:.1f} frames/s)")
    typer.echo(f"Engine: {result.engine.reason}")
    if "map_change" in result.engine.facts:
        typer.echo(f"INT8: {result.engine.facts['map_change']}")
    typer.echo("Objects: " + ", ".join(f"{name} {count}" for name, count in result.counts.items()))
    if result.annotated:
        many = f"{len(result.annotated)} pictures in {result.folder}"
        typer.echo(f"Annotated:  {result.annotated[0] if len(result.annotated) == 1 else many}")
    typer.echo(f"Detections: {result.detections_file}\n            {result.csv_file}")
    if result.holes:
        typer.echo(f"Holes: {len(result.holes)} in damaged video, " + "; ".join(str(hole) for hole in result.holes[:5]))
    if result.failed:
        for reason in result.failed.values():
            typer.echo(f"error: {reason}", err=True)
        typer.echo(f"Partly done: {len(result.failed)} files could not be read", err=True)
        raise typer.Exit(PARTLY_DONE)


def make_drive(folder: Path) -> Path:
    """Write a short drive along the embedded highway, or find the one of an earlier call, and return its video."""
    from reg_yolo.scenes import write_drive

    found = sorted(folder.glob("forward/*.mp4"))
    if found and (folder / "drive.json").is_file():
        return found[0]
    typer.echo(f"Making a drive of the embedded highway in {folder}")
    return write_drive(folder, km=0.25, size=(960, 544), seed=7).videos["forward"][0]
