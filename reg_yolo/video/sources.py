"""Turn what the user names as SOURCE into a list of images and videos, and look into them before anything starts."""

import glob
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from reg_yolo.errors import MediaError
from reg_yolo.video.quiet_opencv import quiet_opencv

IMAGE_SUFFIXES = frozenset(
    {"avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"}
)
VIDEO_SUFFIXES = frozenset({"asf", "avi", "gif", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ts", "wmv", "webm"})

# Containers that announce more than this announce their time base, not their frames.
_HIGHEST_FPS = 1000.0

MediaKind = Literal["image", "video"]
SourceKind = Literal["image", "video", "folder", "glob", "list"]


@dataclass(frozen=True)
class MediaFile:
    """One image or video."""

    path: Path
    kind: MediaKind


@dataclass(frozen=True)
class Source:
    """What a SOURCE stands for.

    Attributes:
        given: What the user wrote.
        kind: A single ``image`` or ``video``, a ``folder``, a ``glob`` pattern or a text ``list``.
        files: Its images, then its videos, each sorted by absolute path, as Ultralytics orders them.
    """

    given: str
    kind: SourceKind
    files: tuple[MediaFile, ...]

    @property
    def images(self) -> list[Path]:
        """The images among the files."""
        return [file.path for file in self.files if file.kind == "image"]

    @property
    def videos(self) -> list[Path]:
        """The videos among the files."""
        return [file.path for file in self.files if file.kind == "video"]


@dataclass(frozen=True)
class VideoInfo:
    """What a video's container announces.

    Attributes:
        width: Pixels.
        height: Pixels.
        fps: Nominal frames per second; None where the container has none that is credible.
        frame_count: Announced frames; None where unknown. A damaged file may hold fewer.
        duration_s: Frames by frames per second; None where one of them is unknown.
        fourcc: Codec tag, such as ``avc1``.
    """

    width: int
    height: int
    fps: float | None
    frame_count: int | None
    duration_s: float | None
    fourcc: str


def resolve_source(source: str | Path) -> Source:
    """List the images and videos of a SOURCE.

    A single file is opened, too: an image must decode, a video must give its first frame. Of many files only the names
    are looked at.

    Args:
        source: An image, a video, a folder (its own files, not those of folders in it), a glob pattern (``**`` for
            folders in folders), or a ``.txt`` list with one path a line, relative to the working directory or the list.

    Raises:
        MediaError: If there is nothing, or nothing that is an image or a video.
    """
    given = str(source)
    if "://" in given:
        raise MediaError(f"{given} is an address; download the file first and name its path.")
    path = Path(given).expanduser().absolute()  # not resolve(): a link keeps its own name
    if path.is_dir():
        names = glob.glob(os.path.join(glob.escape(str(path)), "*.*"))  # noqa: PTH118, PTH207
        return _many(given, "folder", names, _folder_hint(path))
    if path.is_file():
        if path.suffix.lower() == ".txt":
            return _many(given, "list", _read_list(path), "each line names one file")
        return _single(given, path)
    if glob.has_magic(given):
        names = glob.glob(str(path), recursive=True)  # noqa: PTH207
        if not names:
            raise MediaError(f"No file matches {given}.")
        return _many(given, "glob", names, "")
    raise MediaError(f"{given} does not exist; expected an image, a video, a folder, a pattern or a .txt list.")


def probe_image(path: Path) -> tuple[int, int]:
    """Decode an image and return its width and height in pixels.

    Raises:
        MediaError: If it is missing, empty or does not decode.
    """
    _check_file(path)
    with quiet_opencv():
        try:
            picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            picture = None
    if picture is None:
        raise MediaError(f"{path} does not decode as an image: it is damaged, cut off or of another format.")
    return picture.shape[1], picture.shape[0]


def probe_video(path: Path) -> VideoInfo:
    """Open a video, decode its first frame and return what its container announces.

    Raises:
        MediaError: If it is missing, empty, no video, or gives no frame.
    """
    _check_file(path)
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path))
        try:
            if not capture.isOpened():
                raise MediaError(f"{path} cannot be opened as a video: it is damaged, cut off or of another format.")
            decoded, frame = capture.read()
            if not decoded or frame is None:
                raise MediaError(f"{path} holds no frame that decodes.")
            fps: float | None = float(capture.get(cv2.CAP_PROP_FPS))
            count: int | None = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            fourcc = int(capture.get(cv2.CAP_PROP_FOURCC))
        finally:
            capture.release()
    if fps is None or not math.isfinite(fps) or not 0 < fps <= _HIGHEST_FPS:
        fps = None
    if count is None or count < 1:
        count = None
    duration = count / fps if fps is not None and count is not None else None
    tag = "".join(chr((fourcc >> shift) & 0xFF) for shift in (0, 8, 16, 24))
    return VideoInfo(frame.shape[1], frame.shape[0], fps, count, duration, tag if tag.isprintable() else "")


def _kind_of(name: str) -> MediaKind | None:
    suffix = name.rpartition(".")[-1].lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "video" if suffix in VIDEO_SUFFIXES else None


def _single(given: str, path: Path) -> Source:
    kind = _kind_of(path.name)
    if kind is None:
        raise MediaError(
            f"{given} is neither an image nor a video by its suffix; known are {', '.join(sorted(IMAGE_SUFFIXES))} and "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    if kind == "image":
        probe_image(path)
    else:
        probe_video(path)
    return Source(given, kind, (MediaFile(path, kind),))


def _many(given: str, source_kind: SourceKind, names: list[str], hint: str) -> Source:
    kinds = {name: kind for name in sorted(names) if (kind := _kind_of(name)) is not None and not Path(name).is_dir()}
    files = [MediaFile(Path(name), kind) for name, kind in kinds.items()]
    if not files:
        raise MediaError(f"{given} holds no image and no video{'; ' + hint if hint else ''}.")
    images_first = sorted(files, key=lambda file: file.kind == "video")
    return Source(given, source_kind, tuple(images_first))


def _folder_hint(folder: Path) -> str:
    inner = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    return f"for the folders in it name a pattern such as '{folder}/**/*.jpg'" if inner else ""


def _read_list(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise MediaError(f"{path} is no list of files: it is not UTF-8 text.") from None
    names = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        candidates = [Path(line).expanduser().absolute(), path.parent / line]
        existing = next((candidate for candidate in candidates if candidate.is_file()), None)
        if existing is None:
            raise MediaError(f"{path}:{number} names {line}, which does not exist.")
        if _kind_of(existing.name) is None:
            raise MediaError(f"{path}:{number} names {line}, which is neither an image nor a video by its suffix.")
        names.append(str(existing))
    return names


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}.") from None
    if path.is_dir():
        raise MediaError(f"{path} is a folder, expected a file.")
    if size == 0:
        raise MediaError(f"{path} is empty.")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} cannot be read: permission denied.")
