"""The first ten minutes: scenes, training, measuring and prediction in one go."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from ultralytics.utils import LOGGER

from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.per_pixel import PixelReport
from reg_yolo.scenes import write_drive, write_stills
from reg_yolo.yolo.commands.predict import predict
from reg_yolo.yolo.commands.predict_pixels import predict_pixels
from reg_yolo.yolo.commands.train import train

CONFIGS = {"detect": "quickstart", "joint": "quickstart_joint", "semantic": "quickstart_semantic"}
IMAGES, SHORT_IMAGES = 500, 48
SIZE = (640, 384)
# The drive runs along a road of its own, so nothing in it was trained on.
SCENES_SEED, DRIVE_SEED = 0, 1001
DRIVE_KM, SHORT_DRIVE_KM = 0.25, 0.05


@dataclass(frozen=True)
class DemoResult:
    """Where everything lies.

    Attributes:
        report: Per-class results of boxes, or of pixels, on scenes that were not trained on.
        mask_report: Of masks; None for task detect.
        video: The annotated drive.
        table: The per-class table.
        plots: Folder with upstream's plots.
        weights: The trained weights.
        seconds: How long it took.
    """

    report: DetectionReport | PixelReport
    video: Path
    table: Path
    plots: Path
    weights: Path
    seconds: float
    mask_report: DetectionReport | None = None


def demo(out: str | Path = "demo", *, short: bool = False, task: str = "detect") -> DemoResult:
    """Make scenes, train `configs/quickstart.yaml` on them, validate, and predict on a short drive.

    Args:
        out: Folder for everything; it must not hold an earlier demo.
        short: A form of a minute or two that runs the same way and learns little.
        task: `detect`, `joint` for boxes of all classes and masks of five (`configs/quickstart_joint.yaml`), or
            `semantic` for a class of each pixel (`configs/quickstart_semantic.yaml`).

    Raises:
        ConfigError: If the folder is in use, or the task is another.
    """
    if task not in CONFIGS:
        raise ConfigError(f"demo: got task {task!r}, expected one of {', '.join(CONFIGS)}")
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; name another folder with --out, or remove it")
    started = time.perf_counter()
    LOGGER.info("1/4  Making scenes of the embedded highway")
    workers = os.cpu_count() or 1
    scenes = write_stills(
        out / "scenes", SHORT_IMAGES if short else IMAGES, SIZE, SCENES_SEED,
        boxes_only=task == "detect", semantic=task == "semantic", workers=workers,
    )  # fmt: skip
    LOGGER.info("2/4  Training YOLOv8n with the Refined Generalized Focal Loss")
    overrides = [f"data={scenes.data_yaml.absolute()}", f"project={out.absolute()}", "name=training"]
    result = train(CONFIGS[task], [*overrides, *(["epochs=2", "close_mosaic=0"] if short else [])])
    LOGGER.info("3/4  Driving along another road")
    drive = write_drive(out / "drive", SHORT_DRIVE_KM if short else DRIVE_KM, SIZE, DRIVE_SEED, workers=workers)
    LOGGER.info("4/4  Finding what stands beside it")
    source, folder = drive.videos["forward"][0], out / "prediction"
    if task == "semantic":
        video = predict_pixels(result.best, source, out=folder).overlays[0]
    else:
        video = predict(result.best, source, out=folder).annotated[0]
    if result.report is None:
        raise ConfigError("the demo trains on one device; leave out several GPUs")
    return DemoResult(
        report=result.report,
        video=video,
        table=result.folder / "per_class.txt",
        plots=result.folder,
        weights=result.best,
        seconds=time.perf_counter() - started,
        mask_report=result.mask_report,
    )
