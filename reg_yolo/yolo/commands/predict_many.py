"""`predict` over many sources: each with results of its own, and a manifest of what is done. See docs/many_files.md."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.detections.holes import Hole
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.jobs.cluster import Cluster, ClusterWork, run_on_cluster
from reg_yolo.jobs.manifest import MANIFEST_FILE, Manifest, SourceRecord
from reg_yolo.jobs.work_list import RunSettings, WorkSource, judge, list_sources, parse_shard
from reg_yolo.jobs.work_loop import ProcessedSource, WorkLoop, remove_stale_images
from reg_yolo.signals import listening_for_signals
from reg_yolo.video.sources import MediaFile, Source, resolve_source
from reg_yolo.yolo.commands.many_progress import ManyProgress
from reg_yolo.yolo.commands.run_folder import new_run_folder
from reg_yolo.yolo.prediction.job import run_job
from reg_yolo.yolo.prediction.session import Prediction
from reg_yolo.yolo.prediction.settings import PredictSettings, read_settings, with_options


@dataclass(frozen=True)
class ManySummary:
    """What a run over many sources left.

    Attributes:
        folder: Where everything lies.
        manifest_file: What became of each source, also of earlier runs and other shards.
        records: The sources of this run with their records; None for one that has none, as after a lost cluster.
        changed: Names of those that this run worked on, in whichever process.
        removed: Names of those whose stored images were removed, as they were not blurred in the way of this run.
    """

    folder: Path
    manifest_file: Path
    records: Mapping[str, SourceRecord | None]
    changed: Sequence[str]
    removed: Sequence[str] = ()

    @property
    def unfinished(self) -> list[str]:
        """Names of the sources that are not done, or of which a part could not be read."""
        return [
            name
            for name, record in self.records.items()
            if record is None
            or record.state != "done"
            or any(hole.get("reason") == "unreadable" for hole in record.holes)
        ]


@with_options
def predict_many(
    weights: str | Path,
    source: str | Path | Source,
    *,
    out: str | Path | None = None,
    shard: str | None = None,
    retry: bool = False,
    drives: bool = False,
    cluster: Cluster | None = None,
    chosen: Sequence[WorkSource] | None = None,
    settings: PredictSettings | None = None,
    **options: Any,
) -> ManySummary:
    """Run weights over every source that is missing, changed or failed, whatever other processes do at the same time.

    Args:
        weights: As for `predict`.
        source: A folder, a glob pattern or a text list.
        out: Folder for the results; by default one under ./runs that the same call finds again.
        shard: `i/n` takes the i-th of n shares of the sources.
        retry: Take up again what was set aside.
        drives: The videos of each folder are the chapters of one drive.
        cluster: Where to spread the work; None for this process.
        chosen: What is a source, where the caller has sorted that out; `source` then only names the folder.
        settings: What `options` start from; by default the defaults.
        options: As for `predict`; `save=True` for annotated video.

    Raises:
        RegYoloError: If weights or source cannot be read, settings are wrong, or not one source is done.
        KeyboardInterrupt: After Ctrl-C or SIGTERM; what is finished stays.
    """
    checked = read_settings(settings, **options)
    if checked.gnss is not None:
        raise ConfigError("`gnss`: belongs to one drive; run the sources one by one, or thin by `every` with `speed`")
    share = parse_shard(shard)
    media = resolve_source(source) if chosen is None else Source(str(source), "folder", ())
    prediction = Prediction(weights, checked)
    folder = _results_folder(prediction, media, out)
    listed = list_sources(media, folder, drives=drives) if chosen is None else chosen
    sources = [item for item in listed if share.has(item.name)]
    wanted = RunSettings(
        prediction.weights_sha256, prediction.settings_sha256, bool(checked.draw), retry, prediction.shown_digest
    )
    folder.mkdir(parents=True, exist_ok=True)
    removed = remove_stale_images(sources, folder, wanted)
    manifest = Manifest(folder / MANIFEST_FILE)
    before = dict(manifest.records)
    due = [item for item in sources if judge(item, manifest, wanted, before.get(item.name)).needed]
    LOGGER.info(f"{len(due)} of {len(sources)} sources to do, results in {folder}")
    with listening_for_signals() as stop, ManyProgress([item.name for item in due]) as progress:
        if cluster is not None and due:
            opening = OpenPrediction(str(prediction.detector.path.absolute()), _with_absolute_paths(checked))
            work = ClusterWork(folder, wanted, opening, wanted.weights + wanted.settings, before)
            manifest = run_on_cluster(due, work, cluster, progress, stop)
        else:
            manifest = WorkLoop(folder, wanted, ProcessOne(prediction, stop), progress, stop).run(sources)
    records = {item.name: manifest.records.get(item.name) for item in sources}
    summary = ManySummary(folder, manifest.path, records, [item.name for item in due], removed)
    _require_something(media, summary)
    return summary


def is_many(source: str | Path | Source) -> bool:
    """Return whether each of several sources gets a detections file of its own: several videos, or images next to one.

    What cannot be read at all is left to `predict` to refuse.
    """
    try:
        media = resolve_source(source)
    except MediaError:
        return False
    return media.kind in {"folder", "glob", "list"} and len(media.videos) + bool(media.images) > 1


@dataclass
class ProcessOne:
    """Runs an opened prediction over one source: the `ProcessSource` of the work loop.

    Attributes:
        prediction: With its models, which stay open from source to source.
        stop: Looked at after every frame.
    """

    prediction: Prediction
    stop: threading.Event

    def __call__(self, source: WorkSource, out: Path) -> ProcessedSource:
        """Process `source` into the folder `out`."""
        media = _media_of(source)
        draw = bool(self.prediction.settings.draw)
        choice = self.prediction.choose(media, long=True)
        summary = run_job(self.prediction.job(media, out, choice, draw=draw), None, self.stop)
        holes = [hole.to_record() for hole in summary.holes]
        known = {hole["source"] for hole in holes if hole["reason"] == "unreadable"}
        holes += [
            Hole(str(path), 0.0, None, "unreadable").to_record() for path in summary.failed if str(path) not in known
        ]
        return ProcessedSource(
            summary.frames,
            summary.seconds,
            tuple(holes),
            choice.engine,
            choice.precision,
            _gathered(summary.annotated, out, source) if draw else None,
        )


@dataclass(frozen=True)
class OpenPrediction:
    """Opens a prediction in one of a cluster's processes.

    Attributes:
        weights: At the same path on every machine.
        settings: With files at the same paths on every machine.
    """

    weights: str
    settings: PredictSettings

    def __call__(self, stop: threading.Event) -> ProcessOne:
        """Check and open everything."""
        return ProcessOne(Prediction(self.weights, self.settings), stop)


def _with_absolute_paths(settings: PredictSettings) -> PredictSettings:
    """Return the settings with absolute files: the cluster's processes have working directories of their own."""

    def absolute(value: Any) -> Any:
        place, colon, rest = str(value).partition(":")
        known = isinstance(value, (str, Path)) and Path(place).is_file()
        return f"{Path(place).absolute()}{colon}{rest}" if known else value

    arguments = {key: absolute(value) if key == "tracker" else value for key, value in settings.arguments.items()}
    return replace(
        settings,
        track=absolute(settings.track),
        data=absolute(settings.data),
        blur=tuple(absolute(value) for value in settings.blur),
        arguments=arguments,
    )


