"""`predict` from Python and from the command line: detections as JSON Lines and CSV, annotated pictures and video."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from ultralytics.data.augment import LetterBox
from ultralytics.utils import LOGGER, TQDM
from ultralytics.utils.checks import check_imgsz

from reg_yolo import __version__
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.video.detections import FrameDetections
from reg_yolo.video.detections_header import DetectionsHeader
from reg_yolo.video.detections_io import CsvWriter, DetectionsWriter
from reg_yolo.video.sources import Source, probe_video, resolve_source
from reg_yolo.yolo.arguments import check_arguments, check_class_filter, check_own_keys
from reg_yolo.yolo.checkpoints import file_sha256, read_thresholds, thresholds_file
from reg_yolo.yolo.detector import Detector, open_detector
from reg_yolo.yolo.predict_frames import expected_frames, predicted_frames
from reg_yolo.yolo.predict_pictures import AnnotatedPictures
from reg_yolo.yolo.predictor import RegDetectionPredictor
from reg_yolo.yolo.run_folder import new_run_folder, removed_on_failure

DEFAULT_CONFIDENCE = 0.25


class PartlyRead(Exception):
    """Some files of the source could not be read; closes the detections file as incomplete."""


@dataclass
class PredictionSummary:
    """What a prediction left.

    Attributes:
        folder: Where everything lies.
        detections_file: JSON Lines, schema in docs/detections_jsonl.md.
        csv_file: One row for each object.
        annotated: Annotated videos and images.
        counts: Objects by class name, over all frames.
        frames: Frames and images.
        seconds: Time for reading, inference, drawing and writing.
        thresholds: Confidence threshold by class name.
        failed: Files that could not be read, with the reason; the others are done.
    """

    folder: Path
    detections_file: Path
    csv_file: Path
    annotated: list[Path] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0
    thresholds: dict[str, float] = field(default_factory=dict)
    failed: dict[Path, str] = field(default_factory=dict)


def predict(
    weights: str | Path,
    source: str | Path,
    *,
    out: str | Path | None = None,
    trust: bool = False,
    on_frame: Callable[[FrameDetections], None] | None = None,
    **arguments: Any,
) -> PredictionSummary:
    """Run weights over images or video; frames stream through, whatever their number.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one.
        source: An image, a video, a folder, a glob pattern or a text list.
        out: Folder for the results; by default a new one under ./runs.
        trust: Load checkpoints that run code of their own.
        on_frame: Called with the detections of every frame.
        arguments: Ultralytics' arguments, such as `conf` (one threshold for all classes instead of the stored ones),
            `imgsz`, `device`, `vid_stride`, or `save=False` for no annotated pictures.

    Raises:
        RegYoloError: If weights or source cannot be read.
    """
    own = check_own_keys(arguments, "predict")
    draw, conf = own.pop("save", True), own.pop("conf", None)
    detector = open_detector(weights, trust=trust)
    check_class_filter(own.get("classes"), detector.class_names)
    media = resolve_source(source)
    thresholds = choose_thresholds(detector, conf)
    settings = {
        "imgsz": detector.imgsz,
        "rect": True,
        "batch": 1,
        **own,
        "conf": min(thresholds.values()),
        "task": "detect",
        "mode": "predict",
        "model": str(detector.path),
        "save": False,
        "verbose": False,
    }
    check_arguments({**settings, "save": draw})
    folder = new_run_folder(settings, "predict", out)
    summary = PredictionSummary(
        folder,
        folder / "detections.jsonl",
        folder / "detections.csv",
        counts=dict.fromkeys(detector.class_names, 0),
        thresholds=thresholds,
    )
    with removed_on_failure(folder, kept=lambda: summary.frames > 0), listening_for_signals() as asked_to_stop:
        predictor = RegDetectionPredictor(overrides={**settings, "save_dir": str(folder)})
        predictor.class_thresholds = list(thresholds.values())
        predictor.setup_model(str(detector.path), verbose=False)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _run(media, predictor, detector, summary, on_frame, asked_to_stop, draw=draw)
        except PartlyRead:
            LOGGER.warning(f"{len(summary.failed)} of {len(media.files)} files could not be read")
        except KeyboardInterrupt:
            if summary.frames:
                LOGGER.warning(f"Interrupted after {summary.frames} frames, which are in {folder}")
            raise
    return summary


@contextmanager
def listening_for_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets; a second one interrupts at once.

    Acting inside the handler could tear a frame apart that is just being written.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def receive(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def choose_thresholds(detector: Detector, conf: Any = None) -> dict[str, float]:
    """Return the confidence threshold of every class: `conf` if given, else the stored ones, else 0.25.

    Raises:
        ConfigError: If `conf` is not in [0, 1].
    """
    names, weights = detector.class_names, detector.path
    if conf is not None:
        if isinstance(conf, bool) or not isinstance(conf, (int, float)) or not 0 <= conf <= 1:
            raise ConfigError(f"conf: got {conf!r}, expected a number from 0 to 1")
        return dict.fromkeys(names, float(conf))
    found = read_thresholds(weights, detector.metadata)
    beside = thresholds_file(weights)
    if beside.is_file() and (found is None or found[1] != str(beside)):
        LOGGER.warning(f"{beside} belongs to other weights and is passed over; `reg-yolo val` makes it anew")
    if found is None:
        LOGGER.info(f"No thresholds stored with {weights}: {DEFAULT_CONFIDENCE} for every class")
        return dict.fromkeys(names, DEFAULT_CONFIDENCE)
    thresholds, origin = found
    LOGGER.info(f"Thresholds by class ({thresholds.criterion}) from {origin}")
    return dict(zip(names, thresholds.for_classes(names), strict=True))


def network_input(predictor: RegDetectionPredictor, height: int, width: int) -> tuple[int, int]:
    """Return height and width in pixels that a frame of the given size has when it enters the network."""
    size = check_imgsz(predictor.args.imgsz, stride=predictor.model.stride, min_dim=2)
    letterbox = LetterBox(size, auto=predictor.args.rect, stride=predictor.model.stride)
    rows, columns = letterbox(image=np.zeros((height, width, 3), np.uint8)).shape[:2]
    return int(rows), int(columns)


def _header(
    media: Source, predictor: RegDetectionPredictor, detector: Detector, thresholds: dict[str, float]
) -> DetectionsHeader:
    size = check_imgsz(predictor.args.imgsz, stride=predictor.model.stride, min_dim=2)
    video = probe_video(media.videos[0]) if media.kind == "video" else None
    return DetectionsHeader(
        source=media.given,
        classes=tuple(detector.class_names),
        weights_name=detector.path.name,
        weights_sha256=file_sha256(detector.path),
        engine="pytorch",
        precision="f16" if predictor.model.fp16 else "f32",
        imgsz=network_input(predictor, video.height, video.width) if video else (int(size[0]), int(size[1])),
        device=str(predictor.device),
        thresholds=thresholds,
        reg_yolo_version=__version__,
        width=video.width if video else None,
        height=video.height if video else None,
        fps=video.fps if video else None,
        frame_count=video.frame_count if video else None,
        extra={"vid_stride": int(predictor.args.vid_stride)} if predictor.args.vid_stride != 1 else {},
    )


def _run(
    media: Source,
    predictor: RegDetectionPredictor,
    detector: Detector,
    summary: PredictionSummary,
    on_frame: Callable[[FrameDetections], None] | None,
    asked_to_stop: threading.Event,
    *,
    draw: bool,
) -> None:
    names, stride = detector.class_names, int(predictor.args.vid_stride)
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.callback(lambda: setattr(summary, "seconds", time.perf_counter() - started))
        bar = stack.enter_context(TQDM(total=expected_frames(media, stride), unit=" frames", desc="predict"))
        jsonl = stack.enter_context(
            DetectionsWriter(summary.detections_file, _header(media, predictor, detector, summary.thresholds))
        )
        table = stack.enter_context(CsvWriter(summary.csv_file))
        pictures = stack.enter_context(AnnotatedPictures(summary.folder, names, media, stride))
        summary.annotated = pictures.files
        for frame in predicted_frames(media, predictor, names, summary.failed):
            jsonl.write(frame.detections)
            table.write(frame.detections)
            summary.frames += 1
            for detection in frame.detections.detections:
                summary.counts[detection.class_name] += 1
            if on_frame is not None:
                on_frame(frame.detections)
            if draw:
                pictures.write(frame)
            bar.update(1)
            if asked_to_stop.is_set():
                raise KeyboardInterrupt
        if summary.failed:
            reasons = list(summary.failed.values())
            if not summary.frames:
                raise MediaError(f"{media.given}: none of its {len(media.files)} files can be read; {reasons[0]}")
            raise PartlyRead(f"{len(reasons)} of {len(media.files)} files could not be read: {'; '.join(reasons[:3])}")
