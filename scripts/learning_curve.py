"""How much 100, 200, 400 and 800 labelled images are worth: one training each, on nested sets, and a table.

    python scripts/learning_curve.py prepare runs/curve          # renders the embedded highway, once
    python scripts/learning_curve.py run runs/curve              # hours; the same command goes on where it was stopped
    python scripts/learning_curve.py run runs/curve --sizes 100  # the smallest step alone
    python scripts/learning_curve.py table runs/curve            # what is done so far, as Markdown

`prepare runs/curve --data my_roads.yaml` takes a data set of your own instead. Every training sees the same number of
images in all, so that more labels do not mean more training. Labelling minutes are objects times seconds: 7 s by
extreme clicking (Papadopoulos et al., 2017), 42 s for a box that is drawn and checked twice (Su et al., 2012).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from pathlib import Path
from typing import Any

import yaml

from reg_yolo.files import replace_text

SIZES = (100, 200, 400, 800)
SECONDS_PER_BOX = (7.0, 42.4)
VALIDATION = 300


def prepare(out: Path, data: Path | None, workers: int) -> None:
    """Render the images, or take those of a data set, and write the nested lists."""
    out.mkdir(parents=True, exist_ok=True)
    if data is None:
        from reg_yolo.scenes import write_stills

        data = out / "scenes" / "data.yaml"
        if not data.is_file():
            total = max(SIZES) + VALIDATION
            share = VALIDATION / total
            write_stills(
                out / "scenes", total, (640, 384), 51_000, boxes_only=True, val_fraction=share, workers=workers
            )
    content = yaml.safe_load(data.read_text(encoding="utf-8"))
    root = (data.parent / content.get("path", "")).resolve()
    images = sorted(path for path in (root / content["train"]).iterdir() if path.suffix.lower() in {".jpg", ".png"})
    random.Random(0).shuffle(images)
    for size in SIZES:
        if size > len(images):
            print(f"{size}: {data} has {len(images)} training images; left out")
            continue
        (out / f"train_{size}.txt").write_text("".join(f"{path}\n" for path in images[:size]), encoding="utf-8")
        entry = {"train": f"train_{size}.txt", "val": str(root / content["val"]), "names": content["names"]}
        replace_text(out / f"data_{size}.yaml", yaml.safe_dump(entry, sort_keys=False, allow_unicode=True))


def run(out: Path, options: argparse.Namespace) -> None:
    """Train every size that is not done; each leaves one record."""
    import reg_yolo

    for size in options.sizes:
        record, data = out / f"record_{size}.json", out / f"data_{size}.yaml"
        if record.is_file() or not data.is_file():
            print(f"{size}: {'done' if record.is_file() else 'not prepared'}")
            continue
        epochs = max(1, round(options.seen / size))
        started, before = time.time(), _processor_s()
        arguments: dict[str, Any] = {
            "epochs": epochs, "imgsz": options.imgsz, "batch": 16, "workers": 0, "seed": 0, "plots": False,
            "project": str(out), "name": f"run_{size}", "exist_ok": True, "verbose": False,
            # One evaluation, of the last weights: the best epoch would be chosen on the images that are reported.
            "val": False, "amp": options.amp, "cos_lr": True, "lr0": options.lr0,
        }  # fmt: skip
        if options.device:
            arguments["device"] = options.device
        folder = out / f"run_{size}"
        if (folder / "weights" / "last.pt").is_file():
            print(f"{size}: goes on where it was stopped; core-minutes are those of this part")
            result = reg_yolo.resume(folder)
        else:
            result = reg_yolo.train("detect/yolov8n", data=str(data), model=options.model, **arguments)
        found = {
            "size": size, "epochs": epochs, "imgsz": options.imgsz, "model": options.model,
            "objects": _objects(out / f"train_{size}.txt"),
            "map50": result.metrics["metrics/mAP50(B)"], "map50_95": result.metrics["metrics/mAP50-95(B)"],
            "core_minutes": round((_processor_s() - before) / 60, 2), "minutes": round((time.time() - started) / 60, 2),
        }  # fmt: skip
        replace_text(record, json.dumps(found, indent=1) + "\n")
        print(json.dumps(found))


def table(out: Path) -> str:
    """Return what is done so far."""
    low, high = SECONDS_PER_BOX
    lines = [
        f"| images | objects | minutes of labelling ({low:g} to {high:g} s a box) | epochs | mAP50 | mAP50-95 | core |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(out.glob("record_*.json"), key=lambda path: int(path.stem.rpartition("_")[2])):
        one = json.loads(path.read_text(encoding="utf-8"))
        spent = f"{one['objects'] * low / 60:.0f} to {one['objects'] * high / 60:.0f}"
        scores = f"{one['map50']:.3f} | {one['map50_95']:.3f} | {one['core_minutes']:.1f} min"
        lines.append(f"| {one['size']} | {one['objects']} | {spent} | {one['epochs']} | {scores} |")
    return "\n".join(lines)


def _objects(listed: Path) -> int:
    from reg_yolo.data.dataset.dataset_yaml import label_path_for

    paths = [label_path_for(Path(line)) for line in listed.read_text(encoding="utf-8").splitlines()]
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths if path.is_file())


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("prepare", "run", "table"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--seen", type=int, default=40_000, help="images that each training sees in all")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--model", default="yolov8n.yaml", help="yolov8n.pt starts from weights, where you have them")
    parser.add_argument("--device")
    parser.add_argument("--lr0", type=float, default=0.002)
    parser.add_argument("--amp", default="false", help="bf16 where the processor has it")
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.out, options.data, options.workers)
    elif options.step == "run":
        run(options.out, options)
    if options.step != "prepare":
        print(table(options.out))


if __name__ == "__main__":
    main()
