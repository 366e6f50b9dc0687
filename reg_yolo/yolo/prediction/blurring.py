"""Faces and plates found by the user's own weights, so that they are blurred before an image is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reg_yolo.config.problems import did_you_mean
from reg_yolo.errors import ConfigError, RegYoloError, WeightsError
from reg_yolo.files import file_sha256
from reg_yolo.video.privacy import MARGIN, MOST_CELLS
from reg_yolo.yolo.prediction.networks import prepare, set_up
from reg_yolo.yolo.prediction.predictors import RegDetectionPredictor
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.opening import open_detector

# A face that is blurred for nothing costs less than one that is not.
BLUR_CONFIDENCE = 0.1

Box = tuple[float, float, float, float]


class BlurError(RegYoloError):
    """What is private could not be found out, so nothing may be stored."""


class PrivateFinder:
    """Finds what must not be stored with one weights file.

    Args:
        detector: The weights.
        class_ids: What to blur; None for all classes.
        device: As Ultralytics takes it.

    Attributes:
        name: Of the weights' file, for messages.
        stated: Name and classes, for the detections file and those who must blur the same again.
    """

    def __init__(self, detector: Detector, class_ids: Sequence[int] | None = None, device: Any = None) -> None:
        self.name = detector.path.name
        ids = range(len(detector.class_names)) if class_ids is None else sorted(set(class_ids))
        self.stated = f"{self.name}:{','.join(detector.class_names[number] for number in ids)}"
        settings = {
            "imgsz": detector.imgsz,
            "rect": True,
            "conf": BLUR_CONFIDENCE,
            "classes": None if class_ids is None else list(class_ids),
            "device": device,
            "task": "detect",
            "mode": "predict",
            "model": str(detector.path),
            "save": False,
            "verbose": False,
        }
        self._predictor = RegDetectionPredictor(overrides={**settings, "save_dir": "unused"})
        self._predictor.setup_model(str(detector.path), verbose=False)
        set_up(self._predictor)

    @torch.inference_mode()
    def __call__(self, picture: NDArray[np.uint8]) -> list[Box]:
        """Return x1, y1, x2, y2 in pixels of everything private in a BGR image of shape (H, W, 3).

        Raises:
            BlurError: If the network fails or gives no numbers, which would pass for an image without faces.
        """
        try:
            batch = prepare(self._predictor, [picture])
            raw = self._predictor.inference(batch)
            scores = raw[0] if isinstance(raw, (list, tuple)) else raw
            if not bool(torch.isfinite(scores).all()):
                raise BlurError(f"{self.name} gives numbers that are not finite; nothing is stored without blurring")
            self._predictor.batch = (["picture"], None, None)
            boxes = self._predictor.postprocess(raw, batch, [picture])[0].boxes.xyxy.cpu().tolist()
        except BlurError:
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            raise BlurError(
                f"{self.name} failed ({type(error).__name__}: {reason}); nothing is stored without blurring"
            ) from error
        return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in boxes]


def find_all(finders: Sequence[PrivateFinder], picture: NDArray[np.uint8]) -> list[Box]:
    """Return everything private that any of the finders sees."""
    return [box for finder in finders for box in finder(picture)]


def open_finders(given: Sequence[str | Path], *, device: Any = None, trust: bool = False) -> list[PrivateFinder]:
    """Open the weights of `blur`, each as WEIGHTS or WEIGHTS:CLASS,CLASS; the same weights are opened once.

    Raises:
        ConfigError: If a class is not one of the weights'.
        WeightsError: If weights cannot be read.
    """
    wanted: dict[str, list[str | None]] = {}
    for word in map(str, given):
        weights, names = _split(word)
        wanted.setdefault(weights, []).append(names)
    finders = []
    for weights, some in wanted.items():
        detector = open_detector(weights, trust=trust)
        ids = None if None in some else [number for names in some for number in _class_ids(detector, str(names))]
        finders.append(PrivateFinder(detector, ids, device))
    return finders


def blur_digest(given: Sequence[str | Path]) -> str:
    """Return a digest of what `blur` makes unrecognisable: weights, classes, threshold and cells; empty for nothing.

    Raises:
        WeightsError: If weights cannot be read.
    """
    if not given:
        return ""
    parts = set()
    for weights, names in map(_split, map(str, given)):
        try:
            digest = file_sha256(Path(weights).expanduser())
        except OSError as error:
            raise WeightsError(f"`blur`: {weights} cannot be read: {error.strerror}") from None
        parts |= {(digest, name) for name in _listed(names or "")}
    text = json.dumps([sorted(parts), BLUR_CONFIDENCE, MARGIN, MOST_CELLS])
    return hashlib.sha256(text.encode()).hexdigest()


def _split(word: str) -> tuple[str, str | None]:
    """Split WEIGHTS:CLASSES at its last colon, which may also belong to a drive letter or a file's name."""
    weights, colon, names = word.rpartition(":")
    is_drive = len(weights) == 1 and weights.isalpha()
    if not colon or not names or is_drive or Path(word).exists() or "/" in names or "\\" in names:
        return word, None
    return weights, names


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _class_ids(detector: Detector, names: str) -> list[int]:
    """Return the indices of one class, whose name may hold a comma, or of several between commas."""
    known = detector.class_names
    if names in known:
        return [known.index(names)]
    for name in _listed(names):
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError(f"`blur`: {detector.path} has no class {name!r}, only {', '.join(known)}.{hint}")
    return [known.index(name) for name in _listed(names)]
