"""`reg-yolo data split` and `reg-yolo data tile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say


def split(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set YAML, or the folder of a data.yaml.")],
    by: Annotated[
        str, typer.Option(help="What stays together: drive, time, gps, burst or folder; several with commas.")
    ] = "drive",
    val: Annotated[float, typer.Option(help="Share of every class in val.")] = 0.2,
    test: Annotated[float, typer.Option(help="Share of every class in test.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides between equally good splits.")] = 0,
    pattern: Annotated[
        str | None, typer.Option(help="Drive: regular expression whose group is the drive, as '(.+)_[0-9]+'.")
    ] = None,
    gap: Annotated[float, typer.Option(help="Time: a longer pause, in seconds, starts a new group.")] = 60.0,
    radius: Annotated[float, typer.Option(help="GPS: images at most so many metres apart stay together.")] = 50.0,
    neighbour_bits: Annotated[
        int, typer.Option(help="Burst: bits of 256 that may differ between neighbours in name order.")
    ] = 92,
    any_bits: Annotated[int, typer.Option(help="Burst: bits of 256 that may differ between any two.")] = 64,
    out: Annotated[Path | None, typer.Option(help="The YAML to write; by default DATA_split.yaml beside DATA.")] = None,
    copy: Annotated[
        Path | None, typer.Option(help="Copy images and labels into a new data set in this folder instead.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 takes every core.")] = 0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Split into train, val and test: no drive on two sides, every class with its share on each."""
    from reg_yolo.data.images.similarity import Similarity
    from reg_yolo.data.split.run import split_dataset

    with progress_bar("split") as progress:
        result = split_dataset(
            data,
            by=by,
            val=val,
            test=test,
            seed=seed,
            pattern=pattern,
            gap_s=gap,
            radius_m=radius,
            similarity=Similarity(neighbour_bits, any_bits),
            out=out,
            copy_to=copy,
            workers=workers,
            progress=progress,
        )
    say(result.as_text())
    say(f"Data set: {result.data_yaml}")
    answer(
        "data_split",
        {
            "data": result.data_yaml,
            "images": {split: len(images) for split, images in result.images.items()},
            "groups": result.table.groups,
            "objects": {row.name: row.counts for row in result.table.classes},
            "notes": result.notes,
        },
    )


def tile(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data-set YAML, or the folder of a data.yaml.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that is made.")],
    size: Annotated[int, typer.Option(help="Side of a tile in pixels.")] = 1280,
    overlap: Annotated[float, typer.Option(help="Part of a tile that its neighbours show too, at least.")] = 0.2,
    min_visible: Annotated[
        float, typer.Option(help="An object with less than this part of it in a tile has no label there.")
    ] = 0.3,
    background: Annotated[float, typer.Option(help="Part of the tiles without objects that is kept.")] = 0.1,
    blank_fragments: Annotated[
        bool, typer.Option("--blank-fragments", help="Paint parts of objects grey that have no label.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Chooses the tiles without objects.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes; 0 takes every core.")] = 0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Cut large images into tiles that overlap, with their boxes and polygons."""
    from reg_yolo.data.tile.run import tile_dataset

    with progress_bar("tile") as progress:
        result = tile_dataset(
            data,
            out,
            size=size,
            overlap=overlap,
            min_visible=min_visible,
            background=background,
            blank_fragments=blank_fragments,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    say(result.as_text())
    say(f"Data set: {result.data_yaml}")
    answer(
        "data_tile",
        {
            "data": result.data_yaml,
            "splits": {
                split: {
                    **vars(counts),
                    "objects": {name: counts.objects[i] for i, name in enumerate(result.class_names)},
                    "rows": {name: counts.rows[i] for i, name in enumerate(result.class_names)},
                }
                for split, counts in result.counts.items()
            },
            "notes": result.remarks,
        },
    )
