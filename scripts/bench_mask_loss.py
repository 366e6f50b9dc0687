"""Time the mask loss beside Ultralytics' own on the same predictions, forward and backward, and compare their memory.

    python scripts/bench_mask_loss.py [--batch 16] [--objects 12 60] [--threads 2] [--device cpu] [--repeats 9]

Both get the same assignment and the same masks; they take turns within every repeat. Ratios are medians of the ratio
within a repeat, with their quartiles. Memory is the largest growth of the process (on a GPU, of the allocator) during
one forward and backward pass, each in a process of its own (needs Linux). Before anything is timed, both are held to
the same value with every term off. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench_criterion import milliseconds
from torch import Tensor

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss, first_rows

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics.cfg import get_cfg  # isort: skip
from ultralytics.nn.tasks import SegmentationModel  # isort: skip
from ultralytics.utils.loss import v8SegmentationLoss  # isort: skip

CLASS_COUNTS = [200, 100, 700, 1500, 50, 800, 300]
EVERYTHING_ON = {"preset": "reg_v1", "mask": {"spatial": {"enabled": True}}, "scale": 1.0}
# g is 0.5 everywhere and the factor 2: nothing but the windows is ours.
PLAIN = {"preset": "stock", "mask": {"spatial": {"enabled": True, "beta": 0.0, "scope": "all"}}, "scale": 2.0}


class Case:
    """Predictions, masks and an assignment, and the two losses over them."""

    def __init__(self, images: int, objects: int, device: torch.device, image_size: int = 640) -> None:
        """Make objects of 12 to 260 pixels, log-uniform, each an ellipse in its box, and masks a quarter as large."""
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        self.model = SegmentationModel("yolov8n-seg.yaml", nc=len(CLASS_COUNTS), verbose=False).to(device)
        self.model.args = get_cfg()
        count = images * objects
        side = 12.0 * (260.0 / 12.0) ** torch.rand(count, generator=generator)
        aspect = 4.0 ** (torch.rand(count, generator=generator) - 0.5)
        size = torch.stack((side * aspect, side / aspect), 1).clamp_(max=image_size) / image_size
        center = size / 2 + torch.rand(count, 2, generator=generator) * (1 - size)
        frequency = torch.tensor([float(n) for n in CLASS_COUNTS])
        self.batch: dict[str, Any] = {
            "batch_idx": torch.arange(images).repeat_interleave(objects).float(),
            "cls": torch.multinomial(frequency, count, replacement=True, generator=generator).float().unsqueeze(1),
            "bboxes": torch.cat((center, size), 1),
        }
        self.image_size, mask_size = image_size, image_size // 4
        cells = (torch.arange(mask_size) + 0.5) / mask_size
        masks = torch.zeros(images, mask_size, mask_size)
        for row in range(count):
            x = (cells - center[row, 0]) / (size[row, 0] / 2)
            y = (cells - center[row, 1]) / (size[row, 1] / 2)
            masks[row // objects][x.square()[None, :] + y.square()[:, None] <= 1] = row % objects + 1
        self.batch = {key: value.to(device) for key, value in {**self.batch, "masks": masks}.items()}
        # Boxes that an image knows nothing of: what is predicted does not change how long a loss takes.
        with torch.no_grad():
            preds = self.model.train()(torch.rand(images, 3, image_size, image_size, generator=generator).to(device))
        self.preds = preds
        self.coefficients = preds["mask_coefficient"].detach().clone().requires_grad_()
        self.prototypes = preds["proto"].detach().clone().requires_grad_()
        self.stock_criterion = v8SegmentationLoss(self.model)
        self.assigned = self.criterion(EVERYTHING_ON).get_assigned_targets_and_loss(preds, self.batch)[0]

    def criterion(self, reg: Any) -> RegSegmentationLoss:
        """Return our criterion."""
        return RegSegmentationLoss(self.model, RegSettings.from_mapping(reg), CLASS_COUNTS, CLASS_COUNTS)

    def stock(self) -> Tensor:
        """Return upstream's mask loss."""
        has_object, object_index, boxes, _, _ = self.assigned
        size = torch.tensor([self.image_size] * 2, device=boxes.device, dtype=boxes.dtype)
        return self.stock_criterion.calculate_segmentation_loss(
            has_object, self.batch["masks"].float(), object_index, boxes, self.batch["batch_idx"].view(-1, 1),
            self.prototypes, self.coefficients.permute(0, 2, 1).contiguous(), size,
        )  # fmt: skip

    def ours(self, reg: Any) -> Callable[[], Tensor]:
        """Return our mask loss as a function."""
        criterion = self.criterion(reg)
        head, assignment, _ = criterion.detection_losses(self.preds, self.batch)

        def loss() -> Tensor:
            return criterion.mask_terms.loss(
                self.coefficients.permute(0, 2, 1), self.prototypes, self.batch["masks"], True, assignment,
                head.image_size, first_rows(self.batch["batch_idx"], len(self.prototypes)), training=True,
            )  # fmt: skip

        return loss

    def step(self, loss: Callable[[], Tensor]) -> float:
        """Run one forward and backward pass and return its milliseconds."""
        self.coefficients.grad = self.prototypes.grad = None
        return milliseconds(lambda: loss().backward(), self.coefficients.device)


def peak_memory(images: int, objects: int, device: str, which: str, threads: int) -> float:
    """Return by how many MiB one pass grows the process at most."""
    torch.set_num_threads(threads)
    case = Case(images, objects, torch.device(device))
    loss = case.stock if which == "stock" else case.ours(EVERYTHING_ON)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        case.step(loss)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # What the preparation has freed must neither hide growth nor count as the peak.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = resident_kib("VmRSS")
    case.step(loss)
    return (resident_kib("VmHWM") - before) / 2**10


def resident_kib(key: str) -> int:
    """Return VmRSS, what the process holds now, or VmHWM, the most since the peak was last forgotten."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{key}:"))


def in_own_process(*arguments: Any) -> float:
    """Return `peak_memory` measured in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(peak_memory, arguments)


def ratio(ours: list[float], stock: list[float]) -> str:
    """Return the median ratio with its quartiles."""
    low, median, high = statistics.quantiles([a / b for a, b in zip(ours, stock, strict=True)], n=4)
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--objects", type=int, nargs="+", default=[12, 60])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| images | objects an image | stock ms | REG ms | REG / stock | stock MiB | REG MiB |")
    print("|---|---|---|---|---|---|---|")
    for objects in arguments.objects:
        case = Case(arguments.batch, objects, torch.device(arguments.device))
        stock, plain = float(case.stock().detach()), float(case.ours(PLAIN)().detach())
        assert abs(stock - plain) <= 1e-3 * stock, (stock, plain)
        losses = {"stock": case.stock, "reg": case.ours(EVERYTHING_ON)}
        times: dict[str, list[float]] = {name: [] for name in losses}
        for repeat in range(arguments.repeats + 1):
            for name, loss in losses.items():
                elapsed = case.step(loss)
                if repeat:
                    times[name].append(elapsed)
        memory = [
            in_own_process(arguments.batch, objects, arguments.device, which, arguments.threads) for which in losses
        ]
        print(
            f"| {arguments.batch} | {objects} | {statistics.median(times['stock']):.0f} | "
            f"{statistics.median(times['reg']):.0f} | {ratio(times['reg'], times['stock'])} | "
            f"{memory[0]:.0f} | {memory[1]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
