"""Run the evidence of docs/evidence.md: a screen of many losses, a choice by a fixed rule, a final on new seeds.

    python scripts/run_evidence.py prepare runs/evidence               # scenes, and real sets where they are at hand
    python scripts/run_evidence.py run runs/evidence --processes 8 --device 0

Everything that was recorded is kept; the same command goes on. On another machine
`python scripts/make_evidence.py --restore runs/evidence` first writes the records that docs/evidence holds back.

The rule: an arm's score is its paired difference to stock in mAP50-95 plus a third of that in the rare classes, the
mean over the seeds that all arms have. The best of the baselines and the best two of the other arms go to the final,
with stock. Their seeds and validation images are new.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import yaml

from reg_yolo.evaluation.comparison.records import RunRecord, read_records

PLANS = Path(__file__).resolve().parents[1] / "configs" / "compare"
REFERENCE = "stock"
# Arms of the screen that need nothing but Ultralytics' own settings or a published loss.
BASELINES = (
    "stock_cls1", "stock_cls2", "stock_cls4", "cls_pw05", "cls_pw1", "qfl", "qfl_scale1", "varifocal", "sigmoid_focal",
    "efl",
)  # fmt: skip
# Seed, images and validation share of the scenes: trained on; validated on, the first half of the places in the screen
# and the second in the final, which has 1,000 more; and those that start the warm sets.
SCENES = {
    "train": (30_000, 700, 0.1), "val": (31_000, 1000, 0.9), "more": (32_000, 1200, 0.9), "warm": (33_000, 450, 0.1),
}  # fmt: skip
LONGEST_SIDE = 320
REAL_SETS = ("roadsign4", "bdd_dash")
# Most objects of each class in the long-tailed part of the road signs: 50 to 1, by the same factor from class to class,
# as in the long-tailed parts that others made of CIFAR and ImageNet.
LONG_TAIL = ("roadsign4", {"crosswalk": 170, "trafficlight": 46, "stop": 12})
# Of sets whose rare classes are not, or only partly, under a third of the median count; fixed before the final.
RARE = {
    "scenes": ["bus_stop", "pedestrian_bridge"],
    "roadsign4": ["trafficlight", "stop"],
    "roadsign4_lt": ["trafficlight", "stop"],
    "bdd_dash": ["motor", "rider", "bike"],
}
EPOCHS = {"roadsign4": 8, "roadsign4_lt": 8}


def prepare(out: Path, real: Path | None, rendered: Path | None) -> None:
    """Render the scenes, and make every image of every set small, with the labels as they are."""
    from reg_yolo.scenes import write_stills

    for name, (seed, images, share) in SCENES.items():
        folder = (rendered or out / "rendered") / name
        if not (folder / "data.yaml").is_file():
            workers = os.cpu_count() or 1
            write_stills(folder, images, (480, 288), seed, boxes_only=True, val_fraction=share, workers=workers)
        pack(folder, out / "data" / name)
    names = yaml.safe_load((out / "data" / "train" / "data.yaml").read_text(encoding="utf-8"))["names"]
    validation = sorted((out / "data" / "val" / "images" / "val").glob("*.jpg"))
    places = sorted({place_of(image) for image in validation})
    first = set(places[: len(places) // 2])
    more = sorted((out / "data" / "more" / "images" / "val").glob("*.jpg"))
    for part, images in (
        ("screen", [image for image in validation if place_of(image) in first]),
        ("final", [*(image for image in validation if place_of(image) not in first), *more]),
    ):
        listed = [f"./{image.relative_to(out / 'data')}" for image in images]
        (out / "data" / f"{part}.txt").write_text("".join(f"{name}\n" for name in listed), encoding="utf-8")
        content = {"train": "train/images/train", "val": f"{part}.txt", "names": names}
        (out / "data" / f"{part}.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    for name in REAL_SETS:
        if real is not None and (real / name).is_dir():
            pack(real / name, out / "data" / name)
    if (out / "data" / LONG_TAIL[0]).is_dir():
        write_long_tail(out / "data")


def write_long_tail(data: Path) -> None:
    """List the images of a set in an order by chance, without those that would bring a class over its most."""
    name, most = LONG_TAIL
    content = yaml.safe_load((data / name / "data.yaml").read_text(encoding="utf-8"))
    limits = {number: most[called] for number, called in content["names"].items() if called in most}
    images = sorted((data / name / content["train"]).glob("*.jpg"))
    random.Random(0).shuffle(images)
    counts: Counter[int] = Counter()
    kept = []
    for image in images:
        label = data / name / "labels" / "train" / f"{image.stem}.txt"
        own = Counter(int(row.split()[0]) for row in label.read_text(encoding="utf-8").splitlines())
        if all(counts[number] + own[number] <= limit for number, limit in limits.items()):
            counts += own
            kept.append(image)
    (data / f"{name}_lt.txt").write_text("".join(f"./{image.relative_to(data)}\n" for image in kept), encoding="utf-8")
    entry = {"train": f"{name}_lt.txt", "val": f"{name}/{content['val']}", "names": content["names"]}
    (data / f"{name}_lt.yaml").write_text(yaml.safe_dump(entry, sort_keys=False), encoding="utf-8")
    print(f"{name}_lt: {len(kept)} images, {dict(sorted(counts.items()))}")


def place_of(image: Path) -> str:
    """Return the place of a scene, which two images may show."""
    return image.stem.rpartition("_")[0]


def pack(source: Path, target: Path) -> None:
    """Copy a YOLO set with images of at most `LONGEST_SIDE` pixels."""
    content = yaml.safe_load((source / "data.yaml").read_text(encoding="utf-8"))
    for image in sorted((source / "images").rglob("*")):
        if image.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
            continue
        relative = image.relative_to(source / "images").with_suffix("")
        place = (target / "images" / relative).with_name(f"{relative.name}.jpg")
        label = (source / "labels" / relative).with_name(f"{relative.name}.txt")
        if place.is_file():
            continue
        pixels = cv2.imread(str(image))
        ratio = LONGEST_SIDE / max(pixels.shape[:2])
        if ratio < 1:
            pixels = cv2.resize(pixels, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        for path in (place, target / "labels" / relative):
            path.parent.mkdir(parents=True, exist_ok=True)
        rows = label.read_text(encoding="utf-8") if label.is_file() else ""
        (target / "labels" / relative).with_name(f"{relative.name}.txt").write_text(rows, encoding="utf-8")
        cv2.imwrite(str(place), pixels, [cv2.IMWRITE_JPEG_QUALITY, 88])
    (target / "data.yaml").write_text(
        yaml.safe_dump({"train": "images/train", "val": "images/val", "names": content["names"]}, sort_keys=False),
        encoding="utf-8",
    )


def start(plan: Path, out: Path, device: str, processes: int) -> list[subprocess.Popen[bytes]]:
    """Start processes that share the runs of a plan."""
    out.mkdir(parents=True, exist_ok=True)
    words = ["compare", str(plan), "--out", str(out), "--device", device, "--draws", "0", "--discard-weights"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "reg_yolo.cli.app", *words],
            stdout=(out / f"process{number}.log").open("wb"), stderr=subprocess.STDOUT, env=environment,
        )
        for number in range(processes)
    ]  # fmt: skip


def wait(processes: Sequence[subprocess.Popen[bytes]], until: float) -> bool:
    """Wait for processes; those that still run at `until` are ended. Return whether all ended by themselves."""
    for process in processes:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            break
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return not running


def warm_start(out: Path, device: str, epochs: int, amp: str) -> Path:
    """Train the weights that the real sets start from, with Ultralytics' own loss, on scenes that no arm sees."""
    target = out / "warm.pt"
    if not target.is_file():
        from reg_yolo import train

        result = train(
            "detect/yolov8n",
            ["reg=stock", "albumentations=none"],
            data=str((out / "data" / "warm" / "data.yaml").absolute()),
            epochs=epochs, imgsz=LONGEST_SIDE, batch=16, nbs=16, lr0=0.002, cos_lr=True, warmup_epochs=1.0, val=False,
            plots=False, amp=amp, cache="ram", workers=0, device=device, project=str(out.absolute()), name="warm",
            exist_ok=True,
        )  # fmt: skip
        target.write_bytes(result.last.read_bytes())
    return target


