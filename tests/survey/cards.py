"""Cards for tests: folders with small videos and the track of a vehicle that drives east."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

START = datetime(2024, 5, 1, 3, 0, 0, tzinfo=UTC)
LATITUDE, LONGITUDE = 13.75, 100.5
_METRES_PER_DEGREE = 111_320.0 * math.cos(math.radians(LATITUDE))


def stamp(start: datetime = START) -> str:
    """Return a time as cameras put it into file names."""
    return f"{start:%Y%m%d_%H%M%S}"


def write_video(path: Path, pictures: Sequence[np.ndarray], step_s: float = 1.0, codec: str = "libx264") -> Path:
    """Write images as a video, one each `step_s`; every frame is a key frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        rate = Fraction(1 / step_s).limit_denominator(1000)
        stream = container.add_stream(codec, rate=rate, options={"preset": "veryfast", "threads": "1", "crf": "20"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


def write_track(
    path: Path,
    seconds: int = 10,
    start: datetime = START,
    *,
    speed_mps: float = 20.0,
    from_m: float = 0.0,
    dop: float = 1.0,
    without: Sequence[int] = (),
) -> Path:
    """Write a GPX track with a fix a second, some left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [
        f'<trkpt lat="{LATITUDE}" lon="{longitude(from_m + speed_mps * second):.7f}">'
        f"<time>{start + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}</time><hdop>{dop}</hdop></trkpt>"
        for second in range(seconds + 1)
        if second not in without
    ]
    path.write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="t"><trk><trkseg>'
        + "".join(points)
        + "</trkseg></trk></gpx>",
        encoding="utf-8",
    )
    return path


def longitude(metres: float) -> float:
    """Return the longitude of a place so far east of the start."""
    return LONGITUDE + metres / _METRES_PER_DEGREE


def textured(count: int = 10, size: tuple[int, int] = (192, 320)) -> list[np.ndarray]:
    """Return images of a bright half over a dark one with random detail, sharp and upright."""
    found = []
    for number in range(count):
        noise = (
            np.random.default_rng(number).integers(-50, 50, (size[0] // 4, size[1] // 4, 1)).repeat(4, 0).repeat(4, 1)
        )
        base = np.where(np.arange(size[0])[:, None, None] < size[0] // 2, 170, 90)
        found.append(np.clip(base + noise, 0, 255).astype(np.uint8).repeat(3, 2))
    return found


def write_drive_folder(folder: Path, pictures: Sequence[np.ndarray] | None = None, start: datetime = START) -> Path:
    """Write a drive of ten seconds with its track next to it, and return the video."""
    video = write_video(folder / f"{stamp(start)}.mp4", pictures or textured())
    write_track(folder / "track.gpx", len(pictures or range(10)), start)
    return video
