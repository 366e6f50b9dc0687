"""A folder of drives: each subfolder is a drive and a work item, processed here or on a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import file_sha256, make_folder
from reg_yolo.inventory.cameras import named_cameras
from reg_yolo.inventory.decisions.applying import Decisions
from reg_yolo.inventory.opening import BuildOptions, open_drives, settings_digest
from reg_yolo.inventory.positions.reading import TEXT_ENDINGS, may_hold_positions
from reg_yolo.inventory.settings_files import read_settings_file
from reg_yolo.inventory.work.stored import SCHEMA, write_outcomes
from reg_yolo.inventory.work.working import worked
from reg_yolo.jobs.cluster import Cluster, ClusterWork, run_on_cluster
from reg_yolo.jobs.manifest import MANIFEST_FILE, Manifest, SourceRecord
from reg_yolo.jobs.work_list import RunSettings, Verdict, WorkSource, judge, result_paths
from reg_yolo.jobs.work_loop import DETECTIONS_NAME, ProcessedSource, WorkLoop
from reg_yolo.signals import listening_for_signals

WORK_FOLDER = "drives"
SETTINGS_FILE, CAMERA_FILE = "drive.yaml", "camera.yaml"
_KEYS = ("gnss", "camera", "start", "sync")
_ENDINGS = (".jsonl", ".yaml", ".yml", *TEXT_ENDINGS)
"""Of files by whose content a drive is known to have changed; videos are too large to be read for that."""


@dataclass(frozen=True)
class Place:
    """Where drives are processed.

    Attributes:
        cluster: A Ray cluster; None for this process.
        retry: Take up again what has failed three times.
    """

    cluster: Cluster | None = None
    retry: bool = False


def drive_options(folder: Path, plain: BuildOptions) -> BuildOptions:
    """Return what a folder is built from.

    Its detections are all `*.jsonl`, its positions what `drive.yaml` names or the only file that holds some, its camera
    what `drive.yaml` names, or `camera.yaml`, or that of the command.

    Raises:
        ConfigError: If `drive.yaml` cannot be understood.
        DataError: If there are no positions, or several files with some.
    """
    stated = read_settings_file(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).exists() else {}
    if not isinstance(stated, dict) or set(stated) - set(_KEYS):
        raise ConfigError(f"{folder / SETTINGS_FILE}: expected the keys {', '.join(_KEYS)}, got {stated!r}")
    tracks = [folder / name for name in _texts(folder, stated, "gnss")]
    if not tracks:
        texts = sorted(one for one in folder.iterdir() if one.suffix.lower() in TEXT_ENDINGS)
        tracks = [one for one in texts if may_hold_positions(one)]
        if len(tracks) != 1:
            raise DataError(
                f"{folder}: expected one file with positions, got {', '.join(one.name for one in tracks) or 'none'}; "
                f"name it in {SETTINGS_FILE} as gnss"
            )
    files = tuple(sorted(folder.glob("*.jsonl")))
    camera, start = stated.get("camera"), stated.get("start")
    gnss: tuple[Any, ...] = (tracks[0] if len(tracks) == 1 else tuple(tracks),)
    syncs = tuple(_texts(folder, stated, "sync"))
    if isinstance(camera, dict):
        one_each = start if isinstance(start, dict) else {}
        starts = [f"{name}={one}" for name, one in one_each.items()]
        if start is not None and not starts:
            starts = [str(start)]
        named = named_cameras([f"{name}={folder / str(file)}" for name, file in camera.items()], starts)
        return replace(plain, detections=files, gnss=gnss, cameras=(), starts=(), syncs=syncs, named_cameras=named)
    own = folder / str(camera or CAMERA_FILE)
    cameras = (own,) if camera or own.exists() else plain.cameras
    starts_of = (str(start),) if start is not None else ()
    return replace(plain, detections=files, gnss=gnss, cameras=cameras, starts=starts_of, syncs=syncs)


def _texts(folder: Path, stated: dict[Any, Any], key: str) -> list[str]:
    value = stated.get(key, [])
    some = [value] if isinstance(value, str) else value
    if not isinstance(some, list) or not all(isinstance(one, str) for one in some):
        raise ConfigError(f"{folder / SETTINGS_FILE}: {key} must be a text or a list of some, got {value!r}")
    return some


def drive_folders(root: Path, out: Path) -> list[WorkSource]:
    """Return the drives below a folder: folders with detections files, by their names.

    Raises:
        DataError: If there is none.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder of drives")
    folders = sorted({path.parent for path in root.rglob("*.jsonl") if out.absolute() not in path.absolute().parents})
    if not folders:
        raise DataError(f"{root}: no folder with detections files (*.jsonl) in it")
    return [
        WorkSource(
            "drive" if folder == root else folder.relative_to(root).as_posix(),
            tuple(sorted(one.absolute() for one in folder.iterdir() if one.suffix.lower() in _ENDINGS)),
            "drive",
        )
        for folder in folders
    ]


