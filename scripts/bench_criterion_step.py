"""Time a whole training step with the REG criterion, every term on, beside the same step with Ultralytics' own.

    python scripts/bench_criterion_step.py [--model yolov8n.yaml] [--batch 8] [--objects 12] [--threads 1] [--repeats 7]

A step is forward, loss, backward and AdamW on one batch of 640 x 640 images, from random weights. Two copies of the
network take turns, so that whatever else the machine does falls on both alike. Prints a Markdown table of medians.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable
from typing import Any

import torch
from bench_criterion import CLASS_COUNTS, EVERYTHING_ON, Case, interleaved, machine_name, make_batch, ratio_text
from torch import Tensor, nn

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics.cfg import get_cfg  # isort: skip
from ultralytics.nn.tasks import DetectionModel  # isort: skip
from ultralytics.utils.loss import v8DetectionLoss  # isort: skip


def training_step(model: nn.Module, criterion: Any, images: Tensor, labels: dict[str, Tensor]) -> Callable[[], None]:
    """Return a call that takes one step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss, _ = criterion(model(images), labels)
        loss.sum().backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--batch", type=int, default=8, help="images a batch")
    parser.add_argument("--objects", type=int, nargs="+", default=[12, 60], help="objects an image")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    network = DetectionModel(options.model, nc=len(CLASS_COUNTS), verbose=False).to(device).train()
    network.args = get_cfg()
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(options.batch, 3, 640, 640, generator=generator).to(device)
    threads = f", {options.threads} thread(s)" if device.type == "cpu" else ""
    print(f"{machine_name(device)}{threads}, torch {torch.__version__}, {options.model}, milliseconds a step\n")
    print("| images | objects an image | stock | everything on | everything on / stock |")
    print("|---|---|---|---|---|")
    for objects in options.objects:
        labels = {k: v.to(device) for k, v in make_batch(Case(options.batch, objects), generator).items()}
        stock, ours = copy.deepcopy(network), copy.deepcopy(network)
        reg = RegDetectionLoss(ours, RegSettings.from_mapping(EVERYTHING_ON), CLASS_COUNTS)
        calls = {
            "stock": training_step(stock, v8DetectionLoss(stock), images, labels),
            "everything": training_step(ours, reg, images, labels),
        }
        times = interleaved(calls, options.repeats, device)
        medians = " | ".join(f"{statistics.median(times[name]):.0f}" for name in calls)
        print(
            f"| {options.batch} | {objects} | {medians} | {ratio_text(times['everything'], times['stock'])} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
