"""How much room and time a survey will take, from what was measured here a moment ago; a forecast."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.errors import MediaError
from reg_yolo.progress import duration
from reg_yolo.survey.drives import SurveyDrive
from reg_yolo.survey.items import Item
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.picking import read_picture
from reg_yolo.video.thinning import parse_every

DECODING_S = 2.0
"""How long decoding is measured."""
BYTES_PER_FRAME = 1500
"""Records and inventory where nothing was measured: a frame with five weak detections, tracks included."""
LEAST_FREE_BYTES = 200 << 20
ROOM = 1.5


@dataclass(frozen=True)
class NetworkSpeed:
    """What running `predict` over a few frames has shown.

    Attributes:
        seconds: For each frame that it looks at, decoding and records included, on the device of the run.
        bytes: Of records for each such frame.
        device: In words.
    """

    seconds: float
    bytes: float
    device: str


MeasureNetwork = Callable[[Sequence[Path]], NetworkSpeed | None]


def decoding_speed(drive: SurveyDrive, seconds: float = DECODING_S) -> float | None:
    """Return frames a second that this machine decodes of a drive, measured; None where none decodes."""
    started, count = time.perf_counter(), 0
    try:
        if not drive.is_video:
            for path in drive.files[:20]:
                read_picture(path)
                count += 1
        else:
            path = next(path for path in drive.files if path not in drive.broken)
            for frame in read_frames(path):
                count += isinstance(frame, VideoFrame)
                if time.perf_counter() - started > seconds:
                    break
    except (MediaError, StopIteration):
        pass
    spent = time.perf_counter() - started
    return count / spent if count and spent > 0 else None


def forecast_items(
    drives: Sequence[SurveyDrive], out: Path, decoding: float | None, network: NetworkSpeed | None, every: str | None
) -> list[Item]:
    """Return the forecasts of hours and room.

    Args:
        drives: Those that are going to be predicted.
        out: Folder of the results.
        decoding: Frames a second.
        network: None where it was not measured.
        every: One frame every so many frames or seconds; None for all.
    """
    return [_hours(drives, decoding, network, every), _disk(drives, out, network, every)]


def _hours(
    drives: Sequence[SurveyDrive], decoding: float | None, network: NetworkSpeed | None, every: str | None
) -> Item:
    frames, seen = sum(drive.frames or 0 for drive in drives), _looked_at(drives, every)
    unknown = sum(drive.frames is None for drive in drives)
    size = sum(drive.size_bytes for drive in drives)
    values = {
        "frames": frames, "looked_at": round(seen), "bytes": size, "decoded_per_s": decoding and round(decoding, 1),
        "predict_s_per_frame": network and round(network.seconds, 4), "device": network and network.device,
    }  # fmt: skip
    told = f"{frames} frames, {size / 1e9:.2f} GB"
    if unknown:
        told += f" (and {unknown} drives that do not state their length)"
    if decoding is None:
        return Item("", "hours", "ok", f"{told}; no speed measured", values=values)
    reading_s = frames / decoding
    if network is None:
        values["forecast_s"] = round(reading_s)
        text = f"forecast at least {duration(reading_s)} for {told}: decoding alone, {decoding:.0f} frames/s measured"
        return Item("", "hours", "ok", f"{text}; give --weights to measure the network", values=values)
    needed_s = max(reading_s, seen * network.seconds)
    values["forecast_s"] = round(needed_s)
    speed = f"{1 / network.seconds:.1f} frames/s measured on {network.device}"
    text = f"forecast {duration(needed_s)} for {told}, of which {seen:.0f} are looked at, {speed}"
    return Item("", "hours", "ok", text, values=values)


def _disk(drives: Sequence[SurveyDrive], out: Path, network: NetworkSpeed | None, every: str | None) -> Item:
    need = _looked_at(drives, every) * (network.bytes if network else BYTES_PER_FRAME) * ROOM
    free = shutil.disk_usage(_existing(out)).free
    values = {"needed_bytes": round(need), "free_bytes": free}
    text = f"forecast {need / 1e9:.2f} GB needed, {free / 1e9:.1f} GB free at {out}"
    if free < need + LEAST_FREE_BYTES:
        return Item("", "disk", "problem", text, "free some room, or name --out on another disk", values=values)
    if free < 2 * need + LEAST_FREE_BYTES:
        return Item("", "disk", "warning", text, "free some room", values=values)
    return Item("", "disk", "ok", text, values=values)


def _looked_at(drives: Sequence[SurveyDrive], every: str | None) -> float:
    """How many frames the network sees; of a step in metres nobody knows yet, so that all count."""
    step = parse_every(every) if every else None
    total = 0.0
    for drive in drives:
        frames = float(drive.frames or 0)
        if step is not None and drive.is_video:
            if step.unit == "frames":
                frames /= step.amount
            elif step.unit == "s" and drive.seconds:
                frames = min(frames, drive.seconds / step.amount)
        total += frames
    return total


def _existing(folder: Path) -> Path:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return place
