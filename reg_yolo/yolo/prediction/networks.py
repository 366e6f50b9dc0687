"""From images through the network: its input, and how many networks run side by side with how many threads each.

The input is upstream's letterbox and numbers, bit for bit, in fewer passes. On few cores, two networks of one thread
each finish a quarter more frames than one network of two threads, whose threads wait for each other at every layer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.data.loaders import SourceTypes
from ultralytics.utils.checks import check_imgsz

from reg_yolo.parallel import available_cores

# Further ones gain little and hold their frames in memory.
_MOST_NETWORKS = 4
# Every number that a byte becomes, as upstream computes it: looking up is faster than converting and dividing.
_SHARES = torch.arange(256, dtype=torch.float32).div_(255).numpy()
# Copies of a model that run in parallel with it.
_COPIES: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()
# What a batch is by default on a GPU, where one frame does not fill it.
GPU_BATCH = 8


def network_count() -> int:
    """Return how many networks run side by side on the processor."""
    return min(_MOST_NETWORKS, available_cores())


def default_batch(device: torch.device) -> int:
    """Return how many frames go through the network at once where the user does not say."""
    return GPU_BATCH if device.type == "cuda" else 1


@contextmanager
def thread_count_kept() -> Iterator[None]:
    """Leave torch's number of threads as it was; what a worker sets, threads would start with from then on."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work in the calling thread alone: more threads for small tensors only take cores from the network."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def set_up(predictor: Any) -> None:
    """Bring a predictor with a model into the state in which upstream's loop takes its steps.

    Args:
        predictor: Upstream's predictor of any task, after `setup_model`.
    """
    # Upstream's suppression takes torchvision's where it is imported.
    import torchvision  # noqa: F401

    model = predictor.model
    if hasattr(model, "imgsz") and not getattr(model, "dynamic", False):
        predictor.args.imgsz = model.imgsz
    predictor.imgsz = check_imgsz(predictor.args.imgsz, stride=model.stride, min_dim=2)
    predictor.source_type = SourceTypes()


def prepare(predictor: Any, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Return the input Tensor[B, 3, H, W] of a batch: RGB, in [0, 1], on the model's device.

    The same as upstream's `preprocess`, which turns channels and reorders them in separate passes over the batch.

    Args:
        predictor: Upstream's predictor after `set_up`.
        pictures: BGR, shape (H, W, 3), uint8.
    """
    boxed = predictor.pre_transform(list(pictures))
    height, width = boxed[0].shape[:2]
    planes = np.empty((len(boxed), 3, height, width), np.uint8)
    for picture, (red, green, blue) in zip(boxed, planes, strict=True):
        cv2.split(picture, [blue, green, red])
    if predictor.device.type == "cpu" and not predictor.model.fp16:
        return torch.from_numpy(cv2.LUT(planes.reshape(-1, width), _SHARES).reshape(planes.shape))
    batch = torch.from_numpy(planes).to(predictor.device)
    return (batch.half() if predictor.model.fp16 else batch.float()).div_(255)


def inference_calls(predictor: Any) -> list[Callable[[torch.Tensor], Any]]:
    """Return functions from an input Tensor[B, 3, H, W] to raw predictions, each to be called by a thread of its own.

    A PyTorch model on the CPU is copied for that, since it keeps its anchors in itself, once for all sources; OpenVINO
    and ONNX Runtime take as many calls at once as they were opened for. Everything else takes one call at a time.

    Args:
        predictor: Upstream's predictor after `set_up`; its own `inference` is called on each model.
    """
    model, cores = predictor.model, available_cores()
    if getattr(model, "format", "") == "pt" and predictor.device.type == "cpu" and not predictor.args.compile:
        count = network_count()
        copies = _COPIES.setdefault(model, [])
        copies += [copy.deepcopy(model) for _ in range(count - 1 - len(copies))]
        models = [model, *copies[: count - 1]]
        return [_call(predictor, each, max(1, cores // count)) for each in models]
    calls = getattr(getattr(model, "backend", None), "calls_at_once", 1)
    return [_call(predictor, model, None) for _ in range(calls)]


def _call(predictor: Any, model: Any, threads: int | None) -> Callable[[torch.Tensor], Any]:
    # Upstream's method reads everything from the predictor, so that a shallow twin runs another model.
    twin = copy.copy(predictor)
    twin.model = model

    def infer(batch: torch.Tensor) -> Any:
        if threads is not None and torch.get_num_threads() != threads:
            # Counts for the calling thread.
            torch.set_num_threads(threads)
        with torch.inference_mode():
            return twin.inference(batch)

    return infer