def endpoints(record: RunRecord) -> tuple[float, float]:
    """Return mAP50-95 and the mean AP of the rare classes, in points."""
    found = [figures for figures in record.boxes if figures.ap is not None]
    limit = statistics.median(figures.train for figures in record.boxes) / 3
    rare = [figures.ap for figures in found if figures.train < limit] or [min(found, key=lambda f: f.train).ap]
    return 100 * statistics.fmean(f.ap for f in found), 100 * statistics.fmean(rare)


def scores(out: Path) -> dict[str, tuple[float, int]]:
    """Return each arm's score and number of seeds, over the seeds that it shares with the reference."""
    by_arm: dict[str, dict[int, tuple[float, float]]] = {}
    for record in read_records(out)[0]:
        by_arm.setdefault(record.arm, {})[record.seed] = endpoints(record)
    stock = by_arm.pop(REFERENCE, {})
    found = {}
    for arm, values in by_arm.items():
        pairs = [(values[seed], stock[seed]) for seed in sorted(values) if seed in stock]
        if pairs:
            found[arm] = (statistics.fmean(a[0] - s[0] + (a[1] - s[1]) / 3 for a, s in pairs), len(pairs))
    return found


def choose(out: Path) -> list[str]:
    """Return the arms of the final by the rule that stands at the top."""
    found = scores(out)
    most = max((count for _, count in found.values()), default=0)
    ranked = sorted((arm for arm in found if found[arm][1] == most), key=lambda arm: -found[arm][0])
    baselines = [arm for arm in ranked if arm in BASELINES][:1]
    return [REFERENCE, *baselines, *[arm for arm in ranked if arm not in BASELINES][:2]]


