"""One prediction from its first frame to its last: records, tables and images as the frames come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ultralytics.utils import LOGGER
from ultralytics.utils.checks import check_imgsz

from reg_yolo import __version__
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import CsvWriter, DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join
from reg_yolo.errors import MediaError
from reg_yolo.evaluation.calibration import ClassTemperatures
from reg_yolo.files import file_sha256
from reg_yolo.progress import counted_line
from reg_yolo.video.reading import Unreadable, read_source
from reg_yolo.video.sources import Source
from reg_yolo.video.tiles import Crop
from reg_yolo.yolo.engines.choice import EngineChoice
from reg_yolo.yolo.prediction.annotated import AnnotatedPictures
from reg_yolo.yolo.prediction.blurring import PrivateFinder
from reg_yolo.yolo.prediction.frames import PredictedFrame, PredictedItem, predicted_frames
from reg_yolo.yolo.prediction.images import read_image
from reg_yolo.yolo.prediction.settings import PredictSettings
from reg_yolo.yolo.prediction.tracking import DriveTracker, tracked_frames
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.thresholds import choose_thresholds


class _PartlyRead(Exception):
    """Some files of the source could not be read; closes the detections file as incomplete."""


@dataclass(frozen=True)
class PredictionSummary:
    """What a prediction left.

    Attributes:
        folder: Where everything lies.
        detections_file: JSON Lines, schema in docs/detections_jsonl.md.
        csv_file: One row for each object.
        engine: What ran the network, and why.
        annotated: Annotated videos and images.
        counts: Objects by class name, over all frames.
        frames: Frames and images.
        seconds: Time for reading, inference, drawing and writing.
        thresholds: Confidence threshold by class name.
        failed: Files that could not be read, with the reason; the others are done.
        holes: Stretches of damaged videos that gave no frames; the rest of them is done.
        joins: Places where the timestamps of a video start again and its time is carried on.
        dropped_boxes: Boxes that the network gave and suppression left out: inverted, not finite, or too many.
    """

    folder: Path
    detections_file: Path
    csv_file: Path
    engine: EngineChoice
    annotated: list[Path]
    counts: dict[str, int]
    frames: int
    seconds: float
    thresholds: dict[str, float]
    failed: dict[Path, str]
    holes: list[Hole]
    joins: list[Join] = field(default_factory=list)
    dropped_boxes: int = 0


@dataclass(frozen=True)
class PredictionJob:
    """What a run is made of, once everything is checked.

    Attributes:
        media: What to run over.
        folder: Where the results go; it is made.
        settings: How the source is looked at.
        detector: The weights.
        thresholds: Confidence threshold by class name.
        predictor: Upstream's predictor of their task, after `set_up`.
        choice: What runs the network.
        draw: Whether annotated images are stored.
        finders: What finds faces and plates.
        tracker: Gives objects their identities; None for none.
        temperatures: What confidences are calibrated with; None for the network's own.
    """

    media: Source
    folder: Path
    settings: PredictSettings
    detector: Detector
    thresholds: dict[str, float]
    predictor: Any
    choice: EngineChoice
    draw: bool
    finders: list[PrivateFinder]
    tracker: DriveTracker | None = None
    temperatures: ClassTemperatures | None = None


def network_input(predictor: Any, part: Crop) -> tuple[int, int]:
    """Return height and width in pixels that a part of a frame has when it enters the network."""
    columns, rows = part.size
    entering = predictor.pre_transform([np.zeros((rows, columns, 3), np.uint8)])[0]
    return int(entering.shape[0]), int(entering.shape[1])


def _header(job: PredictionJob) -> DetectionsHeader:
    predictor, detector, video = job.predictor, job.detector, job.media.video
    size = check_imgsz(predictor.args.imgsz, stride=predictor.model.stride, min_dim=2)
    entering = (int(size[0]), int(size[1]))
    if video is not None:
        entering = network_input(predictor, job.settings.view.whole(video.width, video.height))
    extra = {**job.settings.recorded, "suppression": job.settings.ranking.kind}
    if detector.mask_classes:
        extra["mask_classes"] = detector.mask_classes
    if "map_change" in job.choice.facts:
        extra["int8"] = {key: job.choice.facts[key] for key in ("map_before", "map_after")}
    if job.temperatures is not None:
        extra["temperatures"] = job.temperatures.values
    if job.settings.for_inventory:
        stored = choose_thresholds(detector, None)
        extra["stored_thresholds"] = stored if job.temperatures is None else job.temperatures.thresholds(stored)
    if job.tracker is not None:
        extra["track"] = job.tracker.settings.name
    if job.finders:
        extra["blur"] = [finder.stated for finder in job.finders]
    return DetectionsHeader(
        source=job.media.given,
        classes=tuple(detector.class_names),
        weights_name=detector.path.name,
        weights_sha256=file_sha256(detector.path),
        engine=job.choice.engine,
        precision=job.choice.precision,
        imgsz=entering,
        device=str(predictor.device),
        thresholds=job.thresholds,
        reg_yolo_version=__version__,
        width=video.width if video else None,
        height=video.height if video else None,
        fps=video.fps if video else None,
        frame_count=video.frame_count if video else None,
        extra=extra,
    )


def run_job(
    job: PredictionJob, on_frame: Callable[[FrameDetections], None] | None, asked_to_stop: threading.Event
) -> PredictionSummary:
    """Run a job to its end, write its detections files and annotated images, and return what it left.

    Args:
        job: The job.
        on_frame: Called with the detections of every frame.
        asked_to_stop: Looked at after every frame.

    Raises:
        MediaError: If no file of the source could be read. Where some could, the summary names the others.
        KeyboardInterrupt: If asked to stop.
    """
    media, settings, names = job.media, job.settings, job.detector.class_names
    counts = dict.fromkeys(names, 0)
    failed: dict[Path, str] = {}
    holes: list[Hole] = []
    joins: list[Join] = []
    job.folder.mkdir(parents=True, exist_ok=True)
    header = _header(job)
    # How many frames thinning leaves of a video nobody knows before.
    total = media.frame_count if settings.thinning is None or not media.videos else None
    jsonl = DetectionsWriter(job.folder / "detections.jsonl", header)
    table = CsvWriter(job.folder / "detections.csv")
    pictures = AnnotatedPictures(job.folder, names, media, settings.step_s, job.finders)
    items = read_source(media, read_image, settings.thinning)
    started = time.perf_counter()
    left_out = job.predictor.suppression.left_out
    with (
        suppress(_PartlyRead), counted_line("predict", "frames") as progress, jsonl, table, pictures,
        closing(predicted_frames(items, job.predictor, names, settings.view, settings.polygons)) as predicted,
    ):  # fmt: skip
        found_items: Iterator[PredictedItem] = predicted
        if job.tracker is not None:
            found_items = tracked_frames(predicted, job.tracker, one_drive=media.kind == "drive")
        for item in found_items:
            if isinstance(item, PredictedFrame):
                found = item.detections
                jsonl.write(found)
                table.write(found)
                for detection in found.detections:
                    counts[detection.class_name] += 1
                if on_frame is not None:
                    on_frame(found)
                if job.draw:
                    pictures.write(item)
                progress(jsonl.frames, total)
            elif isinstance(item, Unreadable):
                failed[item.path] = item.reason
                LOGGER.warning(item.reason)
            elif isinstance(item, Hole):
                holes.append(item)
                jsonl.write_event(item)
                LOGGER.warning(f"Hole in {item}")
            else:
                jsonl.write_event(item)
                if isinstance(item, Join):
                    joins.append(item)
                    LOGGER.warning(f"Join in {item}; time goes on as if nothing lay between")
            del item
            if asked_to_stop.is_set():
                raise KeyboardInterrupt
        if failed:
            reasons = "; ".join(list(failed.values())[:3])
            if jsonl.frames:
                raise _PartlyRead(f"{len(failed)} of {len(media.files)} files could not be read: {reasons}")
            raise MediaError(
                reasons
                if len(media.files) == 1
                else f"{media.given}: none of its {len(media.files)} files can be read; {next(iter(failed.values()))}"
            )
    dropped = job.predictor.suppression.left_out - left_out
    if dropped:
        LOGGER.warning(f"{media.given}: {dropped} boxes were left out: inverted, not finite, or too many for soft-NMS")
    return PredictionSummary(
        folder=job.folder,
        detections_file=jsonl.path,
        csv_file=table.path,
        engine=job.choice,
        annotated=pictures.files,
        counts=counts,
        frames=jsonl.frames,
        seconds=time.perf_counter() - started,
        thresholds=job.thresholds,
        failed=failed,
        holes=holes,
        joins=joins,
        dropped_boxes=dropped,
    )
