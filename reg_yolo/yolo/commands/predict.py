"""`predict` from Python and from the command line: detections as JSON Lines and CSV, annotated images and video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.detections.detections import FrameDetections
from reg_yolo.signals import listening_for_signals
from reg_yolo.video.sources import Source, resolve_source
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.prediction.job import PredictionSummary, run_job
from reg_yolo.yolo.prediction.session import Prediction
from reg_yolo.yolo.prediction.settings import OPTIONS as OPTIONS
from reg_yolo.yolo.prediction.settings import PredictSettings, read_settings, with_options


@with_options
def predict(
    weights: str | Path,
    source: str | Path | Sequence[str | Path] | Source,
    *,
    out: str | Path | None = None,
    on_frame: Callable[[FrameDetections], None] | None = None,
    drive: bool = False,
    settings: PredictSettings | None = None,
    **options: Any,
) -> PredictionSummary:
    """Run weights over images or video; frames stream through, whatever their number.

    Decoding, preparation, inference and the drawing and encoding of images overlap, each in threads of its own.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one, or an export of one.
        source: An image, a video, a folder, a glob pattern or a text list; or a sequence of files.
        out: Folder for the results; by default a new one under ./runs.
        on_frame: Called with the detections of every frame.
        drive: The videos of the source are the chapters of one drive: frames, times and the annotated copy go on.
        settings: What `options` start from; by default the defaults.
        options: `every`, `roi`, `blur`, `track`, `engine` and the other options of `PredictSettings`, see there; and
            Ultralytics' arguments, such as `conf`, `imgsz`, `device`, or `save=False` for no annotated images.

    Raises:
        RegYoloError: If weights or source cannot be read, or settings are wrong.
    """
    prediction = Prediction(weights, read_settings(settings, **options))
    media = resolve_source(source, drive=drive)
    folder = new_run_folder(prediction.arguments, "predict", out)
    choice = prediction.choose(media)
    frames = 0
    # Another run's, where there is one when this one has failed.
    part = folder / "detections.jsonl.part"

    def count(frame: FrameDetections) -> None:
        nonlocal frames
        frames += 1
        if on_frame is not None:
            on_frame(frame)

    def is_kept() -> bool:
        return frames > 0 or part.is_file()

    with removed_on_failure(folder, kept=is_kept), listening_for_signals() as asked_to_stop:
        job = prediction.job(media, folder, choice, draw=prediction.settings.draw is not False)
        try:
            summary = run_job(job, count, asked_to_stop)
        except KeyboardInterrupt:
            if frames:
                LOGGER.warning(f"Interrupted after {frames} frames, which are in {folder}")
            raise
    if summary.failed:
        LOGGER.warning(f"{len(summary.failed)} of {len(media.files)} files could not be read")
    return summary
