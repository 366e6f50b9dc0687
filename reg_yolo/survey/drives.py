"""What lies in a card's folder: drives, each the chapters of one recording or the images of one folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reg_yolo.detections.chapters import recordings
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.inventory.timing import time_in_name
from reg_yolo.jobs.work_list import WorkSource
from reg_yolo.video.sources import COPY_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, MediaFile

SAME_RECORDING_S = 5.0
"""A chapter that starts, by its name, this much later than the one before it ended is of another recording."""
_MOST_NAMED = 20
_NO_FOLDERS = {"system volume information", "$recycle.bin", "lost+found"}


@dataclass(frozen=True)
class SurveyDrive:
    """One drive.

    Attributes:
        work: Its name and files, as prediction and manifest know it.
        media: The files, looked into when first asked.
    """

    work: WorkSource
    media: tuple[MediaFile, ...]

    @property
    def name(self) -> str:
        """Its folder below the card, and behind it the recording where the folder holds several."""
        return self.work.name

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files in the order they were filmed."""
        return self.work.files

    @property
    def is_video(self) -> bool:
        """Whether it is video rather than images."""
        return self.work.kind != "images"

    @cached_property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(path.stat().st_size for path in self.files if path.is_file())

    @cached_property
    def broken(self) -> dict[Path, str]:
        """Videos that do not open, and why; images are looked at by sample only."""
        faults = {one.path: _fault(one) for one in self.media if self.is_video}
        return {path: fault for path, fault in faults.items() if fault}

    @cached_property
    def seconds(self) -> float | None:
        """Length of its videos; None for images, and where a container announces nothing."""
        if not self.is_video:
            return None
        lengths = [one.video.duration_s for one in self.media if one.path not in self.broken]
        known = [length for length in lengths if length is not None]
        return sum(known) if known and len(known) == len(lengths) else None

    @cached_property
    def frames(self) -> int | None:
        """How many frames its videos announce, or how many images there are."""
        if not self.is_video:
            return len(self.files)
        counts = [one.video.frames_about for one in self.media if one.path not in self.broken]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None


@dataclass(frozen=True)
class Card:
    """A folder and what lies in it.

    Attributes:
        root: The folder.
        drives: In the order of their names.
        others: Files that are neither images nor videos, among them positions.
        unread: Folders that cannot be read, and why.
    """

    root: Path
    drives: tuple[SurveyDrive, ...]
    others: tuple[Path, ...]
    unread: tuple[str, ...]

    def for_each(self, option: str, given: Sequence[str], *, shared: bool) -> dict[str, str]:
        """Return which value of an option each drive gets, by its name.

        Args:
            option: As typed, for messages.
            given: Values: one for all where they may share it, one each in the order of the drives, or NAME=VALUE with
                a drive's name or the last part of it, where no other drive ends so.
            shared: Whether one may be for all.

        Raises:
            ConfigError: If they are neither, or no drive or several have the name.
        """
        names = [drive.name for drive in self.drives]
        named: dict[str, str] = {}
        plain: list[str] = []
        for value in given:
            text, equals, rest = value.partition("=")
            fitting = [name for name in names if name == text] or [name for name in names if name.endswith(f"/{text}")]
            if equals and len(fitting) == 1:
                named[fitting[0]] = rest
            elif equals and not Path(value).exists():
                listed = ", ".join(map(repr, names[:_MOST_NAMED])) + ", ..." * (len(names) > _MOST_NAMED)
                fault = f"{text!r} matches several drives" if fitting else f"no drive is named {text!r}"
                raise ConfigError(f"{option}: {fault}; expected DRIVE=VALUE with one of {listed}")
            else:
                plain.append(value)
        if not plain:
            return named
        if not named and len(plain) == len(names):
            return dict(zip(names, plain, strict=True))
        if len(plain) == 1 and shared:
            return {**dict.fromkeys(names, plain[0]), **named}
        raise ConfigError(
            f"{option}: got {len(plain)} for {len(names)} drives; give {'one for all, ' if shared else ''}one each, or "
            f"DRIVE=VALUE with a name such as {names[0]!r}"
        )


