"""`predict` from Python and from the command line: detections as JSON Lines and CSV, annotated pictures and video."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
from ultralytics.engine.results import Results
from ultralytics.utils import LOGGER, TQDM
from ultralytics.utils.files import increment_path

from reg_yolo import __version__
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.video.annotate import Annotator
from reg_yolo.video.detections import FrameDetections
from reg_yolo.video.detections_header import DetectionsHeader
from reg_yolo.video.detections_io import CsvWriter, DetectionsWriter
from reg_yolo.video.sources import Source, VideoInfo, probe_video, resolve_source
from reg_yolo.video.writer import AnnotatedVideoWriter
from reg_yolo.yolo.checkpoints import file_sha256, load_checkpoint_file, metadata_of, model_of, read_thresholds
from reg_yolo.yolo.compatibility import check_ultralytics_version
from reg_yolo.yolo.environment import runs_folder
from reg_yolo.yolo.predictor import RegDetectionPredictor
from reg_yolo.yolo.train_run import check_arguments

DEFAULT_CONFIDENCE = 0.25
IMAGE_QUALITY = 92


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
    """

    folder: Path
    detections_file: Path
    csv_file: Path
    annotated: list[Path] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0
    thresholds: dict[str, float] = field(default_factory=dict)


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
    check_ultralytics_version()
    weights = Path(weights)
    checkpoint = load_checkpoint_file(weights, trust=trust)
    media = resolve_source(source)
    names = dict(model_of(checkpoint).names)
    class_names = [str(names[index]) for index in range(len(names))]
    thresholds = choose_thresholds(weights, metadata_of(checkpoint), class_names, arguments.get("conf"))
    draw = bool(arguments.pop("save", True))
    trained_with = checkpoint.get("train_args") or {}
    settings = {
        "imgsz": trained_with.get("imgsz", 640),
        **arguments,
        "conf": min(thresholds.values()),
        "task": "detect",
        "mode": "predict",
        "model": str(weights),
        "save": False,
        "verbose": False,
        "batch": 1,
    }
    check_arguments(settings)
    folder = Path(out) if out else increment_path(Path(runs_folder(settings.get("project"), "detect")) / "predict")
    settings["save_dir"] = str(folder)
    predictor = RegDetectionPredictor(overrides=settings)
    predictor.class_thresholds = [thresholds[name] for name in class_names]
    predictor.setup_model(str(weights), verbose=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"{folder} cannot be created: {error.strerror}") from error
    summary = PredictionSummary(
        folder,
        folder / "detections.jsonl",
        folder / "detections.csv",
        counts=dict.fromkeys(class_names, 0),
        thresholds=thresholds,
    )
    videos = {path: probe_video(path) for path in media.videos} if media.kind == "video" else {}
    header = _header(media, predictor, weights, class_names, thresholds, next(iter(videos.values()), None))
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.callback(lambda: setattr(summary, "seconds", time.perf_counter() - started))
        jsonl = stack.enter_context(DetectionsWriter(summary.detections_file, header))
        table = stack.enter_context(CsvWriter(summary.csv_file))
        sinks = [jsonl.write, table.write, *([on_frame] if on_frame else [])]
        _run(media, predictor, class_names, summary, sinks, draw=draw)
    return summary


def choose_thresholds(
    weights: Path, metadata: dict[str, Any], class_names: list[str], conf: Any = None
) -> dict[str, float]:
    """Return the confidence threshold of every class: `conf` if given, else the stored ones, else 0.25.

    Raises:
        ConfigError: If `conf` is not in [0, 1].
    """
    if conf is not None:
        if not isinstance(conf, (int, float)) or not 0 <= conf <= 1:
            raise ConfigError(f"conf must be a number from 0 to 1, got {conf!r}")
        return dict.fromkeys(class_names, float(conf))
    found = read_thresholds(weights, metadata)
    if found is None:
        LOGGER.info(f"No thresholds stored with {weights}: {DEFAULT_CONFIDENCE} for every class")
        return dict.fromkeys(class_names, DEFAULT_CONFIDENCE)
    thresholds, origin = found
    LOGGER.info(f"Thresholds by class ({thresholds.criterion}) from {origin}")
    return dict(zip(class_names, thresholds.for_classes(class_names), strict=True))


