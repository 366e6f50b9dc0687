"""`reg-yolo inventory`: from detections files and positions to a table of assets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli import auditing, labelling, reviewing
from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.labelling import private_boxes_of
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.defaults import MIN_PROBABILITY

app = typer.Typer(
    help="Where each asset stands, counted once, from detections files and positions.", no_args_is_help=True
)
app.add_typer(auditing.app, name="audit")
app.command()(reviewing.review)
app.add_typer(reviewing.app, name="decisions")
app.command()(labelling.labels)


@app.command()
def build(
    detections: Annotated[list[Path], typer.Argument(help="Detections files (*.jsonl), or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder that the inventory is written to.")],
    gnss: Annotated[
        list[Path] | None,
        typer.Option(
            help="Positions (GPX, CSV, NMEA, exiftool, GoPro video, folder): one for all files as a drive, or one each."
        ),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(help="camera.yaml: one for all drives, one each, or NAME=FILE for each camera of one vehicle."),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(help="When the video's clock was zero: one each drive, or NAME=TIME for each camera."),
    ] = None,
    sync: Annotated[list[str] | None, typer.Option(help="VIDEO_S=TIME of a moment, several times.")] = None,
    time_base: Annotated[str, typer.Option(help="Of times without an offset: utc, gps or local+07:00.")] = "utc",
    hfov: Annotated[float, typer.Option(help="Horizontal field of view in degrees where no camera is given.")] = 70.0,
    classes: Annotated[Path | None, typer.Option(help="YAML of the classes' geometry: point, line or span.")] = None,
    crs: Annotated[
        str, typer.Option(help="Coordinates of GeoPackage, Shapefile and FileGDB, such as EPSG:32647.")
    ] = "EPSG:4326",
    min_probability: Annotated[float, typer.Option(help="Assets less probable are left out.")] = MIN_PROBABILITY,
    position_sigma: Annotated[float, typer.Option(help="Deviation of the positions on each axis in metres.")] = 2.5,
    side_sigma: Annotated[float, typer.Option(help="Deviation of a box's side in pixels.")] = 2.0,
    route: Annotated[
        Path | None, typer.Option(help="route.geojson: axis with chainage for the linear reference.")
    ] = None,
    previous: Annotated[
        Path | None, typer.Option(help="Earlier inventory (GeoJSON, GeoPackage) whose ids and reviewed_by are kept.")
    ] = None,
    fields: Annotated[
        Path | None, typer.Option(help="YAML that renames and chooses the columns that GIS files and CSV get.")
    ] = None,
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="Written besides: shapefile, filegdb; several times.")
    ] = None,
    language: Annotated[
        str, typer.Option(help="Of the report: en, or th for Thai labels and Buddhist-era dates.")
    ] = "en",
    tiles: Annotated[
        str | None, typer.Option(help="Address of an online map for the report, with {z}, {x} and {y}.", metavar="URL")
    ] = None,
    attribution: Annotated[str, typer.Option(help="Whose the online map is; shown on it.")] = "",
    decisions: Annotated[
        list[Path] | None, typer.Option(help="decisions.jsonl of reviewers, one each; several times.")
    ] = None,
    drives: Annotated[
        bool,
        typer.Option("--drive-per-folder", help="Each folder in the one given is a drive with its own positions."),
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Take up again drives that failed three times.")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(help="Spread drives over a Ray cluster: auto, local or HOST:PORT.", metavar="ADDRESS"),
    ] = None,
    cpus: Annotated[float, typer.Option("--cluster-cpus", help="Cores for each drive on the cluster.")] = 1.0,
    thumbnails: Annotated[
        bool, typer.Option("--thumbnails", help="Store a crop of each asset, from the source of its best frame.")
    ] = False,
    sources: Annotated[
        list[Path] | None,
        typer.Option(help="Folder where the sources lie now, for --thumbnails; several times."),
    ] = None,
    blur: Annotated[
        list[str] | None,
        typer.Option(help="Blur what these weights find in thumbnails; repeatable.", metavar="WEIGHTS[:CLASS,...]"),
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Build an inventory: inventory.gpkg, inventory.geojson, inventory.csv, observations.jsonl and report.html."""
    from reg_yolo.inventory.cameras import named_cameras
    from reg_yolo.inventory.command import Outputs, build_into
    from reg_yolo.inventory.opening import BuildOptions, files_of
    from reg_yolo.inventory.report.page import Basemap
    from reg_yolo.inventory.thumbnails.making import ThumbnailOptions
    from reg_yolo.inventory.work.folders import Place
    from reg_yolo.jobs.cluster import Cluster

    if attribution and not tiles:
        raise ConfigError("--attribution: is for --tiles; give that, too")
    basemap = Basemap(tiles, attribution) if tiles else None
    if not thumbnails and (sources or blur):
        raise ConfigError(f"{'--sources' if sources else '--blur'}: is for --thumbnails; give that, too")
    private, names = private_boxes_of(blur, trust) if blur else (None, ())
    named = named_cameras(camera or (), start or ())
    folders = None
    if drives:
        if len(detections) != 1 or gnss or start or sync or named:
            raise ConfigError(
                "--drive-per-folder: takes one folder; positions, starts and named cameras stand in its folders"
            )
        folders = detections[0], Place(Cluster(cluster, cpus) if cluster else None, retry)
    elif cluster or retry:
        raise ConfigError(f"{'--cluster' if cluster else '--retry'}: is for --drive-per-folder; give that, too")
    options = BuildOptions(
        () if drives else files_of(detections),
        tuple(gnss or ()),
        () if named else tuple(map(Path, camera or ())),
        () if named else tuple(start or ()),
        tuple(sync or ()),
        time_base,
        hfov,
        classes,
        min_probability,
        position_sigma,
        side_sigma,
        tuple(decisions or ()),
        named,
    )
    cutting = ThumbnailOptions(tuple(sources or ()), private, names) if thumbnails else None
    outputs = Outputs(crs, fields, tuple(dict.fromkeys(format_ or ())), language, cutting, basemap)
    with progress_bar("inventory build") as progress:
        built = build_into(
            options, out, outputs=outputs, route=route, previous=previous, folders=folders, say=say, progress=progress
        )
    classes_found = Counter(asset.class_name for asset in built.assets)
    answer("inventory_build", {"folder": out, "assets": classes_found, "counts": built.counts, "notes": built.notes})
    if built.is_partial:
        say("Partly done: the lines above name what is missing", err=True)
        raise typer.Exit(PARTLY_DONE)


