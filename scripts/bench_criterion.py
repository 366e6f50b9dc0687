"""Time the REG criterion beside Ultralytics' own on the same predictions, forward and backward.

    python scripts/bench_criterion.py [--batch 8 16] [--objects 12 60] [--threads 1] [--device cpu] [--repeats 15]

The criteria take turns within every repeat, so that whatever else the machine does falls on all of them alike. Prints
a Markdown table of medians; the ratios are medians of the ratio within a repeat, with their quartiles. Before anything
is timed, the neutral criterion is held to the stock one: the same bits on a CPU.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics.utils.loss import v8DetectionLoss  # isort: skip

CLASS_COUNTS = [200, 100, 700, 1500, 50, 800, 300]
STRIDES = (8, 16, 32)
BINS = 16

EVERYTHING_ON = {
    "preset": "stock",
    "alpha": {"scheme": "balanced"},
    "focal": {"gamma": 1.5},
    "spatial": {"enabled": True, "distance": "center", "scope": "negatives", "floor": 0.1},
    "uncertainty": {"mode": "logit_normal", "deviation": "dfl"},
    "dynamic_coefficient": {"enabled": True},
    "box": {"loss": "eiou"},
}


@dataclass(frozen=True)
class Case:
    """One size of batch."""

    images: int
    objects: int
    image_size: int = 640


def head_like_model(device: torch.device) -> nn.Module:
    """Return what a criterion asks of a model: a parameter, gains, and a head with strides and bins."""
    head = nn.Conv2d(1, 1, 1)
    head.nc, head.reg_max, head.stride = len(CLASS_COUNTS), BINS, torch.tensor([float(s) for s in STRIDES])
    model = nn.Module()
    model.model = nn.Sequential(head)
    model.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
    return model.to(device)


def make_batch(case: Case, generator: torch.Generator) -> dict[str, Tensor]:
    """Return labels as a loader gives them: sides of 12 to 260 pixels, log-uniform, classes by their frequency."""
    count = case.images * case.objects
    area_side = 12.0 * (260.0 / 12.0) ** torch.rand(count, generator=generator)
    aspect = 4.0 ** (torch.rand(count, generator=generator) - 0.5)
    size = torch.stack((area_side * aspect, area_side / aspect), 1).clamp_(max=case.image_size) / case.image_size
    center = size / 2 + torch.rand(count, 2, generator=generator) * (1 - size)
    frequency = torch.tensor([float(n) for n in CLASS_COUNTS])
    return {
        "batch_idx": torch.arange(case.images).repeat_interleave(case.objects).float(),
        "cls": torch.multinomial(frequency, count, replacement=True, generator=generator).float().unsqueeze(1),
        "bboxes": torch.cat((center, size), 1),
    }


def make_predictions(case: Case, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Any]:
    """Return a head's output in the middle of a training.

    Logits lie at -5. Inside an object most anchor points predict its box, some pixels off, and score its class by how
    central they are; all others predict some box with a blurred distribution.
    """
    sides = [case.image_size // s for s in STRIDES]
    anchors = sum(n * n for n in sides)
    points = torch.cat([_grid(n) * s for n, s in zip(sides, STRIDES, strict=True)])
    strides = torch.cat([torch.full((n * n,), float(s)) for n, s in zip(sides, STRIDES, strict=True)])
    distances = 6.0 * torch.rand(case.images, anchors, 4, generator=generator)
    sharpness = torch.full((case.images, anchors), 0.1)
    logits = torch.randn(case.images, len(CLASS_COUNTS), anchors, generator=generator).mul_(0.7).sub_(5.0)
    for image, label, box in zip(batch["batch_idx"].long(), batch["cls"][:, 0].long(), batch["bboxes"], strict=True):
        x, y, w, h = (box * case.image_size).tolist()
        edges = torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        sides_px = torch.cat((points - edges[:2], edges[2:] - points), 1)
        inside = (sides_px.min(1).values > 0) & (torch.rand(anchors, generator=generator) < 0.8)
        noise = 0.4 * torch.randn(int(inside.sum()), 4, generator=generator)
        distances[image, inside] = (sides_px[inside] / strides[inside, None] + noise).clamp_(0.0, BINS - 1.0)
        sharpness[image, inside] = 1.0
        offset = (points[inside] - edges[:2]) / (edges[2:] - edges[:2]) - 0.5
        logits[image, label, inside] += 5.0 * (1.0 - 2.0 * offset.abs().max(1).values)
    bins = torch.arange(float(BINS))
    box_logits = -(distances.unsqueeze(-1) - bins).square() * sharpness[..., None, None]
    box_logits += 0.3 * torch.randn(box_logits.shape, generator=generator)
    feats = [torch.empty(case.images, 1, n, n) for n in sides]
    return {"boxes": box_logits.flatten(2).transpose(1, 2).contiguous(), "scores": logits, "feats": feats}


def _grid(side: int) -> Tensor:
    cells = torch.arange(side) + 0.5
    rows, columns = torch.meshgrid(cells, cells, indexing="ij")
    return torch.stack((columns, rows), -1).view(-1, 2)


def forward_and_backward(criterion: Any, preds: dict[str, Any], batch: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return one loss and the gradient of the head's output, as it goes back into a network."""
    loss, _ = criterion(preds, batch)
    return loss.detach(), *torch.autograd.grad(loss.sum(), (preds["boxes"], preds["scores"]))