def _header(
    media: Source,
    predictor: RegDetectionPredictor,
    weights: Path,
    class_names: list[str],
    thresholds: dict[str, float],
    video: VideoInfo | None,
) -> DetectionsHeader:
    size = predictor.args.imgsz
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    return DetectionsHeader(
        source=media.given,
        classes=tuple(class_names),
        weights_name=weights.name,
        weights_sha256=file_sha256(weights),
        engine="pytorch",
        precision="f16" if predictor.model.fp16 else "f32",
        imgsz=(int(height), int(width)),
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
    class_names: list[str],
    summary: PredictionSummary,
    sinks: list[Callable[[FrameDetections], None]],
    *,
    draw: bool,
) -> None:
    annotator = Annotator(class_names)
    expected = _expected_frames(media, int(predictor.args.vid_stride))
    with TQDM(total=expected, unit=" frames", desc="predict") as bar:
        for path, frames in _streams(media, predictor):
            info = probe_video(path) if path is not None else None
            with ExitStack() as stack:
                video: AnnotatedVideoWriter | None = None
                for result, index, time_s in frames:
                    detections = _detections(result, index, time_s, class_names)
                    for sink in sinks:
                        sink(detections)
                    summary.frames += 1
                    for detection in detections.detections:
                        summary.counts[detection.class_name] += 1
                    if draw and info is not None and len(media.files) == 1:
                        if video is None:
                            fps = info.fps / predictor.args.vid_stride if info.fps else None
                            target = summary.folder / f"{Path(result.path).stem}.mp4"
                            size = (detections.width, detections.height)
                            video = stack.enter_context(AnnotatedVideoWriter(target, *size, fps))
                            summary.annotated.append(target)
                            LOGGER.info(video.codec_note)
                        video.write(annotator.annotate(result.orig_img, detections))
                    elif draw and info is None:
                        summary.annotated.append(_write_image(annotator, result, detections, summary.folder))
                    bar.update(1)


def _streams(
    media: Source, predictor: RegDetectionPredictor
) -> Iterator[tuple[Path | None, Iterator[tuple[Results, int, float | None]]]]:
    """Yield each video by itself, then all images as one stream; upstream would mix their frames' numbers."""
    for video in media.videos:
        yield video, _video_frames(predictor, video)
    if media.images:
        images = [str(path) for path in media.images]
        yield None, ((result, 0, None) for result in predictor(images, stream=True))


def _video_frames(predictor: RegDetectionPredictor, video: Path) -> Iterator[tuple[Results, int, float | None]]:
    for result in predictor(str(video), stream=True):
        index, time_s = predictor.clock.next_frame() if predictor.clock else (0, None)
        yield result, index, time_s


def _expected_frames(media: Source, stride: int) -> int | None:
    counts = [probe_video(path).frame_count for path in media.videos]
    if any(count is None for count in counts):
        return None
    return len(media.images) + sum(-(-count // stride) for count in counts if count is not None)


def _detections(result: Results, index: int, time_s: float | None, class_names: list[str]) -> FrameDetections:
    height, width = result.orig_shape
    boxes = result.boxes.cpu().numpy()
    return FrameDetections.from_arrays(
        str(result.path), index, time_s, width, height,
        boxes_xyxy=boxes.xyxy, confidences=boxes.conf, class_ids=boxes.cls, class_names=class_names,
    )  # fmt: skip


def _write_image(annotator: Annotator, result: Results, detections: FrameDetections, folder: Path) -> Path:
    stem, number = Path(result.path).stem, 1
    target = folder / f"{stem}.jpg"
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}.jpg"
    encoded = cv2.imencode(
        ".jpg", annotator.annotate(result.orig_img, detections), [cv2.IMWRITE_JPEG_QUALITY, IMAGE_QUALITY]
    )[1]
    encoded.tofile(target)
    return target
