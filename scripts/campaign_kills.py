"""Kills, signals and full disks at random moments: what is left must be whole, and the same command must finish it."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

from campaign_runner import Bases, Outcome, Trial, files_of, leftovers, run_cli, stream

EPOCHS = 3
TRAIN = [
    "device=cpu", f"epochs={EPOCHS}", "imgsz=32", "batch=4", "workers=0", "plots=false", "albumentations=none",
    "project=runs", "name=run",
]  # fmt: skip


@dataclass
class Job:
    """A command that can be cut off and run again.

    Attributes:
        words: The command line.
        again: What finishes it after it was cut off, from the folder that it has left.
        faults: What is wrong with the results once it is finished, by column of the table; empty where nothing is.
        broken: The same right after it was cut off.
    """

    words: list[object]
    again: Callable[[Path], list[object]]
    faults: Callable[[Path], dict[str, str]]
    broken: Callable[[Path], dict[str, str]]


def split_words(data: Path | str) -> list[object]:
    """Return the command that splits a data set whose every image is a drive of its own."""
    return ["data", "split", data, "--pattern", "(.+)", "--val", 0.3, "--copy", "made", "--workers", 1]


def jobs_of(bases: Bases) -> dict[str, Job]:
    """Return the commands that the trials cut off."""
    coco = bases.once("coco", lambda: write_coco(bases))
    made: dict[str, list[object]] = {
        "convert": ["data", "convert", coco, "made"],
        "split": split_words(bases.data),
        "tile": ["data", "tile", bases.data, "made", "--size", 64, "--workers", 1],
        "scenes": ["scenes", "made", "--images", 6, "--size", "160x96", "--workers", 1],
    }
    found = {"train": Job(["train", "detect/yolov8n", f"data={bases.data}", *TRAIN], _again, _run_faults, _run_broken)}
    words: list[object] = [
        "predict", bases.weights, bases.data.parent / "images/train", "device=cpu", "imgsz=64", "conf=0.01",
        "--engine", "pytorch", "--out", "made",
    ]  # fmt: skip
    found["predict"] = Job(words, lambda _, w=words: w, _compared(bases, "predict", words), lambda _: {})
    for name, words in made.items():
        found[name] = Job(words, lambda _, w=words: w, _compared(bases, name, words), _made_broken(bases, name, words))
    return found


def kill_trials(bases: Bases, seed: int) -> Iterator[Trial]:
    """Yield kills at random moments."""
    yield from _cut_trials(bases, seed, "kill", [signal.SIGKILL])


def signal_trials(bases: Bases, seed: int) -> Iterator[Trial]:
    """Yield signals at random moments."""
    yield from _cut_trials(bases, seed, "signal", [signal.SIGTERM, signal.SIGINT])


def disk_trials(bases: Bases, seed: int) -> Iterator[Trial]:
    """Yield commands whose files may not grow beyond a random size."""
    jobs = jobs_of(bases)
    for number in count():
        kind = list(jobs)[number % len(jobs)]

        def run(folder: Path, kind: str = kind, number: int = number) -> Outcome:
            job, chance = jobs[kind], stream(seed, "disk", kind, number)
            size = int(2 ** chance.uniform(4, 23 if kind in ("train", "predict") else 14))
            ended = run_cli(job.words, folder, largest_file=size)
            losses = ended.losses((0, 2))
            if ended.code == 2:
                losses |= job.broken(folder)
            else:
                losses |= job.faults(folder)
            left = leftovers(folder)
            if left:
                losses["half-written"] = f"left behind: {left[:3]}"
            return Outcome(ended.code, losses)

        yield Trial(kind, f"--seed {seed} number {number}", run, len(jobs))


def _cut_trials(bases: Bases, seed: int, word: str, signals: list[signal.Signals]) -> Iterator[Trial]:
    jobs = jobs_of(bases)
    # Training is what takes days: every second trial is one.
    order = [kind for other in list(jobs)[1:] for kind in ("train", other)]
    for number in count():
        kind = order[number % len(order)]

        def run(folder: Path, kind: str = kind, number: int = number) -> Outcome:
            chance = stream(seed, word, kind, number)
            return _cut(bases, jobs[kind], kind, folder, chance, signals[number // len(order) % len(signals)])

        yield Trial(kind, f"--seed {seed} number {number}", run, 2)


def _cut(bases: Bases, job: Job, kind: str, folder: Path, chance: Random, number: signal.Signals) -> Outcome:
    whole_s = bases.once(f"seconds of {kind}", lambda: _seconds(bases, job, kind))
    assert isinstance(whole_s, float)
    cut = run_cli(job.words, folder, kill_at_s=chance.uniform(0.05, 1.05) * whole_s, number=number)
    killed = number is signal.SIGKILL
    losses = cut.losses((0, -number) if killed else (0, 130))
    losses |= job.broken(folder)
    if not killed and (left := leftovers(folder)):
        losses["half-written"] = f"left behind by {number.name}: {left[:3]}"
    if cut.code == 0:
        return Outcome(0, losses | job.faults(folder))
    words = job.again(folder)
    again = run_cli(words, folder)
    finished = again.code == 2 and "this run is finished" in again.text
    losses |= {} if finished else again.losses((0,))
    losses |= job.faults(folder)
    return Outcome(cut.code, losses)


def _seconds(bases: Bases, job: Job, kind: str) -> float:
    """Return how long a command works when nothing cuts it off."""
    folder = bases.folder / f"time of {kind}"
    folder.mkdir()
    ended = run_cli(job.words, folder)
    if ended.code:
        raise SystemExit(f"{kind} does not work at all: {ended.text[-1000:]}")
    return ended.cpu_s


# Training -----------------------------------------------------------------------------------------------------------


def _again(folder: Path) -> list[object]:
    """Return how a run that was cut off goes on: from last.pt, or from the start where its first epoch is not done."""
    if (folder / "runs/run/weights/last.pt").exists():
        return ["train", "--resume", "runs/run", "device=cpu"]
    return [*_train_words(folder), "exist_ok=true"]


def _train_words(folder: Path) -> list[object]:
    data = (folder.parent / "bases/data/data.yaml").resolve()
    return ["train", "detect/yolov8n", f"data={data}", *TRAIN]


def _run_broken(folder: Path) -> dict[str, str]:
    """Every checkpoint that is there must load, whenever the run was cut off."""
    from reg_yolo.errors import WeightsError
    from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file

    for weights in (folder / "runs/run/weights").glob("[!.]*.pt"):
        try:
            load_checkpoint_file(weights)
        except WeightsError as error:
            return {"half-written": str(error)}
    return {}


def _run_faults(folder: Path) -> dict[str, str]:
    from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of

    run = folder / "runs/run"
    found = _run_broken(folder)
    try:
        with (run / "results.csv").open(encoding="utf-8") as stream_:
            epochs = [int(row["epoch"]) for row in csv.DictReader(stream_)]
        if epochs != list(range(1, EPOCHS + 1)):
            found["doubled or lost"] = f"results.csv has the epochs {epochs}"
        best, last = (load_checkpoint_file(run / f"weights/{name}.pt") for name in ("best", "last"))
        if best["optimizer"] is not None or last["optimizer"] is not None:
            found["half-written"] = "a checkpoint is not stripped"
        if "thresholds" not in metadata_of(best) or not (run / "per_class.json").is_file():
            found["half-written"] = "no thresholds or no per_class.json"
        json.loads((run / "per_class.json").read_text(encoding="utf-8"))
    except Exception as error:
        found["half-written"] = f"{type(error).__name__}: {error}"
    if left := leftovers(run):
        found.setdefault("half-written", f"left behind: {left[:3]}")
    return found


# Everything else: the same files as a run that nobody has cut off -----------------------------------------------------


def _reference(bases: Bases, name: str, words: list[object]) -> dict[str, bytes]:
    def make() -> dict[str, bytes]:
        folder = bases.folder / f"reference of {name}"
        folder.mkdir()
        ended = run_cli(words, folder)
        if ended.code:
            raise SystemExit(f"{name} does not work at all: {ended.text[-1000:]}")
        return contents(folder / "made")

    found = bases.once(f"reference of {name}", make)
    assert isinstance(found, dict)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a command has made, without what differs from call to call."""
    found = {}
    for name in files_of(folder):
        content = (folder / name).read_bytes()
        if name.endswith("detections.jsonl"):
            lines = [json.loads(line) for line in content.splitlines()]
            frames = [line for line in lines if line.get("type", line.get("record")) not in ("header", "end")]
            content = json.dumps([frame for frame in frames if "detections" in frame or "objects" in frame]).encode()
        found[name] = content
    return found


