"""The engine of a prediction: the input that its source leads to, frames to check it on, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from ultralytics.data.augment import LetterBox
from ultralytics.utils.checks import check_imgsz
from ultralytics.utils.torch_utils import select_device

from reg_yolo.errors import ConfigError
from reg_yolo.video.quiet_opencv import quiet_opencv
from reg_yolo.video.sources import Source
from reg_yolo.video.tiles import View
from reg_yolo.yolo.engines.choice import EngineChoice, choose_engine
from reg_yolo.yolo.engines.int8 import calibration_source
from reg_yolo.yolo.prediction.networks import network_count
from reg_yolo.yolo.prediction.settings import PredictSettings
from reg_yolo.yolo.weights.detector import Detector, require_distributions

# What only native PyTorch models do.
PYTORCH_ONLY = ("augment", "visualize", "compile")
NOMINAL_FPS = 25.0
SAMPLES_AT = (0.2, 0.5, 0.8)
Picture = NDArray[np.uint8]


def engine_for(
    media: Source, detector: Detector, settings: PredictSettings, arguments: Mapping[str, Any], *, long: bool = False
) -> EngineChoice:
    """Choose the engine of a prediction.

    Args:
        media: The source.
        detector: The weights.
        settings: How the source is looked at, and which engine is asked for.
        arguments: Ultralytics' arguments with those that follow from the weights.
        long: The source is one of many, so that the job repays an export even if this source alone does not.

    Raises:
        RegYoloError: If the engine or the precision is not to be had, or the weights cannot be exported.
    """
    view, engine, precision = settings.view, settings.engine, settings.precision
    precision = "int8" if settings.int8 else precision or ("f16" if arguments.get("quantize") == 16 else None)
    special = [name for name in PYTORCH_ONLY if arguments.get(name)]
    spread = [name for name in ("rescore", "sigma") if getattr(settings, name)]
    for option in spread:
        require_distributions(detector, option)
    if (special or spread) and detector.exported_precision is None:
        if engine not in {"auto", "pytorch"}:
            raise ConfigError(
                f"{special[0]}: PyTorch alone does this; leave `engine` out"
                if special
                else f"{spread[0]}: takes PyTorch, or an export made with `reg-yolo export --distributions` as the "
                "weights; leave `engine` out"
            )
        engine = "pytorch"
    square = check_imgsz(arguments.get("imgsz", detector.imgsz), stride=detector.stride, min_dim=2)
    inputs = {
        network_input(square, crop.size, rect=bool(arguments.get("rect", True)), stride=detector.stride)
        for size in media.frame_sizes
        for crop in view.crops(*size)
    }
    dynamic = len(inputs) != 1
    # A source that shows no image must not cause an export.
    expected_frames = None if long and media.frame_sizes else frames_to_run(media, settings.step_s)
    sample_frames = partial(sample_pictures, media, view)
    return choose_engine(
        detector,
        engine=engine,
        precision=precision,
        imgsz=(int(square[0]), int(square[1])) if dynamic else inputs.pop(),
        batch=int(arguments.get("batch") or 1),
        dynamic=dynamic,
        expected_frames=expected_frames,
        sample_frames=sample_frames,
        device=select_device(arguments.get("device"), verbose=False),
        data=calibration_source(detector, settings.data)
        if precision == "int8" and detector.exported_precision is None
        else None,
    )


def frames_to_run(media: Source, step_s: Callable[[float], float]) -> int | None:
    """Return about how many frames will go through the network; None where a container does not say.

    Args:
        media: The source.
        step_s: Time between two frames that are looked at, by the video's frames/s.
    """
    total, images = media.frame_count, len(media.images)
    if total is None:
        return None
    return images + round((total - images) / max(1.0, step_s(NOMINAL_FPS) * NOMINAL_FPS))


def open_chosen(predictor: Any, choice: EngineChoice) -> None:
    """Give a predictor the engine that was chosen, in place of upstream's `setup_model`.

    Args:
        predictor: Upstream's predictor of any task.
        choice: What was chosen.
    """
    if choice.engine == "pytorch":
        predictor.args.quantize = 16 if choice.precision == "f16" else None
        predictor.setup_model(str(choice.model), verbose=False)
        return
    # As many inferences side by side as the pipeline has threads for.
    properties = {"NUM_STREAMS": str(network_count())} if choice.engine in {"openvino", "onnxruntime"} else {}
    device = select_device(predictor.args.device, verbose=False)
    predictor.model = choice.open(device, **properties)
    predictor.device = predictor.model.device


def network_input(square: Sequence[int], size: tuple[int, int], *, rect: bool, stride: int) -> tuple[int, int]:
    """Return height and width of the network's input for an image.

    Args:
        square: Height and width that were asked for, multiples of the stride.
        size: Width and height of the image in pixels.
        rect: Whether the input follows the image's shape.
        stride: Of the network, in pixels.
    """
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    rows, columns = LetterBox((square[0], square[1]), auto=rect, stride=stride)(image=picture).shape[:2]
    return int(rows), int(columns)


def sample_pictures(media: Source, view: View) -> list[Picture]:
    """Return a few images from all over the source, BGR, as the network will see them; empty if none decodes."""
    files = [media.files[int(share * len(media.files))] for share in SAMPLES_AT]
    pictures = []
    with quiet_opencv():
        for file, share in zip(files, SAMPLES_AT, strict=True):
            picture = _picture(file.path) if file.kind == "image" else _frame(file.path, share)
            if picture is None:
                continue
            pictures.append(np.ascontiguousarray(view.whole(*picture.shape[1::-1]).of(picture)))
    return pictures


def _picture(path: Path) -> Picture | None:
    try:
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    # A TIFF of floating point keeps its numbers.
    return picture if picture is not None and picture.dtype == np.uint8 else None


def _frame(path: Path, share: float) -> Picture | None:
    """Return a frame at a share of the video's length; the first one where it cannot be sought."""
    capture = cv2.VideoCapture(str(path))
    try:
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if count > 1:
            capture.set(cv2.CAP_PROP_POS_FRAMES, int(share * count))
        success, picture = capture.read()
        if not success:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            success, picture = capture.read()
        return picture if success else None
    finally:
        capture.release()
