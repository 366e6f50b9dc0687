"""`reg-yolo data`: own data, from an annotation tool's export to a set that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reg_yolo.cli import data_cutting, prelabelling
from reg_yolo.cli.command import Json, JsonHere, Quiet
from reg_yolo.cli.failures import INPUT_FAULT, PARTLY_DONE
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, printing, say
from reg_yolo.errors import ConfigError

app = typer.Typer(
    help="Bring in, check, describe, split and tile data sets, and take them back to labelling tools.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="An export: a folder, a .zip, or one JSON, XML or YAML file.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that is made.")],
    source_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="coco, cvat, labelme, voc, yolo, label-studio, via, datumaro, createml or masks, if not recognised.",
        ),
    ] = None,
    to: Annotated[str, typer.Option(help="What is written: yolo, coco, cvat, label-studio or labelme.")] = "yolo",
    rows: Annotated[
        str, typer.Option(help="mixed (joint task), boxes (detection) or polygons (segmentation).")
    ] = "mixed",
    images: Annotated[Path | None, typer.Option(help="Folder of the images, where they are not in SRC.")] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Rename or merge a class; repeatable.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Leave out a class; repeatable.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="The classes in their order: a,b,c or a data-set YAML that names them.")
    ] = None,
    background: Annotated[bool, typer.Option("--background", help="Keep images without objects.")] = False,
    drop_difficult: Annotated[
        bool, typer.Option("--drop-difficult", help="Leave out what the export calls difficult.")
    ] = False,
    keep_crowd: Annotated[
        bool, typer.Option("--keep-crowd", help="Take COCO's crowd regions (CVAT's brush masks) as objects.")
    ] = False,
    exif: Annotated[
        str, typer.Option(help="What labels of EXIF-rotated images refer to: auto, upright or raw.")
    ] = "auto",
    link: Annotated[bool, typer.Option("--link", help="Hard-link images that are copied unchanged.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if anything would be dropped that was not asked for.")
    ] = False,
    max_unpacked_gb: Annotated[
        float | None,
        typer.Option(
            "--max-unpacked-gb", min=0, help="GB that a zip may unpack to.  [default: 2, or 100 times the zip]"
        ),
    ] = None,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Turn an annotation tool's export into one data set, or a data set into what a tool imports."""
    from reg_yolo.data import convert_dataset
    from reg_yolo.data.convert.classes import parse_renames, read_class_order

    renames, order = parse_renames(rename or []), read_class_order(classes)
    with progress_bar("convert") as progress:
        summary = convert_dataset(
            source,
            out,
            source_format=source_format,
            to=to,
            rows=rows,
            images=images,
            rename=renames,
            drop=drop or [],
            classes=order,
            background=background,
            drop_difficult=drop_difficult,
            keep_crowd=keep_crowd,
            exif=exif,
            link=link,
            strict=strict,
            max_unpacked_gb=max_unpacked_gb,
            progress=progress,
        )
    say(summary.as_text())
    answer("data_convert", summary.to_dict())
    if summary.images_lost:
        say(f"Partly done: images that could not be used: {summary.images_lost}", err=True)
        raise typer.Exit(PARTLY_DONE)


