"""Thumbnails of assets: each source is opened once, and nothing but crops of assets is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, MediaError, RegYoloError
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.observations import View
from reg_yolo.inventory.thumbnails.cutting import Picture, PrivateBoxes, cut_out
from reg_yolo.inventory.thumbnails.finding import SourceFiles
from reg_yolo.inventory.thumbnails.frames import frames_of
from reg_yolo.video.picking import FramePlace
from reg_yolo.video.privacy import ReleasedPicture, not_blurred, release
from reg_yolo.video.writer import encode_jpeg

FOLDER = "thumbnails"
_LONGEST_NAME = 120
_UNSAFE = re.compile(r'[<>:"/\\|?*%#\x00-\x1f]')
_MOST_NAMED = 5


@dataclass(frozen=True)
class ThumbnailOptions:
    """How thumbnails are made.

    Attributes:
        folders: Where the sources lie, if not where the detections files say.
        private: What is private in a frame; None blurs nothing.
        blurred_by: Names of the weights that `private` asks, each with its classes: `WEIGHTS:CLASS,CLASS`.
    """

    folders: tuple[Path, ...] = ()
    private: PrivateBoxes | None = None
    blurred_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A source of which thumbnails are missing.

    Attributes:
        reason: Why, with its name.
        assets: How many.
    """

    reason: str
    assets: int


def check_thumbnails(options: ThumbnailOptions, detections: Sequence[Path]) -> None:
    """Refuse, before anything is built, to store what the runs that made the detections would have blurred.

    Raises:
        ConfigError: Naming the weights that are missing.
        DataError: If a detections file cannot be read.
        MediaError: If a folder of sources is none.
    """
    for folder in options.folders:
        if not folder.is_dir():
            raise MediaError(f"--sources: {folder} is not a folder; name one that holds the sources of the detections")
    for path in detections:
        stated = read_detections(path, tolerate_cut=True).header.extra.get("blur")
        name = not_blurred(stated, options.blurred_by) if isinstance(stated, list) else None
        if name is not None:
            raise ConfigError(
                f"--thumbnails: {path} was made with --blur {name}, and thumbnails are cut from the sources; give "
                f"--blur {name} here as well"
            )


def make_thumbnails(
    folder: Path,
    assets: Sequence[Asset],
    media: MediaFacts,
    options: ThumbnailOptions,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Failed]:
    """Store a thumbnail of each asset, and write its path into its column; each source is opened once.

    Args:
        folder: Where they go, empty; it will be called `FOLDER`.
        assets: Named ones.
        media: What is known of the sources.
        options: How.
        progress: Called with the assets done and to do.

    Returns:
        The sources that are missing, cannot be read, or are not those of the detections.
    """
    files = SourceFiles(options.folders)
    names = _file_names([asset.asset_id for asset in assets])
    by_source: dict[str, dict[FramePlace, list[tuple[Asset, View]]]] = {}
    for asset in assets:
        if asset.view is not None:
            place = FramePlace(asset.view.file_frame, asset.view.file_time_s or 0.0)
            by_source.setdefault(asset.view.source, {}).setdefault(place, []).append((asset, asset.view))
    failed, done = [], 0
    for source, places in by_source.items():
        waiting = dict(places)
        reason = f"{source} has not the frames of the detections"
        try:
            for place, picture in frames_of(files.find(source), source, list(places), media):
                for asset, crop in _crops(picture, source, waiting.pop(place), options):
                    (folder / names[asset.asset_id]).write_bytes(encode_jpeg(crop))
                    asset.values["thumbnail"] = f"{FOLDER}/{names[asset.asset_id]}"
        except RegYoloError as error:
            reason = str(error).split("\n", 1)[0]
        done += sum(map(len, places.values()))
        progress(done, len(assets))
        missing = sum("thumbnail" not in asset.values for some in places.values() for asset, _ in some)
        if missing:
            failed.append(Failed(reason, missing))
    return failed


def said(failed: Sequence[Failed], total: int) -> list[str]:
    """Return what to say of thumbnails that are missing.

    Example:
        >>> said([Failed("a.mp4 is not there", 3)], 5)
        ['thumbnails: a.mp4 is not there (3 assets)', '2 of 5 assets have a thumbnail']
    """
    lines = [f"thumbnails: {one.reason} ({one.assets} assets)" for one in failed[:_MOST_NAMED]]
    if len(failed) > _MOST_NAMED:
        rest = failed[_MOST_NAMED:]
        lines.append(f"thumbnails: {len(rest)} more sources like these ({sum(one.assets for one in rest)} assets)")
    made = total - sum(one.assets for one in failed)
    return [*lines, f"{made} of {total} assets have a thumbnail"]


def _crops(
    picture: Picture, source: str, some: Sequence[tuple[Asset, View]], options: ThumbnailOptions
) -> Iterator[tuple[Asset, ReleasedPicture]]:
    """Yield what may be stored of a frame."""
    height, width = picture.shape[:2]
    size = some[0][1].size
    if (width, height) != size:
        raise MediaError(f"{source} has frames of {width}x{height}, the detections are of {size[0]}x{size[1]}")
    private = [] if options.private is None else options.private(picture)
    released = release(picture, private, in_place=True)
    for asset, view in some:
        yield asset, cut_out(released, view.xyxy)


def _file_names(asset_ids: Sequence[str]) -> dict[str, str]:
    """Return a file name by id that every system takes; ids differ in their last digits, which stay."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for asset_id in asset_ids:
        plain = _UNSAFE.sub("_", asset_id)
        stem = plain.encode()[-_LONGEST_NAME:].decode("utf-8", "ignore").strip(". ")
        name, number = f"{stem}.jpg", 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}.jpg"
        names[asset_id] = name
        taken.add(name.casefold())
    return names
