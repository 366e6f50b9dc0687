"""What the file name of a frame says: which drive it belongs to, and when it was taken."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path, PurePosixPath

from reg_yolo.data.dataset.dataset_yaml import SPLITS
from reg_yolo.errors import ConfigError, DataError

# 20240907_101112, 2024_0907_101112, 2024-09-07 10.11.12, 20240907T101112, 20240907101112004
_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_ T.]*(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?=\d{3}(?!\d)|(?!\d))"
)
# GoPro: GH012345 is chapter 01 of recording 2345, GX, GP and GL likewise.
_GOPRO = re.compile(r"(?<![A-Za-z0-9])G[HXPL](\d{2})(\d{4})(?!\d)", re.IGNORECASE)
# What Roboflow appends to every name; its augmented copies of an image differ in nothing else.
_ROBOFLOW = re.compile(r"(_(jpe?g|png|bmp|webp))?\.rf\.[0-9A-Za-z]{20,}$", re.IGNORECASE)
# What `reg_yolo.data.tile.run` appends.
_TILE = re.compile(r"_x\d{5}_y\d{5}$")
_FRAME_NUMBER = re.compile(r"[-_. ]*\(?\d+\)?$")


def name_below_images(image: Path, root: Path) -> PurePosixPath:
    """Return an image's name below `images/` without the folder of an earlier split, such as `day1/000123.jpg`.

    An image outside of an `images` folder is named from `root`, or by its file name where it is not below that.
    """
    parts = image.parts
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[:-1][::-1].index("images")
        below = parts[last + 1 :]
    elif image.is_relative_to(root):
        below = image.relative_to(root).parts
        below = below[1:] if len(below) > 1 and below[0] == "images" else below
    else:
        below = (image.name,)
    if len(below) > 1 and below[0] in {*SPLITS, "valid", "validation"}:
        below = below[1:]
    return PurePosixPath(*below)


def time_in_name(name: str) -> datetime | None:
    """Return the date and time that a file name holds, or None."""
    for found in _TIME.finditer(name):
        try:
            return datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]
        except ValueError:
            continue
    return None


def drive_in_name(name: PurePosixPath) -> str:
    """Return the drive that a frame's name tells: the name without its frame number.

    `drive03_000123` gives `drive03`, the chapters `GH010012_0001` and `GH020012_0001` of one GoPro recording give one
    drive. Where nothing with a digit is left (`000123`, `frame_000123`), the name tells no drive, and the folder does.
    """
    stem = _ROBOFLOW.sub("", _TILE.sub("", name.stem))
    gopro = _GOPRO.search(stem)
    if gopro:
        return f"GoPro {gopro[2]}"
    prefix = _FRAME_NUMBER.sub("", stem)
    if any(character.isdigit() for character in prefix):
        return prefix
    return str(name.parent / prefix) if prefix else str(name.parent)


def drive_by_pattern(names: list[PurePosixPath], pattern: str) -> list[str]:
    """Return the drive of every name as the groups of a regular expression give it.

    Raises:
        ConfigError: If the expression is none, or has no group.
        DataError: If it does not fit every name.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"pattern: {pattern!r} is not a regular expression ({error})") from None
    if expression.groups == 0:
        raise ConfigError(
            f"pattern: {pattern!r} has no group; put the part that names the drive in brackets, such as '(.+)_[0-9]+'"
        )
    found = [expression.search(str(name)) for name in names]
    missed = [str(name) for name, match in zip(names, found, strict=True) if match is None]
    if missed:
        raise DataError(
            f"pattern: {pattern!r} does not fit {len(missed)} of {len(names)} names, such as {missed[0]}; "
            "the names are paths below the folder 'images'"
        )
    return [" ".join(part for part in match.groups() if part is not None) for match in found if match is not None]


def natural_order(name: PurePosixPath) -> tuple[object, ...]:
    """Return a sort key by which `frame_9` comes before `frame_10`."""
    pieces = re.split(r"(\d+)", str(name))
    numbered = [(int(piece), "") if index % 2 else (-1, piece) for index, piece in enumerate(pieces)]
    return (*numbered, str(name))
