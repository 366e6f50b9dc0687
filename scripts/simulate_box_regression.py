"""EIOU's simulation experiment (Algorithm 1): which loss moves boxes onto their targets fastest?

Boxes are regressed by plain gradient descent on a loss alone, without a network, from many starting points, areas and
aspect ratios. Writes the error curves and the box plots of the final IoU as PNG, and both as CSV.

    python scripts/simulate_box_regression.py --setup both --out runs/box_regression
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from reg_yolo.losses import ciou_loss, eiou_loss, focal_eiou_loss, giou_loss, iou_loss

CENTER = (10.0, 10.0)
TARGET_AREA = 100.0
ITERATIONS = 200
# The paper's step, and one that acts as the paper's would if boxes were measured in units of the target's side
PRINTED_STEP, UNIT_BOX_STEP = 0.1, 10.0
# Pairs at a time: what autograd keeps of a block then stays in the processor's cache.
BLOCK = 16384
# A step may carry a size below zero, where no loss is defined.
SMALLEST_SIZE = 1e-2


@dataclass(frozen=True)
class Setup:
    """Where the boxes start: `points` centres in a square of side `side`, each with every area and aspect ratio."""

    points: int
    side: float
    areas: tuple[float, ...]
    aspect_ratios: tuple[float, ...]


SETUPS = {
    1: Setup(1000, 20.0, (50.0, 67.0, 75.0, 100.0, 133.0, 150.0, 200.0), (0.25, 1 / 3, 0.5, 1.0, 2.0, 3.0, 4.0)),
    2: Setup(100, 2.5, (50.0, 100.0, 150.0), (0.5, 1.0, 2.0)),
}


@dataclass(frozen=True)
class Objective:
    """A loss for each pair, and the factor that the whole iteration's step is divided by."""

    loss: Callable[[Tensor, Tensor], Tensor]
    # Weight of each pair, whose mean over all pairs divides the step; None divides by nothing.
    weight: Callable[[Tensor, Tensor], Tensor] | None = None


def _focal_weight(pred: Tensor, target: Tensor) -> Tensor:
    return (1.0 - iou_loss(pred, target)).sqrt()


OBJECTIVES = {
    "IoU": Objective(iou_loss),
    "GIoU": Objective(giou_loss),
    "CIoU": Objective(ciou_loss),
    "EIoU": Objective(eiou_loss),
    "Focal-EIoU": Objective(focal_eiou_loss, _focal_weight),
}
VARIANTS = {
    "Focal-EIoU, not normalised": Objective(focal_eiou_loss),
    "Focal-EIoU, gradient through W": Objective(
        lambda pred, target: focal_eiou_loss(pred, target, weight_gradient=True), _focal_weight
    ),
}


@dataclass
class Trace:
    """What one loss did: the error after 0, 1, ... iterations, and the IoU of every pair at the end."""

    errors: list[float] = field(default_factory=list)
    final_iou: Tensor = field(default_factory=lambda: torch.empty(0))
    seconds: float = 0.0


