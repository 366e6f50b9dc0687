"""One run of a comparison: what it is made of, the training, and the record that it leaves."""

from __future__ import annotations

import csv
import gc
import hashlib
import json
import math
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics
from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo import __version__
from reg_yolo.config.plan import Plan, PlanSet
from reg_yolo.config.problems import did_you_mean
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.schema import DataPair, RunConfig
from reg_yolo.config.shipped import shipped_weights
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import read_joint_sets
from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.comparison_records import ClassFigures, RunRecord, find_record, known, record_path, run_name
from reg_yolo.evaluation.detection_matches import DetectionMatches, best_threshold, class_figures
from reg_yolo.yolo.commands.train import prepare
from reg_yolo.yolo.training.compared import ComparedTraining, Progress, compared

# Arguments of Ultralytics that say where a run is made, not what is trained.
_NOT_OF_THE_METHOD = {"device", "workers", "project", "name", "exist_ok", "verbose", "seed"}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan, resolved.

    Attributes:
        set_name, arm, seed: Which.
        config: Its configuration, without the seed.
        content: What is trained on what, as plain data.
        run_hash: Digest of `content`.
    """

    set_name: str
    arm: str
    seed: int
    config: RunConfig
    content: dict[str, Any]
    run_hash: str

    @property
    def key(self) -> tuple[str, str, int]:
        """Set, arm and seed."""
        return self.set_name, self.arm, self.seed

    @property
    def name(self) -> str:
        """What the run is called in messages."""
        return run_name(self.set_name, self.arm, self.seed)

    def record_path(self, out: Path) -> Path:
        """Return where its record is written."""
        return record_path(out, *self.key, self.run_hash)

    def record(self, out: Path) -> RunRecord | None:
        """Return its record where there is one."""
        return find_record(out, self.key, self.run_hash, self.content, default_content())


@dataclass(frozen=True)
class RunPlace:
    """Where and how a run is made.

    Attributes:
        out: Folder of the comparison.
        folder: An empty one for the run's own files.
        device: Ultralytics' word for the device; None leaves the plan's.
        trust: Load checkpoints that run code of their own.
        keep_weights: Keep last.pt under `out`/weights.
    """

    out: Path
    folder: Path
    device: str | None = None
    trust: bool = False
    keep_weights: bool = True


def planned_runs(plan: Plan) -> list[PlannedRun]:
    """Return every run of a plan, seed by seed: all sets and all arms before the next seed.

    Raises:
        RegYoloError: If a configuration is wrong, or a data set cannot be read.
    """
    digests: dict[str, str] = {}
    resolved = {}
    for set_name in plan.sets:
        for arm in plan.settings.arms:
            config = plan.resolve(set_name, arm, DEFAULT_CFG_DICT)
            _require_classes(plan.sets[set_name], config)
            content = _content(config, digests)
            resolved[set_name, arm] = (config, content, digest_of(content))
    return [PlannedRun(*key, seed, *parts) for seed in plan.settings.seeds for key, parts in resolved.items()]


def _require_classes(chosen: PlanSet, config: RunConfig) -> None:
    """Refuse rare classes that the data set does not have.

    Raises:
        ConfigError: With the first of them.
    """
    names = {name for description in _descriptions(config) for name in description.class_names} if chosen.rare else ()
    unknown = next((name for name in chosen.rare or () if name not in names), None)
    if unknown is not None:
        raise ConfigError(f"rare: {chosen.name} has no class {unknown}.{did_you_mean(unknown, names)}")


@cache
def default_content() -> dict[str, Any]:
    """Return every setting of a configuration at its default, as `PlannedRun.content` has them."""
    return RunConfig(model="-", data="-", reg=RegSettings.from_mapping("stock")).to_dict()


def plan_hash(runs: Sequence[PlannedRun]) -> str:
    """Return a digest of all runs of a plan."""
    return digest_of({f"{run.set_name}/{run.arm}/{run.seed}": run.run_hash for run in runs})


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def execute(
    run: PlannedRun,
    place: RunPlace,
    *,
    whole_plan: str,
    progress: Progress | None = None,
    reading: Callable[[], AbstractContextManager[Any]],
    publish: Callable[[], bool] = lambda: True,
) -> RunRecord | None:
    """Train and evaluate one run and write its record.

    Args:
        run: What.
        place: Where.
        whole_plan: Digest of the plan.
        progress: Told how far the training is.
        reading: Makes what is held while label files are read.
        publish: Asked before anything is written under `place.out`.

    Returns:
        The record; None where `publish` refused.

    Raises:
        RegYoloError: If data or weights are wrong.
    """
    begun = time.perf_counter()
    plain, given = prepare(run.config, trust=place.trust)
    arguments = {**given, "seed": run.seed, "save_dir": str(place.folder)}
    if place.device is not None:
        arguments["device"] = place.device
    trainer = compared(plain, progress=progress, reading=reading)(overrides=arguments)
    trainer.train()
    seconds = {**trainer.seconds, "whole": time.perf_counter() - begun}
    if not publish():
        return None
    record = _record(run, trainer, place, whole_plan, seconds)
    if place.keep_weights:
        weights = place.out / "weights" / run.set_name / run.arm / f"seed{run.seed}-{run.run_hash[:8]}.pt"
        weights.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(trainer.last, weights)
    # The record comes last: where it is, everything is.
    record.write(run.record_path(place.out))
    del trainer
    gc.collect()
    return record


def _record(
    run: PlannedRun, trainer: ComparedTraining, place: RunPlace, whole_plan: str, seconds: dict[str, float]
) -> RunRecord:
    path = run.record_path(place.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    figures: dict[str, tuple[ClassFigures, ...]] = {"box": (), "mask": ()}
    files = {}
    names = [str(trainer.data["names"][index]) for index in range(trainer.data["nc"])]
    for kind, matches in trainer.validator.matches.items():
        figures[kind] = _figures(matches, names, trainer.class_counts)
        file = path.with_name(f"{path.stem}.{kind}.npz")
        matches.without_idle().write(file)
        files[kind] = file.name
    images = trainer.validator.matches["box"].images
    return RunRecord(
        set_name=run.set_name,
        arm=run.arm,
        seed=run.seed,
        run_hash=run.run_hash,
        plan_hash=whole_plan,
        content=run.content,
        environment=_environment(trainer),
        initial_weights=trainer.initial_weights,
        draws=trainer.draws,
        steps=trainer.steps,
        seconds={key: round(value, 2) for key, value in seconds.items()},
        losses=_last_epoch(place.folder / "results.csv"),
        boxes=figures["box"],
        masks=figures["mask"],
        matches=files,
        images={
            "train": len(trainer.train_loader.dataset),
            "evaluated": len(images),
            "digest": hashlib.sha256("\n".join(images).encode()).hexdigest()[:16],
        },
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        path=path,
    )


def _figures(matches: DetectionMatches, names: Sequence[str], train_counts: Sequence[int]) -> tuple[ClassFigures, ...]:
    values = class_figures(matches, len(names))
    objects = np.bincount(matches.target_class, minlength=len(names))
    return tuple(
        ClassFigures(
            name,
            int(train_counts[index]),
            int(objects[index]),
            *(known(values[key][0, index]) for key in ("ap", "ap50", "f1_best", "f1_025")),
            threshold=known(best_threshold(matches, index)) if objects[index] else None,
        )
        for index, name in enumerate(names)
    )


def _environment(trainer: ComparedTraining) -> dict[str, Any]:
    """Return what a result may hang on beside the settings."""
    device = trainer.device
    half = "bfloat16" if trainer.args.amp == "bf16" else "float16"
    processor = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": device.type,
        "processor": processor,
        "precision": half if trainer.amp else "float32",
        "threads": torch.get_num_threads(),
        "workers": int(trainer.train_loader.num_workers),
        "versions": {
            "reg_yolo": __version__,
            "code": code_digest(),
            "ultralytics": ultralytics.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def code_digest() -> str:
    """Return a digest of the package's source: runs of one comparison should share it."""
    package = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for room in ("losses", "yolo", "data", "config"):
        for file in sorted((package / room).rglob("*.py")):
            digest.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _last_epoch(path: Path) -> dict[str, float]:
    """Return the loss terms that the last epoch logged."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, skipinitialspace=True))
    found = {}
    for key, text in (rows[-1] if rows else {}).items():
        if key is None or text is None or key.startswith(("metrics/", "val/", "lr/")):
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):
            continue
        if math.isfinite(value):
            found[key.strip()] = value
    return found


def _content(config: RunConfig, digests: dict[str, str]) -> dict[str, Any]:
    """Return what is trained on what; files stand with a digest of what they hold, not with their paths."""
    content = config.to_dict()
    evaluated = str(config.train.get("split") or "val")
    shown = json.dumps([config.task == "joint", content.pop("data"), config.mask_classes, evaluated], default=str)
    if shown not in digests:
        digests[shown] = _data_digest(_descriptions(config), evaluated)
    model = str(content["model"])
    content["model"] = _weights_digest(model, digests)
    train = {key: value for key, value in content["train"].items() if key not in _NOT_OF_THE_METHOD}
    if isinstance(train.get("pretrained"), str):
        train["pretrained"] = _weights_digest(train["pretrained"], digests)
    return {**content, "train": train, "data": digests[shown]}


def _weights_digest(name: str, digests: dict[str, str]) -> str:
    path = Path(name) if Path(name).is_file() else shipped_weights(Path(name).name)
    if path is None:
        return name
    if str(path) not in digests:
        digests[str(path)] = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return digests[str(path)]


def _descriptions(config: RunConfig) -> list[DatasetDescription]:
    """Return the data set of a run, or the sets of the joint task."""
    if config.task != "joint":
        return [read_dataset_yaml(str(config.data))]
    data = config.data.model_dump() if isinstance(config.data, DataPair) else config.data
    return [part.description for part in read_joint_sets(data, config.mask_classes).parts]


def _data_digest(descriptions: Sequence[DatasetDescription], evaluated: str) -> str:
    """Return a digest of class names, label files, and the names and sizes of images of both splits."""
    digest = hashlib.sha256()
    for description in descriptions:
        digest.update("\n".join(description.class_names).encode())
        for split in ("train", evaluated):
            digest.update(split.encode())
            for image in sorted(description.images(split)) if split in description.splits else ():
                label = label_path_for(image)
                rows = label.read_bytes() if label.is_file() else b""
                digest.update(f"{image.name} {image.stat().st_size} {len(rows)}\n".encode() + rows)
    return digest.hexdigest()[:16]
