"""`predict` from Python and from the command line: detections as JSON Lines and CSV, annotated pictures and video."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ultralytics.utils import LOGGER, TQDM
from ultralytics.utils.checks import check_imgsz
from ultralytics.utils.patches import imread
from ultralytics.utils.torch_utils import select_device

from reg_yolo import __version__
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.video.detections import FrameDetections
from reg_yolo.video.detections_header import DetectionsHeader
from reg_yolo.video.detections_io import CsvWriter, DetectionsWriter
from reg_yolo.video.holes import Hole
from reg_yolo.video.reading import Unreadable, expected_frames, read_source
from reg_yolo.video.sources import Source, as_drive, probe_video, resolve_source
from reg_yolo.video.tiles import crops_of
from reg_yolo.yolo.arguments import check_arguments, check_class_filter, check_own_keys
from reg_yolo.yolo.blurring import PrivateFinder, open_finders
from reg_yolo.yolo.checkpoints import file_sha256
from reg_yolo.yolo.class_thresholds import choose_thresholds
from reg_yolo.yolo.detector import Detector, open_detector
from reg_yolo.yolo.engines import EngineChoice
from reg_yolo.yolo.inference import default_batch
from reg_yolo.yolo.predict_engine import engine_for, frames_to_run, open_chosen
from reg_yolo.yolo.predict_frames import PredictedFrame, predicted_frames
from reg_yolo.yolo.predict_options import PredictOptions, read_options
from reg_yolo.yolo.predict_pictures import AnnotatedPictures
from reg_yolo.yolo.predictor import PREDICTORS
from reg_yolo.yolo.preparation import set_up
from reg_yolo.yolo.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.stopping import listening_for_signals


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
class _Job:
    """What a run is made of, once everything is checked."""

    media: Source
    detector: Detector
    predictor: Any
    choice: EngineChoice
    options: PredictOptions
    draw: bool
    finders: list[PrivateFinder]


def predict(
    weights: str | Path,
    source: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    trust: bool = False,
    on_frame: Callable[[FrameDetections], None] | None = None,
    drive: bool = False,
    every: str | int | None = None,
    speed: float | None = None,
    gpx: str | Path | None = None,
    gpx_offset: float = 0.0,
    roi: str | Sequence[float] | None = None,
    tiles: str | int | None = None,
    blur: Sequence[str | Path] = (),
    engine: str = "auto",
    precision: str | None = None,
    int8: bool = False,
    data: str | Path | None = None,
    **arguments: Any,
) -> PredictionSummary:
    """Run weights over images or video; frames stream through, whatever their number.

    Decoding, preparation, inference and the drawing and encoding of pictures overlap, each in threads of its own.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one, or an export of one.
        source: An image, a video, a folder, a glob pattern or a text list; or a sequence of files.
        out: Folder for the results; by default a new one under ./runs.
        trust: Load checkpoints that run code of their own.
        on_frame: Called with the detections of every frame.
        drive: The videos of the source are the chapters of one drive: frames, times and the annotated copy go on.
        every: Look at one frame every so many frames (`5`), seconds (`"0.2s"`) or metres of road (`"2m"`).
        speed: Constant speed in km/h, for `every` in metres.
        gpx: GPX track, for `every` in metres.
        gpx_offset: Time of the first frame in seconds after the track's first fix.
        roi: x1, y1, x2, y2 of what is looked at, in pixels, or in fractions of the frame if none is above 1.
        tiles: Size of tiles in pixels (`960`, `"960x540"`) that are looked at beside the whole, for small objects.
        blur: Weights that find what must not be stored, each with `:CLASS` behind it or for all of their classes.
        engine: What runs the network: `auto` for the fastest installed one where the job is long enough to repay an
            export, or `pytorch`, `onnxruntime`, `openvino`, `tensorrt`.
        precision: `f32` for reproducible results, `f16`, `bf16`, `int8`; by default what the engine takes by itself.
        int8: Quantise to INT8.
        data: What INT8 is calibrated on and its change in mAP measured on; by default the data set of the training.
        arguments: Ultralytics' arguments, such as `conf` (one threshold for all classes instead of the stored ones),
            `imgsz`, `device`, `batch`, `vid_stride`, or `save=False` for no annotated pictures.

    Raises:
        RegYoloError: If weights or source cannot be read, or settings are wrong.
    """
    own = check_own_keys(arguments, "predict")
    draw, conf = own.pop("save", True), own.pop("conf", None)
    detector = open_detector(weights, trust=trust)
    check_class_filter(own.get("classes"), detector.class_names)
    media = as_drive(resolve_source(source)) if drive else resolve_source(source)
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
    options = read_options(
        stride=int(settings.get("vid_stride") or 1),
        every=every, speed=speed, gpx=gpx, gpx_offset=gpx_offset, roi=roi, tiles=tiles,
    )  # fmt: skip
    folder = new_run_folder(settings, "predict", out)
    settings["batch"] = own.get("batch") or default_batch(select_device(own.get("device"), verbose=False))
    choice = engine_for(
        media, detector, settings,
        expected_frames=frames_to_run(media, options.step_s),
        engine=engine, precision=precision, int8=int8, data=data,
        region=options.view.region, tile=options.view.tile,
    )  # fmt: skip
    summary = PredictionSummary(
        folder,
        folder / "detections.jsonl",
        folder / "detections.csv",
        choice,
        counts=dict.fromkeys(detector.class_names, 0),
        thresholds=thresholds,
    )
    with removed_on_failure(folder, kept=lambda: summary.frames > 0), listening_for_signals() as asked_to_stop:
        predictor = _open_predictor(detector, {**settings, "save_dir": str(folder)}, list(thresholds.values()), choice)
        finders = open_finders(blur, device=own.get("device"), trust=trust) if draw else []
        folder.mkdir(parents=True, exist_ok=True)
        try:
            job = _Job(media, detector, predictor, choice, options, bool(draw), finders)
            _run(job, summary, on_frame, asked_to_stop)
        except PartlyRead:
            LOGGER.warning(f"{len(summary.failed)} of {len(media.files)} files could not be read")
        except KeyboardInterrupt:
            if summary.frames:
                LOGGER.warning(f"Interrupted after {summary.frames} frames, which are in {folder}")
            raise
    return summary


def _open_predictor(detector: Detector, settings: dict[str, Any], thresholds: list[float], choice: EngineChoice) -> Any:
    if detector.task not in PREDICTORS:
        raise ConfigError(f"{detector.path}: predict does not run the task {detector.task!r} yet")
    predictor = PREDICTORS[detector.task](overrides=settings)
    predictor.class_thresholds = thresholds
    open_chosen(predictor, choice)
    set_up(predictor)
    return predictor


def network_input(predictor: Any, height: int, width: int) -> tuple[int, int]:
    """Return height and width in pixels that a picture of the given size has when it enters the network."""
    rows, columns = predictor.pre_transform([np.zeros((height, width, 3), np.uint8)])[0].shape[:2]
    return int(rows), int(columns)


def _header(job: _Job, thresholds: dict[str, float]) -> DetectionsHeader:
    media, predictor, detector = job.media, job.predictor, job.detector
    size = check_imgsz(predictor.args.imgsz, stride=predictor.model.stride, min_dim=2)
    video = probe_video(media.videos[0]) if media.kind == "video" else None
    entering = (int(size[0]), int(size[1]))
    if video is not None:
        whole = crops_of(video.width, video.height, job.options.view.region, None)[0]
        entering = network_input(predictor, whole.bottom - whole.top, whole.right - whole.left)
    extra = dict(job.options.recorded)
    if "map_change" in job.choice.facts:
        extra["int8"] = {key: job.choice.facts[key] for key in ("map_before", "map_after")}
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


def _run(
    job: _Job,
    summary: PredictionSummary,
    on_frame: Callable[[FrameDetections], None] | None,
    asked_to_stop: threading.Event,
) -> None:
    media, names = job.media, job.detector.class_names
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.callback(lambda: setattr(summary, "seconds", time.perf_counter() - started))
        total = expected_frames(media, job.options.thinning)
        bar = stack.enter_context(TQDM(total=total, unit=" frames", desc="predict"))
        jsonl = stack.enter_context(DetectionsWriter(summary.detections_file, _header(job, summary.thresholds)))
        table = stack.enter_context(CsvWriter(summary.csv_file))
        pictures = AnnotatedPictures(summary.folder, names, media, job.options.step_s, job.finders)
        summary.annotated = pictures.files
        stack.enter_context(pictures)
        items = read_source(media, imread, job.options.thinning)
        for item in stack.enter_context(closing(predicted_frames(items, job.predictor, names, job.options.view))):
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
