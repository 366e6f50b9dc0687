"""The sections of gpu_check.py about running networks: predict beside Ultralytics', engines, stages, suppression."""

from __future__ import annotations

import importlib.util
import os
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from bench_criterion import interleaved, ratio_text
from bench_predict import make_video, ours, stage_times, upstream
from gpu_check_rows import Row, Setting, Verdict
from torch import Tensor
from torchvision.ops import batched_nms

import reg_yolo
from reg_yolo.yolo.upstream.engine_kinds import (
    ONNXRUNTIME,
    TENSORRT,
    EngineKind,
    engine_version,
    missing_modules,
    onnxruntime_has_cuda,
)

IOU_THRESHOLD = 0.7
CLASSES = 7


def predict_speed(setting: Setting) -> Iterator[Row]:
    """Time `predict` with PyTorch on a clip, annotated copy included, beside Ultralytics'."""
    ways = {"f32": {"precision": "f32"}} | ({"f16": {"precision": "f16"}} if setting.on_gpu else {})
    runs = {name: {"engine": "pytorch", **way} for name, way in ways.items()}
    yield from beside_upstream("predict, PyTorch", runs, setting)


def engines(setting: Setting) -> Iterator[Row]:
    """Time the other engines of a card where they are installed, and say so where not."""
    check = "predict, engines"
    for kind, objection in ((ONNXRUNTIME, without_onnxruntime(setting)), (TENSORRT, without_tensorrt(setting))):
        if objection:
            yield Row(check, kind.title, "left out", note=objection)
            continue
        yield from beside_upstream(check, {kind.title: {"engine": kind.name}}, setting)


def without_onnxruntime(setting: Setting) -> str:
    """Return why ONNX Runtime does not run on the card; empty where it does."""
    missing = missing_modules(ONNXRUNTIME)
    if missing:
        return f"not installed: {', '.join(missing)}"
    if not setting.on_gpu:
        return "no card"
    return "" if onnxruntime_has_cuda() else f"{engine_version(ONNXRUNTIME)} has no CUDAExecutionProvider"


def without_tensorrt(setting: Setting) -> str:
    """Return why TensorRT does not run; empty where it does."""
    missing = missing_modules(TENSORRT)
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if setting.on_gpu else "no card"


def beside_upstream(check: str, ways: dict[str, dict[str, Any]], setting: Setting) -> Iterator[Row]:
    """Run both over the clip in turns and return the frames/s, what is loaded and exported not counted."""
    weights, clip, device = own_weights(setting), clip_of(setting), str(setting.device)
    imgsz = setting.sizes.image_size
    runs: dict[str, Callable[[Path], float]] = {"upstream": upstream(weights, imgsz, setting.folder / "up", device)}
    for name, way in ways.items():
        used = reg_yolo.predict(weights, clip, out=setting.folder / "first", imgsz=imgsz, device=device, **way).engine
        if used.engine != way["engine"]:
            yield Row(check, name, "failed", note=used.reason)
            continue
        runs[name] = ours(weights, imgsz, setting.folder / "ours", device, **way)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(setting.sizes.video_repeats + 1):
        for name, run in runs.items():
            rate = run(clip)
            if repeat:
                rates[name].append(rate)
    width, height = setting.sizes.video_size
    for name, values in rates.items():
        if name != "upstream":
            middle = [statistics.median(each) for each in (rates["upstream"], values)]
            note = f"{width} x {height}, network input {imgsz}, annotated video written; upstream with its .pt"
            yield Row(check, name, "", "frames/s", *middle, ratio_of(values, rates["upstream"]), note)


def stages(setting: Setting) -> Iterator[Row]:
    """Measure what decoding and encoding take of a frame's processor time, with PyTorch."""
    weights, clip, device = own_weights(setting), clip_of(setting), str(setting.device)
    options = {"imgsz": setting.sizes.image_size, "device": device, "engine": "pytorch"}
    choice = reg_yolo.predict(weights, clip, out=setting.folder / "stages", **options).engine
    threads = torch.get_num_threads()
    try:
        times = stage_times(weights, choice, clip, setting.sizes.image_size, setting.folder, device)
    finally:
        torch.set_num_threads(threads)
    total = sum(times.values())
    for name, value in times.items():
        yield Row(
            "stages", name, "", "processor ms a frame", None, value, note=f"{value / total:.0%} of {total:.2f} ms"
        )