def read_card(root: Path, out: Path, time_base: str = "utc") -> Card:
    """List the drives in a folder and the folders in it; nothing is written there.

    Args:
        root: The folder.
        out: Folder of the results, which is left out where it lies inside.
        time_base: Of times in file names.

    Raises:
        MediaError: If it is no folder, or holds no image and no video.
    """
    if not root.is_dir():
        raise MediaError(f"{root} is {'a file' if root.exists() else 'not there'}; expected the folder of a card")
    drives: list[SurveyDrive] = []
    others: list[Path] = []
    unread: list[str] = []
    for folder, names in _folders(root, out, unread):
        paths = [folder / name for name in names]
        videos = [path for path in paths if _suffix(path) in VIDEO_SUFFIXES]
        images = [path for path in paths if _suffix(path) in IMAGE_SUFFIXES]
        others += [path for path in paths if _suffix(path) not in VIDEO_SUFFIXES | IMAGE_SUFFIXES | COPY_SUFFIXES]
        parts = [part for files in recordings(videos) for part in _without_pauses(files, time_base)]
        below = folder.relative_to(root).as_posix() if folder != root else root.absolute().name or "card"
        for files in parts:
            name = below if len(parts) == 1 else f"{below}/{files[0].path.stem}"
            drives.append(_drive(name, files, "drive" if len(files) > 1 else "video", drives))
        if images:
            name = f"{below}/images" if parts else below
            drives.append(_drive(name, [MediaFile(path, "image") for path in images], "images", drives))
    if not drives:
        raise MediaError(f"{root} holds no image and no video, nor do the folders in it")
    return Card(root, tuple(sorted(drives, key=lambda one: one.name)), tuple(others), tuple(unread))


def _folders(root: Path, out: Path, unread: list[str]) -> Iterator[tuple[Path, list[str]]]:
    own = out.absolute()

    def note(error: OSError) -> None:
        unread.append(f"{error.filename}: {error.strerror}")

    for place, inner, names in os.walk(root, onerror=note):
        folder = Path(place)
        inner[:] = sorted(
            name
            for name in inner
            if not name.startswith(".") and name.casefold() not in _NO_FOLDERS and (folder / name).absolute() != own
        )
        # Hidden files are the system's: macOS leaves a `._NAME.MP4` next to each.
        yield folder, sorted(name for name in names if not name.startswith(".") and (folder / name).is_file())


def _without_pauses(files: Sequence[Path], time_base: str) -> Iterator[list[MediaFile]]:
    """Cut where file names say that the camera paused: the clock of a drive knows no pauses."""
    part: list[MediaFile] = []
    end_s: float | None = None
    for path in files:
        media = MediaFile(path, "video")
        start_s = _named_time(path, time_base)
        if part and end_s is not None and start_s is not None and abs(start_s - end_s) > SAME_RECORDING_S:
            yield part
            part = []
        part.append(media)
        end_s = None
        if start_s is not None and not _fault(media) and media.video.duration_s is not None:
            end_s = start_s + media.video.duration_s
    if part:
        yield part


def _fault(media: MediaFile) -> str:
    """Why a video does not open; empty where it does."""
    try:
        _ = media.video
    except MediaError as error:
        return str(error)
    return ""


def _named_time(path: Path, time_base: str) -> float | None:
    try:
        return time_in_name(path.name, time_base)
    except ConfigError:
        return None


def _drive(name: str, media: Sequence[MediaFile], kind: str, others: Sequence[SurveyDrive]) -> SurveyDrive:
    taken = {one.name for one in others}
    free = next(each for each in (name, *(f"{name}_{number}" for number in range(2, 10_000))) if each not in taken)
    files = tuple(one.path for one in media)
    return SurveyDrive(WorkSource(free, files, kind), tuple(media))  # type: ignore[arg-type]


def _suffix(path: Path) -> str:
    return path.suffix.lower().lstrip(".")
