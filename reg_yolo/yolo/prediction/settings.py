"""What `predict` takes beside Ultralytics' arguments, read and checked together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.video.reading import Wanted
from reg_yolo.video.thinning import choose_thinning, parse_every
from reg_yolo.video.tiles import parse_region, parse_tiles
from reg_yolo.yolo.prediction.frames import View


@dataclass(frozen=True)
class PredictOptions:
    """How a source is looked at.

    Attributes:
        view: What the network sees of a frame.
        thinning: Makes what decides which frames of a video are looked at; None for all.
        step_s: Time between two of them by the video's frames/s, as far as that is known.
        recorded: The settings as the header of the detections file has them.
    """

    view: View
    thinning: Callable[[], Wanted] | None
    step_s: Callable[[float], float]
    recorded: dict[str, Any] = field(default_factory=dict)


def read_options(
    *,
    stride: int = 1,
    every: str | int | None = None,
    speed: float | None = None,
    gpx: str | Path | None = None,
    gpx_offset: float = 0.0,
    roi: str | Sequence[float] | None = None,
    tiles: str | int | None = None,
    polygons: bool | None = None,
) -> PredictOptions:
    """Read the options of `predict`; see there.

    Raises:
        RegYoloError: If one is malformed, or they do not go together.
    """
    step = None if every is None else str(every)
    corners = None if roi is None else roi if isinstance(roi, str) else ",".join(str(value) for value in roi)
    side = None if tiles is None else str(tiles)
    thinning = choose_thinning(
        step, stride=stride, speed_kmh=speed, gpx=None if gpx is None else Path(gpx), gpx_offset_s=gpx_offset
    )
    view = View(
        None if corners is None else parse_region(corners), None if side is None else parse_tiles(side), bool(polygons)
    )
    recorded: dict[str, Any] = {"vid_stride": stride} if stride != 1 else {}
    given = {"every": step, "speed": speed, "gpx": None if gpx is None else Path(gpx).name, "roi": corners}
    recorded |= {key: value for key, value in {**given, "tiles": side}.items() if value is not None}

    def step_s(fps: float) -> float:
        parsed = None if step is None else parse_every(step)
        if parsed is None or parsed.unit == "frames":
            return (stride if parsed is None else parsed.amount) / fps
        return max(parsed.amount, 1 / fps) if parsed.unit == "s" else 1 / fps

    return PredictOptions(view, thinning, step_s, recorded)
