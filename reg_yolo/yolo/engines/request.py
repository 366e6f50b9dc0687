"""What is asked of an engine, and the frames that it is checked and timed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.data.augment import LetterBox

from reg_yolo.files import file_sha256
from reg_yolo.yolo.engines.cache import CacheKey
from reg_yolo.yolo.engines.int8 import Int8Data, fingerprint
from reg_yolo.yolo.upstream.engine_kinds import EngineKind, engine_version, processor_name
from reg_yolo.yolo.weights.detector import Detector


@dataclass(frozen=True)
class EngineRequest:
    """What is asked of an engine.

    Attributes:
        detector: The weights.
        imgsz: Height and width of the network's input in pixels.
        batch: Images a call.
        dynamic: Whether height and width vary from image to image.
        device: Where to run.
        sample_frames: Returns frames of the source, BGR, uint8; called where something is to be checked or timed.
        data: What INT8 is calibrated on.
    """

    detector: Detector
    imgsz: tuple[int, int]
    batch: int
    dynamic: bool
    device: torch.device
    sample_frames: Callable[[], Sequence[NDArray[np.uint8]]]
    data: Int8Data | None = None

    def key(self, kind: EngineKind, precision: str) -> CacheKey:
        """Return the key of an export in the cache."""
        return CacheKey(
            weights_sha256=file_sha256(self.detector.path),
            engine=kind.name,
            engine_version=engine_version(kind),
            precision=precision,
            imgsz=self.imgsz,
            batch=self.batch,
            dynamic=self.dynamic,
            processor=processor_name(self.device),
            calibration=fingerprint(self.data) if self.data and precision == "int8" else None,
        )

    def inputs(self) -> list[Tensor]:
        """Return the sample frames as the network takes them: Tensors[B, 3, H, W] in [0, 1]."""
        letterbox = LetterBox(self.imgsz, auto=False)
        pictures = [letterbox(image=frame)[..., ::-1].transpose(2, 0, 1) for frame in self.sample_frames()]
        return [
            torch.from_numpy(np.stack([picture] * self.batch)).to(self.device).float().div_(255) for picture in pictures
        ]
