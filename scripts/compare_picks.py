"""Compare frames picked by `data prelabel --uncertain` with random ones: trained on as many images, over paired seeds.

A model is trained on the labels that there are (`--initial`) and run on a pool of images without labels. Of a share
of the pool, drawn again for each seed, as many images are picked in both ways; their labels are added, and training
continues from that model over the old and the new images. Both arms of a seed start alike and see as many images. The
start must not have seen the pool; the shipped weights have seen many such scenes and leave nothing to learn.

    python scripts/compare_picks.py runs/picks          # a smoke test on its own scenes: a minute, no evidence
    python scripts/compare_picks.py runs/picks --initial warm/data.yaml --pool train/data.yaml \
        --validation screen.yaml --start warm.pt --add 90 --pool-images 420 --epochs 3 --imgsz 256

What is done is kept: the same command continues. OUT/comparison.md has the table, OUT/seedN/ARM.json each run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy import stats

import reg_yolo
from reg_yolo.config.shipped import SHIPPED_WEIGHTS
from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data import read_dataset_yaml
from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.prelabel.frames import read_detected_frames
from reg_yolo.data.prelabel.run import pick_frames
from reg_yolo.files import replace_text
from reg_yolo.scenes import write_stills
from reg_yolo.text_tables import markdown_table

ARMS = ("random", "uncertain")
MEASURES = ("map50_95", "map50", "rare_map50_95", "objects", "rare_objects")
# Classes with the fewest objects in the pool; which they are is in the table.
RARE = 3
TRAIN = {"batch": 16, "nbs": 16, "cos_lr": True, "warmup_epochs": 0.5, "close_mosaic": 1, "cache": "ram",
         "workers": 0, "val": False, "plots": False, "deterministic": True}  # fmt: skip


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--initial", type=Path, help="data-set YAML: its train split has the labels that there are")
    parser.add_argument("--pool", type=Path, help="data-set YAML: its train split is picked from")
    parser.add_argument("--validation", type=Path, help="data-set YAML: its val split measures")
    parser.add_argument("--start", type=Path, help="weights that were trained on --initial; trained here if not given")
    parser.add_argument("--start-epochs", type=int, default=16)
    parser.add_argument("--add", type=int, default=4, help="images that are picked")
    parser.add_argument("--pool-images", type=int, default=12, help="images of the pool that a seed picks from")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--amp", default="false", help="bf16 where the processor has it")
    return parser.parse_args()


def main() -> None:
    """Do what is not done yet, and write the table."""
    options = read_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.initial is None and options.start is None:
        # Of a smoke run only: what has learned nothing finds nothing to doubt.
        options.start = Path(__file__).resolve().parents[1] / "weights" / SHIPPED_WEIGHTS
    for name, images, seed in (("initial", 8, 1), ("pool", 16, 2), ("validation", 8, 3)):
        if getattr(options, name) is None:
            setattr(options, name, own_scenes(options.out / "scenes" / name, images, seed))
    refuse_other_options(options)
    start = start_weights(options)
    detections = looked_at(start, options)
    counts = Counter(name for image in images_of(options.pool) for name in labels_of(options.pool, image))
    rare = sorted(read_dataset_yaml(options.pool, required=()).class_names, key=lambda name: counts[name])[:RARE]
    records: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            path = options.out / f"seed{seed}" / f"{arm}.json"
            if not path.exists():
                picked = picks(arm, seed, detections, options)
                replace_text(path, json.dumps(run(arm, seed, picked, start, rare, options), indent=1) + "\n")
            records[arm].append(json.loads(path.read_text(encoding="utf-8")))
    before = measured(start, rare, options, options.out / "before")
    table = report(records, before, rare, options)
    replace_text(options.out / "comparison.md", table)
    print(table)


def refuse_other_options(options: argparse.Namespace) -> None:
    """End where the folder was begun with other options: its runs would be compared with others."""
    kept = options.out / "options.json"
    given = {key: str(value) for key, value in vars(options).items() if key not in ("out", "seeds", "device")}
    if not kept.exists():
        replace_text(kept, json.dumps(given, indent=1) + "\n")
    before = json.loads(kept.read_text(encoding="utf-8"))
    changed = [f"{key} {before.get(key)}, now {value}" for key, value in given.items() if before.get(key) != value]
    if changed:
        raise SystemExit(f"{options.out} was begun with {'; '.join(changed)}; name another folder")


def own_scenes(folder: Path, images: int, seed: int) -> Path:
    """Return the data-set YAML of a few scenes, rendered once."""
    if not (folder / "data.yaml").exists():
        write_stills(folder, images, (160, 96), seed, boxes_only=True, val_fraction=0.25, workers=os.cpu_count() or 1)
    return folder / "data.yaml"


def start_weights(options: argparse.Namespace) -> Path:
    """Return the model that both arms start from, with thresholds of its own by class."""
    target, done = options.out / "start.pt", options.out / "start_thresholds.csv"
    if not target.exists():
        if options.start is not None:
            made = Path(shutil.copyfile(options.start, options.out / "making.pt"))
        else:
            data = options.out / "start_data.yaml"
            write_data(data, images_of(options.initial), options)
            made = trained("yolov8n.yaml", data, options.out / "start_run", 0, options, options.start_epochs, lr0=0.002)
        made.replace(target)
    if not done.exists():
        # From the labels that there are: the images that measure stay unseen until the end.
        folder = options.out / "start_thresholds"
        shutil.rmtree(folder, ignore_errors=True)
        result = reg_yolo.val(target, data=str(options.initial), imgsz=options.imgsz, batch=16, workers=0,
                              device=options.device, plots=False, out=folder)  # fmt: skip
        replace_text(done, "".join(f"{one.name},{one.threshold}\n" for one in result.report.classes))
    return Path(target)


def looked_at(start: Path, options: argparse.Namespace) -> Path:
    """Return what the start finds in the pool, weak detections included."""
    target = options.out / "pool.jsonl"
    if not target.exists():
        listing = options.out / "pool.txt"
        replace_text(listing, "".join(f"{image}\n" for image in images_of(options.pool)))
        shutil.rmtree(options.out / "pool_run", ignore_errors=True)
        found = reg_yolo.predict(start, listing, out=options.out / "pool_run", for_inventory=True, engine="pytorch",
                                 imgsz=options.imgsz, device=options.device)  # fmt: skip
        found.detections_file.replace(target)
    return Path(target)


def picks(arm: str, seed: int, detections: Path, options: argparse.Namespace) -> list[Path]:
    """Return the images that an arm picks from the seed's share of the pool."""
    draw = random.Random(seed)
    share = draw.sample(images_of(options.pool), options.pool_images)
    if arm == "random":
        return draw.sample(share, options.add)
    read = read_detected_frames([detections])
    read.frames = [frame for frame in read.frames if frame.source in set(share)]
    found = [pick.frame.source for pick in pick_frames(read, options.add, options.initial).picks]
    # Where the model doubts fewer, the arms must still learn from as many.
    rest = [image for image in share if image not in set(found)]
    return found + draw.sample(rest, options.add - len(found))


