"""Run `predict` over a video of 10,000 frames and record the memory that the process takes.

    python scripts/soak_predict.py [WEIGHTS] [--frames 10000] [--out soak]

Writes memory.csv and memory.png, prints the growth from the end of the first tenth on, and ends with code 1 where it is
50 MB or more.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import matplotlib
import numpy as np
import psutil

import reg_yolo
from reg_yolo.detections.detections import FrameDetections

LARGEST_GROWTH_MB = 50.0
SAMPLE_EVERY = 20


def write_long_video(path: Path, frames: int, width: int, height: int) -> Path:
    """Write a video whose texture moves, so that every frame has to be decoded and encoded."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (height // 8, width // 4, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            left = index % width
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(texture[:, left : left + width]), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def growth_mb(memory: list[float]) -> float:
    """Return by how much the last tenth of the samples lies above the second one."""
    tenth = max(1, len(memory) // 10)
    return statistics.median(memory[-tenth:]) - statistics.median(memory[tenth : 2 * tenth])


def draw(path: Path, frames: list[int], memory: list[float]) -> None:
    """Draw the memory curve."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(frames, memory, linewidth=1)
    axes.set(xlabel="frame", ylabel="resident memory (MB)", ylim=(0, 1.15 * max(memory)))
    axes.set_title(f"predict: {growth_mb(memory):+.1f} MB over {frames[-1]} frames")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> int:
    """Run the soak and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="demo")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", default="320x192", help="of the frames")
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--engine", default="pytorch")
    parser.add_argument("--out", type=Path, default=Path("soak"))
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    video = write_long_video(arguments.out / "long.mp4", arguments.frames, width, height)
    process = psutil.Process()
    frames: list[int] = []
    memory: list[float] = []

    def sample(found: FrameDetections) -> None:
        if found.frame % SAMPLE_EVERY == 0:
            frames.append(found.frame)
            memory.append(process.memory_info().rss / 1e6)

    summary = reg_yolo.predict(
        arguments.weights,
        video,
        out=arguments.out / "found",
        on_frame=sample,
        imgsz=arguments.imgsz,
        engine=arguments.engine,
        conf=0.05,
    )
    with (arguments.out / "memory.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("frame", "resident_mb"), *zip(frames, memory, strict=True)])
    draw(arguments.out / "memory.png", frames, memory)
    growth = growth_mb(memory)
    print(
        f"{summary.frames} frames in {summary.seconds:.0f} s, {sum(summary.counts.values())} objects, "
        f"{threading.active_count()} threads left; memory {memory[0]:.0f} MB at first, {memory[-1]:.0f} MB at last, "
        f"growth {growth:+.1f} MB (limit {LARGEST_GROWTH_MB:.0f})"
    )
    return 0 if growth < LARGEST_GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())
