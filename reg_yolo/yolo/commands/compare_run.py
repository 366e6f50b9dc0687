"""One run of a comparison: what it is made of, the training, and the record that it leaves."""

from __future__ import annotations

import csv
import gc
import hashlib
import math
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics

from reg_yolo import __version__
from reg_yolo.errors import ConfigError, RegYoloError
from reg_yolo.evaluation.comparison.detection_matches import DetectionMatches, best_threshold, class_figures
from reg_yolo.evaluation.comparison.records import ClassFigures, RunRecord, known
from reg_yolo.yolo.commands.compare_planning import PlannedRun
from reg_yolo.yolo.commands.train import prepare
from reg_yolo.yolo.training.compared import ComparedTraining, Progress, compared


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


def check_runs(runs: Sequence[PlannedRun], *, trust: bool) -> None:
    """Check arguments, models and weights of every arm, and every data set once, before anything is trained.

    Raises:
        RegYoloError: With the first arm that is wrong, and what is.
    """
    checked: set[str] = set()
    for run in {(run.set_name, run.arm): run for run in runs}.values():
        data = f"{run.config.task} {run.content['data']}"
        try:
            prepare(run.config, trust=trust, data_checked=data in checked)
        except RegYoloError as error:
            raise type(error)(f"arm {run.arm} on {run.set_name}: {error}") from None
        checked.add(data)


def execute(
    run: PlannedRun,
    place: RunPlace,
    *,
    whole_plan: str,
    progress: Progress | None = None,
    reading: Callable[[], AbstractContextManager[Any]],
    publish: Callable[[], bool] = lambda: True,
) -> RunRecord | None:
    """Train and evaluate one run that has been checked, and write its record.

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
    plain, given = prepare(run.config, trust=place.trust, data_checked=True)
    arguments = {**given, "seed": run.seed, "save_dir": str(place.folder)}
    if place.device is not None:
        arguments["device"] = place.device
    trainer = compared(plain, progress=progress, reading=reading)(overrides=arguments)
    if trainer.world_size > 1:
        raise ConfigError(f"device: a run of a comparison takes one device, got {trainer.args.device}; give one")
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
            name=name,
            train=int(train_counts[index]),
            objects=int(objects[index]),
            ap=known(values["ap"][0, index]),
            ap50=known(values["ap50"][0, index]),
            f1_best=known(values["f1_best"][0, index]),
            f1_025=known(values["f1_025"][0, index]),
            threshold=known(best_threshold(matches, index)) if objects[index] else None,
        )
        for index, name in enumerate(names)
    )


def _environment(trainer: ComparedTraining) -> dict[str, Any]:
    """Return what a result may hang on beside the settings."""
    device = trainer.device
    half = "bfloat16" if trainer.bfloat16 else "float16"
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
    for room in ("losses", "optim", "yolo", "data", "config"):
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
