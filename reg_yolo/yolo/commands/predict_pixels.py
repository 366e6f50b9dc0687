"""`predict` of a network that gives each pixel a class: overlays, PNGs of classes, and the share of each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reg_yolo.data.dataset.pixel_classes import BACKGROUND
from reg_yolo.errors import ConfigError
from reg_yolo.signals import listening_for_signals
from reg_yolo.video.sources import Source, resolve_source
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.prediction.blurring import open_finders
from reg_yolo.yolo.prediction.pixels import PixelNetwork, PixelSummary, run_pixels
from reg_yolo.yolo.prediction.settings import OPTIONS, PredictSettings, read_settings, with_options
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter
from reg_yolo.yolo.weights.opening import open_detector

# Options that say something about detections, engines that are chosen for them, or parts that are put together.
NOT_FOR_PIXELS = (
    "roi", "tiles", "polygons", "track", "for_inventory", "suppression", "rescore", "sigma", "calibrated", "engine",
    "precision", "int8", "data",
)  # fmt: skip


def gives_pixels(weights: str | Path, *, trust: bool = False) -> bool:
    """Return whether weights are of task semantic.

    Raises:
        WeightsError: If they cannot be read.
    """
    return open_detector(weights, trust=trust, pixels=True).task == "semantic"


@with_options
def predict_pixels(
    weights: str | Path,
    source: str | Path | Sequence[str | Path] | Source,
    *,
    out: str | Path | None = None,
    settings: PredictSettings | None = None,
    **options: Any,
) -> PixelSummary:
    """Run weights of task semantic over images or video.

    Args:
        weights: A checkpoint of task semantic, or an export of one.
        source: An image, a video, a folder, a glob pattern or a text list; or a sequence of files.
        out: Folder for the results; by default a new one under ./runs.
        settings: What `options` start from; by default the defaults.
        options: `every`, `speed`, `gnss`, `blur` and `trust` of `PredictSettings`, and Ultralytics' arguments, such as
            `imgsz`, `device`, `classes`, or `save=False` for class maps alone.

    Raises:
        RegYoloError: If weights or source cannot be read, or an option has no meaning for pixels.
    """
    chosen = read_settings(settings, **options)
    detector = open_detector(weights, trust=chosen.trust, pixels=True)
    if detector.task != "semantic":
        raise ConfigError(f"{detector.path}: of task {detector.task}, finds objects; use `predict`")
    given = next(
        (name for name in NOT_FOR_PIXELS if getattr(chosen, name) not in (None, False, OPTIONS[name].default)), None
    )
    given = given or ("conf" if chosen.arguments.get("conf") is not None else None)
    if given is not None:
        raise ConfigError(
            f"`{given}`: has no meaning for {detector.path}, which gives each pixel its most probable class; leave it "
            "out"
        )
    own = {key: value for key, value in chosen.arguments.items() if key != "save"}
    check_class_filter(own.get("classes"), detector.class_names)
    arguments = {
        "imgsz": detector.imgsz,
        "rect": True,
        **own,
        "batch": 1,
        "task": detector.task,
        "mode": "predict",
        "model": str(detector.path),
        "save": False,
        "verbose": False,
    }
    check_arguments(arguments)
    media = resolve_source(source)
    folder = new_run_folder(arguments, "predict", out)
    names = [name.lower() for name in detector.class_names]
    background = names.index(BACKGROUND) if BACKGROUND in names else None

    def is_kept() -> bool:
        return any(folder.rglob("*.png"))

    with removed_on_failure(folder, kept=is_kept), listening_for_signals() as asked:
        finders = (
            open_finders(chosen.blur, device=own.get("device"), trust=chosen.trust) if chosen.draw is not False else []
        )
        network = PixelNetwork(detector, arguments)
        return run_pixels(
            media, folder, detector, network, chosen, background, finders=finders, asked_to_stop=asked.is_set
        )
