"""The work of one rank in the tests of several, see rank_script.py."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import torch
from ultralytics.utils import RANK, WORLD_SIZE
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo.errors import ConfigError, TrainingInterrupted
from reg_yolo.yolo.commands.run_folder import run_folder
from reg_yolo.yolo.training.rank_group import joined_ranks
from reg_yolo.yolo.training.ranked import as_rank
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from tests.yolo.runs import FAST
from tests.yolo.training.joint_step import CASES, flat, gradients_of_a_step
from tests.yolo.training.rank_script import EPOCHS

REG = {"preset": "reg_v1", "focal": {"form": "equalized"}}
SAMPLING = {"method": "repeat_factor", "threshold": 1.0}


def trainer_of(data: Path, folder: Path, reg: Any, **arguments: Any) -> Any:
    """Return this rank's trainer of a short run; the working directory has a small model."""
    settings = {
        **FAST,
        "model": "./yolov8n.yaml",
        "data": str(data),
        "save_dir": str(folder),
        "imgsz": 32,
        "epochs": EPOCHS,
        **arguments,
    }
    return as_rank(RegDetectionTrainer.with_settings(reg, sampling=SAMPLING))(overrides=settings)


def refusal(data: Path, folder: Path, reg: Any, **arguments: Any) -> str:
    """Return what a trainer that must not come to be is refused with."""
    try:
        trainer_of(data, folder, reg, **arguments)
    except ConfigError as error:
        return str(error)
    return ""


def validation_of(weights: Path, data: Path, folder: Path) -> dict[str, float]:
    """Validate weights that rank 0 alone has, as at the end of a training."""
    trainer = trainer_of(data, folder, "reg_v1", imgsz=128)
    trainer._setup_train()
    if RANK == 0:
        shutil.copy(weights, trainer.best)
    trainer.hand_out(trainer.best)
    return dict(trainer.validate_best())


def stopped_training(data: Path, work: Path) -> str:
    """Train until a signal reaches rank 1 alone, and return what the run ends with."""
    with run_folder(lambda: work / "stopped") as folder:
        trainer = trainer_of(data, folder, "reg_v1")
        if RANK == 1:
            trainer.add_callback("on_train_batch_end", lambda _: signal.raise_signal(signal.SIGTERM))
        try:
            trainer.train()
        except TrainingInterrupted as stop:
            return str(stop)
    return ""


def short_training(data: Path, work: Path) -> dict[str, Any]:
    """Train for a few epochs, of which one gives no number and is repeated from last.pt."""
    shown: dict[int, list[str]] = {}
    spoiled: list[int] = []
    with run_folder(lambda: work / "run") as folder:
        trainer = trainer_of(data, folder, REG)
        prepare = trainer.preprocess_batch

        def note(batch: dict[str, Any]) -> dict[str, Any]:
            shown.setdefault(trainer.epoch, []).extend(Path(file).name for file in batch["im_file"])
            return prepare(batch)

        def spoil(running: Any) -> None:
            if running.epoch == 1 and not spoiled:
                spoiled.append(running.epoch)
                running.loss = running.loss * float("nan")

        trainer.preprocess_batch = note
        trainer.add_callback("on_train_epoch_end", spoil)
        trainer.train()
        return {
            "shown": shown,
            "spoiled": spoiled,
            "weights": flat(unwrap_model(trainer.model).parameters()),
            "ema": flat([*trainer.ema.ema.parameters(), *trainer.ema.ema.buffers()]),
            "state": trainer.criterion.state(),
            "metrics": trainer.metrics,
            "best": trainer.best.exists(),
            "folder": str(trainer.save_dir),
        }


def main(work: Path) -> None:
    """Do everything, in an order that is the same in every rank."""
    torch.set_num_threads(1)
    os.chdir(work)
    sets = {name: Path(path) for name, path in json.loads((work / "sets.json").read_text(encoding="utf-8")).items()}
    found: dict[str, Any] = {}
    with joined_ranks():
        for case in CASES:
            found[case] = gradients_of_a_step(case, sets, work, WORLD_SIZE)
        place = work / f"refused_{RANK}"
        found["another loss"] = refusal(sets["rectangles"], place, {"focal": {"gamma": 1.0 + RANK}})
        found["other data"] = refusal(sets["rectangles" if RANK else "even_rectangles"], place, "reg_v1")
        found["odd batch"] = refusal(sets["rectangles"], place, "reg_v1", batch=7)
        found["proximal"] = refusal(sets["rectangles"], place, {"proximal": {"enabled": True}})
        found["spheres"] = refusal(sets["rectangles"], place, "reg_v1", optimizer="RiemannianSGD")
        found["validated"] = validation_of(sets["detector"], sets["even_rectangles"], work / f"validated_{RANK}")
        found["stopped"] = stopped_training(sets["rectangles"], work)
        found["training"] = short_training(sets["rectangles"], work)
    torch.save(found, work / f"rank{RANK}.pt")
