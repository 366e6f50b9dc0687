"""Exports made for `predict`, kept so that they are made once: a folder for each, under a lock, put there by rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import ultralytics
from filelock import FileLock, Timeout
from ultralytics.utils import LOGGER

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.errors import WeightsError
from reg_yolo.files import file_sha256
from reg_yolo.stored import read_stored_json

FOLDER_NAME = ".reg_yolo_engines"
ENTRY_SCHEMA = "reg_yolo.engine/1"
ENTRY_NAME = "entry.json"
# Longer than any export of a detector takes, TensorRT's included.
LOCK_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class CacheKey:
    """All that an export, its measurement and its check depend on; another value of any is another entry.

    Attributes:
        weights_sha256: SHA-256 of the weights.
        engine: Name of the engine.
        engine_version: Its package and version.
        precision: What it computes with.
        imgsz: Height and width of the network's input.
        batch: Images a call.
        dynamic: Whether height, width and batch may vary.
        processor: The GPU, or the processor with its instruction sets.
        ultralytics: The exporter's version.
        calibration: Fingerprint of the images that INT8 was calibrated on.
    """

    weights_sha256: str
    engine: str
    engine_version: str
    precision: str
    imgsz: tuple[int, int]
    batch: int
    dynamic: bool
    processor: str
    ultralytics: str = ultralytics.__version__
    calibration: str | None = None

    def digest(self) -> str:
        """Return 16 hexadecimal digits that stand for the key."""
        content = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def entry_name(self) -> str:
        """Return the name of the entry's folder, which a person can read."""
        size = "dynamic" if self.dynamic else f"{self.imgsz[0]}x{self.imgsz[1]}"
        return f"{self.weights_sha256[:8]}-{self.engine}-{self.precision}-{size}-b{self.batch}-{self.digest()}"


@dataclass(frozen=True)
class CacheEntry:
    """An export with what was found out about it.

    Attributes:
        model: The exported file or folder.
        facts: What the builder recorded: times, agreement, precision.
        made_now: Whether this call made it.
    """

    model: Path
    facts: dict[str, Any] = field(default_factory=dict)
    made_now: bool = False


def cache_folder(weights: Path) -> Path:
    """Return where the exports of a weights file are kept: beside it, or in the user's cache.

    The user's cache takes them where the weights' folder is not writable, where the shipped weights lie, which belong
    to the installation, and where somebody else could have put an export into the folder beside the weights.
    """
    parent = weights.absolute().parent
    if weights != shipped_weights(weights.name) and os.access(parent, os.W_OK | os.X_OK):
        folder = parent / FOLDER_NAME
        fault = ownership_fault(folder)
        if not fault:
            return folder
        LOGGER.warning(f"{folder}: {fault}, so its exports are not used; they are kept in your own cache instead")
    return Path(platformdirs.user_cache_dir("reg_yolo", appauthor=False)) / "engines"


def ownership_fault(path: Path) -> str:
    """Return why somebody else may have changed a file or folder; empty where only this user (or root) could.

    An export is code for its engine, and what was measured on it is believed: it counts only if it is one's own.
    """
    if not hasattr(os, "getuid"):
        # Windows has access lists instead, which a new file takes from its folder.
        return "it is a link" if path.is_symlink() else ""
    try:
        found = path.lstat()
    except OSError:
        return ""
    if stat.S_ISLNK(found.st_mode):
        return "it is a link"
    if found.st_uid not in trusted_owners():
        return "it belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write to it"
    return ""


def trusted_owners() -> set[int]:
    """Return the user and root, who can do everything anyway."""
    return {os.getuid(), 0}


def find_entry(folder: Path, key: CacheKey) -> CacheEntry | None:
    """Return the entry of a key; None where there is none, a file of it is missing or changed, or is another's."""
    place = folder / key.entry_name()
    try:
        if ownership_fault(place) or ownership_fault(place / ENTRY_NAME):
            return None
        content = read_stored_json(place / ENTRY_NAME)
        if content["schema"] != ENTRY_SCHEMA or content["key"] != _as_json(key):
            return None
        files: dict[str, str] = content["files"]
        # Names are looked up among what lies there, so that none leads out of the folder.
        there = _files_below(place)
        if not files or any(name not in there or file_sha256(place / name) != files[name] for name in files):
            return None
        name = content["model"]
        if name not in there and not any(file.startswith(f"{name}/") for file in files):
            return None
        return CacheEntry(place / name, dict(content["facts"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Damaged in whatever way: it is built again.
        return None


def _files_below(place: Path) -> set[str]:
    """Return the files of an entry that are its owner's, by their names relative to it."""
    return {
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if path.is_file() and not ownership_fault(path) and not ownership_fault(path.parent)
    }


def entry_for(folder: Path, key: CacheKey, build: Callable[[Path], tuple[Path, dict[str, Any]]]) -> CacheEntry:
    """Return the entry of a key, built once however many processes ask for it at the same time.

    Args:
        folder: The cache.
        key: What the entry depends on.
        build: Gets an empty folder and returns the export in it, and facts to keep with it.

    Raises:
        WeightsError: If another process holds the lock for longer than an export can take.
    """
    with _locked(folder, key):
        # Made meanwhile by the process that held the lock.
        found = find_entry(folder, key)
        if found is not None:
            return found
        place = folder / key.entry_name()
        # Left by a process that was killed while it held the lock.
        for left in folder.glob(f".{place.name}.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".part", dir=folder))
        try:
            model, facts = build(workshop)
            files = {
                path.relative_to(workshop).as_posix(): file_sha256(path)
                for path in sorted(workshop.rglob("*"))
                if path.is_file()
            }
            name = model.relative_to(workshop).as_posix()
            content = {"schema": ENTRY_SCHEMA, "key": _as_json(key), "model": name, "files": files, "facts": facts}
            (workshop / ENTRY_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            # A damaged entry is in the way of the new one.
            shutil.rmtree(place, ignore_errors=True)
            for path in (workshop, *workshop.rglob("*")):
                path.chmod(path.stat().st_mode & ~(stat.S_IWGRP | stat.S_IWOTH) | (0o755 if path.is_dir() else 0o644))
            workshop.replace(place)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    return CacheEntry(place / name, facts, made_now=True)


def recorded_facts(folder: Path, engine: str) -> list[dict[str, Any]]:
    """Return what the entries of an engine in a cache recorded, whatever their weights."""
    facts = []
    for file in sorted(folder.glob(f"*/{ENTRY_NAME}")):
        try:
            if ownership_fault(file) or ownership_fault(file.parent):
                continue
            content = read_stored_json(file)
            if content["key"]["engine"] == engine:
                facts.append(dict(content["facts"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return facts


@contextmanager
def _locked(folder: Path, key: CacheKey) -> Iterator[None]:
    # Not for the group to write to, whatever the user's mask says.
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    ignored = folder / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n", encoding="utf-8")
    lock = FileLock(folder / f"{key.entry_name()}.lock", timeout=LOCK_TIMEOUT_S)
    try:
        with lock:
            yield
    except Timeout as error:
        raise WeightsError(f"{lock.lock_file}: another process has held this lock for an hour; end it") from error


def _as_json(key: CacheKey) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(key)))
