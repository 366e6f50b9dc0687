"""Drives along a procedural road: video or single frames, and the truth beside them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError, MediaError
from reg_yolo.files import whole_folder
from reg_yolo.parallel import start_worker
from reg_yolo.scenes.drives import survey_files, truth_files
from reg_yolo.scenes.drives.features import DriveFeatures
from reg_yolo.scenes.drives.frames import DriveOptions, DrivePlan, FramePlan, RenderedFrame, plan_drive, render_frame
from reg_yolo.scenes.drives.gnss import NoiseModel
from reg_yolo.scenes.labelling.labels import LabelRule
from reg_yolo.scenes.rendering.weather import encode_jpeg

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class DriveSummary:
    """What `write_drive` has written.

    Args:
        root: the folder.
        videos: chapter files in the order of the drive, by direction name; empty with single frames.
        frames: number of images by direction name.
        assets: number of assets along the road.
    """

    root: Path
    videos: dict[str, list[Path]] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    assets: int = 0


def write_drive(
    out: Path | str,
    km: float = 1.0,
    size: tuple[int, int] = (960, 544),
    seed: int = 0,
    *,
    fps: float = 10.0,
    speed_kmh: float = 72.0,
    every_m: float | None = None,
    chapter_s: float = 60.0,
    codec: str = "mp4v",
    both_directions: bool = False,
    traffic_side: str = "left",
    time: str = "day",
    weather: str = "clear",
    gps_hz: float = 10.0,
    utm_zone: str = "47N",
    noise: NoiseModel | None = None,
    rule: LabelRule | None = None,
    truth_only: bool = False,
    features: DriveFeatures | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DriveSummary:
    """Write one drive, or two in opposite directions, with full truth.

    Files: `drive.json`, `assets.geojson`, `route.geojson`, and for each direction a folder `forward` or `backward` with
    the images, `frames.jsonl`, `calibration_clean.json`, `calibration_noisy.json`, `track_clean.gpx` and
    `track_noisy.gpx`. docs/scenes.md describes every field.

    Args:
        out: folder that is made once all frames are; it must not exist yet, or be empty.
        km: length of the road that is driven, kilometres.
        size: width and height in pixels, even numbers.
        seed: the same seed and arguments give the same truth and the same images, with any number of workers.
        fps: frames each second of the video.
        speed_kmh: constant speed of the camera car; the highest one with the features speed or stops.
        every_m: write single JPEG frames this many metres apart instead of video.
        chapter_s: length of one video file in seconds.
        codec: four letters that OpenCV's video writer knows, such as mp4v or avc1.
        both_directions: also drive back on the other side of the same road.
        traffic_side: "left" (Thailand) or "right".
        time: "day", "dusk" or "night"; "" draws it.
        weather: "clear", "overcast", "rain" or "fog"; "" draws it.
        gps_hz: fixes each second.
        utm_zone: zone the road lies in, such as 47N.
        noise: what is wrong with the noisy track and calibration.
        rule: what must be seen of an asset to be listed in a frame.
        truth_only: write no images; every other file but drive.json is the same.
        features: what makes the drive harder; with any of them files have version 2 of their schemas, and
            `camera_clean.yaml` and `camera_noisy.yaml` are written next to the calibrations.
        workers: processes that render.
        progress: called with the frames done and to do after each one.

    Raises:
        ConfigError: an argument is out of range.
        DataError: `out` already holds a drive, or other files.
        MediaError: the video cannot be written with this codec.
    """
    out = Path(out)
    options = DriveOptions(
        km=km,
        size=(int(size[0]), int(size[1])),
        seed=seed,
        fps=fps,
        speed_kmh=speed_kmh,
        every_m=every_m,
        both_directions=both_directions,
        traffic_side=traffic_side,
        time=time,
        weather=weather,
        gps_hz=gps_hz,
        utm_zone=utm_zone,
        noise=noise or NoiseModel(),
        rule=rule or LabelRule(),
        truth_only=truth_only,
        features=features or DriveFeatures(),
    )
    if chapter_s * fps < 1:
        raise ConfigError(f"A chapter must hold at least one frame, got {chapter_s} s at {fps} frames a second.")
    if (out / "drive.json").exists():
        raise DataError(f"{out} already holds a drive. Choose another folder or remove it first.")
    plan = plan_drive(options)
    summary = DriveSummary(out, assets=len(plan.world.assets))
    per_chapter = max(1, round(chapter_s * fps))
    total = sum(len(frames) for frames in plan.frames.values())
    done = 0
    with whole_folder(out) as whole:
        for name, frames in plan.frames.items():
            folder = whole / name
            folder.mkdir(exist_ok=True)
            sink: _Frames | _Chapters = (
                _Frames(folder, truth_only) if every_m is not None else _Chapters(folder, options, per_chapter, codec)
            )
            with (folder / "frames.jsonl").open("w", encoding="utf-8", newline="\n") as lines, sink:
                lines.write(truth_files.frames_header(plan, name))
                for frame, rendered in zip(frames, _rendered(options, plan, frames, workers), strict=True):
                    file, chapter, chapter_frame = sink.add(rendered)
                    lines.write(truth_files.frame_line(plan, frame, rendered, file, chapter, chapter_frame))
                    done += 1
                    if progress is not None:
                        progress(done, total)
            survey_files.write_direction(folder, plan, name)
            summary.frames[name] = len(frames)
            summary.videos[name] = [out / name / file for file in sink.files] if every_m is None else []
        truth_files.write_world(whole, plan, {name: [p.name for p in files] for name, files in summary.videos.items()})
    return summary


class _Chapters:
    """Writes frames into video files of equal length."""

    def __init__(self, folder: Path, options: DriveOptions, per_chapter: int, codec: str) -> None:
        if len(codec) != 4:
            raise ConfigError(f"The codec must be four letters such as mp4v, got {codec!r}.")
        self.files: list[str] = []
        self._folder, self._options, self._per_chapter, self._codec = folder, options, per_chapter, codec
        self._writer: cv2.VideoWriter | None = None
        self._in_chapter = 0

    def __enter__(self) -> _Chapters:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()

    def add(self, rendered: RenderedFrame) -> tuple[str, int, int]:
        """Append a frame; returns its file, the number of the chapter and its number in the chapter."""
        if not self.files or self._in_chapter == self._per_chapter:
            self._in_chapter = 0
            if self._writer is not None:
                self._writer.release()
                self._writer = None
            self.files.append(f"chapter_{len(self.files):03d}.mp4")
            if not self._options.truth_only:
                self._open(self._folder / self.files[-1])
        if self._writer is not None:
            self._writer.write(rendered.picture)
        self._in_chapter += 1
        return self.files[-1], len(self.files) - 1, self._in_chapter - 1

    def _open(self, path: Path) -> None:
        code = cv2.VideoWriter.fourcc(*self._codec)
        self._writer = cv2.VideoWriter(str(path), code, self._options.fps, self._options.size)
        if not self._writer.isOpened():
            raise MediaError(f"{path} cannot be written with the codec {self._codec}; try codec=mp4v.")


class _Frames:
    """Writes frames as single JPEG files."""

    def __init__(self, folder: Path, truth_only: bool) -> None:
        self.files: list[str] = []
        self._folder, self._truth_only = folder / "frames", truth_only
        if not truth_only:
            self._folder.mkdir(exist_ok=True)

    def __enter__(self) -> _Frames:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, rendered: RenderedFrame) -> tuple[str, int, int]:
        """Write a frame; returns its file and, as a drive of single frames has one chapter, 0 and its number."""
        name = f"frames/{len(self.files):06d}.jpg"
        if not self._truth_only:
            (self._folder.parent / name).write_bytes(encode_jpeg(rendered.picture, 92))
        self.files.append(name)
        return name, 0, len(self.files) - 1


_worker_plan: DrivePlan | None = None


def _start_worker(options: DriveOptions) -> None:
    global _worker_plan
    start_worker()
    _worker_plan = plan_drive(options)


def _render_in_worker(frame: FramePlan) -> RenderedFrame:
    assert _worker_plan is not None
    return render_frame(_worker_plan, frame)


def _rendered(options: DriveOptions, plan: DrivePlan, frames: list[FramePlan], workers: int) -> Iterator[RenderedFrame]:
    if workers <= 1:
        yield from (render_frame(plan, frame) for frame in frames)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(options,)) as pool:
        # Submitted in short runs, so that finished images do not pile up in memory.
        run = workers * 8
        for start in range(0, len(frames), run):
            yield from pool.map(_render_in_worker, frames[start : start + run], chunksize=2)
