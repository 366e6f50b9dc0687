"""How fast `predict` is on this machine: measured over the first frames of a source, for a forecast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reg_yolo.detections.detections import FrameDetections
from reg_yolo.yolo.commands.predict import predict
from reg_yolo.yolo.prediction.settings import with_options

WARM_UP_FRAMES = 3
MEASURED_FRAMES = 24
LONGEST_S = 20.0


@dataclass(frozen=True)
class PredictSpeed:
    """Of decoding, network and records together.

    Attributes:
        seconds: For each frame.
        bytes: Of records for each frame.
    """

    seconds: float
    bytes: float


class _Enough(Exception):
    """So many frames tell the speed."""


@with_options
def measure_speed(weights: str | Path, files: Sequence[Path], **options: Any) -> PredictSpeed | None:
    """Run weights over the first frames of some files, and throw the results away; None where they are too few.

    Args:
        weights: As for `predict`.
        files: Images, or the chapters of a drive.
        options: As for `predict`, and as the run will have them.

    Raises:
        RegYoloError: If weights or files cannot be read.
    """
    moments: list[float] = []

    def note(_frame: FrameDetections) -> None:
        moments.append(time.perf_counter())
        if len(moments) >= WARM_UP_FRAMES + MEASURED_FRAMES or moments[-1] - moments[0] > LONGEST_S:
            raise _Enough

    with TemporaryDirectory() as folder:
        out = Path(folder) / "speed"
        with suppress(_Enough):
            predict(weights, [str(path) for path in files], out=out, on_frame=note, **options)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if len(moments) < WARM_UP_FRAMES + 2:
        return None
    passed = moments[WARM_UP_FRAMES:]
    return PredictSpeed((passed[-1] - passed[0]) / (len(passed) - 1), size / len(moments))
