"""Measure what 100 km cost: decoding and prediction of 1080p H.264 and 4K H.265, in processor seconds a frame.

    python scripts/bench_survey.py [--frames 30] [--decode-only] [--video drive.mp4] [--out clips]

Clips are rendered small (or taken from --video), enlarged, given a sensor's noise and encoded at the bit rate of a
camera, which is what decoding depends on; what they show does not matter. Processor seconds hardly depend on what else
runs, hours on a clock do. A codec that this FFmpeg lacks is skipped and named. Prints Markdown.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from reg_yolo.video.decoding import VideoFrame, read_frames

FPS = 30
# Name, encoder, size, Mbit/s as action and dash cameras write them.
KINDS = (("1080p H.264", "libx264", (1920, 1080), 15), ("4K H.265", "libx265", (3840, 2160), 60))
KMH = 60.0
WARM_UP = 5


def render(frames: int, folder: Path) -> list[np.ndarray]:
    """Return frames of a drive at 30 a second."""
    from reg_yolo.scenes import write_drive

    km = (frames - 1) / FPS * KMH / 3600
    drive = write_drive(folder / "drive", km=km, size=(640, 360), fps=FPS, speed_kmh=KMH, seed=11)
    found = [item.picture for item in read_frames(drive.videos["forward"][0]) if isinstance(item, VideoFrame)]
    return [picture for picture in found if picture is not None]


def encode(path: Path, pictures: list[np.ndarray], codec: str, size: tuple[int, int], mbit: float) -> None:
    """Write a clip at a bit rate."""
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 3, (size[1] + 64, size[0] + 64, 1)).astype(np.int8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(FPS), options={"preset": "ultrafast"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = int(mbit * 1e6)
        stream.codec_context.gop_size = FPS
        for picture in pictures:
            y, x = rng.integers(0, 64, 2)
            large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC).astype(np.int16)
            noisy = np.clip(large + grain[y : y + size[1], x : x + size[0]], 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="bgr24")))
        container.mux(stream.encode())


def spent(work: Callable[[], object]) -> float:
    """Return the processor seconds of all threads that a call takes."""
    before = processor_s()
    work()
    return processor_s() - before


def processor_s() -> float:
    """Return the processor seconds of all threads of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="demo")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--decode-only", action="store_true")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        pictures: list[np.ndarray] = []
        print("| | Mbit/s | decode ms | decode, every frame converted ms | predict ms | network and records ms |")
        print("|---|---|---|---|---|---|")
        for name, codec, size, mbit in KINDS:
            clip = folder / f"{codec}_{size[1]}.mp4"
            try:
                av.codec.Codec(codec, "w")
            except ValueError:
                print(f"| {name} | skipped: this FFmpeg has no {codec} | | | | |")
                continue
            if not clip.is_file():
                pictures = pictures or _pictures(options, Path(temporary))
                encode(clip, pictures, codec, size, mbit)
            weights = None if options.decode_only else options.weights
            measure(name, clip, weights, options.imgsz, Path(temporary) / codec)


def _pictures(options: argparse.Namespace, folder: Path) -> list[np.ndarray]:
    if options.video is None:
        return render(options.frames, folder)
    found = (item.picture for item in read_frames(options.video) if isinstance(item, VideoFrame))
    return [picture for picture in islice(found, options.frames) if picture is not None]


def measure(name: str, clip: Path, weights: str | None, imgsz: int, out: Path) -> None:
    """Print the row of a clip."""

    def decode(wanted: bool) -> int:
        return sum(isinstance(item, VideoFrame) for item in read_frames(clip, lambda *_: wanted))

    count = decode(False)
    bare, full = (spent(lambda wanted=wanted: decode(wanted)) / count for wanted in (False, True))
    mbit = clip.stat().st_size * 8 / 1e6 / (count / FPS)
    cells = [f"{mbit:.1f}", *(f"{1000 * value:.1f}" for value in (bare, full))]
    if weights is None:
        print(f"| {name} | {' | '.join(cells)} | | |", flush=True)
        return
    import reg_yolo

    moments: list[float] = []
    reg_yolo.predict(
        weights, clip, out=out, on_frame=lambda _: moments.append(processor_s()), engine="pytorch", imgsz=imgsz,
        for_inventory=True, track=True, device="cpu",
    )  # fmt: skip
    # Opening the model and the first frames are left out: in a month they count for nothing.
    predict = (moments[-1] - moments[WARM_UP]) / (len(moments) - 1 - WARM_UP)
    cells += [f"{1000 * value:.1f}" for value in (predict, predict - full)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
