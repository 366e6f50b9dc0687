"""Time `predict` on a video, annotated copy included: upstream's and ours, with each engine, and what the stages cost.

    python scripts/bench_predict.py [--weights weights/highway_yolov8n.pt] [--imgsz 640] [--repeats 5] [--int8]
    python scripts/bench_predict.py --records-only                  # no annotated copy: neither drawn nor encoded

The ways take turns within every repeat, so that whatever else the machine does falls on all of them alike; ratios are
medians of the ratio within a repeat. Loading and exporting are not counted: frames/s from the first to the last frame.
The bound is what the cores would do if they never waited: cores / sum of the stages' processor time a frame, each stage
measured alone and on one thread. Processor time hardly depends on what else runs, frames/s do: measure on a machine
that nobody else uses, or look at the ratios. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_criterion import machine_name, ratio_text

import reg_yolo
from reg_yolo.detections.files import CsvWriter
from reg_yolo.drawing.annotate import Annotator
from reg_yolo.scenes import write_drive, write_stills
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.privacy import release
from reg_yolo.video.probing import probe_video
from reg_yolo.video.reading import SourceFrame
from reg_yolo.video.tiles import Crop
from reg_yolo.video.writer import AnnotatedVideoWriter
from reg_yolo.yolo.engines.choice import EngineChoice
from reg_yolo.yolo.prediction.networks import available_cores, prepare, set_up
from reg_yolo.yolo.prediction.predictors import make_predictor
from reg_yolo.yolo.prediction.results import detections_of
from reg_yolo.yolo.weights.opening import open_detector
from reg_yolo.yolo.weights.thresholds import choose_thresholds

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics import YOLO  # isort: skip
from ultralytics.utils import LOGGER  # isort: skip

SIZE = (1280, 720)
WARM_UP_FRAMES = 10
STAGE_FRAMES = 110
OURS = {
    "PyTorch": {"engine": "pytorch"},
    "ONNX Runtime": {"engine": "onnxruntime"},
    "OpenVINO f32": {"engine": "openvino", "precision": "f32"},
    "OpenVINO": {"engine": "openvino"},
}


def make_video(folder: Path, loops: int, *, km: float = 0.25, size: tuple[int, int] = SIZE, workers: int = 1) -> Path:
    """Return a drive along the embedded highway as H.264, its frames repeated."""
    drive = write_drive(folder / "drive", km=km, size=size, seed=7, workers=workers)
    frames = pictures_of(drive.videos["forward"][0])
    target = folder / "road.mp4"
    with AnnotatedVideoWriter(target, *size, 30.0) as writer:
        for _ in range(loops):
            for picture in frames:
                writer.write(release(picture))
    return target


def pictures_of(video: Path, most: int = 1000) -> list[np.ndarray]:
    """Return the first frames of a video."""
    frames = itertools.islice((frame for frame in read_frames(video) if isinstance(frame, VideoFrame)), most)
    return [frame.picture for frame in frames if frame.picture is not None]


def upstream(model: Path, imgsz: int, folder: Path, device: str = "cpu", save: bool = True) -> Callable[[Path], float]:
    """Return a call that runs upstream's `predict` with its defaults over a video and gives frames/s."""
    network = YOLO(model, task="detect")

    def run(video: Path) -> float:
        shutil.rmtree(folder, ignore_errors=True)
        options = {"save": save, "imgsz": imgsz, "project": str(folder), "device": device, "verbose": False}
        results = network.predict(source=str(video), stream=True, **options)
        started = time.perf_counter()
        count = sum(1 for _ in results)
        return count / (time.perf_counter() - started)

    return run


def ours(weights: Path, imgsz: int, folder: Path, device: str = "cpu", **options: Any) -> Callable[[Path], float]:
    """Return a call that runs our `predict` over a video and gives frames/s."""

    def run(video: Path) -> float:
        shutil.rmtree(folder, ignore_errors=True)
        summary = reg_yolo.predict(weights, video, out=folder, imgsz=imgsz, device=device, **options)
        return summary.frames / summary.seconds

    return run


def processor_ms(call: Callable[[Any], Any], items: list[Any]) -> tuple[float, list[Any]]:
    """Return milliseconds of processor time an item, of all threads, and the results; the first items warm up."""
    results = [call(item) for item in items[:WARM_UP_FRAMES]]
    # Threads of what ran before may still wait for work with a processor.
    time.sleep(0.3)
    started = time.process_time()
    results += [call(item) for item in items[WARM_UP_FRAMES:]]
    return 1000.0 * (time.process_time() - started) / (len(items) - WARM_UP_FRAMES), results


