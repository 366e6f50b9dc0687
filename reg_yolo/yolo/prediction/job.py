"""One prediction from its first frame to its last: records, tables and pictures as the frames come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ultralytics.utils import LOGGER, TQDM
from ultralytics.utils.checks import check_imgsz
from ultralytics.utils.patches import imread

from reg_yolo import __version__
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import CsvWriter, DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.detections.holes import Hole
from reg_yolo.errors import MediaError
from reg_yolo.files import file_sha256
from reg_yolo.video.reading import Unreadable, expected_frames, read_source
from reg_yolo.video.sources import Source, probe_video
from reg_yolo.video.tiles import crops_of
from reg_yolo.yolo.engines.choice import EngineChoice
from reg_yolo.yolo.prediction.annotated import AnnotatedPictures
from reg_yolo.yolo.prediction.blurring import PrivateFinder
from reg_yolo.yolo.prediction.frames import PredictedFrame, PredictedItem, predicted_frames
from reg_yolo.yolo.prediction.settings import PredictOptions
from reg_yolo.yolo.prediction.tracking import DriveTracker, tracked_frames
from reg_yolo.yolo.weights.detector import Detector


class PartlyRead(Exception):
    """Some files of the source could not be read; closes the detections file as incomplete."""


@dataclass
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
    """

    folder: Path
    detections_file: Path
    csv_file: Path
    engine: EngineChoice
    annotated: list[Path] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0
    thresholds: dict[str, float] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)


@dataclass(frozen=True)
class PredictionJob:
    """What a run is made of, once everything is checked.

    Attributes:
        media: What to run over.
        detector: The weights.
        predictor: Upstream's predictor of their task, after `set_up`.
        choice: What runs the network.
        options: How the source is looked at.
        draw: Whether pictures are stored.
        finders: What finds faces and plates.
        tracker: Gives objects their identities; None for none.
        bar: Whether progress is shown.
    """

    media: Source
    detector: Detector
    predictor: Any
    choice: EngineChoice
    options: PredictOptions
    draw: bool
    finders: list[PrivateFinder]
    tracker: DriveTracker | None = None
    bar: bool = True


def network_input(predictor: Any, height: int, width: int) -> tuple[int, int]:
    """Return height and width in pixels that a picture of the given size has when it enters the network."""
    rows, columns = predictor.pre_transform([np.zeros((height, width, 3), np.uint8)])[0].shape[:2]
    return int(rows), int(columns)


def _header(job: PredictionJob, thresholds: dict[str, float]) -> DetectionsHeader:
    media, predictor, detector = job.media, job.predictor, job.detector
    size = check_imgsz(predictor.args.imgsz, stride=predictor.model.stride, min_dim=2)
    video = probe_video(media.videos[0]) if media.kind == "video" else None
    entering = (int(size[0]), int(size[1]))
    if video is not None:
        whole = crops_of(video.width, video.height, job.options.view.region, None)[0]
        entering = network_input(predictor, whole.bottom - whole.top, whole.right - whole.left)
    extra = dict(job.options.recorded)
    if detector.mask_classes:
        extra["mask_classes"] = detector.mask_classes
    if "map_change" in job.choice.facts:
        extra["int8"] = {key: job.choice.facts[key] for key in ("map_before", "map_after")}
    if job.tracker is not None:
        extra["track"] = job.tracker.settings.name
    if job.finders:
        extra["blur"] = [finder.name for finder in job.finders]
    return DetectionsHeader(
        source=media.given,
        classes=tuple(detector.class_names),
        weights_name=detector.path.name,
        weights_sha256=file_sha256(detector.path),
        engine=job.choice.engine,
        precision=job.choice.precision,
        imgsz=entering,
        device=str(predictor.device),
        thresholds=thresholds,
        reg_yolo_version=__version__,
        width=video.width if video else None,
        height=video.height if video else None,
        fps=video.fps if video else None,
        frame_count=video.frame_count if video else None,
        extra=extra,
    )


def run_job(
    job: PredictionJob,
    summary: PredictionSummary,
    on_frame: Callable[[FrameDetections], None] | None,
    asked_to_stop: threading.Event,
) -> None:
    """Run a job to its end and fill its summary, its detections files and its pictures.

    Args:
        job: The job.
        summary: Filled as the job goes on.
        on_frame: Called with the detections of every frame.
        asked_to_stop: Looked at after every frame.

    Raises:
        PartlyRead: If files could not be read; the others are done.
        MediaError: If none could.
        KeyboardInterrupt: If asked to stop.
    """
    media, names = job.media, job.detector.class_names
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.callback(lambda: setattr(summary, "seconds", time.perf_counter() - started))
        total = expected_frames(media, job.options.thinning)
        bar = stack.enter_context(TQDM(total=total, unit=" frames", desc="predict", disable=None if job.bar else True))
        jsonl = stack.enter_context(DetectionsWriter(summary.detections_file, _header(job, summary.thresholds)))
        table = stack.enter_context(CsvWriter(summary.csv_file))
        pictures = AnnotatedPictures(summary.folder, names, media, job.options.step_s, job.finders)
        summary.annotated = pictures.files
        stack.enter_context(pictures)
        items = read_source(media, imread, job.options.thinning)
        predicted: Iterator[PredictedItem] = stack.enter_context(
            closing(predicted_frames(items, job.predictor, names, job.options.view))
        )
        if job.tracker is not None:
            predicted = tracked_frames(predicted, job.tracker, one_drive=media.kind == "drive")
        for item in predicted:
            if isinstance(item, PredictedFrame):
                found = item.detections
                jsonl.write(found)
                table.write(found)
                summary.frames += 1
                for detection in found.detections:
                    summary.counts[detection.class_name] += 1
                if on_frame is not None:
                    on_frame(found)
                if job.draw:
                    pictures.write(item)
                bar.update(1)
            elif isinstance(item, Unreadable):
                summary.failed[item.path] = item.reason
                LOGGER.warning(item.reason)
            elif isinstance(item, Hole):
                summary.holes.append(item)
                jsonl.write_event(item)
                LOGGER.warning(f"Hole in {item}")
            else:
                jsonl.write_event(item)
            del item
            if asked_to_stop.is_set():
                raise KeyboardInterrupt
        if summary.failed:
            reasons = list(summary.failed.values())
            if not summary.frames:
                raise MediaError(f"{media.given}: none of its {len(media.files)} files can be read; {reasons[0]}")
            raise PartlyRead(f"{len(reasons)} of {len(media.files)} files could not be read: {'; '.join(reasons[:3])}")
