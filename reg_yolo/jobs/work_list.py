"""What there is to do in a run over many sources: their names, their shards, and what is missing, changed or failed."""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reg_yolo.detections.chapters import chapter_order
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.jobs.manifest import Manifest, SourceHashes, SourceRecord
from reg_yolo.video.sources import Source

MOST_ATTEMPTS = 3
IMAGES = "images"

# Results lie below these folders of the output, by the name of their source.
DETECTIONS_FOLDER, ANNOTATED_FOLDER, CLAIMS_FOLDER = "detections", "annotated", ".work"


@dataclass(frozen=True)
class WorkSource:
    """One source: what gets one detections file.

    Attributes:
        name: Path relative to what the user named, with ``/``: the same on every machine that sees the folder.
        files: Its files in order: one video, the chapters of one drive, or images.
        kind: A ``video``, a ``drive`` in chapters, or ``images``.
    """

    name: str
    files: tuple[Path, ...]
    kind: Literal["video", "drive", "images"] = "video"


@dataclass(frozen=True)
class Shard:
    """One of several shares of the sources; every source is in exactly one, by its name alone."""

    index: int = 1
    count: int = 1

    def has(self, source: str) -> bool:
        """Return whether a source is in this share, also when others come to the folder later."""
        digest = hashlib.sha256(source.encode("utf-8", errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


@dataclass(frozen=True)
class RunSettings:
    """What a run is to bring, by which earlier results are judged.

    Attributes:
        weights: SHA-256 of the weights.
        settings: SHA-256 of the settings that change detections.
        annotated: Whether annotated video is wanted.
        retry: Take up again what was set aside.
        shown: Digest of what is blurred in stored images; empty for nothing.
    """

    weights: str
    settings: str
    annotated: bool = False
    retry: bool = False
    shown: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a source needs work.

    Attributes:
        needed: It does.
        reason: Why, in two or three words; what it is otherwise.
        unsure: Only the time of change differs, so that the content has to tell.
    """

    needed: bool
    reason: str
    unsure: bool = False


def parse_shard(text: str | None) -> Shard:
    """Read ``i/n``, counted from 1.

    Raises:
        ConfigError: If it is anything else.
    """
    if text is None:
        return Shard()
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"`shard`: got {text!r}, expected i/n with i from 1 to n, such as 2/8")
    return Shard(int(match[1]), int(match[2]))


def list_sources(media: Source, out: Path, *, drives: bool = False) -> list[WorkSource]:
    """Return the sources among the files that the user named, sorted by name.

    All images together are one source; each video is one, or the chapters of a drive together.

    Args:
        media: What the user named.
        out: Folder of the results; annotated video in it is not a source.
        drives: The videos of each folder are the chapters of one drive, which is named as the folder.

    Raises:
        MediaError: If two sources would have the same name, or a folder's videos are of several cameras.
    """
    root = _root_of(media)
    own = (out / ANNOTATED_FOLDER).absolute()
    videos = [path for path in media.videos if own not in path.parents]
    if drives:
        folders: dict[Path, list[Path]] = {}
        for path in videos:
            folders.setdefault(path.parent, []).append(path)
        sources = [
            WorkSource(_name_of(folder, root), tuple(chapter_order(chapters)), "drive")
            for folder, chapters in folders.items()
        ]
    else:
        sources = [WorkSource(_name_of(path, root), (path,)) for path in videos]
    images = tuple(path for path in media.images if own not in path.parents)
    if images:
        sources.append(WorkSource(IMAGES, images, "images"))
    sources.sort(key=lambda source: source.name)
    for first, second in itertools.pairwise(sources):
        if first.name == second.name:
            raise MediaError(f"{media.given}: {first.files[0]} and {second.files[0]} would have one name, {first.name}")
    return sources


def judge(source: WorkSource, manifest: Manifest, wanted: RunSettings, before: SourceRecord | None = None) -> Verdict:
    """Return whether a source needs work, from its record and the files' sizes and times of change.

    Args:
        source: The source.
        manifest: As it is known now.
        wanted: What the run is to bring.
        before: Its record when the run started; a newer one means that the run has had its try, in some process.
    """
    record = manifest.records.get(source.name)
    if record is None:
        return Verdict(True, "missing")
    if record.hashes.weights != wanted.weights:
        return Verdict(True, "other weights")
    if record.hashes.settings != wanted.settings:
        return Verdict(True, "other settings")
    if record.state == "done" and not _results_are_there(source, record, manifest.path.parent):
        return Verdict(True, "results gone")
    if record.state == "done" and wanted.annotated and record.annotated is None:
        return Verdict(True, "annotated video")
    if record.hashes.quick != quick_digest(source.files):
        settled = record.state == "done" or (record.state == "set_aside" and not wanted.retry)
        return Verdict(True, "changed", unsure=settled and record.hashes.content != "")
    if record.state == "done":
        return Verdict(False, "done")
    if record.state == "set_aside":
        return Verdict(wanted.retry and record == before, "set aside")
    if source.name in manifest.begun:
        return Verdict(True, "taken over")
    return Verdict(record == before, "failed")


def with_new_times(record: SourceRecord, source: WorkSource) -> SourceRecord | None:
    """Return the record with the files' present times of change if they hold what they held, else None.

    Raises:
        OSError: If the source cannot be read.
    """
    quick = quick_digest(source.files)
    if content_digest(source.files) != record.hashes.content:
        return None
    return replace(record, hashes=replace(record.hashes, quick=quick))


def attempts_so_far(record: SourceRecord | None, hashes: SourceHashes) -> int:
    """Return how often in a row this very content has failed with these weights and settings."""
    if record is None or (record.hashes.weights, record.hashes.settings) != (hashes.weights, hashes.settings):
        return 0
    same = record.hashes.quick == hashes.quick or (hashes.content != "" and record.hashes.content == hashes.content)
    return record.attempts if same else 0


def quick_digest(files: Iterable[Path]) -> str:
    """Return a digest of the files' names, sizes and times of change, 16 hexadecimal digits; empty if one is gone."""
    digest = hashlib.sha256()
    for path in files:
        try:
            status = path.stat()
        except OSError:
            return ""
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def content_digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of what the files hold, one after the other.

    All of it is read: a repaired or re-cut video may keep its size and its first and last bytes.

    Raises:
        OSError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def result_paths(source: str, out: Path) -> Mapping[str, Path]:
    """Return where the results of a source lie: ``detections``, ``csv`` and ``annotated`` (without its suffix)."""
    name = Path(*source.split("/"))
    below = out / DETECTIONS_FOLDER / name
    return {
        "detections": below.with_name(f"{below.name}.jsonl"),
        "csv": below.with_name(f"{below.name}.csv"),
        "annotated": out / ANNOTATED_FOLDER / name,
    }


def stored_images(source: WorkSource, out: Path, record: SourceRecord | None) -> Path | None:
    """Return the annotated video or folder of images that a source has in the results; None where it has none.

    A record is read from a file that others may have written: what it names counts only where it is the source's own
    place, so that nothing else is ever removed or replaced.
    """
    base = result_paths(source.name, out)["annotated"]
    video = base.with_name(f"{base.name}.mp4")
    if record is not None and record.annotated == base.relative_to(out).as_posix() and base.is_dir():
        return base
    return video if video.is_file() else None


def images_are_stale(source: WorkSource, out: Path, record: SourceRecord | None, wanted: RunSettings) -> bool:
    """Return whether stored images show what this run would blur, or blur what it would show."""
    if stored_images(source, out, record) is None:
        return False
    if not wanted.shown:
        return wanted.annotated and record is not None and bool(record.shown)
    return record is None or record.shown != wanted.shown


def _results_are_there(source: WorkSource, record: SourceRecord, folder: Path) -> bool:
    expected = result_paths(source.name, folder)["detections"]
    if record.detections != expected.relative_to(folder).as_posix() or not expected.exists():
        return False
    return record.annotated is None or stored_images(source, folder, record) is not None


def _root_of(media: Source) -> Path:
    given = _plain(Path(media.given).expanduser())
    if media.kind == "folder":
        return given
    if media.kind == "glob":
        fixed = next(number for number, part in enumerate(given.parts) if set(part) & set("*?["))
        return Path(*given.parts[:fixed])
    return given.parent


def _name_of(path: Path, root: Path) -> str:
    path = _plain(path)
    if path == root:
        return root.name or "drive"
    return path.relative_to(root if path.is_relative_to(root) else path.anchor).as_posix()


def _plain(path: Path) -> Path:
    """Return the absolute path without ``..``, which must not lead out of the results' folder; links stay."""
    return Path(os.path.normpath(path.absolute()))