def suppression(setting: Setting) -> Iterator[Row]:
    """Time torchvision's suppression and the one that weighs localisation, and hold ours to itself on the processor."""
    check = "suppression"
    found = importlib.util.find_spec("reg_yolo.nms") is not None
    if not found:
        yield Row(
            check, "reg_yolo.nms", "left out", note="this version has no such module; torchvision's alone is timed"
        )
    for count in setting.sizes.boxes:
        boxes, scores, labels = (each.to(setting.device) for each in crowded_boxes(count))
        arguments = (boxes, scores, labels, IOU_THRESHOLD)
        calls: dict[str, Callable[[], Tensor]] = {"torchvision": lambda a=arguments: batched_nms(*a)}
        if found:
            from reg_yolo.nms import balanced_nms

            calls["balanced"] = lambda a=arguments, f=balanced_nms: f(*a).indices
        times = interleaved(calls, setting.sizes.repeats, setting.device)
        stock = statistics.median(times["torchvision"])
        kept = len(calls["torchvision"]())
        if not found:
            yield Row(check, f"{count} boxes", "", "ms", stock, note=f"torchvision keeps {kept}")
            continue
        here = calls["balanced"]().cpu()
        there = balanced_nms(*(each.cpu() for each in arguments[:3]), IOU_THRESHOLD).indices
        verdict: Verdict = "ok" if same_boxes(here, there) else "failed"
        note = f"torchvision keeps {kept}, balanced {len(here)}, on the processor {len(there)}"
        middle, ratio = statistics.median(times["balanced"]), ratio_of(times["balanced"], times["torchvision"])
        yield Row(check, f"{count} boxes", verdict, "ms", stock, middle, ratio, note)


def same_boxes(left: Tensor, right: Tensor) -> bool:
    """Return whether two lists of indices are the same, but for a thousandth of them that rounding decides."""
    first, second = set(left.tolist()), set(right.tolist())
    return len(first ^ second) <= len(first | second) / 1000


def crowded_boxes(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes that overlap in groups of ten, scores and classes."""
    generator = torch.Generator().manual_seed(count)
    groups = torch.arange(count) // 10
    center = 4096.0 * torch.rand(int(groups.max()) + 1, 2, generator=generator)
    size = 16.0 + 112.0 * torch.rand(len(center), 2, generator=generator)
    shift = 0.15 * size[groups] * torch.randn(count, 2, generator=generator)
    low = center[groups] + shift - size[groups] / 2
    scores = torch.rand(count, generator=generator)
    return torch.cat((low, low + size[groups]), 1), scores, groups % CLASSES


def ratio_of(values: list[float], others: list[float]) -> str:
    """Return the median ratio, with its quartiles where there are enough repeats for them."""
    return ratio_text(values, others) if len(values) > 1 else f"{values[0] / others[0]:.2f}"


def own_weights(setting: Setting) -> Path:
    """Return a copy of the weights, next to which exports may be kept."""
    copy = setting.folder / "weights.pt"
    return copy if copy.exists() else Path(shutil.copy(setting.weights, copy))


def clip_of(setting: Setting) -> Path:
    """Return the clip, rendered once."""
    clip, sizes = setting.folder / "road.mp4", setting.sizes
    if clip.exists():
        return clip
    workers = min(8, os.cpu_count() or 1) if setting.on_gpu else 1
    return make_video(setting.folder, sizes.video_loops, km=sizes.video_km, size=sizes.video_size, workers=workers)


def describe(kind: EngineKind) -> str:
    """Return the version of an engine, or that it is not there."""
    return f"{kind.title} not installed" if missing_modules(kind) else engine_version(kind)
