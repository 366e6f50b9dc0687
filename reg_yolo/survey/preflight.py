"""Preflight: minutes on a card, before the car leaves. No network, no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reg_yolo.errors import DataError, RegYoloError, first_line
from reg_yolo.files import replace_bytes
from reg_yolo.inventory.camera import DEFAULT_HFOV_DEG, read_camera
from reg_yolo.inventory.panorama import refuse_panorama
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.axis import Route
from reg_yolo.survey.drives import Card, SurveyDrive
from reg_yolo.survey.forecast import MeasureNetwork, NetworkSpeed, decoding_speed, forecast_items
from reg_yolo.survey.items import Item
from reg_yolo.survey.looks import DriveMeasures, measure_drive, reduced
from reg_yolo.survey.picture_checks import picture_items
from reg_yolo.survey.place_checks import clock_item, drive_way, position_item, route_item
from reg_yolo.survey.places import Located, PositionFiles, Way
from reg_yolo.video.glimpses import Glimpses, glimpse

SCHEMA = "reg_yolo.preflight/1"
GLIMPSES = 24
"""Images of a drive that are looked at."""


@dataclass(frozen=True)
class Stated:
    """What the user states about drives, each by a drive's name.

    Attributes:
        gnss: Files of positions.
        starts: When they started.
        cameras: Calibrations.
        time_base: Of times without an offset.
        routes: The roads that were to be driven.
        every: One frame every so many frames or seconds, as `predict` takes it.
    """

    gnss: Mapping[str, Path]
    starts: Mapping[str, str]
    cameras: Mapping[str, Path]
    time_base: str = "utc"
    routes: Sequence[Route] = ()
    every: str | None = None


@dataclass(frozen=True)
class Preflight:
    """What preflight has found.

    Attributes:
        items: In the order of the drives; what is about all of them comes last.
        positions: Files of positions of each drive that has any, by its name.
    """

    items: tuple[Item, ...]
    positions: Mapping[str, tuple[Path, ...]]

    def count(self, verdict: str) -> int:
        """How many items are `warning`, or `problem`."""
        return sum(item.verdict == verdict for item in self.items)

    @property
    def blocked(self) -> dict[str, str]:
        """Why drives are left out, by name."""
        found: dict[str, str] = {}
        for item in self.items:
            if item.blocks and item.drive:
                found.setdefault(item.drive, f"{item.name}: {item.text}")
        return found

    def to_dict(self, card: Card) -> dict[str, Any]:
        """Return the content of preflight.json."""
        return {
            "schema": SCHEMA,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "source": str(card.root),
            "problems": self.count("problem"),
            "warnings": self.count("warning"),
            "drives": [
                {
                    "name": drive.name, "kind": drive.work.kind, "files": [str(path) for path in drive.files],
                    "positions": [str(path) for path in self.positions.get(drive.name, ())],
                }
                for drive in card.drives
            ],
            "items": [item.to_dict() for item in self.items],
        }  # fmt: skip


def read_preflight(path: Path) -> Preflight:
    """Read preflight.json.

    Raises:
        DataError: If it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        positions = {one["name"]: tuple(map(Path, one["positions"])) for one in content["drives"] if one["positions"]}
        return Preflight(tuple(map(Item.from_dict, content["items"])), positions)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}; --from preflight makes it again") from None