def _compared(bases: Bases, name: str, words: list[object]) -> Callable[[Path], dict[str, str]]:
    def faults(folder: Path) -> dict[str, str]:
        expected, found = _reference(bases, name, words), contents(folder / "made")
        if expected.keys() != found.keys():
            odd = sorted(expected.keys() ^ found.keys())
            return {"doubled or lost": f"{len(odd)} files differ: {odd[:3]}"}
        other = [file for file in expected if expected[file] != found[file] and not file.endswith((".jpg", ".txt"))]
        return {"doubled or lost": f"other content: {other[:3]}"} if other else {}

    return faults


def _made_broken(bases: Bases, name: str, words: list[object]) -> Callable[[Path], dict[str, str]]:
    def broken(folder: Path) -> dict[str, str]:
        """A folder that is there must be whole."""
        if not (folder / "made").exists():
            return {}
        missing = sorted(_reference(bases, name, words).keys() - set(files_of(folder / "made")))
        return {"half-written": f"{len(missing)} files missing: {missing[:3]}"} if missing else {}

    return broken


def write_coco(bases: Bases) -> Path:
    """Write the base data set as a COCO export."""
    folder = bases.folder / "coco"
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, image in enumerate(sorted((bases.data.parent / "images/train").iterdir())):
        (folder / "images" / image.name).write_bytes(image.read_bytes())
        images.append({"id": number, "file_name": image.name, "width": 128, "height": 96})
        label, x, y, w, h = (bases.data.parent / f"labels/train/{image.stem}.txt").read_text(encoding="utf-8").split()
        box = [(float(x) - float(w) / 2) * 128, (float(y) - float(h) / 2) * 96, float(w) * 128, float(h) * 96]
        annotations.append(
            {"id": number, "image_id": number, "category_id": int(label), "bbox": box, "area": box[2] * box[3],
             "iscrowd": 0}
        )  # fmt: skip
    categories = [{"id": index, "name": name} for index, name in enumerate(("red", "green", "blue"))]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
