"""Time the training part of an epoch on a CPU, loader included: Ultralytics' trainer beside ours, choice by choice.

    taskset -c 0,1 python scripts/bench_training_step.py [--data DATA] [--imgsz 320] [--batch 8] [--batches 12]

Arms: Ultralytics' own trainer; ours with every allowed core, then with loader workers, with `amp=bf16` where the
processor computes it, and with both. They take turns, and start and end without a batch in hand. Prints a Markdown
table of medians; ratios are medians of the ratio within a turn, with their quartiles. Where Ultralytics sees more cores
than taskset allows, say what it would take on a machine of so many with --stock-threads (cores - 1).
Then, where it applies, the mean loss of each arm's first 30 steps from the same weights over the same batches.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from bench_criterion import interleaved, machine_name, ratio_text

from reg_yolo.parallel import available_cores
from reg_yolo.scenes import write_stills
from reg_yolo.yolo.training import precision
from reg_yolo.yolo.training.trainers import RegDetectionTrainer

# After reg_yolo.yolo, which sets Ultralytics' defaults before its first import.
from ultralytics.models.yolo.detect import DetectionTrainer  # isort: skip
from ultralytics.utils import LOGGER, NUM_THREADS  # isort: skip
from ultralytics.utils.torch_utils import autocast  # isort: skip


def prepared(trainer_class: Any, workers: int, settings: dict[str, Any]) -> Any:
    """Return a trainer that is ready to train."""
    trainer = trainer_class(overrides=settings)
    # Upstream takes no workers on a CPU, whatever is asked for.
    trainer.args.workers = workers
    trainer._setup_train()
    trainer._model_train()
    trainer.epoch = 0
    return trainer


def train_batches(trainer: Any, threads: int, batches: int) -> list[float]:
    """Take so many steps as upstream's loop does, and return the losses an image."""
    torch.set_num_threads(threads)
    losses = []
    for batch in itertools.islice(endless(trainer.train_loader), batches):
        with autocast(trainer.amp, device=trainer.device.type):
            prepared_batch = trainer.preprocess_batch(batch)
            loss, trainer.loss_items = trainer.model(prepared_batch)
            trainer.loss = loss.sum()
        trainer.scaler.scale(trainer.loss).backward()
        trainer.optimizer_step()
        losses.append(float(trainer.loss.detach()) / len(prepared_batch["img"]))
    # Nothing may be loaded during the others' turns.
    trainer.train_loader.reset()
    return losses


def endless(loader: Any) -> Any:
    """Yield the batches of one epoch after another."""
    while True:
        yield from loader


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="yolov8n.yaml")
    parser.add_argument("--data", help="a data YAML; without it, scenes of the embedded highway are made")
    parser.add_argument("--images", type=int, default=64, help="scenes that are made")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8, help="images a batch")
    parser.add_argument("--batches", type=int, default=12, help="batches a turn")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--workers", type=int, default=1, help="loader workers of the arms that have some")
    parser.add_argument("--stock-threads", type=int, default=NUM_THREADS, help="threads of Ultralytics' trainer")
    parser.add_argument("--steps", type=int, default=30, help="steps over which losses are compared; 0 compares none")
    parser.add_argument("--emulate", action="store_true", help="bfloat16 also on a processor that only emulates it")
    options = parser.parse_args()
    if options.emulate:
        precision.cpu_computes_bfloat16 = lambda: True
    LOGGER.setLevel("WARNING")
    cores = available_cores()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data
        if data is None:
            scenes = write_stills(
                Path(folder) / "scenes", options.images, (640, 384), 0, boxes_only=True, workers=cores
            )
            data = scenes.data_yaml
        fixed = {
            "model": options.model, "data": str(data), "imgsz": options.imgsz, "batch": options.batch, "device": "cpu",
            "epochs": 100, "optimizer": "AdamW", "plots": False, "verbose": False, "seed": 0,
        }  # fmt: skip
        ours = RegDetectionTrainer.with_settings("stock")
        arms: dict[str, tuple[Any, int, int, bool | str]] = {
            "stock": (DetectionTrainer, options.stock_threads, 0, True),
            f"{cores} threads": (ours, cores, 0, True),
            f"{cores} threads, {options.workers} worker(s)": (ours, cores, options.workers, True),
        }
        if precision.cpu_computes_bfloat16():
            arms["bf16"] = (ours, cores, 0, "bf16")
            arms[f"bf16, {options.workers} worker(s)"] = (ours, cores, options.workers, "bf16")

        def start(name: str) -> Any:
            trainer_class, _, workers, amp = arms[name]
            return prepared(trainer_class, workers, {**fixed, "amp": amp, "save_dir": str(Path(folder) / name)})

        if options.steps:
            print(f"Loss an image, mean of the first {options.steps} steps and at the last")
            for name, (_, threads, workers, _) in arms.items():
                if not workers:
                    losses = train_batches(start(name), threads, options.steps)
                    print(f"  {name:<12} {statistics.mean(losses):.4f} {losses[-1]:.4f}", flush=True)
        trainers = {name: start(name) for name in arms}
        calls = {name: (lambda n=name: train_batches(trainers[n], arms[n][1], options.batches)) for name in arms}
        times = interleaved(calls, options.repeats, torch.device("cpu"))
    print(
        f"\n{machine_name(torch.device('cpu'))}, {cores} allowed, torch {torch.__version__}, {options.model}, "
        f"{options.batch} x {options.imgsz} px, {options.batches} batches a turn\n"
    )
    print("| arm | threads | milliseconds a batch | arm / stock |")
    print("|---|---|---|---|")
    for name, (_, threads, _, _) in arms.items():
        batch_ms = statistics.median(times[name]) / options.batches
        print(f"| {name} | {threads} | {batch_ms:.0f} | {ratio_text(times[name], times['stock'])} |")


if __name__ == "__main__":
    main()