def check_equal(expected: tuple[Tensor, ...], actual: tuple[Tensor, ...]) -> None:
    """Stop unless both losses and gradients agree: to the bit on a CPU, to rounding elsewhere."""
    for left, right in zip(expected, actual, strict=True):
        same = torch.equal(left, right) if left.device.type == "cpu" else torch.allclose(left, right, rtol=1e-4)
        if not same:
            raise SystemExit("the neutral criterion differs from the stock one: there is nothing to compare")


def milliseconds(call: Callable[[], Any], device: torch.device) -> float:
    """Return how long one call takes; on a GPU by events, from its first kernel to its last."""
    if device.type != "cuda":
        started = time.perf_counter()
        call()
        return 1000.0 * (time.perf_counter() - started)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def interleaved(calls: dict[str, Callable[[], Any]], repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Return milliseconds of every call in every repeat; the order rotates, the first two repeats are not counted."""
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats + 2):
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            elapsed = milliseconds(calls[name], device)
            if repeat >= 2:
                times[name].append(elapsed)
    return times


def ratio_text(ours: list[float], stock: list[float]) -> str:
    """Return the median ratio with its quartiles."""
    low, middle, high = statistics.quantiles([o / s for o, s in zip(ours, stock, strict=True)], n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def on_device(case: Case, device: torch.device, seed: int = 0) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return predictions, whose boxes and scores want a gradient, and labels."""
    generator = torch.Generator().manual_seed(seed)
    batch = make_batch(case, generator)
    preds = make_predictions(case, batch, generator)
    batch = {key: value.to(device) for key, value in batch.items()}
    preds = {
        "feats": [feat.to(device) for feat in preds["feats"]],
        **{key: preds[key].to(device).requires_grad_() for key in ("boxes", "scores")},
    }
    return preds, batch


def all_criteria(model: nn.Module) -> dict[str, Any]:
    """Return Ultralytics' criterion, ours with every term off, and ours with every term on."""
    return {
        "stock": v8DetectionLoss(model),
        "neutral": RegDetectionLoss(model, RegSettings.from_mapping("stock"), CLASS_COUNTS),
        "everything": RegDetectionLoss(model, RegSettings.from_mapping(EVERYTHING_ON), CLASS_COUNTS),
    }


def measure(case: Case, device: torch.device, repeats: int, seed: int) -> str:
    """Return the table row of one case."""
    preds, batch = on_device(case, device, seed)
    criteria = all_criteria(head_like_model(device))
    calls = {name: (lambda c=criterion: forward_and_backward(c, preds, batch)) for name, criterion in criteria.items()}
    check_equal(calls["stock"](), calls["neutral"]())
    gc.collect()
    times = interleaved(calls, repeats, device)
    medians = " | ".join(f"{statistics.median(times[name]):.1f}" for name in criteria)
    ratios = " | ".join(ratio_text(times[name], times["stock"]) for name in ("neutral", "everything"))
    return f"| {case.images} | {case.objects} | {medians} | {ratios} |"


def machine_name(device: torch.device) -> str:
    """Return the processor's or the card's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        if names:
            return f"{names[0]}, {len(names)} cores"
    return platform.processor() or platform.machine()


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 16], help="images a batch")
    parser.add_argument("--objects", type=int, nargs="+", default=[12, 60], help="objects an image")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    threads = f", {options.threads} thread(s)" if device.type == "cpu" else ""
    print(f"{machine_name(device)}{threads}, torch {torch.__version__}, milliseconds forward + backward\n")
    print("| images | objects an image | stock | neutral | everything on | neutral / stock | everything on / stock |")
    print("|---|---|---|---|---|---|---|")
    for images in options.batch:
        for objects in options.objects:
            print(measure(Case(images, objects), device, options.repeats, options.seed), flush=True)


if __name__ == "__main__":
    main()
