"""Compare retraining on frames that a review labels with retraining on as many random frames, over paired seeds.

A start (weights) looks at a drive of the embedded highway, `inventory build` makes assets of what it finds, and a
reviewer decides on each: who knows the truth, stands in for a person. `inventory labels` makes frames of the decisions.
Each seed draws as many of these as of the drive's frames at random, the latter with true labels, as if a person had
drawn every box, which is more work. Both are added to the images that there are, and training continues from the
start. Both arms of a seed see as many images.

    python scripts/review_retraining.py runs/review      # a smoke test: minutes, no evidence
    python scripts/review_retraining.py runs/review --start warm.pt --initial warm/data.yaml --validation screen.yaml \
        --km 4 --size 640x384 --add 100 --every 5 --epochs 3 --imgsz 416

What is done is kept: the same command continues. OUT/comparison.md has the table, OUT/seedN/ARM.json each run.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import shapely
from compare_picks import images_of, labels_of, measured, own_scenes, refuse_other_options, trained, write_data
from scipy import stats

import reg_yolo
from reg_yolo.config.shipped import SHIPPED_WEIGHTS
from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data import LabelledImage, ObjectAnnotation, read_dataset_yaml, write_labelled
from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.files import replace_text
from reg_yolo.inventory.classes import LINE
from reg_yolo.inventory.command import build_into
from reg_yolo.inventory.decisions.decision import ACCEPT, REJECT, Decision, Seen
from reg_yolo.inventory.diff.differences import one_to_one
from reg_yolo.inventory.labels.choosing import ChoiceOptions
from reg_yolo.inventory.labels.command import LabelsOptions, write_labels
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.scenes import write_drive
from reg_yolo.text_tables import markdown_table
from reg_yolo.video.decoding import VideoFrame, read_frames
from reg_yolo.video.privacy import release
from reg_yolo.video.writer import encode_jpeg

ARMS = ("random", "reviewed")
MEASURES = ("map50_95", "map50", "labels")
WITHIN_M, ON_LINE_M = 10.0, 5.0


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=Path, help="weights that look at the drive; the shipped ones if not given")
    parser.add_argument("--initial", type=Path, help="data-set YAML: its train split has the labels that there are")
    parser.add_argument("--validation", type=Path, help="data-set YAML: its val split measures")
    parser.add_argument("--km", type=float, default=0.15, help="length of the drive")
    parser.add_argument("--size", default="640x384", help="of its frames")
    parser.add_argument("--drive-seed", type=int, default=41)
    parser.add_argument("--every", type=int, default=2, help="frames between two that may be drawn")
    parser.add_argument("--add", type=int, default=4, help="frames that are added")
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
    if options.start is None:
        options.start = Path(__file__).resolve().parents[1] / "weights" / SHIPPED_WEIGHTS
    for name, images, seed in (("initial", 8, 1), ("validation", 8, 3)):
        if getattr(options, name) is None:
            setattr(options, name, own_scenes(options.out / "scenes" / name, images, seed))
    refuse_other_options(options)
    start = options.out / "start.pt"
    if not start.exists():
        Path(shutil.copyfile(options.start, options.out / "making.pt")).replace(start)
    inventory, decided = review(start, drive_of(options), options)
    pools = {"random": true_frames(options), "reviewed": reviewed_frames(inventory, options)}
    records: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            path = options.out / f"seed{seed}" / f"{arm}.json"
            if not path.exists():
                replace_text(path, json.dumps(run(arm, seed, pools[arm], start, options), indent=1) + "\n")
            records[arm].append(json.loads(path.read_text(encoding="utf-8")))
    table = report(records, measured(start, [], options, options.out / "before"), decided, options)
    replace_text(options.out / "comparison.md", table)
    print(table)


def core_minutes() -> float:
    """Return the processor time of this process and those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used) / 60


def noted(options: argparse.Namespace, step: str, began: float) -> None:
    """Keep how long a step took."""
    path = options.out / "minutes.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[step] = round(core_minutes() - began, 2)
    replace_text(path, json.dumps(known, indent=1) + "\n")


