"""The work on many sources: claim one, process it aside, publish its results, note it in the manifest; then the next.

Any number of processes may do this on one results folder at the same time, and any may be killed at any moment: results
come to their place by renaming, the detections file last, and count when the manifest says so.
"""

import os
import shutil
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from reg_yolo.errors import MediaError, RegYoloError
from reg_yolo.jobs.claims import LEASE_S, Claim, Claims
from reg_yolo.jobs.manifest import MANIFEST_FILE, Manifest, SourceHashes, SourceRecord, SourceState
from reg_yolo.jobs.work_list import (
    CLAIMS_FOLDER,
    MOST_ATTEMPTS,
    RunSettings,
    Verdict,
    WorkSource,
    attempts_so_far,
    content_digest,
    images_are_stale,
    judge,
    quick_digest,
    result_paths,
    stored_images,
    with_new_times,
)

DETECTIONS_NAME, CSV_NAME = "detections.jsonl", "detections.csv"
KILLED = "the process that worked on it ended without a word: it was killed, or the machine ran out of memory"
_FULL_DISK_BYTES = 1 << 20


@dataclass(frozen=True)
class ProcessedSource:
    """What processing one source brought, beside the files in its folder.

    Attributes:
        frames: Frames and images with a record.
        seconds: Time for reading, inference, drawing and writing.
        holes: Damaged stretches that were skipped, each plain data.
        engine: What ran the network.
        precision: Number format of the network.
        annotated: The annotated video, or the folder with annotated images, inside the source's folder.
    """

    frames: int
    seconds: float
    holes: tuple[Mapping[str, Any], ...] = ()
    engine: str | None = None
    precision: str | None = None
    annotated: Path | None = None


class ProcessSource(Protocol):
    """Processes one source into an empty folder: `detections.jsonl`, `detections.csv` and what else there is.

    It raises KeyboardInterrupt when it was asked to stop, and anything else when the source cannot be processed.
    """

    def __call__(self, source: WorkSource, out: Path) -> ProcessedSource:
        """Process `source` into the folder `out`."""


class WorkReport(Protocol):
    """Is told how the work goes."""

    def finished(self, record: SourceRecord) -> None:
        """Take note that this process is done with a source."""

    def found(self, source: WorkSource, verdict: Verdict) -> None:
        """Take note that a source needs no work, or none any more."""

    def waiting(self, sources: Sequence[WorkSource]) -> None:
        """Take note that other processes hold all that is left."""