@app.command()
def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set YAML, or the folder of a data.yaml.")],
    task: Annotated[
        str, typer.Option(help="Whose rows or masks are expected: detect, segment, joint, semantic.")
    ] = "detect",
    imgsz: Annotated[int, typer.Option(help="Pixels that images are scaled to in training.")] = 640,
    same_iou: Annotated[float, typer.Option(help="IoU from which two objects of one class are doubles.")] = 0.9,
    other_iou: Annotated[float, typer.Option(help="The same for two objects of different classes.")] = 0.95,
    near_bits: Annotated[
        int, typer.Option(help="Bits of 256 in which near-identical images of two splits may differ.")
    ] = 40,
    min_objects: Annotated[int, typer.Option(help="A class with fewer in train is rare.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the full list and the sheets.  [default: runs/data_check/NAME]"),
    ] = None,
    sheets: Annotated[bool, typer.Option("--sheets/--no-sheets", help="Draw an image sheet of every class.")] = True,
    workers: Annotated[int, typer.Option(help="Processes; 0 takes every core.")] = 0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Find every fault of a data set at once: images, labels, splits. Exit code 2 with errors, 0 with warnings."""
    from reg_yolo.data.check.run import check_dataset, write_check
    from reg_yolo.data.dataset.dataset_yaml import find_dataset_yaml, read_dataset_yaml
    from reg_yolo.data.dataset.output_paths import default_output, refuse_inside, refuse_unwritable

    yaml_path = find_dataset_yaml(data)
    out = out or default_output("data_check", yaml_path)
    # Before the minutes that a check may take.
    refuse_inside("--out", out, read_dataset_yaml(yaml_path, required=()))
    refuse_unwritable("--out", out)
    with progress_bar("check") as progress:
        report = check_dataset(
            yaml_path,
            task=task,
            imgsz=imgsz,
            same_iou=same_iou,
            other_iou=other_iou,
            near_bits=near_bits,
            min_objects=min_objects,
            workers=workers,
            progress=progress,
        )
    say(report.as_text())
    if sheets:
        with progress_bar("sheets") as progress:
            written = write_check(report, out, workers=workers, progress=progress)
    else:
        written = write_check(report, out, sheets=False)
    say(f"Full list: {written[0]}")
    if sheets and len(written) > 1:
        say(f"Image sheets: {out / 'sheets'}")
    answer("data_check", {**report.to_dict(), "files": written})
    if report.count("error"):
        raise typer.Exit(INPUT_FAULT)


@app.command()
def stats(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set YAML, or the folder of a data.yaml.")],
    old_json: Annotated[Path | None, typer.Argument(metavar="FILE", hidden=True)] = None,
    imgsz: Annotated[int, typer.Option(help="Pixels that images are scaled to in training.")] = 640,
    task: Annotated[
        str | None, typer.Option(help="semantic counts the pixels of each class, not objects; so does masks_dir.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The image.  [default: runs/data_stats/NAME.png]")
    ] = None,
    json: JsonHere = False,
    _quiet: Quiet = False,
) -> None:
    """Count objects by class and split, their sizes and places, and the class weights that follow."""
    if old_json is not None and not json:
        raise ConfigError(f"stats: takes one data set, got {data} and {old_json}")
    if old_json is not None and data.suffix == ".json":
        data, old_json = old_json, data
    with printing(as_json=json and old_json is None):
        _show_stats(data, imgsz, task, png, old_json)


def _show_stats(data: Path, imgsz: int, task: str | None, png: Path | None, json: Path | None) -> None:
    """Count, print, and write the image; `json` is a file that gets everything, as `--json FILE` asked for it once."""
    from reg_yolo.data.dataset.dataset_yaml import find_dataset_yaml, read_dataset_yaml
    from reg_yolo.data.dataset.output_paths import default_output, refuse_inside, refuse_unwritable
    from reg_yolo.data.stats.figure import write_stats_figure
    from reg_yolo.data.stats.run import dataset_stats
    from reg_yolo.data.stats.tables import stats_text
    from reg_yolo.files import make_folder, replace_text

    yaml_path = find_dataset_yaml(data)
    figure = png or Path(f"{default_output('data_stats', yaml_path)}.png")
    description = read_dataset_yaml(yaml_path, required=())
    for option, path in (("--png", figure), ("--json", json)):
        if path is not None:
            refuse_inside(option, path.parent, description)
            refuse_unwritable(option, path.parent)
    if task not in (None, "detect", "segment", "joint", "semantic"):
        raise ConfigError(f"`task`: got {task!r}, expected detect, segment, joint or semantic")
    by_pixels = task == "semantic" or (task is None and "masks_dir" in description.extra)
    found: Any
    with progress_bar("stats") as progress:
        if by_pixels:
            from reg_yolo.data.stats.pixel_figure import write_pixel_figure
            from reg_yolo.data.stats.pixels import pixel_stats

            found = pixel_stats(yaml_path, progress=progress)
        else:
            found = dataset_stats(yaml_path, imgsz=imgsz, progress=progress)
    say(found.as_text() if by_pixels else stats_text(found))
    if json is not None:
        make_folder(json.parent)
        replace_text(json, found.as_json())
        say(f"JSON: {json}")
    (write_pixel_figure if by_pixels else write_stats_figure)(found, figure)
    say(f"Image: {figure}")
    answer("data_stats_pixels" if by_pixels else "data_stats", {**found.as_mapping(), "image": figure})


app.command()(prelabelling.prelabel)
app.command()(data_cutting.split)
app.command()(data_cutting.tile)
