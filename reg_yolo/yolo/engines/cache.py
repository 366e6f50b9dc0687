"""Exports made for `predict`, kept so that they are made once: a folder for each, under a lock, put there by rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import ultralytics
from filelock import FileLock, Timeout

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.errors import WeightsError
from reg_yolo.files import file_sha256

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
        calibration: Fingerprint of the pictures that INT8 was calibrated on.
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
    """Return where the exports of a weights file are kept: beside it, or in the user's cache if that is not writable.

    The shipped weights belong to the installation; their exports go to the user's cache as well.
    """
    parent = weights.absolute().parent
    if weights != shipped_weights(weights.name) and os.access(parent, os.W_OK | os.X_OK):
        return parent / FOLDER_NAME
    return Path(platformdirs.user_cache_dir("reg_yolo", appauthor=False)) / "engines"


def find_entry(folder: Path, key: CacheKey) -> CacheEntry | None:
    """Return the entry of a key; None where there is none, or a file of it is missing or changed."""
    place = folder / key.entry_name()
    try:
        content = json.loads((place / ENTRY_NAME).read_text(encoding="utf-8"))
        if content["schema"] != ENTRY_SCHEMA or content["key"] != _as_json(key):
            return None
        files: dict[str, str] = content["files"]
        if not files or any(file_sha256(place / name) != digest for name, digest in files.items()):
            return None
        return CacheEntry(place / content["model"], dict(content["facts"]))
    except (OSError, ValueError, KeyError, TypeError):
        # Damaged in whatever way: it is built again.
        return None


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
            workshop.chmod(0o755)
            workshop.replace(place)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
    return CacheEntry(place / name, facts, made_now=True)


def recorded_facts(folder: Path, engine: str) -> list[dict[str, Any]]:
    """Return what the entries of an engine in a cache recorded, whatever their weights."""
    facts = []
    for file in sorted(folder.glob(f"*/{ENTRY_NAME}")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["key"]["engine"] == engine:
                facts.append(dict(content["facts"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return facts


@contextmanager
def _locked(folder: Path, key: CacheKey) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
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
