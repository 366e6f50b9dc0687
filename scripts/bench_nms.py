"""Time balanced NMS and soft-NMS next to torchvision's greedy NMS on the same boxes.

    python scripts/bench_nms.py [--threads 1] [--repeats 30] [--classes 7]

Boxes gather around objects as a head's output does. All take turns within every repeat, so that whatever else the
machine does falls on all of them alike. `greedy` is `torchvision.ops.nms` on boxes moved apart by class, which is what
Ultralytics runs; `by class` is `torchvision.ops.batched_nms`. Prints a Markdown table: medians in milliseconds of the
processor's time for this thread (another program's turn does not count), and balanced NMS over greedy.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from reg_yolo.nms import balanced_nms, soft_nms

IOU = 0.7
# Boxes and objects.
CASES = ((300, 20), (3_000, 60), (30_000, 200))
SOFT_CASE = (2_000, 60)


def make_scene(count: int, objects: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return boxes, scores and labels: `count` boxes around objects of 20 to 100 pixels in an image of 640."""
    generator = torch.Generator().manual_seed(seed)
    size = 20 + 80 * torch.rand(objects, 2, generator=generator)
    center = torch.rand(objects, 2, generator=generator) * 640
    label = torch.randint(0, classes, (objects,), generator=generator)
    of = torch.randint(0, objects, (count,), generator=generator)
    # The head's boxes scatter by a few percent.
    middle = center[of] + 0.03 * size[of] * torch.randn(count, 2, generator=generator)
    half = size[of] * torch.exp(0.03 * torch.randn(count, 2, generator=generator)) / 2
    return torch.cat((middle - half, middle + half), 1), torch.rand(count, generator=generator), label[of]


def make_strips(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the slowest case of soft-NMS: strips from side to side that nearly all overlap a little, of one class."""
    generator = torch.Generator().manual_seed(0)
    place = torch.rand(2, count // 2, generator=generator) * 600
    low, high = torch.zeros_like(place[0]), torch.full_like(place[0], 640.0)
    rows = torch.stack((low, place[0], high, place[0] + 30), 1)
    columns = torch.stack((place[1], low, place[1] + 30, high), 1)
    return torch.cat((rows, columns)), torch.rand(2 * (count // 2), generator=generator), torch.zeros(2 * (count // 2))


def interleaved(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Return milliseconds of every call in every repeat; the first two repeats are not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 2):
        for name, call in calls.items():
            started = time.thread_time()
            call()
            if repeat >= 2:
                times[name].append(1000.0 * (time.thread_time() - started))
    return times


def main() -> None:
    """Measure every case and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--classes", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| boxes | objects | kept by greedy | greedy, ms | by class, ms | balanced, ms | balanced / greedy |")
    print("|---|---|---|---|---|---|---|")
    for count, objects in CASES:
        boxes, scores, labels = make_scene(count, objects, options.classes)
        calls: dict[str, Callable[[], Any]] = {
            "greedy": lambda b=boxes, s=scores, c=labels: nms(b + (c * 7680.0).unsqueeze(1), s, IOU),
            "by class": lambda b=boxes, s=scores, c=labels: batched_nms(b, s, c, IOU),
            "balanced": lambda b=boxes, s=scores, c=labels: balanced_nms(b, s, c, IOU),
        }
        times = interleaved(calls, options.repeats)
        greedy, by_class, balanced = (statistics.median(times[name]) for name in calls)
        ratio = statistics.median(b / g for b, g in zip(times["balanced"], times["greedy"], strict=True))
        print(
            f"| {count} | {objects} | {len(calls['greedy']())} | {greedy:.2f} | {by_class:.2f} | {balanced:.2f} "
            f"| {ratio:.2f} |",
            flush=True,
        )
    scene, strips = make_scene(*SOFT_CASE, options.classes), make_strips(SOFT_CASE[0])
    times = interleaved(
        {
            "gaussian": lambda: soft_nms(*scene),
            "linear": lambda: soft_nms(*scene, method="linear"),
            "gaussian on strips": lambda: soft_nms(*strips),
            "gaussian on strips, whatever score is left": lambda: soft_nms(*strips, score_threshold=1e-12),
        },
        options.repeats,
    )
    print(f"\nSoft-NMS, {SOFT_CASE[0]} boxes on {SOFT_CASE[1]} objects: ", end="")
    print(", ".join(f"{name} {statistics.median(values):.1f} ms" for name, values in times.items()))


if __name__ == "__main__":
    main()
