"""Run folders as training leaves them, with made-up results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from reg_yolo.evaluation.per_class import ClassResult, DetectionReport

SEVEN = ("pavilion", "bridge", "information_sign", "pole", "bus_stop", "ป้ายเตือน", "guardrail")
FIVE = tuple(name for name in SEVEN if name not in {"pole", "bus_stop"})


def report_of(names: Sequence[str], ap50: float = 0.5, kind: str = "box", **changes: Any) -> DetectionReport:
    """Return a report whose figures all differ: by class, by metric, and with `ap50` of the first class."""
    classes = tuple(
        ClassResult(
            name,
            images=30 + index,
            instances=40 + 5 * index,
            precision=ap50 + 0.02 * index + 0.11,
            recall=ap50 + 0.02 * index + 0.05,
            f1=ap50 + 0.02 * index + 0.07,
            ap50=ap50 + 0.02 * index,
            ap=ap50 + 0.02 * index - 0.2,
        )
        for index, name in enumerate(names)
    )
    return replace(DetectionReport("val", classes, 60, kind, title="best.pt"), **changes)


def write_run(
    folder: Path,
    task: str = "detect",
    boxes: DetectionReport | None = None,
    masks: DetectionReport | None = None,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    epochs: int = 3,
    imgsz: int = 640,
) -> Path:
    """Write a run folder without weights and return it."""
    folder.mkdir(parents=True)
    names = FIVE if task == "segment" else SEVEN
    boxes = boxes or report_of(names)
    joint = {"mask_classes": list(FIVE), "lambda_seg": 1.0} if task == "joint" else {}
    content = {"task": task, "model": "yolov8n.yaml", "data": "road.yaml", **joint, "train": {"seed": seed}}
    (folder / "reg.yaml").write_text(yaml.safe_dump({**content, **(settings or {})}, allow_unicode=True), "utf-8")
    described = data or {"path": "/road", "val": "/road/images/val", "names": dict(enumerate(names))}
    (folder / "data.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), "utf-8")
    (folder / "args.yaml").write_text(f"imgsz: {imgsz}\nepochs: {epochs}\n")
    rows = "".join(f"{epoch},0.5\n" for epoch in range(1, epochs + 1))
    (folder / "results.csv").write_text(f"epoch,time\n{rows}")
    boxes.write(folder, "per_class")
    if task != "detect":
        (masks or report_of(FIVE, 0.4, "mask")).write(folder, "per_class_masks")
    return folder
