"""Turn what the user names as SOURCE into a list of images and videos, and look into them before anything starts."""

import glob
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from reg_yolo.detections.chapters import chapter_order
from reg_yolo.errors import MediaError
from reg_yolo.video.probing import VideoInfo as VideoInfo
from reg_yolo.video.probing import probe_image as probe_image
from reg_yolo.video.probing import probe_video as probe_video

IMAGE_SUFFIXES = frozenset(
    {"avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"}
)
# Those of Ultralytics, and what else cameras write that FFmpeg reads.
VIDEO_SUFFIXES = frozenset(
    {"asf", "avi", "gif", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ts", "wmv", "webm"}
    | {"3g2", "3gp", "f4v", "flv", "m2t", "m2ts", "m2v", "mod", "mts", "mxf", "ogv", "tod", "vob"}
    | {"264", "265", "avc", "dav", "h264", "h265", "hevc"}
)
# GoPro's small copy of each video; read where it is named, but not next to the video itself in a folder.
COPY_SUFFIXES = frozenset({"lrv"})
_STREAM = re.compile(r"^(rtsp|rtsps|rtmp|rtmps|rtp|udp|srt)://", re.IGNORECASE)

MediaKind = Literal["image", "video"]
SourceKind = Literal["image", "video", "folder", "glob", "list", "drive"]


# Looking into more files than this would take longer than knowing their sizes saves.
MOST_PROBED = 20


@dataclass(frozen=True)
class MediaFile:
    """One image or video. It is opened when its size or its video is first asked for, and not again."""

    path: Path
    kind: MediaKind

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels.

        Raises:
            MediaError: If the file does not open or gives no frame.
        """
        if self.kind == "video":
            return self.video.width, self.video.height
        if isinstance(self._found, tuple):
            return self._found
        raise self._fault()

    @property
    def video(self) -> VideoInfo:
        """What the container of a video announces.

        Raises:
            MediaError: If the file does not open or gives no frame, or is an image.
        """
        if isinstance(self._found, VideoInfo):
            return self._found
        raise self._fault()

    def _fault(self) -> MediaError:
        return self._found if isinstance(self._found, MediaError) else MediaError(f"{self.path} is an image")

    @cached_property
    def _found(self) -> VideoInfo | tuple[int, int] | MediaError:
        try:
            return probe_image(self.path) if self.kind == "image" else probe_video(self.path)
        except MediaError as error:
            return error


@dataclass(frozen=True)
class Source:
    """What a SOURCE stands for.

    Attributes:
        given: What the user wrote.
        kind: A single ``image`` or ``video``, a ``folder``, a ``glob`` pattern or a text ``list``; or a ``drive``, the
            videos of any of these as the chapters of one recording.
        files: Its images, then its videos, each sorted by absolute path, as Ultralytics orders them; the videos of a
            drive in the order they were filmed.
        listed: The videos in the order of a list; empty otherwise.
        skipped: What lies among the files and is not read, see `skipped_note`.
    """

    given: str
    kind: SourceKind
    files: tuple[MediaFile, ...]
    listed: tuple[Path, ...] = ()
    skipped: tuple[Path, ...] = ()

    @property
    def skipped_note(self) -> str:
        """How many files were skipped, by their suffixes; empty for none.

        Example:
            >>> Source("in", "folder", (), skipped=(Path("a.gpx"), Path("b.LRV"), Path("c.gpx"))).skipped_note
            '3 files of other kinds (2 .gpx, 1 .lrv)'
        """
        if not self.skipped:
            return ""
        counts = Counter(path.suffix.lower() or "without suffix" for path in self.skipped)
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common(8))
        rest = len(counts) - 8
        count = len(self.skipped)
        more = f" and {rest} more kinds" if rest > 0 else ""
        return f"{count} file{'s' if count > 1 else ''} of other kinds ({kinds}{more})"

    @property
    def images(self) -> list[Path]:
        """The images among the files."""
        return [file.path for file in self.files if file.kind == "image"]

    @property
    def videos(self) -> list[Path]:
        """The videos among the files."""
        return [file.path for file in self.files if file.kind == "video"]

    @property
    def video(self) -> VideoInfo | None:
        """What the container of a single video announces; None for every other kind of source."""
        return self.files[0].video if self.kind == "video" else None

    @property
    def frame_count(self) -> int | None:
        """About how many frames the containers hold, and images; files that do not open count as none.

        None where a container gives no idea.
        """
        total = 0
        for file in self.files:
            try:
                count = 1 if file.kind == "image" else file.video.frames_about
            except MediaError:
                continue
            if count is None:
                return None
            total += count
        return total

    @cached_property
    def frame_sizes(self) -> frozenset[tuple[int, int]]:
        """Width and height of the frames of all files that open; empty for more than `MOST_PROBED` files."""
        sizes = set()
        for file in self.files if len(self.files) <= MOST_PROBED else ():
            try:
                sizes.add(file.size)
            except MediaError:
                continue
        return frozenset(sizes)


def resolve_source(source: str | Path | Sequence[str | Path] | Source, *, drive: bool = False) -> Source:
    """List the images and videos of a SOURCE.

    A single file is opened, too: an image must decode, a video must give its first frame. Of many files only the names
    are looked at.

    Args:
        source: An image, a video, a folder (its own files, not those of folders in it), a glob pattern (``**`` for
            folders in folders), or a ``.txt`` list with one path a line, relative to the working directory or the list;
            from Python also the files themselves, or what this function has returned before.
        drive: Take the videos as the chapters of one drive, see `as_drive`.

    Raises:
        MediaError: If there is nothing, or nothing that is an image or a video.
    """
    media = source if isinstance(source, Source) else _resolved(source)
    return as_drive(media) if drive else media


def _resolved(source: str | Path | Sequence[str | Path]) -> Source:
    if not isinstance(source, (str, Path)):
        names = [str(Path(name).expanduser().absolute()) for name in source]
        return _many(f"{names[0]} and {len(names) - 1} more" if names else "The list", "list", names, "")
    given = str(source)
    if "://" in given:
        raise _no_file(given)
    path = Path(given).expanduser().absolute()  # not resolve(): a link keeps its own name
    if path.is_dir():
        names = [str(entry) for entry in path.iterdir() if not entry.name.startswith(".")]
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
    if given.isdecimal() or re.match(r"^/dev/video\d", given):
        raise MediaError(
            f"{given} is a camera; record first, such as with ffmpeg -f v4l2 -i /dev/video0 -t 60 drive.mkv, and name "
            "the file"
        )
    if path.exists():
        raise MediaError(f"{given} is a pipe, socket or device, expected a regular file")
    raise MediaError(f"{given} does not exist; expected an image, a video, a folder, a pattern or a .txt list.")


def as_drive(source: Source) -> Source:
    """Return the videos of a source as the chapters of one drive, in the order they were filmed.

    A list keeps the order in which it names them.

    Raises:
        MediaError: If there are images among them, no videos, or videos of several cameras.
    """
    if source.images or not source.videos:
        raise MediaError(f"{source.given} is not a drive: expected the videos of one camera, without images.")
    known = {file.path: file for file in source.files}
    ordered = source.listed or chapter_order(source.videos)
    return Source(source.given, "drive", tuple(known[path] for path in ordered), skipped=source.skipped)


def _no_file(given: str) -> MediaError:
    """Return what to say of an address, without a password that may stand in it."""
    shown = re.sub(r"//[^/@]*@", "//", given)
    if _STREAM.match(given):
        return MediaError(
            f"{shown} is a stream; record first, such as with ffmpeg -i ADDRESS -c copy -t 3600 drive.mkv, and name "
            "the file"
        )
    return MediaError(f"{shown} is an address; download the file first and name its path.")


def _kind_of(name: str) -> MediaKind | None:
    suffix = name.rpartition(".")[-1].lower()
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "video" if suffix in VIDEO_SUFFIXES | COPY_SUFFIXES else None


def _is_copy(name: str) -> bool:
    return name.rpartition(".")[-1].lower() in COPY_SUFFIXES


def _single(given: str, path: Path) -> Source:
    kind = _kind_of(path.name)
    if kind is None:
        raise MediaError(
            f"{given} is neither an image nor a video by its suffix; known are {', '.join(sorted(IMAGE_SUFFIXES))} and "
            f"{', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    file = MediaFile(path, kind)
    _ = file.size  # raises where it does not open
    return Source(given, kind, (file,))


def _many(given: str, source_kind: SourceKind, names: list[str], hint: str) -> Source:
    kinds: dict[str, MediaKind] = {}
    skipped = []
    for name in sorted(names):
        path = Path(name)
        if path.is_dir():
            continue
        kind = _kind_of(name)
        is_copy = source_kind != "list" and _is_copy(name) and not _is_copy(given)
        # A link that leads nowhere is told later; a pipe or device would be waited for without end.
        if kind is None or is_copy or (path.exists() and not path.is_file()):
            skipped.append(path)
        else:
            kinds[name] = kind
    files = [MediaFile(Path(name), kind) for name, kind in kinds.items()]
    if not files:
        raise MediaError(f"{given} holds no image and no video{'; ' + hint if hint else ''}.")
    images_first = sorted(files, key=lambda file: file.kind == "video")
    listed = tuple(Path(name) for name in dict.fromkeys(names) if kinds.get(name) == "video")
    return Source(given, source_kind, tuple(images_first), listed if source_kind == "list" else (), tuple(skipped))


def _folder_hint(folder: Path) -> str:
    inner = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    return f"for the folders in it name a pattern such as '{folder}/**/*.jpg'" if inner else ""


def _read_list(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise MediaError(f"{path} is not a list of files: it is not UTF-8 text.") from None
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
