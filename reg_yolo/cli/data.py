"""`reg-yolo data`: own data, from an annotation tool's export to a set that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.failures import PARTLY_DONE

app = typer.Typer(
    help="Bring in, check, describe, split and tile data sets.",
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
        str | None, typer.Option("--format", help="coco, cvat, labelme, voc or yolo, where it is not recognised.")
    ] = None,
    to: Annotated[str, typer.Option(help="What is written: yolo or coco.")] = "yolo",
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures, where they are not in SRC.")] = None,
    rename: Annotated[
        list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="Rename or merge a class; repeatable.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Leave out a class; repeatable.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="The classes in their order: a,b,c or a data-set YAML that names them.")
    ] = None,
    background: Annotated[bool, typer.Option("--background", help="Keep pictures without objects.")] = False,
    drop_difficult: Annotated[
        bool, typer.Option("--drop-difficult", help="Leave out what the export calls difficult.")
    ] = False,
    keep_crowd: Annotated[
        bool, typer.Option("--keep-crowd", help="Take COCO's crowd regions (CVAT's brush masks) as objects.")
    ] = False,
    exif: Annotated[
        str, typer.Option(help="What labels of EXIF-rotated pictures refer to: auto, upright or raw.")
    ] = "auto",
    link: Annotated[bool, typer.Option("--link", help="Hard-link pictures that are copied unchanged.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if anything would be dropped that was not asked for.")
    ] = False,
) -> None:
    """Turn a COCO, CVAT, Labelme, Pascal VOC or YOLO export into one data set."""
    from reg_yolo.data.class_mapping import parse_renames, read_class_order
    from reg_yolo.data.convert import convert as run

    renames, order = parse_renames(rename or []), read_class_order(classes)
    with typer.progressbar(length=1000, label="convert") as bar:
        shown = 0

        def progress(done: int, total: int) -> None:
            nonlocal shown
            step = done * 1000 // max(total, 1) - shown
            shown += step
            bar.update(step)

        summary = run(
            source,
            out,
            source_format=source_format,
            to=to,
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
            progress=progress,
        )
    typer.echo(summary.as_text())
    if summary.pictures_lost:
        typer.echo(f"Partly done: {summary.pictures_lost} pictures could not be used", err=True)
        raise typer.Exit(PARTLY_DONE)