def drive_of(options: argparse.Namespace) -> Path:
    """Return the folder of the drive, with its camera.yaml, rendered once."""
    root, began = options.out / "drive", core_minutes()
    if not (root / "drive.json").exists():
        width, height = map(int, options.size.split("x"))
        write_drive(root, options.km, (width, height), options.drive_seed, chapter_s=36_000.0)
        noted(options, "drive", began)
    known = json.loads((root / "forward/calibration_clean.json").read_text(encoding="utf-8"))
    values = {key: known[key] for key in ("width", "height", "focal_px", "cx", "cy")} | known["mount"]
    replace_text(root / "camera.yaml", dump_yaml(values))
    return root


def review(start: Path, drive: Path, options: argparse.Namespace) -> tuple[Path, Counter[str]]:
    """Return the folder of the inventory of what the start finds, with decisions.jsonl, and how many were decided."""
    folder, began = options.out / "inventory", core_minutes()
    done = folder / "decisions.json"
    if not done.exists():
        shutil.rmtree(options.out / "found", ignore_errors=True)
        found = reg_yolo.predict(start, drive / "forward/chapter_000.mp4", out=options.out / "found",
                                 for_inventory=True, track=True, engine="pytorch", device=options.device)  # fmt: skip
        frames = drive / "forward/frames.jsonl"
        with frames.open(encoding="utf-8") as stream:
            start_utc = json.loads(next(stream))["start_utc"]
        track = drive / "forward/track_clean.gpx"
        build = BuildOptions((found.detections_file,), (track,), (drive / "camera.yaml",), (start_utc,))
        built = build_into(build, folder)
        features = json.loads((drive / "assets.geojson").read_text(encoding="utf-8"))["features"]
        lines = [json.dumps(one.to_record()) for one in decisions_of(built.assets, features, built.projection)]
        replace_text(folder / "decisions.jsonl", "".join(f"{line}\n" for line in lines))
        counts = Counter(json.loads(line)["action"] for line in lines)
        counts["undecided"] = len(built.assets) - counts.total()
        replace_text(done, json.dumps(counts) + "\n")
        noted(options, "look and build", began)
    return folder, Counter(json.loads(done.read_text(encoding="utf-8")))


def decisions_of(assets: list[Any], features: list[dict[str, Any]], projection: LocalProjection) -> list[Decision]:
    """Return what somebody decides who knows the truth; doubles of what is there already stay undecided."""
    decided = []
    for name in sorted({asset.class_name for asset in assets}):
        mine = [asset for asset in assets if asset.class_name == name]
        shapes = [
            projection.to_metres(*np.array(one["geometry"]["coordinates"], float).reshape(-1, 3)[:, :2].T)
            for one in features
            if one["properties"]["class"] == name
        ]
        places = np.array([asset.middle_m for asset in mine])
        middles = np.array([shape.mean(axis=0) for shape in shapes]).reshape(-1, 2)
        pairs = one_to_one(middles, places, list(range(len(middles))), list(range(len(mine))), WITHIN_M)
        found = set(pairs.values())
        for n, asset in enumerate(mine):
            apart = [float(shapely.LineString(s).distance(shapely.Point(places[n]))) for s in shapes if len(s) > 1]
            on_line = asset.kind == LINE and min(apart, default=np.inf) <= ON_LINE_M
            double = bool(len(middles)) and float(np.linalg.norm(middles - places[n], axis=1).min()) <= WITHIN_M
            if n in found or on_line:
                decided.append(Decision("truth", ACCEPT, (seen_of(asset),)))
            elif not double:
                decided.append(Decision("truth", REJECT, (seen_of(asset),)))
    return decided


def seen_of(asset: Any) -> tuple[Seen, ...]:
    """Return all observations of an asset."""
    return tuple(Seen.from_record(record) for record in asset.observations.records())


def reviewed_frames(inventory: Path, options: argparse.Namespace) -> Path:
    """Return the data-set YAML of the frames that the decisions label."""
    target, began = options.out / "reviewed", core_minutes()
    if not target.exists():
        choice = LabelsOptions((inventory / "decisions.jsonl",), ChoiceOptions(every=options.every))
        choice = replace(choice, classes=options.initial)
        summary = write_labels(inventory, target, choice)
        replace_text(options.out / "reviewed.json", json.dumps(summary.to_dict(), indent=1) + "\n")
        noted(options, "labels", began)
    return Path(target / "data.yaml")


