"""`reg-yolo predict`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.many_files import predict_each, tracker_among
from reg_yolo.cli.speech import answer, say
from reg_yolo.cli.words import train_arguments
from reg_yolo.errors import ConfigError, MediaError

_INPUT, _LOOKING, _ENGINE, _OUTPUT, _MANY = "Input", "Looking", "Engine", "Output", "Many files"


def _option(panel: str, name: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel=panel, show_default=False)


# The parameters bear the names that they have in Python, by which errors speak of them.
def predict(
    weights: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint such as runs/detect/train/weights/best.pt, or `demo`: the shipped one, which has never "
            "seen a real road."
        ),
    ],
    source: Annotated[
        str | None,
        typer.Argument(help="An image, a video, a folder, a glob pattern or a text list; `demo` alone makes a drive."),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Ultralytics' arguments: conf=0.4, imgsz=960, save=false."),
    ] = None,
    drive: Annotated[
        bool,
        _option(_INPUT, "--as-one-drive", "The videos of SOURCE are chapters of one drive: frames and time go on."),
    ] = False,
    drives: Annotated[
        bool, _option(_INPUT, "--drive-per-folder", "The videos of each folder are chapters of one drive, by name.")
    ] = False,
    old_drive: Annotated[bool, typer.Option("--drive", hidden=True)] = False,
    old_drives: Annotated[bool, typer.Option("--drives", hidden=True)] = False,
    trust: Annotated[bool, _option(_INPUT, "--trust", "Load checkpoints that run code of their own.")] = False,
    every: Annotated[
        str | None,
        _option(_LOOKING, "--every", "Look at one frame every 5 frames (5), 0.2 seconds (0.2s) or 2 metres (2m)."),
    ] = None,
    speed: Annotated[
        float | None, _option(_LOOKING, "--speed", "Constant speed in km/h, for --every in metres.")
    ] = None,
    gnss: Annotated[Path | None, _option(_LOOKING, "--gnss", "GPX track, for --every in metres (also --gpx).")] = None,
    gnss_offset: Annotated[
        float | None,
        _option(_LOOKING, "--gnss-offset", "Time of the first frame after the track's first fix.", "SECONDS"),
    ] = None,
    roi: Annotated[
        str | None,
        _option(_LOOKING, "--roi", "Look at this part only, as fractions (0,0.3,1,0.9) or in pixels.", "X1,Y1,X2,Y2"),
    ] = None,
    tiles: Annotated[
        str | None,
        _option(_LOOKING, "--tiles", "Look at tiles of this size, too (960 or 960x540), for small objects.", "PIXELS"),
    ] = None,
    track: Annotated[
        bool, _option(_LOOKING, "--track", "Give objects identities over frames; a tracker's YAML may stand behind it.")
    ] = False,
    old_gpx: Annotated[Path | None, typer.Option("--gpx", hidden=True)] = None,
    old_gpx_offset: Annotated[float | None, typer.Option("--gpx-offset", hidden=True)] = None,
    for_inventory: Annotated[
        bool,
        _option(
            _LOOKING,
            "--for-inventory",
            "Keep weak detections too (from 0.05) and write records only, for `inventory build`.",
        ),
    ] = False,
    suppression: Annotated[
        str | None,
        _option(_LOOKING, "--suppression", "stock (default), soft or balanced: which of overlapping boxes stay."),
    ] = None,
    rescore: Annotated[
        str | None,
        _option(_LOOKING, "--rescore", "Weigh how sure the box is: none (default), dfl or spread."),
    ] = None,
    out: Annotated[Path | None, _option(_OUTPUT, "--out", "Folder for the results.")] = None,
    blur: Annotated[
        list[str] | None,
        _option(
            _OUTPUT,
            "--blur",
            "Blur what these weights find before anything is stored; repeatable.",
            "WEIGHTS[:CLASS,...]",
        ),
    ] = None,
    polygons: Annotated[
        bool, _option(_OUTPUT, "--polygons", "Write masks as polygons too, next to their run lengths.")
    ] = False,
    sigma: Annotated[
        bool, _option(_OUTPUT, "--sigma", "Write the standard deviation of each side of a box too.")
    ] = False,
    calibrated: Annotated[
        bool,
        _option(_OUTPUT, "--calibrated", "Write calibrated confidences, as `val --calibration` measures them."),
    ] = False,
    engine: Annotated[
        str | None, _option(_ENGINE, "--engine", "auto (default), pytorch, onnxruntime, openvino or tensorrt.")
    ] = None,
    precision: Annotated[str | None, _option(_ENGINE, "--precision", "f32 (reproducible), f16, bf16 or int8.")] = None,
    int8: Annotated[bool, _option(_ENGINE, "--int8", "Quantise to INT8 and say what it costs in mAP.")] = False,
    data: Annotated[str | None, _option(_ENGINE, "--data", "Data-set YAML that INT8 is calibrated on.")] = None,
    shard: Annotated[str | None, _option(_MANY, "--shard", "Do the i-th of n shares of the sources.", "I/N")] = None,
    retry: Annotated[bool, _option(_MANY, "--retry", "Take up again what was set aside after failing.")] = False,
    cluster: Annotated[
        str | None,
        _option(_MANY, "--cluster", "Spread sources over a Ray cluster: auto, local or HOST:PORT.", "ADDRESS"),
    ] = None,
    cpus: Annotated[float, _option(_MANY, "--cluster-cpus", "Cores for each source on the cluster (1).")] = 1.0,
    gpus: Annotated[float, _option(_MANY, "--cluster-gpus", "GPUs for each source on the cluster (0).")] = 0.0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Find the objects in images or video; without conf=, every class has its own stored threshold."""
    typed = dict(locals())
    from reg_yolo.yolo.upstream.environment import prepare_environment

    drive, drives = drive or old_drive, drives or old_drives
    if source is not None:
        typed["track"], behind = tracker_among([source, *(words or [])], asked=track)
        source, words = (behind[0], behind[1:]) if behind else (None, [])
    if source is None:
        if str(weights) != "demo":
            raise ConfigError(f"predict: no source after {weights}; expected an image, a video, a folder or a pattern")
        source = str(make_drive(Path("runs") / "demo_drive"))
    prepare_environment([str(weights), source], trust=trust)
    from reg_yolo.video.sources import resolve_source
    from reg_yolo.yolo.commands.predict import OPTIONS
    from reg_yolo.yolo.commands.predict_many import is_many
    from reg_yolo.yolo.upstream.arguments import check_own_keys

    # Before the call, which has parameters of its own with some of these names.
    arguments = train_arguments(words or [])
    data_word = {"data": arguments.pop("data")} if "data" in arguments else {}
    options = {
        **check_own_keys(arguments, "predict"),
        **data_word,
        **{name: typed[name] for name in OPTIONS if typed[name] is not None},
        **{name: value for name, value in (("gpx", old_gpx), ("gpx_offset", old_gpx_offset)) if value is not None},
    }
    from reg_yolo.yolo.commands.predict_pixels import gives_pixels

    if gives_pixels(weights, trust=trust):
        given = {"drive": drive, "drives": drives, "retry": retry, "shard": shard, "cluster": cluster}
        show_pixels(weights, source, out, options, given)
        return
    asked = drives or retry or shard is not None or cluster is not None
    if drive and asked:
        raise ConfigError("`drive`: makes one source of all videos; leave out `drives`, `shard`, `retry` and `cluster`")
    media: Any = source
    # A source that cannot be read is refused once weights and settings are known to be right.
    with suppress(MediaError):
        media = resolve_source(source)
    if not drive and (asked or (media is not source and is_many(media))):
        from reg_yolo.jobs.cluster import Cluster

        where = None if cluster is None else Cluster(cluster, cpus, gpus)
        predict_each(weights, media, out=out, drives=drives, shard=shard, retry=retry, cluster=where, **options)
        return
    from reg_yolo.yolo.commands.predict import predict as run

    result = run(weights, media, out=out, drive=drive, **options)
    rate = result.frames / result.seconds if result.seconds else 0.0
    say(f"{result.frames} frames in {result.seconds:.1f} s ({rate:.1f} frames/s)")
    say(f"Engine: {result.engine.reason}")
    if "map_change" in result.engine.facts:
        say(f"INT8: {result.engine.facts['map_change']}")
    say("Objects: " + ", ".join(f"{name} {count}" for name, count in result.counts.items()))
    if result.annotated:
        many = f"{len(result.annotated)} images in {result.folder}"
        say(f"Annotated:  {result.annotated[0] if len(result.annotated) == 1 else many}")
    say(f"Detections: {result.detections_file}\n            {result.csv_file}")
    if result.holes:
        say(f"Holes: {len(result.holes)} in damaged video, " + "; ".join(str(hole) for hole in result.holes[:5]))
    if media is not source and media.skipped:
        say(f"Skipped: {media.skipped_note}")
    if result.dropped_boxes:
        say(f"Left out: {result.dropped_boxes} boxes, inverted, not finite, or too many for soft-NMS")
    if result.joins:
        say(f"Joins: {len(result.joins)}, time goes on there; " + "; ".join(map(str, result.joins[:5])))
    answer("predict", {**vars(result), "skipped": media.skipped_note if media is not source else ""})
    if result.failed:
        for reason in result.failed.values():
            say(f"error: {reason}", err=True)
        say(f"Partly done: {len(result.failed)} files could not be read", err=True)
        raise typer.Exit(PARTLY_DONE)