def stage_times(
    weights: Path, choice: EngineChoice, video: Path, imgsz: int, folder: Path, device: str = "cpu"
) -> dict[str, float]:
    """Return milliseconds of processor time a frame by stage, each alone and on one thread."""
    torch.set_num_threads(1)
    detector = open_detector(weights)
    thresholds = choose_thresholds(detector)
    predictor = make_predictor(
        detector,
        {"imgsz": imgsz, "rect": True, "conf": min(thresholds.values()), "device": device, "task": "detect",
         "mode": "predict", "model": str(weights), "save": False, "verbose": False, "save_dir": str(folder)},
        list(thresholds.values()),
    )  # fmt: skip
    single = {"NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": 1} if choice.engine != "pytorch" else {}
    predictor.model = choice.open(torch.device(device), **single)
    predictor.device = predictor.model.device
    set_up(predictor)
    info = probe_video(video)
    started = time.process_time()
    pictures = pictures_of(video, STAGE_FRAMES)
    times = {"decode": 1000.0 * (time.process_time() - started) / len(pictures)}
    times["prepare"], batches = processor_ms(lambda picture: prepare(predictor, [picture]), pictures)
    with torch.inference_mode():
        times["infer"], outputs = processor_ms(predictor.inference, batches)
        whole = Crop(0, 0, info.width, info.height)

        def suppress(item: tuple[Any, Any, Any, int]) -> Any:
            raw, batch, picture, index = item
            predictor.batch = ([str(video)], None, None)
            result = predictor.postprocess(raw, batch, [picture])[0]
            frame = SourceFrame(video, index, index / 30, picture, info)
            return detections_of([(whole, result)], frame, detector.class_names)

        items = list(zip(outputs, batches, pictures, range(len(pictures)), strict=True))
        times["suppress"], found = processor_ms(suppress, items)
    with CsvWriter(folder / "bench.csv") as table:
        times["record"], _ = processor_ms(lambda frame: (table.write(frame), json.dumps(frame.to_record())), found)
    annotator = Annotator(detector.class_names)
    times["draw"], _ = processor_ms(
        lambda pair: annotator.annotate(pair[0], pair[1], in_place=True), list(zip(pictures, found, strict=True))
    )
    with AnnotatedVideoWriter(folder / "bench.mp4", info.width, info.height, 30.0) as writer:
        times["encode"], _ = processor_ms(lambda picture: writer.write(release(picture, in_place=True)), pictures)
    return times


def measure(options: argparse.Namespace, folder: Path) -> None:
    """Run everything in `folder` and print the tables."""
    weights = Path(shutil.copy(options.weights, folder / "weights.pt"))
    video = options.video or make_video(folder, options.loops)
    threads = torch.get_num_threads()
    ways = dict(OURS)
    if options.int8:
        write_stills(folder / "scenes", images=120, size=(640, 384), seed=3, boxes_only=True)
        ways["OpenVINO INT8"] = {"engine": "openvino", "int8": True, "data": folder / "scenes/data.yaml"}
    # One run of each exports what is missing; it tells the model that upstream gets as well.
    choices = {
        name: reg_yolo.predict(weights, video, out=folder / "first", imgsz=options.imgsz, device="cpu", **way).engine
        for name, way in ways.items()
    }
    save = not options.records_only
    runs = {"upstream, .pt": upstream(weights, options.imgsz, folder / "upstream", save=save)}
    for name in ("OpenVINO", "OpenVINO INT8"):
        if name in choices:
            runs[f"upstream, {name}"] = upstream(choices[name].model, options.imgsz, folder / "upstream", save=save)
    runs |= {
        f"ours, {name}": ours(weights, options.imgsz, folder / "ours", save=save, **way) for name, way in ways.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(options.repeats + 1):
        for name, run in runs.items():
            torch.set_num_threads(threads)
            rate = run(video)
            if repeat:
                rates[name].append(rate)
        print(f"repeat {repeat}: " + ", ".join(f"{n} {r[-1]:.1f}" for n, r in rates.items() if r), file=sys.stderr)
    cores = available_cores()
    stages = {name: stage_times(weights, choice, video, options.imgsz, folder) for name, choice in choices.items()}
    if options.records_only:
        stages = {name: {k: v for k, v in each.items() if k not in ("draw", "encode")} for name, each in stages.items()}
    print(f"{machine_name(torch.device('cpu'))}, load {os.getloadavg()[1]:.1f}, {SIZE[0]}x{SIZE[1]}, ", end="")
    written = "annotated video written" if save else "records only"
    print(f"network input {options.imgsz}, {options.repeats} repeats, {written}\n")
    print("| | frames/s | best | to upstream .pt | to upstream OpenVINO | bound | share of it, median | best |")
    print("|---|---|---|---|---|---|---|---|")
    for name, values in rates.items():
        engine = name.removeprefix("ours, ")
        cells = [f"{statistics.median(values):.1f}", f"{max(values):.1f}"]
        others = ("upstream, .pt", "upstream, OpenVINO")
        cells += [ratio_text(values, rates[other]) if name.startswith("ours") else "" for other in others]
        if engine in stages:
            bound = 1000.0 * cores / sum(stages[engine].values())
            shares = (statistics.median(values) / bound, max(values) / bound)
            cells += [f"{bound:.1f}", *(f"{share:.0%}" for share in shares)]
        else:
            cells += ["", "", ""]
        print(f"| {name} ({choices[engine].precision if engine in choices else ''}) | {' | '.join(cells)} |")
    print("\nProcessor time of the stages, milliseconds a frame:\n")
    print(f"| | {' | '.join(next(iter(stages.values())))} | sum |")
    print("|---" * (2 + len(next(iter(stages.values())))) + "|")
    for name, times in stages.items():
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in times.values())} | {sum(times.values()):.2f} |")
    for choice in choices.values():
        print(f"\n{choice.reason}{'; ' + choice.facts['map_change'] if 'map_change' in choice.facts else ''}")


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights/highway_yolov8n.pt"))
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--loops", type=int, default=3, help="how often the drive's 125 frames are repeated")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--int8", action="store_true", help="calibrate on scenes and measure INT8, too")
    parser.add_argument("--records-only", action="store_true", help="write no annotated video")
    parser.add_argument("--video", type=Path, help="measure on this 1280x720 video instead")
    options = parser.parse_args()
    LOGGER.setLevel("ERROR")
    with tempfile.TemporaryDirectory(prefix="bench_predict_") as name:
        measure(options, Path(name))


if __name__ == "__main__":
    main()
