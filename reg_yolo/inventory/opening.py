"""Which files are a drive, and what is known of it: detections, positions, camera and clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from reg_yolo import __version__
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import file_sha256
from reg_yolo.inventory.camera import DEFAULT_HFOV_DEG, Camera, read_camera
from reg_yolo.inventory.cameras import NamedCamera, files_by_camera
from reg_yolo.inventory.classes import ClassShape, read_shapes, shape_of
from reg_yolo.inventory.defaults import MIN_PROBABILITY
from reg_yolo.inventory.drive.looks import DriveLooks, read_drive
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.panorama import refuse_panorama
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.positions.reading import read_positions
from reg_yolo.inventory.positions.smoothing import Drift
from reg_yolo.inventory.positions.trajectory import build_trajectory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.timing import Start, check_overlap, find_start


@dataclass(frozen=True)
class BuildOptions:
    """What is built from what.

    Attributes:
        detections: Detections files.
        gnss: One positions file for all of them (then they are chapters of one drive), or one each; several files of
            one receiver as a tuple stand for one.
        cameras: None, one for all, or one a drive.
        named_cameras: Several cameras of one vehicle instead, each with files of its own.
        starts: When the drives' clocks were zero: none, or one a drive, of which None is to be found out.
        syncs: Times of single moments, for one drive.
        time_base: Of starts and syncs without an offset.
        hfov_deg: Horizontal field of view where no camera is given.
        classes: YAML file of the classes' geometry.
        min_probability: Assets less probable than this are left out and counted.
        position_sigma_m: Deviation of the receivers' drift on each axis.
        side_sigma_px: Deviation of a box's side where the detections do not state it.
        decisions: Files of reviewers' decisions.
    """

    detections: tuple[Path, ...]
    gnss: tuple[Path | tuple[Path, ...], ...]
    cameras: tuple[Path, ...] = ()
    starts: tuple[str | None, ...] = ()
    syncs: tuple[str, ...] = ()
    time_base: str = "utc"
    hfov_deg: float = DEFAULT_HFOV_DEG
    classes: Path | None = None
    min_probability: float = MIN_PROBABILITY
    position_sigma_m: float = 2.5
    side_sigma_px: float = 2.0
    decisions: tuple[Path, ...] = ()
    named_cameras: tuple[NamedCamera, ...] = ()


@dataclass(frozen=True)
class Drives:
    """The drives of a build, their positions read.

    Attributes:
        options: What from.
        files: Detections files of each drive; with several cameras, of each camera.
        shapes: Geometry of the classes that the user states.
        fixes: Positions of each drive.
        projection: Around all of them.
    """

    options: BuildOptions
    files: list[tuple[Path, ...]]
    shapes: dict[str, ClassShape]
    fixes: list[Fixes]
    projection: LocalProjection

    def tasks(self, say: Callable[[str], None]) -> Iterator[DriveTask]:
        """Yield each drive as it goes into its solution; detections are read one drive after the other.

        Raises:
            ConfigError: If a drive does not fit its camera.
            DataError: If a file is malformed, or nothing overlaps.
        """
        for number, paths in enumerate(self.files):
            looks = read_drive(paths)
            fixes = self.fixes[0 if self.options.named_cameras else number]
            yield _task(self.options, number, looks, fixes, self.projection, self.shapes, say)


def open_drives(options: BuildOptions) -> Drives:
    """Sort out which files are a drive, and read their positions.

    Raises:
        ConfigError: If options do not fit each other.
        DataError: If a positions file is malformed, or none is given.
    """
    files = _drives(options)
    shapes = read_shapes(options.classes) if options.classes else {}
    fixes = [read_positions(path) for path in options.gnss]
    longitudes, latitudes = ([getattr(one, name) for one in fixes] for name in ("longitude_deg", "latitude_deg"))
    projection = LocalProjection.around(np.concatenate(longitudes), np.concatenate(latitudes))
    return Drives(options, files, shapes, fixes, projection)


def files_of(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return detections files: those named, and those of folders in the order of their names."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not found:
        raise DataError(f"{', '.join(map(str, paths))}: no detections file (*.jsonl)")
    return tuple(found)


def settings_digest(options: BuildOptions) -> str:
    """Return a SHA-256 of all that decides how assets are built from detections and positions.

    Calibrations and classes count by what their files hold; names and places of files do not count, nor what reviewers
    decided.
    """
    content: dict[str, object] = {"reg_yolo": __version__}
    for entry in fields(options):
        value = getattr(options, entry.name)
        if entry.name == "named_cameras":
            content |= {one.name: [file_sha256(one.file), one.start] for one in options.named_cameras}
        elif entry.name not in ("detections", "gnss", "decisions"):
            some = value if isinstance(value, tuple) else (value,)
            content[entry.name] = [file_sha256(one) if isinstance(one, Path) else one for one in some]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _drives(options: BuildOptions) -> list[tuple[Path, ...]]:
    """Files of each drive: one track makes all files chapters of one drive, several tracks make a drive of each."""
    files, tracks = list(dict.fromkeys(options.detections)), options.gnss
    if not tracks:
        raise DataError("no track: give the drive's positions with --gnss")
    if options.named_cameras:
        if len(tracks) > 1:
            raise ConfigError(f"--camera NAME=FILE: several cameras are of one drive, but --gnss gives {len(tracks)}")
        if options.syncs:
            raise ConfigError("--sync: with several cameras give --start, as NAME=TIME where their clocks differ")
        return files_by_camera(files, options.named_cameras)
    if len(tracks) == 1:
        drives = [tuple(files)]
    elif len(tracks) == len(files):
        drives = [(path,) for path in files]
    else:
        raise ConfigError(
            f"--gnss: got {len(tracks)} tracks for {len(files)} detections files; give one for all (chapters of one "
            "drive) or one each"
        )
    for what, given in (("--camera", options.cameras), ("--start", options.starts)):
        if len(given) not in (0, 1, len(drives)) or (what == "--start" and len(given) == 1 < len(drives)):
            raise ConfigError(f"{what}: got {len(given)} for {len(drives)} drives; give one each")
    return drives


def _task(
    options: BuildOptions,
    number: int,
    looks: DriveLooks,
    fixes: Fixes,
    projection: LocalProjection,
    stated: dict[str, ClassShape],
    tell: Callable[[str], None],
) -> DriveTask:
    named = options.named_cameras[number] if options.named_cameras else None
    name = f"camera {named.name}" if named else Path(looks.files[0]).name
    refuse_panorama(looks.sources[0], looks.width, looks.height, bool(options.cameras or named))
    if options.cameras or named:
        path = named.file if named else options.cameras[number if len(options.cameras) > 1 else 0]
        camera = read_camera(path, options.hfov_deg)
        if (camera.width, camera.height) != (looks.width, looks.height):
            raise ConfigError(
                f"{path} is for frames of {camera.width}x{camera.height}, but those of {name} are "
                f"{looks.width}x{looks.height}"
            )
    else:
        camera = Camera.from_field_of_view(looks.width, looks.height, options.hfov_deg)
        tell(f"{name}: no --camera; a horizontal field of view of {options.hfov_deg:g} degrees is assumed and refined")
    for reason, count in fixes.dropped.items():
        tell(f"{fixes.source}: {count} fixes dropped: {reason}")
    if fixes.names:
        fixes, looks, start = _by_names(fixes, looks)
    else:
        start = find_start(
            looks.sources[0],
            named.start if named else (options.starts or (None,) * (number + 1))[number],
            options.syncs,
            options.time_base,
            fixes.starts.get(Path(looks.sources[0]).name),
        )
    tell(f"{name}: time from {start.source}")
    trajectory = build_trajectory(fixes, projection, Drift(sigma_m=options.position_sigma_m))
    for note in trajectory.attitude.notes():
        tell(f"{fixes.source}: {note}")
    times = start.times(looks.time_s)
    check_overlap(times, trajectory.start_s, trajectory.end_s, name)
    shapes = tuple(shape_of(class_name, stated) for class_name in looks.classes)
    return DriveTask(
        number, name, looks, times, trajectory, camera, shapes, start.sigma_s, options.side_sigma_px,
        0 if named else number,
    )  # fmt: skip


def _by_names(fixes: Fixes, looks: DriveLooks) -> tuple[Fixes, DriveLooks, Start]:
    """Give images the positions that are listed under their names.

    Without times, or with those of whole seconds that several share, their clock is a vehicle's of 10 m/s.
    """
    if np.isfinite(fixes.time_s).all():
        fixes = fixes.take(np.argsort(fixes.time_s, kind="stable"))
    time_s = fixes.time_s
    if not (np.diff(time_s) > 0).all():
        scale = np.array([np.cos(np.radians(fixes.latitude_deg.mean())), 1.0]) * 111_320.0
        steps = np.diff(np.stack([fixes.longitude_deg, fixes.latitude_deg], 1), axis=0) * scale
        time_s = np.concatenate(([0.0], np.cumsum(np.maximum(np.linalg.norm(steps, axis=1), 1e-3) / 10.0)))
    place = {Path(name).name: time for name, time in zip(fixes.names, time_s.tolist(), strict=True)}
    times = np.array([place.get(Path(source).name, float("nan")) for source in looks.sources])
    if not np.isfinite(times).any():
        raise DataError(
            f"{fixes.source} names no image of {looks.files[0]}; its first is {Path(looks.sources[0]).name}"
        )
    ordered = replace(fixes, time_s=time_s, names=())
    return ordered, replace(looks, time_s=times), Start(0.0, 1e-3, f"the file names in {fixes.source}")
