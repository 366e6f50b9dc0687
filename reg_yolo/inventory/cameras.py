"""Which camera each detections file of a drive is of, where the vehicle has several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError


@dataclass(frozen=True)
class NamedCamera:
    """One of several cameras on a vehicle.

    Attributes:
        name: A word of the paths of its detections files, or of their sources.
        file: camera.yaml.
        start: When its clock was zero, as `--start` has it; None where that is to be found out.
    """

    name: str
    file: Path
    start: str | None = None


def named_cameras(cameras: Sequence[str], starts: Sequence[str]) -> tuple[NamedCamera, ...]:
    """Return the cameras of `--camera NAME=FILE`, with their `--start`; none where only FILE is given.

    Raises:
        ConfigError: If only some are named, a name is there twice, or the starts do not fit.

    Example:
        >>> [one.start for one in named_cameras(["front=f.yaml", "rear=r.yaml"], ["2024-05-01T03:00:00Z"])]
        ['2024-05-01T03:00:00Z', '2024-05-01T03:00:00Z']
    """
    # A file whose name has a = in it is meant as it is.
    parted = [(text, *text.partition("=")[::2]) for text in cameras if "=" in text and not Path(text).exists()]
    if not parted:
        return ()
    names = [name for _, name, _ in parted]
    if len(parted) < len(cameras) or len(set(names)) < len(names) or not all(re.fullmatch(r"\w+", n) for n in names):
        raise ConfigError(
            f"--camera: expected NAME=FILE for each camera, each name one word and there once, got {', '.join(cameras)}"
        )
    stated: dict[str, str] = {}
    for text in starts:
        name, _, time = text.rpartition("=")
        for one in [name] if name else names:
            if one not in names or one in stated:
                raise ConfigError(
                    f"--start: expected TIME for all cameras, or NAME=TIME for {', '.join(names)}, got {text}"
                )
            stated[one] = time
    return tuple(NamedCamera(name, Path(file), stated.get(name)) for _, name, file in parted)


def files_by_camera(files: Sequence[Path], cameras: Sequence[NamedCamera]) -> list[tuple[Path, ...]]:
    """Return the detections files of each camera, in the order given.

    A camera's name is a word of the file's name; where none is, of the file's whole path or its source's.

    Raises:
        ConfigError: If a file is of no camera or of several, or a camera has no file.
        DataError: If a file cannot be read.
    """
    found: list[list[Path]] = [[] for _ in cameras]
    for file in files:
        whole = f"{file.absolute()} {read_detections(file, tolerate_cut=True).header.source}"
        for text in (file.name, whole):
            words = set(re.split(r"[^0-9a-z]+", text.lower()))
            fitting = [n for n, camera in enumerate(cameras) if set(re.split(r"_+", camera.name.lower())) <= words]
            if fitting:
                break
        if len(fitting) != 1:
            names = ", ".join(camera.name for camera in cameras)
            what = "several" if fitting else "none"
            raise ConfigError(f"--camera: {what} of {names} is a word of the path of {file} or of its source")
        found[fitting[0]].append(file)
    for camera, some in zip(cameras, found, strict=True):
        if not some:
            raise ConfigError(f"--camera {camera.name}: no detections file has this word in its path or its source's")
    return [tuple(some) for some in found]
