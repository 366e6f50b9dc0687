"""What the sections of gpu_check.py share: the rows of its table, its sizes, and how it measures."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from bench_criterion import interleaved, ratio_text
from torch import Tensor

Verdict = Literal["", "ok", "failed", "goal met", "goal missed", "left out"]
# Losses and gradients that differ by no more, as a share of the largest entry, differ by rounding.
ROUNDING = 1e-4


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        check: The section.
        case: What was measured or compared.
        verdict: How it went; empty for a figure without a goal.
        unit: Of both figures.
        stock: Ultralytics' figure.
        ours: Our figure.
        ratio: Ours over stock with its quartiles.
        note: Whatever else is to be said.
    """

    check: str
    case: str
    verdict: Verdict = ""
    unit: str = ""
    stock: float | None = None
    ours: float | None = None
    ratio: str = ""
    note: str = ""

    def cells(self) -> list[str]:
        """Return the row as text."""
        figures = ("" if value is None else f"{value:.4g}" for value in (self.stock, self.ours))
        return [self.check, self.case, self.verdict, self.unit, *figures, self.ratio, self.note]


@dataclass(frozen=True)
class Sizes:
    """How large the check is.

    Attributes:
        image_size: Pixels of a side.
        batches: Images a batch.
        objects: Objects an image.
        crowd: Objects an image of the batch with very many.
        scenes: Images of the real batch.
        repeats: Of every measurement, the first two not counted.
        video_size: Width and height of the clip in pixels.
        video_km: Length of the drive in it; two metres a frame.
        video_loops: How often its frames are repeated.
        video_repeats: Runs over the clip.
        boxes: Boxes of the suppression.
    """

    image_size: int = 640
    batches: tuple[int, ...] = (16, 64)
    objects: tuple[int, ...] = (12, 60, 300)
    crowd: int = 300
    scenes: int = 8
    repeats: int = 15
    video_size: tuple[int, int] = (1280, 720)
    video_km: float = 0.1
    video_loops: int = 6
    video_repeats: int = 3
    boxes: tuple[int, ...] = (1000, 8400, 30000)


SHORT = Sizes(
    image_size=96, batches=(2,), objects=(3,), crowd=20, scenes=2, repeats=2,
    video_size=(320, 192), video_km=0.024, video_loops=2, video_repeats=1, boxes=(200,),
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """Where the check runs and how large it is.

    Attributes:
        device: The card, or the processor.
        sizes: How large everything is.
        folder: For what is rendered and exported.
        weights: A trained detector.
    """

    device: torch.device
    sizes: Sizes
    folder: Path
    weights: Path

    @property
    def on_gpu(self) -> bool:
        """Whether there is a card."""
        return self.device.type == "cuda"


def difference(expected: tuple[Tensor, ...], actual: tuple[Tensor, ...]) -> float:
    """Return the largest difference of any entry as a share of its tensor's largest; 0 for the same bits."""
    largest = 0.0
    for left, right in zip(expected, actual, strict=True):
        if torch.equal(left, right):
            continue
        share = (left.double() - right.double()).abs().max() / left.double().abs().max().clamp_min(1e-12)
        # A NaN would hide behind any comparison.
        largest = max(largest, float(torch.nan_to_num(share, nan=torch.inf)))
    return largest


def parity_row(
    check: str, case: str, stock: Callable[[], tuple[Tensor, ...]], ours: Callable[[], tuple[Tensor, ...]]
) -> Row:
    """Compare losses and gradients, and say how far stock's own differ between two runs of the same."""
    first, second = stock(), stock()
    apart, own = difference(first, ours()), difference(first, second)
    note = "bit for bit" if apart == 0 else f"stock itself differs by {own:.1g} between two runs"
    verdict: Verdict = "ok" if apart <= max(ROUNDING, 10 * own) else "failed"
    return Row(check, case, verdict, "largest difference, relative", own, apart, note=note)


def goal_verdict(ours: list[float], stock: list[float], goal: float) -> Verdict:
    """Return whether the median ratio is at most the goal."""
    return "goal met" if statistics.median(o / s for o, s in zip(ours, stock, strict=True)) <= goal else "goal missed"


def peak_mib(call: Callable[[], Any], device: torch.device) -> float | None:
    """Return by how many MiB of the card's memory one call grows at most; None where that is more than there is."""
    gc.collect()
    if device.type != "cuda":
        call()
        return 0.0
    torch.cuda.empty_cache()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    try:
        call()
        torch.cuda.synchronize(device)
    except torch.cuda.OutOfMemoryError:
        return None
    return (torch.cuda.max_memory_allocated(device) - before) / 2**20


def speed_rows(
    check: str, case: str, calls: dict[str, Callable[[], Any]], setting: Setting, goal: float | None = None
) -> list[Row]:
    """Time calls in turns and return a row for each but the first, which is stock; the last one has the goal."""
    memory = {name: peak_mib(call, setting.device) for name, call in calls.items()}
    times = interleaved(
        {n: c for n, c in calls.items() if memory[n] is not None}, setting.sizes.repeats, setting.device
    )
    stock, *others = calls
    rows = []
    for name in others:
        note = ", ".join(
            f"{each} {'more than the card has' if memory[each] is None else f'{memory[each]:.0f} MiB'}"
            for each in (stock, name)
        )
        note = f"peak: {note}" if setting.on_gpu else ""
        stock_ms, our_ms = (statistics.median(times[each]) if each in times else None for each in (stock, name))
        if our_ms is None:
            rows.append(Row(check, f"{case}, {name}", "failed", "ms", stock_ms, note=note))
            continue
        ratio = ratio_text(times[name], times[stock]) if stock_ms is not None else ""
        verdict: Verdict = ""
        # Tiny sizes on a processor say nothing about a card's goals.
        if goal is not None and name == others[-1] and stock_ms is not None and setting.on_gpu:
            verdict = goal_verdict(times[name], times[stock], goal)
            note = f"goal at most {goal:.2f}; {note}"
        rows.append(Row(check, f"{case}, {name}", verdict, "ms", stock_ms, our_ms, ratio, note))
    return rows