@dataclass
class WorkLoop:
    """The work of one process.

    Attributes:
        out: Folder of the results.
        wanted: What the run is to bring.
        process: Processes one source.
        report: Is told how it goes.
        stop: Set to end after the current step.
        before: Records from before the run, where it began in another process; the manifest's own where None.
        lease_s: Seconds without a heartbeat after which a claim is taken over.
        poll_s: Seconds between two looks at what other processes hold.
    """

    out: Path
    wanted: RunSettings
    process: ProcessSource
    report: WorkReport
    stop: threading.Event = field(default_factory=threading.Event)
    before: Mapping[str, SourceRecord] | None = None
    lease_s: float = LEASE_S
    poll_s: float = 1.0

    def run(self, sources: Sequence[WorkSource]) -> Manifest:
        """Work until every source is done, has failed in this run, or is set aside; return the manifest.

        Raises:
            KeyboardInterrupt: If `stop` was set; what is finished stays.
            MediaError: If results cannot be written.
        """
        self._claims = Claims(self.out / CLAIMS_FOLDER, self.lease_s)
        self._manifest = Manifest(self.out / MANIFEST_FILE, self._claims.manifest)
        self._manifest.compact()
        self._before = dict(self._manifest.records) if self.before is None else self.before
        left = list(sources)
        while left:
            held = [source for source in left if not self._settled(source)]
            if len(held) == len(left):
                self.report.waiting(held)
                self.stop.wait(self.poll_s)
            left = held
        self._claims.discard_leftovers()
        self._manifest.refresh()
        return self._manifest

    def _settled(self, source: WorkSource) -> bool:
        """Do what a source needs; return whether nothing is left to do, False where another process holds it."""
        if self.stop.is_set():
            raise KeyboardInterrupt
        verdict = self._judge(source)
        if verdict.needed:
            claim = self._claims.take(source.name)
            if claim is None:
                return False
            with claim:
                # Another process may have finished it between the look and the claim.
                verdict = self._judge(source)
                if verdict.needed and not self._same_content(source, verdict):
                    return self._work(source, claim)
        self.report.found(source, verdict)
        return True

    def _judge(self, source: WorkSource) -> Verdict:
        self._manifest.refresh()
        return judge(source, self._manifest, self.wanted, self._before.get(source.name))

    def _same_content(self, source: WorkSource, verdict: Verdict) -> bool:
        if not verdict.unsure:
            return False
        try:
            record = with_new_times(self._manifest.records[source.name], source)
        except OSError:
            return False
        if record is not None:
            self._manifest.append(record)
        return record is not None

    def _work(self, source: WorkSource, claim: Claim) -> bool:
        hashes = SourceHashes(quick_digest(source.files), "", self.wanted.weights, self.wanted.settings)
        killed = self._manifest.begun.get(source.name)
        if killed is not None:
            record = self._failed(source, SourceHashes(**killed["hashes"]), KILLED)
            if record.state == "set_aside":
                self.report.finished(record)
                return True
        self._manifest.begin(source.name, hashes, worker_name())
        try:
            hashes = _with_content(source, hashes)
            processed = self.process(source, claim.folder)
            if quick_digest(source.files) != hashes.quick:
                raise MediaError(f"{source.files[0]} changed while it was read.")
            if claim.lost:
                return False
            record = self._publish(source, hashes, processed, claim.folder)
        except KeyboardInterrupt:
            self._manifest.give_back(source.name)
            raise
        except Exception as error:
            if claim.lost:
                return False
            if shutil.disk_usage(self.out).free < _FULL_DISK_BYTES:
                self._manifest.give_back(source.name)
                raise MediaError(f"{self.out}: the disk is full; free some room and run the command again.") from error
            record = self._failed(source, hashes, _one_line(error))
        else:
            self._manifest.append(record)
        self.report.finished(record)
        return True

    def _publish(
        self, source: WorkSource, hashes: SourceHashes, processed: ProcessedSource, folder: Path
    ) -> SourceRecord:
        paths = result_paths(source.name, self.out)
        annotated = None
        earlier = stored_images(source, self.out, self._manifest.records.get(source.name))
        if earlier is not None:
            _remove(earlier)
        if processed.annotated is not None:
            annotated = paths["annotated"].with_name(paths["annotated"].name + processed.annotated.suffix)
            _replace(processed.annotated, annotated)
        if (folder / CSV_NAME).exists():
            _replace(folder / CSV_NAME, paths["csv"])
        _replace(folder / DETECTIONS_NAME, paths["detections"])
        return SourceRecord(
            source.name,
            "done",
            hashes,
            seconds=processed.seconds,
            frames=processed.frames,
            holes=processed.holes,
            engine=processed.engine,
            precision=processed.precision,
            detections=paths["detections"].relative_to(self.out).as_posix(),
            annotated=None if annotated is None else annotated.relative_to(self.out).as_posix(),
            shown=None if annotated is None else self.wanted.shown,
            worker=worker_name(),
        )

    def _failed(self, source: WorkSource, hashes: SourceHashes, error: str) -> SourceRecord:
        earlier = self._manifest.records.get(source.name)
        attempts = attempts_so_far(earlier, hashes) + 1
        state: SourceState = "set_aside" if attempts >= MOST_ATTEMPTS else "failed"
        # Images of an earlier run stay, and with them what is known of their blurring.
        record = SourceRecord(
            source.name,
            state,
            hashes,
            error=error,
            attempts=attempts,
            annotated=None if earlier is None else earlier.annotated,
            shown=None if earlier is None else earlier.shown,
            worker=worker_name(),
        )
        self._manifest.append(record)
        return record


def remove_stale_images(
    sources: Sequence[WorkSource], out: Path, wanted: RunSettings, lease_s: float = LEASE_S
) -> list[str]:
    """Remove stored images that show what this run would blur, and return the names of their sources.

    Sources that another process holds are left to it.

    Args:
        sources: All of the run.
        out: Folder of the results.
        wanted: What the run is to bring.
        lease_s: Seconds without a heartbeat after which a claim is taken over.
    """
    claims = Claims(out / CLAIMS_FOLDER, lease_s)
    manifest = Manifest(out / MANIFEST_FILE, claims.manifest)
    removed = []
    for source in sources:
        if not images_are_stale(source, out, manifest.records.get(source.name), wanted):
            continue
        claim = claims.take(source.name)
        if claim is None:
            continue
        with claim:
            manifest.refresh()
            record = manifest.records.get(source.name)
            images = stored_images(source, out, record)
            if images is None or not images_are_stale(source, out, record, wanted):
                continue
            _remove(images)
            if record is not None:
                manifest.append(replace(record, annotated=None, shown=None))
            removed.append(source.name)
    return removed


def worker_name() -> str:
    """Return the machine and the process, as the manifest names them."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _with_content(source: WorkSource, hashes: SourceHashes) -> SourceHashes:
    try:
        return SourceHashes(hashes.quick, content_digest(source.files), hashes.weights, hashes.settings)
    except OSError as error:
        raise MediaError(f"{error.filename or source.files[0]} cannot be read: {error.strerror}.") from None


def _replace(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        _remove(target)
    path.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:500] if isinstance(error, RegYoloError) else f"{type(error).__name__}: {text}"[:500]