def _results_folder(prediction: Prediction, media: Source, out: str | Path | None) -> Path:
    """Return `out`, or a folder under ./runs that the same weights and source lead to again."""
    if out is None and not prediction.arguments.get("name"):
        place = Path(media.given).expanduser().absolute()
        digest = hashlib.sha256(f"{prediction.weights_sha256}\0{place}".encode(errors="surrogateescape")).hexdigest()
        stem = next((part for part in reversed(place.parts) if not set(part) & set("*?[")), "many")
        arguments = {**prediction.arguments, "name": f"{Path(stem).stem}-{digest[:6]}", "exist_ok": True}
        return new_run_folder(arguments, "predict")
    return new_run_folder({**prediction.arguments, "exist_ok": True}, "predict", out)


def _media_of(source: WorkSource) -> Source:
    kind = "image" if source.kind == "images" else "video"
    files = tuple(MediaFile(path, "image" if kind == "image" else "video") for path in source.files)
    given = str(source.files[0] if source.kind == "video" else source.files[0].parent)
    return Source(given, {"images": "folder", "drive": "drive", "video": "video"}[source.kind], files)  # type: ignore[arg-type]


def _gathered(annotated: Sequence[Path], out: Path, source: WorkSource) -> Path | None:
    """Return the annotated video, or a folder with all of the images or videos."""
    if not annotated:
        return None
    if source.kind != "images" and len(annotated) == 1:
        return annotated[0]
    folder = out / "annotated"
    folder.mkdir()
    for path in annotated:
        path.replace(folder / path.name)
    return folder


def _require_something(media: Source, summary: ManySummary) -> None:
    records = [record for record in summary.records.values() if record is not None]
    failed = [record for record in records if record.state != "done"]
    if failed and len(failed) == len(summary.records):
        reasons = "; ".join(str(record.error) for record in failed[:3])
        raise MediaError(f"{media.given}: none of its {len(failed)} sources could be processed: {reasons}")