@app.command()
def calibrate(
    sources: Annotated[
        list[Path],
        typer.Argument(help="With --board images of a chessboard or folders of them; with --gnss detections files."),
    ],
    out: Annotated[Path, typer.Option(help="camera.yaml that is written.")],
    board: Annotated[str | None, typer.Option(help="Inner corners of the chessboard, such as 9x6.")] = None,
    gnss: Annotated[
        list[Path] | None, typer.Option(help="Positions: one for all files as a drive, or one each.")
    ] = None,
    camera: Annotated[
        Path | None, typer.Option(help="First camera.yaml: its mount, and for drives its lens and starting values.")
    ] = None,
    start: Annotated[list[str] | None, typer.Option(help="When the video's clock was zero, one each drive.")] = None,
    time_base: Annotated[str, typer.Option(help="Of times without an offset: utc, gps or local+07:00.")] = "utc",
    hfov: Annotated[float, typer.Option(help="Horizontal field of view in degrees to start from.")] = 70.0,
    classes: Annotated[Path | None, typer.Option(help="YAML of the classes' geometry: point, line or span.")] = None,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Calibrate a camera: from images of a chessboard, or from drives whose positions are known."""
    from reg_yolo.inventory.calibration.command import calibrate_into
    from reg_yolo.inventory.opening import BuildOptions, files_of

    options = BuildOptions(
        files_of(sources) if gnss and board is None else tuple(sources),
        tuple(gnss or ()),
        (camera,) if camera else (),
        tuple(start or ()),
        time_base=time_base,
        hfov_deg=hfov,
        classes=classes,
    )
    found = calibrate_into(out, options, board, say)
    answer("inventory_calibrate", {"file": out, "camera": found.values, "notes": found.lines})


@app.command()
def score(
    built: Annotated[Path, typer.Argument(help="inventory.geojson.")],
    truth: Annotated[Path, typer.Argument(help="GeoJSON of the true assets, with a property class.")],
    within: Annotated[float, typer.Option(help="Metres within which an asset is found.")] = 10.0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Score an inventory against the truth."""
    from reg_yolo.inventory.score.identities import IdentityScore, score_identities
    from reg_yolo.inventory.score.scoring import score_files

    scored = score_files(built, truth, within)
    say(scored.as_text())
    identities = score_identities(built, truth)
    figures = None
    if isinstance(identities, IdentityScore):
        figures = identities.to_dict()
        say(identities.as_text())
    elif identities is not None:
        say(identities)
    answer("inventory_score", scored.to_dict() | {"identities": figures})


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="Earlier inventory: GeoJSON, GeoPackage, Shapefile, FileGDB or CSV.")],
    new: Annotated[Path, typer.Argument(help="Later inventory, likewise.")],
    out: Annotated[
        Path, typer.Option(help="CSV that is written; a map of the same name, .html, is written next to it.")
    ],
    within: Annotated[
        float, typer.Option(help="Metres; what is more than three times as far away is missing and new, not moved.")
    ] = 10.0,
    columns: Annotated[Path | None, typer.Option(help="YAML of what the columns of foreign inventories mean.")] = None,
    surveyed: Annotated[
        Path | None, typer.Option(help="GeoPackage that says where the later survey looked; else the later inventory.")
    ] = None,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Compare two inventories: same, moved, reclassified, new, missing, not surveyed, ambiguous."""
    from reg_yolo.inventory.diff.differences import diff_files

    found = diff_files(old, new, out, within, columns, surveyed)
    for line in found.lines:
        say(line)
    answer("inventory_diff", vars(found))
