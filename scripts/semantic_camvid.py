"""Train task semantic on a real road set with several losses at the same seeds, and measure IoU by class.

    python scripts/semantic_camvid.py DATA.yaml runs/semantic_camvid                 # all arms, seeds 0 1 2
    python scripts/semantic_camvid.py DATA.yaml runs/semantic_camvid --arms stock reg --seeds 0

Made for CamVid in four classes and background (367, 101 and 233 images of 480x360). Every arm starts from the backbone
of the shipped weights, takes equally many steps and sees the same images in the same order at a seed; the last epoch's
weights are measured on the test split, which nothing was chosen on. A run that was cut off goes on, a measured one
stays; results.md and results.json hold what is there so far.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reg_yolo.files import replace_text
from reg_yolo.text_tables import markdown_table

ARMS: dict[str, list[str]] = {
    # Ultralytics' own: cross-entropy, Dice and 0.4 x auxiliary cross-entropy; and its cross-entropy alone.
    "stock": ["reg.preset=stock"],
    "ce": ["reg.preset=stock", "reg.semantic.dice=false", "reg.semantic.auxiliary=0"],
    # The preset next to Dice and auxiliary loss, and in the papers' form.
    "reg": ["reg.preset=reg"],
    "reg_v1": ["reg.preset=reg_v1"],
    "reg_papers": ["reg.preset=reg_v1", "reg.semantic.dice=false", "reg.semantic.auxiliary=0"],
    # Without g, and with g that falls with the distance (proof A.4's order).
    "reg_no_g": ["reg.preset=reg_v1", "reg.semantic.spatial.enabled=false"],
    "reg_near": ["reg.preset=reg_v1", "reg.semantic.spatial.beta=-0.5", "reg.semantic.spatial.delta=4"],
}
DEFAULT_ARMS = ("stock", "ce", "reg", "reg_papers")
REFERENCE = "stock"


def main() -> None:
    """Train and measure what is missing, seed by seed, and write the tables after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(DEFAULT_ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--split", default="test", help="the split that is measured")
    parser.add_argument("--weights", default="highway_yolov8n.pt", help="whose backbone training starts from")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every arm")
    given = parser.parse_args()
    for seed in given.seeds:
        for arm in given.arms:
            record = given.out / "records" / f"{arm}-seed{seed}.json"
            if not record.is_file():
                record.parent.mkdir(parents=True, exist_ok=True)
                replace_text(record, json.dumps(run(given, arm, seed), indent=1) + "\n")
            write_tables(given.out)
    print((given.out / "results.md").read_text(encoding="utf-8"))


def run(given: argparse.Namespace, arm: str, seed: int) -> dict[str, Any]:
    """Train one arm at a seed, or go on with it, and return what the split says of its last weights."""
    from reg_yolo.yolo.commands.resume import resume
    from reg_yolo.yolo.commands.train import train
    from reg_yolo.yolo.commands.val_pixels import val_pixels

    name = f"{arm}-seed{seed}"
    folder = given.out.absolute() / "runs" / name
    last = folder / "weights" / "last.pt"
    started = time.perf_counter()
    if not (folder / "per_class.json").is_file():
        if last.is_file():
            resume(folder)
        else:
            words = [
                f"data={given.data.absolute()}", f"epochs={given.epochs}", f"seed={seed}", "imgsz=480", "batch=16",
                # A step a batch, so that a few hundred images make enough of them.
                "nbs=16", "warmup_epochs=1", "close_mosaic=3", "cos_lr=true", "val=false", "plots=false",
                f"pretrained={given.weights}", "albumentations.preset=none",
                f"project={folder.parent}", f"name={name}", "exist_ok=true", *given.set, *ARMS[arm],
            ]  # fmt: skip
            train("semantic/yolov8n", words)
    measured = val_pixels(last, given.data, split=given.split, plots=False, out=given.out / "val" / name)
    return {
        "arm": arm,
        "seed": seed,
        "epochs": given.epochs,
        "settings": ARMS[arm],
        "seconds": round(time.perf_counter() - started, 1),
        "report": measured.report.to_dict(),
    }


def write_tables(out: Path) -> None:
    """Write results.json and results.md from the records that are there."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "records").glob("*.json"))]
    if not records:
        return
    names = [row["name"] for row in records[0]["report"]["classes"]]
    columns = ["mIoU", *(f"IoU {name}" for name in names), "Boundary F1", "Pixel accuracy"]
    by_arm: dict[str, dict[int, list[float]]] = {}
    for record in records:
        by_arm.setdefault(record["arm"], {})[record["seed"]] = figures(record["report"])
    arms = [arm for arm in ARMS if arm in by_arm]
    rows = [[arm, str(len(by_arm[arm])), *spread(by_arm[arm].values())] for arm in arms]
    parts = [
        f"Percent on the {records[0]['report']['split']} split, mean ± sample standard deviation over seeds.",
        markdown_table(["Arm", "Seeds", *columns], rows),
    ]
    differences = [
        [arm, str(len(paired)), *spread(paired, sign=True)]
        for arm in arms
        if arm != REFERENCE and REFERENCE in by_arm and (paired := paired_differences(by_arm[arm], by_arm[REFERENCE]))
    ]
    if differences:
        parts += [f"Difference to {REFERENCE} at the same seed, in points:",
                  markdown_table(["Arm", "Seeds", *columns], differences)]  # fmt: skip
    replace_text(out / "results.json", json.dumps({"columns": columns, "records": records}, indent=1) + "\n")
    replace_text(out / "results.md", "\n\n".join(parts) + "\n")


def figures(report: Mapping[str, Any]) -> list[float]:
    """Return the figures of a report in the order of the columns, in percent."""
    ious = [row["iou"] for row in report["classes"]]
    values = [report["mean"]["iou"], *ious, report["mean"]["boundary_f1"], report["pixel_accuracy"]]
    return [float("nan") if value is None else 100 * value for value in values]


def paired_differences(
    ours: Mapping[int, Sequence[float]], reference: Mapping[int, Sequence[float]]
) -> list[list[float]]:
    """Return ours less the reference's at every seed that both have."""
    return [
        [a - b for a, b in zip(ours[seed], reference[seed], strict=True)] for seed in sorted(set(ours) & set(reference))
    ]


def spread(rows: Any, *, sign: bool = False) -> list[str]:
    """Return mean and deviation of each column."""
    shown = []
    for column in zip(*rows, strict=True):
        mean = f"{statistics.fmean(column):{'+' if sign else ''}.2f}"
        has_spread = len(column) > 1 and all(map(math.isfinite, column))
        shown.append(f"{mean} ± {statistics.stdev(column):.2f}" if has_spread else mean)
    return shown


if __name__ == "__main__":
    main()