def make_pairs(setup: Setup, points: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return starting boxes and targets, Tensor[4, N] each: x, y of the centre, width, height.

    Stored coordinate by coordinate, since the losses work on one coordinate of all boxes at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    count = setup.points if points is None else points
    centers = (torch.rand(count, 2, generator=generator) - 0.5) * setup.side + torch.tensor(CENTER)
    areas, ratios = torch.tensor(setup.areas), torch.tensor(setup.aspect_ratios)
    grid = torch.cartesian_prod(torch.arange(count), torch.arange(len(areas)), *[torch.arange(len(ratios))] * 2)
    point, area, ratio, target_ratio = grid.unbind(1)
    boxes = torch.stack([*centers[point].unbind(1), *_sides(areas[area], ratios[ratio])])
    targets = torch.empty_like(boxes)
    targets[:2] = torch.tensor(CENTER).unsqueeze(1)
    targets[2:] = torch.stack(_sides(torch.tensor(TARGET_AREA), ratios[target_ratio]))
    return boxes, targets


def regress(
    objective: Objective, boxes: Tensor, targets: Tensor, iterations: int = ITERATIONS, step: float = PRINTED_STEP
) -> Trace:
    """Move the boxes onto their targets by gradient descent (Algorithm 1, whose printed `+` is a misprint for `-`).

    Args:
        objective: what to descend on.
        boxes: Tensor[4, N] as from `make_pairs`; left untouched.
        targets: Tensor[4, N].
        iterations: the step falls to a tenth after 80 % of them and to a hundredth after 90 %.
        step: the first step, in the paper 0.1.
    """
    start = time.process_time()
    boxes = boxes.clone()
    corners_of_targets = corners(targets)
    trace = Trace(errors=[_error(boxes, targets)])
    gradient = torch.empty_like(boxes)
    for iteration in range(iterations):
        mean_weight = 0.0
        for first in range(0, boxes.shape[1], BLOCK):
            block = slice(first, first + BLOCK)
            leaf = boxes[:, block].clone().requires_grad_()
            pred, target = corners(leaf).t(), corners_of_targets[:, block].t()
            (gradient[:, block],) = torch.autograd.grad(objective.loss(pred, target).sum(), leaf)
            if objective.weight is not None:
                mean_weight += float(objective.weight(pred.detach(), target).sum()) / boxes.shape[1]
        factor = scheduled_step(iteration, iterations, step) / (mean_weight if mean_weight > 0 else 1.0)
        boxes.sub_(gradient, alpha=factor)
        boxes[2:].clamp_(min=SMALLEST_SIZE)
        trace.errors.append(_error(boxes, targets))
    trace.final_iou = 1.0 - iou_loss(corners(boxes).t(), corners_of_targets.t())
    trace.seconds = time.process_time() - start
    return trace


def scheduled_step(iteration: int, iterations: int, step: float) -> float:
    """Return the step of an iteration: a tenth after 80 % of them, a hundredth after 90 %."""
    if iteration >= 0.9 * iterations:
        return 0.01 * step
    return 0.1 * step if iteration >= 0.8 * iterations else step


def corners(boxes: Tensor) -> Tensor:
    """Turn Tensor[4, N] of centre and size into Tensor[4, N] of corners xyxy."""
    half = boxes[2:] * 0.5
    return torch.cat([boxes[:2] - half, boxes[:2] + half])


def write_tables(traces: dict[str, Trace], out: Path, name: str) -> None:
    """Write the error curves and the quartiles of the final IoU."""
    curves: list[list[object]] = [["iteration", *traces]]
    curves += [[i, *(t.errors[i] for t in traces.values())] for i in range(len(next(iter(traces.values())).errors))]
    _write_csv(out / f"{name}_error.csv", curves)
    summary: list[list[object]] = [["loss", "error", "mean", "p5", "p25", "median", "p75", "p95", "disjoint", "cpu_s"]]
    for loss, trace in traces.items():
        # sorting by hand: torch.quantile takes no more than 16 million numbers, and numpy is not needed here
        ordered = trace.final_iou.sort().values
        quantiles = [float(ordered[round(q * (len(ordered) - 1))]) for q in (0.05, 0.25, 0.5, 0.75, 0.95)]
        disjoint = float((ordered <= 0).float().mean())
        row = [trace.errors[-1], float(ordered.mean()), *quantiles, disjoint, trace.seconds]
        summary.append([loss, *(f"{value:.6g}" for value in row)])
    _write_csv(out / f"{name}_final_iou.csv", summary)


def draw(traces: dict[str, Trace], out: Path, name: str, title: str) -> None:
    """Draw the error curves and the box plots of the final IoU side by side."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.2), layout="constrained")
    colors = plt.get_cmap("tab10")
    for k, (loss, trace) in enumerate(traces.items()):
        left.plot(trace.errors, label=loss, color=colors(k), linestyle="-" if loss in OBJECTIVES else "--")
    left.set(xlabel="iteration", ylabel="|x| + |y| + |w| + |h|", ylim=(0, None), title="Error, summed over all pairs")
    left.legend()
    left.grid(alpha=0.3)
    samples = [trace.final_iou.numpy() for trace in traces.values()]
    boxes = right.boxplot(samples, showfliers=False, showmeans=True, whis=(5, 95), patch_artist=True)
    for k, patch in enumerate(boxes["boxes"]):
        patch.set(facecolor=colors(k), alpha=0.5)
    right.set_xticks(range(1, len(traces) + 1), [loss.replace(", ", ",\n") for loss in traces], rotation=15)
    # All losses near 1 are told apart on a scale of their own.
    lowest = min(float(sample.mean()) for sample in samples)
    right.set(ylabel="IoU", ylim=(0, 1.02) if lowest < 0.95 else (None, None))
    right.set_title("IoU after the last iteration (box: quartiles, whiskers: 5 and 95 %, triangle: mean)", fontsize=10)
    right.grid(axis="y", alpha=0.3)
    figure.suptitle(title)
    part = out / f"{name}.part.png"
    figure.savefig(part, dpi=110)
    plt.close(figure)
    part.replace(out / f"{name}.png")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the setups that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--setup", choices=["1", "2", "both"], default="both")
    parser.add_argument("--out", type=Path, default=Path("runs/box_regression"))
    parser.add_argument("--points", type=int, help="starting points instead of the paper's 1000 (setup 1), 100 (2)")
    parser.add_argument(
        "--step",
        type=float,
        default=PRINTED_STEP,
        help=f"first step; the paper prints {PRINTED_STEP:g}, {UNIT_BOX_STEP:g} acts as it would on boxes of side 1",
    )
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    parser.add_argument("--variants", action="store_true", help="Focal-EIoU unnormalised, and with gradient through W")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    for name in ("points", "step", "iterations", "threads"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            parser.error(f"--{name} must be above 0, got {value}")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    objectives = OBJECTIVES | (VARIANTS if options.variants else {})
    for number in (1, 2) if options.setup == "both" else (int(options.setup),):
        boxes, targets = make_pairs(SETUPS[number], options.points, options.seed)
        name = f"setup{number}" if options.step == PRINTED_STEP else f"setup{number}_step{options.step:g}"
        title = f"EIOU simulation, setup {number}: {boxes.shape[1]:,} pairs, first step {options.step:g}"
        print(title)
        traces: dict[str, Trace] = {}
        for loss, objective in objectives.items():
            trace = regress(objective, boxes, targets, options.iterations, options.step)
            traces[loss] = trace
            print(
                f"  {loss:32s} error {trace.errors[0]:12.0f} -> {trace.errors[-1]:12.0f}   IoU mean "
                f"{trace.final_iou.mean():.3f} median {trace.final_iou.median():.3f}   {trace.seconds:.1f} s CPU"
            )
        write_tables(traces, options.out, name)
        draw(traces, options.out, name, title)
        print(f"  {options.out / name}.png, _error.csv, _final_iou.csv")


def _sides(area: Tensor, ratio: Tensor) -> tuple[Tensor, Tensor]:
    return (area * ratio).sqrt(), (area / ratio).sqrt()


def _error(boxes: Tensor, targets: Tensor) -> float:
    return float((boxes - targets).abs().sum(dtype=torch.float64))


def _write_csv(path: Path, rows: list[list[object]]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    part.replace(path)


if __name__ == "__main__":
    main()