def look_at(
    card: Card,
    stated: Stated,
    out: Path,
    *,
    measure_network: MeasureNetwork | None = None,
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Preflight:
    """Look at every drive, and say a line an item.

    Args:
        card: From `read_card`.
        stated: What the user states.
        out: Folder of the results, whose free room is compared with the forecast.
        measure_network: Runs the network over a file of a drive.
        say: Called with each line.
        progress: Called with the drives done and to do.
    """
    files = PositionFiles(card, dict(stated.gnss), dict(stated.starts), stated.time_base)
    items: list[Item] = []
    located: list[Located] = []

    def tell(*found: Item | None) -> None:
        for item in found:
            if item is not None:
                items.append(item)
                say(item.line)

    tell(*(Item("", "folder", "warning", f"cannot be read: {line}", "its files are left out") for line in card.unread))
    if out.resolve().is_relative_to(card.root.resolve()):
        text = f"--out {out} lies in {card.root}: this writes to the card"
        tell(Item("", "folder", "warning", text, "name a folder elsewhere with --out"))
    progress(0, len(card.drives))
    for number, drive in enumerate(card.drives):
        tell(_file_item(drive))
        one = files.locate(drive)
        located.append(one)
        way = _way(one)
        tell(position_item(one, way), clock_item(one, way))
        seen = glimpse(drive.media, GLIMPSES)
        tell(*picture_items(drive.name, _measures(seen), seen.failed), _camera_item(drive, seen, stated))
        progress(number + 1, len(card.drives))
    for route in stated.routes:
        tell(_route(route, located))
    unread = {item.drive for item in items if item.blocks and item.name in ("files", "images")}
    going = [drive for drive in card.drives if drive.name not in unread]
    if going:
        speed = decoding_speed(going[0])
        network: NetworkSpeed | None = measure_network(going[0].files) if measure_network else None
        tell(*forecast_items(going, out, speed, network, stated.every))
    positions = {one.drive.name: one.positions.paths for one in located if one.positions}
    return Preflight(tuple(items), positions)


def write_preflight(path: Path, found: Preflight, card: Card) -> None:
    """Write preflight.json."""
    text = json.dumps(found.to_dict(card), indent=1, ensure_ascii=False, allow_nan=False)
    # A file name that is not UTF-8 holds lone surrogates.
    replace_bytes(path, f"{text}\n".encode("utf-8", errors="backslashreplace"))


def _file_item(drive: SurveyDrive) -> Item:
    count, broken = len(drive.files), drive.broken
    values = {"files": count, "bytes": drive.size_bytes, "frames": drive.frames, "seconds": drive.seconds}
    what = "images" if not drive.is_video else "video" if count == 1 else "chapters"
    length = "" if drive.seconds is None else f", {drive.seconds / 60:.1f} min"
    text = f"{count} {what}{length}, {drive.size_bytes / 1e9:.2f} GB"
    if broken:
        first = next(iter(broken.values()))
        text += f", {len(broken)} do not open: {first}"
        every = len(broken) == count
        return Item(drive.name, "files", "problem", text, "copy them from the card again", every, values)
    if not drive.is_video:
        return Item(drive.name, "files", "ok", text, values=values)
    sizes = {one.size for one in drive.media}
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        text += f", frames of {listed}"
        return Item(
            drive.name, "files", "problem", text, "one camera and one size per drive: sort the files", True, values
        )
    return Item(drive.name, "files", "ok", text, values=values)


def _way(one: Located) -> Way | None:
    if one.positions is None:
        return None
    fixes = one.positions.fixes
    return drive_way(one, LocalProjection.around(fixes.longitude_deg, fixes.latitude_deg))


def _route(route: Route, located: list[Located]) -> Item:
    projection = LocalProjection.around(route.degrees[:, 0], route.degrees[:, 1])
    ways = [way for one in located if (way := drive_way(one, projection)) is not None]
    return route_item(route, ways, projection)


def _measures(seen: Glimpses) -> DriveMeasures | None:
    pictures = [reduced(picture) for picture in seen.pictures]
    sizes = [picture.shape for picture in pictures]
    same = [picture for picture in pictures if picture.shape == max(set(sizes), key=sizes.count)]
    return measure_drive(same) if same else None


def _camera_item(drive: SurveyDrive, seen: Glimpses, stated: Stated) -> Item | None:
    """Judge whether the stated calibration is for these frames, and whether they are flat."""
    if not seen.pictures:
        return None
    height, width = seen.pictures[0].shape[:2]
    path = stated.cameras.get(drive.name)
    try:
        refuse_panorama(str(drive.files[0]), width, height, path is not None)
        if path is None:
            text = f"{width}x{height}, no camera.yaml: {DEFAULT_HFOV_DEG:g} degrees are assumed and refined"
            return Item(drive.name, "camera", "warning", text, "calibrate it once: inventory calibrate --board")
        camera = read_camera(path, DEFAULT_HFOV_DEG)
        if (camera.width, camera.height) != (width, height):
            raise DataError(f"{path} is for frames of {camera.width}x{camera.height}, these are {width}x{height}")
    except RegYoloError as error:
        return Item(drive.name, "camera", "problem", first_line(error), "name the right --camera", True)
    return Item(drive.name, "camera", "ok", f"{width}x{height}, as {path.name} says")