def run(
    arm: str, seed: int, picked: list[Path], start: Path, rare: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """Train on the old and the new labels, and measure."""
    folder = options.out / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    data = folder / f"{arm}.yaml"
    write_data(data, [*images_of(options.initial), *picked], options)
    weights = trained(start, data, folder / f"{arm}_run", seed, options, options.epochs, lr0=0.001)
    objects = Counter(name for image in picked for name in labels_of(options.pool, image))
    figures = measured(weights, rare, options, folder / arm)
    shutil.rmtree(folder / f"{arm}_run")
    return {
        **figures,
        "objects": objects.total(),
        "rare_objects": sum(objects[name] for name in rare),
        "by_class": dict(objects),
        "cpu_minutes": round((time.process_time() - began) / 60, 2),
        "picked": [str(image) for image in picked],
    }


def trained(
    model: str | Path, data: Path, folder: Path, seed: int, options: argparse.Namespace, epochs: int, *, lr0: float
) -> Path:
    """Train with the stock loss from weights or from nothing, and return the last weights."""
    shutil.rmtree(folder, ignore_errors=True)
    config = folder.with_suffix(".config.yaml")
    train = {**TRAIN, "epochs": epochs, "imgsz": options.imgsz, "lr0": lr0, "seed": seed, "amp": options.amp,
             "optimizer": "AdamW", "device": options.device, "project": str(folder.parent.absolute()),
             "name": folder.name}  # fmt: skip
    settings = {"task": "detect", "model": str(model), "data": str(data.absolute()), "train": train}
    replace_text(config, dump_yaml({**settings, "reg": {"preset": "stock"}, "threads": 1}))
    return reg_yolo.train(config).last


def measured(weights: Path, rare: list[str], options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return the mean precisions of weights on the validation images, over all and over the rare classes."""
    kept = folder.with_suffix(".measured.json")
    if not kept.exists():
        shutil.rmtree(folder, ignore_errors=True)
        copy = folder.with_suffix(".pt")
        shutil.copyfile(weights, copy)
        result = reg_yolo.val(copy, data=str(options.validation), imgsz=options.imgsz, batch=16, workers=0,
                              device=options.device, plots=False, out=folder)  # fmt: skip
        copy.unlink()
        result.thresholds_file.unlink(missing_ok=True)
        of_rare = [one.ap for one in result.report.classes if one.name in rare and one.instances]
        figures = {"map50_95": result.report.mean.ap, "map50": result.report.mean.ap50}
        replace_text(kept, json.dumps({**figures, "rare_map50_95": mean(of_rare) if of_rare else 0.0}) + "\n")
    return dict(json.loads(kept.read_text(encoding="utf-8")))


def images_of(data: Path) -> list[Path]:
    """Return the images of a set's train split."""
    return [image.absolute() for image in read_dataset_yaml(data, required=()).images("train")]


def labels_of(data: Path, image: Path) -> list[str]:
    """Return the class of every object of an image."""
    names = read_dataset_yaml(data, required=()).class_names
    return [names[row.class_id] for row in read_label_file(label_path_for(image), len(names)).rows]


def write_data(target: Path, images: list[Path], options: argparse.Namespace) -> None:
    """Write a data-set YAML of listed images, with the validation images for upstream to find."""
    validation = read_dataset_yaml(options.validation, required=())
    lists = {"train": images, "val": [image.absolute() for image in validation.images("val")]}
    for split, listed in lists.items():
        replace_text(target.with_suffix(f".{split}.txt"), "".join(f"{image}\n" for image in listed))
    content = {split: target.with_suffix(f".{split}.txt").name for split in lists}
    replace_text(target, dump_yaml({**content, "names": dict(validation.names)}))


def report(
    records: dict[str, list[dict[str, Any]]], before: dict[str, float], rare: list[str], options: argparse.Namespace
) -> str:
    """Return the table: each measure before and in both arms, and the paired difference with its 95 % interval."""
    rows = []
    for measure in MEASURES:
        scale = 100 if "map" in measure else 1
        values = {arm: [scale * record[measure] for record in records[arm]] for arm in ARMS}
        apart = [new - old for old, new in zip(values["random"], values["uncertain"], strict=True)]
        half = stats.t.ppf(0.975, len(apart) - 1) * stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else float("nan")
        cells = [f"{mean(values[arm]):.2f}" for arm in ARMS]
        was = f"{scale * before[measure]:.2f}" if measure in before else ""
        rows.append([measure, was, *cells, f"{mean(apart):+.2f} ± {half:.2f}"])
    minutes = sum(record["cpu_minutes"] for arm in ARMS for record in records[arm])
    return "\n".join(
        [
            f"{options.add} images of {options.pool_images} added to {len(images_of(options.initial))}, "
            f"{options.epochs} epochs at {options.imgsz} px, {options.seeds} paired seeds, {minutes:.1f} core-minutes. "
            f"Rare: {', '.join(rare)}. Precisions in percent; difference: uncertain - random with its 95 % interval.",
            "",
            markdown_table(["measure", "before", *ARMS, "difference"], rows),
            "",
        ]
    )


if __name__ == "__main__":
    main()