def final_plans(out: Path, screen: dict[str, Any], arms: Sequence[str], seeds: Sequence[int], warm: Path) -> list[Path]:
    """Write the plans of the final, one for each set, next to their results."""
    paths = []
    for name in ("scenes", *REAL_SETS, f"{LONG_TAIL[0]}_lt"):
        plan = {**copy.deepcopy(screen), "seeds": list(seeds)}
        plan["arms"] = {arm: plan["arms"][arm] for arm in arms}
        own: dict[str, Any] = {"data": "data/final.yaml", "rare": RARE[name]}
        if name != "scenes":
            data = next((one for one in (f"data/{name}/data.yaml", f"data/{name}.yaml") if (out / one).is_file()), "")
            if not data:
                continue
            train = {"imgsz": LONGEST_SIDE, "lr0": 0.001, "epochs": EPOCHS.get(name, screen["train"]["epochs"])}
            own = {"data": data, "model": warm.name, "train": train, "rare": RARE[name]}
            for arm in plan["arms"].values():
                # No class of the road signs is rare enough for copy-paste to choose it itself.
                if isinstance(arm.get("sampling"), dict) and "copy_paste" in arm["sampling"]:
                    arm["sampling"]["copy_paste"]["classes"] = RARE[name]
        plan["data"] = {name: own}
        paths.append(out / f"final_{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    return paths


def run(arguments: argparse.Namespace) -> None:
    """Screen, choose, final; each part goes on where it was."""
    out, begun = arguments.out.absolute(), time.monotonic()
    minutes = arguments.minutes or 1e6
    screen = yaml.safe_load(arguments.plan.read_text(encoding="utf-8"))
    screen_file = out / "evidence_screen.yaml"
    screen_file.write_text(yaml.safe_dump(screen, sort_keys=False), encoding="utf-8")
    chosen_file = out / "chosen.json"
    if not chosen_file.is_file():
        warming = subprocess.Popen(
            [sys.executable, __file__, "warm", str(out), "--device", arguments.device], stdout=subprocess.DEVNULL
        )
        workers = start(screen_file, out / "screen", arguments.device, arguments.processes)
        ended = wait(workers, begun + 60 * minutes * arguments.screen_share)
        warming.wait()
        chosen = {"arms": choose(out / "screen"), "scores": scores(out / "screen"), "all_runs": ended}
        chosen_file.write_text(json.dumps(chosen, indent=1), encoding="utf-8")
        print("chosen:", chosen, flush=True)
    warm = warm_start(out, arguments.device, arguments.warm_epochs, arguments.warm_amp)
    arms = arguments.arms or json.loads(chosen_file.read_text(encoding="utf-8"))["arms"]
    finals = final_plans(out, screen, arms, range(100, 100 + arguments.seeds), warm)
    for final in finals:
        wait(start(final, out / final.stem, arguments.device, arguments.processes), begun + 60 * minutes)
    for part in ("screen", *(final.stem for final in finals)):
        records = read_records(out / part)[0]
        seconds = sum(record.seconds["whole"] for record in records)
        print(f"{part}: {len(records)} runs, {seconds / 3600:.2f} hours of processes", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("prepare", "warm", "run"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--real", type=Path, help="folder of roadsign4 and bdd_dash")
    parser.add_argument("--rendered", type=Path, help="folder of scenes that are rendered already")
    parser.add_argument("--plan", type=Path, default=PLANS / "evidence_screen.yaml")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, help="stop after so many; the same command goes on")
    parser.add_argument("--screen-share", type=float, default=0.4, help="of the minutes")
    parser.add_argument("--seeds", type=int, default=16, help="of the final")
    parser.add_argument("--arms", nargs="*", help="of the final, instead of the rule's")
    parser.add_argument("--warm-epochs", type=int, default=20)
    parser.add_argument("--warm-amp", default="bf16", help="false where the processor does not compute bfloat16")
    arguments = parser.parse_args()
    if arguments.part == "prepare":
        prepare(arguments.out, arguments.real, arguments.rendered)
    elif arguments.part == "warm":
        warm_start(arguments.out.absolute(), arguments.device, arguments.warm_epochs, arguments.warm_amp)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
