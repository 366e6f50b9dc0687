"""Does one network for boxes and masks cost boxes? Joint against detection only, on the same scenes, seed by seed.

    python scripts/compare_joint.py --seeds 0 1 2 --epochs 16 --out runs/compare_joint

Both learn all seven classes of the embedded highway with preset `reg` from the same pictures. The detection run has
box rows alone; the joint run has polygons for the five classes with masks. Finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.scenes import write_stills

TASKS = {"detect": ("detect/yolov8n", "boxes"), "joint": ("joint/yolov8n", "mixed")}


def scenes(arguments: argparse.Namespace) -> None:
    """Make the two data sets: the same pictures, with boxes alone and with polygons where there are masks."""
    for name in ("boxes", "mixed"):
        folder = arguments.out / name
        if not (folder / "data.yaml").is_file():
            write_stills(
                folder, arguments.images, (640, 384), 0, boxes_only=name == "boxes", val_fraction=0.3,
                workers=os.cpu_count() or 1,
            )  # fmt: skip


def one_run(task: str, seed: int, arguments: argparse.Namespace) -> dict:
    """Train one task with one seed, or read the result of an earlier call."""
    name = f"{task}-seed{seed}"
    result_file = arguments.out / name / "comparison.json"
    if result_file.exists():
        return json.loads(result_file.read_text())
    import reg_yolo

    config, data = TASKS[task]
    started = time.perf_counter()
    result = reg_yolo.train(
        config,
        [
            f"data={(arguments.out / data / 'data.yaml').absolute()}", f"epochs={arguments.epochs}", f"seed={seed}",
            f"project={arguments.out.absolute()}", f"name={name}", "exist_ok=true", "imgsz=320", "batch=8", "nbs=8",
            "warmup_epochs=1", "close_mosaic=4", "lr0=0.002", "cos_lr=true", "val=false", "workers=1", "plots=false",
            "albumentations=none", *arguments.settings,
        ],
    )  # fmt: skip
    assert result.report is not None
    masks = arguments.out / name / "per_class_masks.json"
    content = {
        "task": task,
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "boxes": result.report.to_dict(),
        "masks": json.loads(masks.read_text()) if masks.is_file() else None,
    }
    result_file.write_text(json.dumps(content, indent=2))
    return content


def table(results: list[dict]) -> str:
    """Return a Markdown table: a row for each run, then the mean and the standard deviation of each task."""
    lines = [
        "| task | seed | box mAP50 | box mAP50-95 | box F1 | mask mAP50 | mask mAP50-95 | minutes |",
        "|:---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    columns: dict[str, list[list[float]]] = {}
    for result in results:
        boxes = DetectionReport.from_dict(result["boxes"]).mean
        values = [boxes.ap50, boxes.ap, boxes.f1]
        if result["masks"]:
            masks = DetectionReport.from_dict(result["masks"]).mean
            values += [masks.ap50, masks.ap]
        columns.setdefault(result["task"], []).append(values)
        lines.append(row(result["task"], str(result["seed"]), [f"{v:.3f}" for v in values], result["seconds"] / 60))
    for task, rows in columns.items():
        cells = [
            f"**{statistics.mean(c):.3f}** ± {statistics.stdev(c):.3f}" if len(c) > 1 else f"**{c[0]:.3f}**"
            for c in zip(*rows, strict=True)
        ]
        minutes = statistics.median(r["seconds"] for r in results if r["task"] == task) / 60
        lines.append(row(f"**{task}**", "mean ± s.d.", cells, minutes))
    return "\n".join(lines)


def row(task: str, seed: str, cells: list[str], minutes: float) -> str:
    """Return one line of the table."""
    return f"| {task} | {seed} | " + " | ".join([*cells, *["-"] * (5 - len(cells))]) + f" | {minutes:.0f} |"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", help="further KEY=VALUE settings, the same for every run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("runs/compare_joint"))
    arguments = parser.parse_args()
    scenes(arguments)
    results = [one_run(task, seed, arguments) for seed in arguments.seeds for task in TASKS]
    text = table(results)
    (arguments.out / "comparison.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
