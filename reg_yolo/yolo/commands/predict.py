"""`predict` from Python and from the command line: detections as JSON Lines and CSV, annotated pictures and video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.detections.detections import FrameDetections
from reg_yolo.signals import listening_for_signals
from reg_yolo.video.sources import as_drive, resolve_source
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.prediction.job import PartlyRead, PredictionSummary, run_job
from reg_yolo.yolo.prediction.session import Prediction


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
    track: str | Path | bool | None = None,
    polygons: bool = False,
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
        track: True for identities over frames by the default tracker (or the one that `tracker` names), or a tracker's
            YAML; see docs/tracks.md.
        polygons: Give masks as polygons too, beside their run lengths.
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
    prediction = Prediction(
        weights,
        trust=trust, track=track, every=every, speed=speed, gpx=gpx, gpx_offset=gpx_offset, roi=roi, tiles=tiles,
        blur=blur, polygons=polygons, engine=engine, precision=precision, int8=int8, data=data, **arguments,
    )  # fmt: skip
    media = as_drive(resolve_source(source)) if drive else resolve_source(source)
    folder = new_run_folder(prediction.settings, "predict", out)
    choice = prediction.choose(media)
    summary = prediction.summary(folder, choice)
    with removed_on_failure(folder, kept=lambda: summary.frames > 0), listening_for_signals() as asked_to_stop:
        job = prediction.job(media, choice, draw=prediction.draw is not False)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run_job(job, summary, on_frame, asked_to_stop)
        except PartlyRead:
            LOGGER.warning(f"{len(summary.failed)} of {len(media.files)} files could not be read")
        except KeyboardInterrupt:
            if summary.frames:
                LOGGER.warning(f"Interrupted after {summary.frames} frames, which are in {folder}")
            raise
    return summary