def show_pixels(weights: Path, source: str, out: Path | None, options: dict[str, Any], many: dict[str, Any]) -> None:
    """Run weights of task semantic, and say what they left."""
    from reg_yolo.yolo.commands.predict_pixels import predict_pixels

    named = next((name for name, value in many.items() if value), None)
    if named is not None:
        raise ConfigError(f"`{named}`: is for networks that find objects, and {weights} gives each pixel a class")
    result = predict_pixels(weights, source, out=out, **options)
    rate = result.frames / result.seconds if result.seconds else 0.0
    say(f"{result.frames} frames in {result.seconds:.1f} s ({rate:.1f} frames/s)")
    say("Pixels: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in result.shares.items()))
    if result.overlays:
        shown = result.overlays[0] if len(result.overlays) == 1 else f"{len(result.overlays)} files in {result.folder}"
        say(f"Overlays:   {shown}")
    say(f"Class maps: {len(result.class_maps)} PNGs in {result.folder / 'classes'}")
    say(f"Shares:     {result.folder / 'pixels.csv'}")
    answer("predict_pixels", vars(result))
    if result.failed:
        for reason in result.failed.values():
            say(f"error: {reason}", err=True)
        say(f"Partly done: {len(result.failed)} files could not be read", err=True)
        raise typer.Exit(PARTLY_DONE)


def make_drive(folder: Path) -> Path:
    """Write a short drive along the embedded highway, or find the one of an earlier call, and return its video."""
    from reg_yolo.scenes import write_drive

    found = sorted(folder.glob("forward/*.mp4"))
    if found and (folder / "drive.json").is_file():
        return found[0]
    say(f"Making a drive of the embedded highway in {folder}")
    return write_drive(folder, km=0.25, size=(960, 544), seed=7).videos["forward"][0]