def true_frames(options: argparse.Namespace) -> Path:
    """Return the data-set YAML of the frames that may be drawn at random, with true labels."""
    target = options.out / "truth"
    if not target.exists():
        names = read_dataset_yaml(options.initial, required=()).class_names
        frames = options.out / "drive/forward/frames.jsonl"
        records = list(map(json.loads, frames.read_text(encoding="utf-8").splitlines()[1:]))
        clip = frames.with_name("chapter_000.mp4")
        images = []
        for item in read_frames(clip, lambda index, _time_s: index % options.every == 0):
            if isinstance(item, VideoFrame) and item.picture is not None:
                size = (item.picture.shape[1], item.picture.shape[0])
                image = OpenedImage(size, 1, ".jpg", clip, encode_jpeg(release(item.picture)))
                objects = [ObjectAnnotation(one["class"], "", tuple(one["xyxy"])) for one in
                           records[item.index]["objects"]]  # fmt: skip
                images.append(LabelledImage(f"true_{item.index:06d}.jpg", size, objects, picture=image))
        write_labelled(images, target, names, to="yolo")
    return Path(target / "data.yaml")


def run(arm: str, seed: int, pool: Path, start: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train on the old and the drawn frames, and measure."""
    folder, began = options.out / f"seed{seed}", core_minutes()
    folder.mkdir(parents=True, exist_ok=True)
    frames = images_of(pool)
    if len(frames) < options.add:
        raise SystemExit(f"{arm}: {len(frames)} frames, {options.add} are wanted; lower --add or --every")
    drawn = random.Random(seed).sample(frames, options.add)
    data = folder / f"{arm}.yaml"
    write_data(data, [*images_of(options.initial), *drawn], options)
    weights = trained(start, data, folder / f"{arm}_run", seed, options, options.epochs, lr0=0.001)
    objects = Counter(name for image in drawn for name in labels_of(pool, image))
    figures = measured(weights, [], options, folder / arm)
    shutil.rmtree(folder / f"{arm}_run")
    return {
        "map50_95": figures["map50_95"],
        "map50": figures["map50"],
        "labels": objects.total(),
        "by_class": dict(objects),
        "core_minutes": round(core_minutes() - began, 2),
        "frames": [image.name for image in drawn],
    }


def report(
    records: dict[str, list[dict[str, Any]]],
    before: dict[str, float],
    decided: Counter[str],
    options: argparse.Namespace,
) -> str:
    """Return the table: each measure before and in both arms, and the paired difference with its 95 % interval."""
    rows = []
    for measure in MEASURES:
        scale = 100 if "map" in measure else 1
        values = {arm: [scale * record[measure] for record in records[arm]] for arm in ARMS}
        apart = [new - old for old, new in zip(values["random"], values["reviewed"], strict=True)]
        half = stats.t.ppf(0.975, len(apart) - 1) * stdev(apart) / len(apart) ** 0.5 if len(apart) > 1 else float("nan")
        was = f"{scale * before[measure]:.2f}" if measure in before else ""
        rows.append([measure, was, *(f"{mean(values[arm]):.2f}" for arm in ARMS), f"{mean(apart):+.2f} ± {half:.2f}"])
    steps = json.loads((options.out / "minutes.json").read_text(encoding="utf-8"))
    trainings = sum(record["core_minutes"] for arm in ARMS for record in records[arm])
    taken = ", ".join(f"{name} {minutes:.1f}" for name, minutes in {**steps, "training": trainings}.items())
    return "\n".join(
        [
            f"{options.add} frames added to {len(images_of(options.initial))} images, {options.epochs} epochs at "
            f"{options.imgsz} px, {options.seeds} paired seeds. Decided: {decided['accept']} accepted, "
            f"{decided['reject']} rejected, {decided['undecided']} left. Precisions in percent; difference: reviewed - "
            f"random with its 95 % interval. Core-minutes: {taken}.",
            "",
            markdown_table(["measure", "before", *ARMS, "difference"], rows),
            "",
        ]
    )


if __name__ == "__main__":
    main()