@dataclass
class ProcessDrive:
    """Processes one folder: the `ProcessSource` of the work loop.

    Attributes:
        options: Of all drives.
        decisions: Of reviewers.
        stop: Set to end: what is in work then is given back.
    """

    options: BuildOptions
    decisions: Decisions
    stop: threading.Event

    def __call__(self, source: WorkSource, out: Path) -> ProcessedSource:
        """Process `source`, and leave the outcomes in the folder `out`."""
        start = time.perf_counter()
        outcomes = []
        for outcome in worked(open_drives(drive_options(source.files[0].parent, self.options)), self.decisions):
            if self.stop.is_set():
                raise KeyboardInterrupt
            outcomes.append(outcome)
        write_outcomes(out / DETECTIONS_NAME, outcomes)
        frames = sum(one.counts.get("frames", 0) for one in outcomes)
        return ProcessedSource(frames, time.perf_counter() - start)


@dataclass(frozen=True)
class OpenDrives:
    """Opens the work in one of a cluster's processes; its files have the same paths on every machine."""

    options: BuildOptions

    def __call__(self, stop: threading.Event) -> ProcessDrive:
        """Read what all drives share."""
        return ProcessDrive(self.options, Decisions.of_files(self.options.decisions), stop)


class _Progress:
    """Counts what is done, and says what has failed."""

    def __init__(self, total: int, say: Callable[[str], None], progress: Callable[[int, int], None]) -> None:
        self._done, self._total, self._say, self._progress = 0, total, say, progress
        progress(0, total)

    def finished(self, record: SourceRecord) -> None:
        """Count a drive."""
        if record.error is not None:
            self._say(f"{record.source}: {record.error}")
        self._count()

    def found(self, source: WorkSource, verdict: Verdict) -> None:
        """Count a drive that needs no work, or that failed too often."""
        if verdict.reason != "done":
            self._say(f"{source.name}: {verdict.reason}")
        self._count()

    def waiting(self, sources: Sequence[WorkSource]) -> None:
        """Say that other processes hold what is left."""
        self._say(f"waiting for {len(sources)} drives that other processes work on")

    def _count(self) -> None:
        self._done += 1
        self._progress(min(self._done, self._total), self._total)


@dataclass(frozen=True)
class Worked:
    """What came of a folder of drives.

    Attributes:
        files: Outcomes of the drives that are done, in the order of their names.
        failed: What is said of the others.
    """

    files: list[Path]
    failed: list[str]


def work_on_folders(
    root: Path,
    options: BuildOptions,
    out: Path,
    place: Place,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Worked:
    """Process the drives of a folder that are missing, changed or failed.

    Args:
        root: Folder of the drives.
        options: What they share; `detections` and `gnss` are those of each folder.
        out: Folder of the inventory; the work lies in its folder `drives`.
        place: Where.
        say: Called with each line that the user should read.
        progress: Called with the drives done and to do.

    Raises:
        ConfigError: If the cluster cannot be used.
        DataError: If there are no drives, or all of them have failed.
    """
    folder = (out / WORK_FOLDER).absolute()
    make_folder(folder)
    sources = drive_folders(root, out)
    known = [file_sha256(path) for path in options.decisions]
    settings = settings_digest(options)
    wanted = RunSettings("", ",".join([settings, SCHEMA, *known]), retry=place.retry)
    manifest = Manifest(folder / MANIFEST_FILE)
    before = dict(manifest.records)
    due = [one for one in sources if judge(one, manifest, wanted, before.get(one.name)).needed]
    say(f"{len(due)} of {len(sources)} drives to process")
    opening = OpenDrives(_absolute(options))
    with listening_for_signals() as stop:
        if place.cluster is not None and due:
            work = ClusterWork(folder, wanted, opening, wanted.settings, before)
            manifest = run_on_cluster(due, work, place.cluster, _Progress(len(due), say, progress), stop)
        else:
            report = _Progress(len(sources), say, progress)
            manifest = WorkLoop(folder, wanted, opening(stop), report, stop).run(sources)
    files, failed = [], []
    for source in sources:
        record = manifest.records.get(source.name)
        if record is not None and record.state == "done":
            files.append(result_paths(source.name, folder)["detections"])
        else:
            failed.append(f"{source.name}: {record.error if record else 'not done'}")
    if not files:
        raise DataError(f"{root}: none of its {len(sources)} drives could be processed: {'; '.join(failed[:3])}")
    return Worked(files, failed)


def _absolute(options: BuildOptions) -> BuildOptions:
    """The cluster's processes have working directories of their own."""
    return replace(
        options,
        cameras=tuple(path.absolute() for path in options.cameras),
        classes=options.classes.absolute() if options.classes else None,
        decisions=tuple(path.absolute() for path in options.decisions),
    )
