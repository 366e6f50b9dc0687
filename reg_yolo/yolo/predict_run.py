"""`predict` from Python and from the command line: detections as JSON Lines and CSV, annotated pictures and video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import select_device

from reg_yolo.errors import ConfigError
from reg_yolo.video.detections import FrameDetections
from reg_yolo.video.sources import as_drive, resolve_source
from reg_yolo.yolo.arguments import check_arguments, check_class_filter, check_own_keys
from reg_yolo.yolo.blurring import open_finders
from reg_yolo.yolo.class_thresholds import choose_thresholds
from reg_yolo.yolo.detector import Detector, open_detector
from reg_yolo.yolo.engines import EngineChoice
from reg_yolo.yolo.inference import default_batch
from reg_yolo.yolo.predict_engine import engine_for, frames_to_run, open_chosen
from reg_yolo.yolo.predict_job import PartlyRead, PredictionJob, PredictionSummary, run_job
from reg_yolo.yolo.predict_options import read_options
from reg_yolo.yolo.predictors import make_predictor
from reg_yolo.yolo.preparation import set_up
from reg_yolo.yolo.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.stopping import listening_for_signals


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
            job = PredictionJob(media, detector, predictor, choice, options, bool(draw), finders)
            run_job(job, summary, on_frame, asked_to_stop)
        except PartlyRead:
            LOGGER.warning(f"{len(summary.failed)} of {len(media.files)} files could not be read")
        except KeyboardInterrupt:
            if summary.frames:
                LOGGER.warning(f"Interrupted after {summary.frames} frames, which are in {folder}")
            raise
    return summary


def _open_predictor(detector: Detector, settings: dict[str, Any], thresholds: list[float], choice: EngineChoice) -> Any:
    predictor = make_predictor(detector, settings, thresholds)
    open_chosen(predictor, choice)
    set_up(predictor)
    return predictor
