"""Stopping and going on: a run that was cut off at any point goes on where it lies, and nothing counts twice.

last.pt is what a run has reached. It is written last of an epoch's files and replaced as a whole, so that everything
else can be brought in line with it: rows of results.csv beyond its epoch are cut, a best.pt that was not written any
more is written. After the last epoch comes the final evaluation; a run that was cut off in it is completed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER, RANK

from reg_yolo.config.reg import RegSettings
from reg_yolo.data.dataset.contents import fingerprint_changes, split_fingerprint
from reg_yolo.errors import TrainingInterrupted
from reg_yolo.files import replace_bytes
from reg_yolo.signals import StopRequest
from reg_yolo.yolo.datasets.resolved import ResolvedDataset
from reg_yolo.yolo.training.results_csv import cut_results
from reg_yolo.yolo.training.resume import (
    epochs_behind,
    last_is_best,
    require_something_left,
    resume_path,
    run_folder_of,
    stored_settings,
)
from reg_yolo.yolo.training.saving import AtomicCheckpoints
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of


class ContinuedTraining(AtomicCheckpoints):
    """Mix-in for an Ultralytics trainer whose runs can be stopped and killed at any point, and go on.

    Attributes:
        interruption: Whether a signal has asked the run to end.
        stored: What reg_yolo stored in the checkpoint that is resumed; empty for a new run.
        only_final_evaluation: Every epoch is trained; what is left is the final evaluation.
        data_state: Fingerprint of every split that the run reads, by name.
    """

    interruption: StopRequest
    stored: dict[str, Any]
    only_final_evaluation: bool = False
    data_state: dict[str, dict[str, Any]]
    trust: bool
    resumed_from: Path

    def take_up(self, overrides: dict[str, Any], given: RegSettings | None) -> RegSettings:
        """Open the checkpoint that `resume` names, point `overrides` to where it lies, and return its loss.

        Raises:
            WeightsError: If there is nothing to resume.
            ConfigError: If `given` is another loss.
        """
        path = resume_path(overrides)
        checkpoint = load_checkpoint_file(path, trust=self.trust)
        self.stored = metadata_of(checkpoint)
        reg = stored_settings(self.stored, given, path)
        self.only_final_evaluation = require_something_left(checkpoint, path, trust=self.trust)
        self.resumed_from = path
        overrides["resume"] = str(path)
        if not overrides.get("save_dir"):
            # The folder that a checkpoint names is where its run lay once; this may be a copy of it.
            overrides["save_dir"] = str(run_folder_of(path) or path.absolute().parent)
        return reg

    def take_over(self, path: Path, given: RegSettings) -> RegSettings:
        """Open the checkpoint of a finished run that is extended, and return its loss.

        The schedule is new, the criterion goes on as it was learned.

        Raises:
            ConfigError: If `given` is another loss.
        """
        self.stored = metadata_of(load_checkpoint_file(path, trust=self.trust))
        return stored_settings(self.stored, given, path)

    # The data set -------------------------------------------------------------------------------------------------

    def note_data(self, resolved: ResolvedDataset) -> None:
        """Take the fingerprints of the splits that this run reads; say what has changed since a run was stopped."""
        if RANK not in {-1, 0}:
            return
        self.data_state = self.fingerprints(resolved)
        before = self.stored.get("data_state") or {}
        changes = [
            f"{split}: {', '.join(changed)}"
            for split, state in self.data_state.items()
            if split in before and (changed := fingerprint_changes(before[split], state))
        ]
        if changes:
            LOGGER.warning(
                f"{self.args.data}: the data set has changed since this run was stopped ({'; '.join(changes)}); "
                "it goes on with what is there now"
            )

    def fingerprints(self, resolved: ResolvedDataset) -> dict[str, dict[str, Any]]:
        """Return the fingerprint of every split that this run reads, by its name."""
        splits = dict.fromkeys(["train", str(self.args.split or "val")])
        return {split: split_fingerprint(resolved.descriptions, split) for split in splits}

    # Going on -----------------------------------------------------------------------------------------------------

    def resume_training(self, ckpt: dict[str, Any] | None) -> None:
        """Go on as upstream does; also with the first epoch, which it refuses, and with the final evaluation."""
        if ckpt is None or not self.resume:
            return
        epochs = epochs_behind(ckpt)
        if RANK in {-1, 0}:
            self._bring_in_line(ckpt, epochs)
        if epochs and not self.only_final_evaluation:
            super().resume_training(ckpt)
            return
        self._load_checkpoint_state(ckpt)
        self.start_epoch = epochs

    def _bring_in_line(self, checkpoint: Mapping[str, Any], epochs: int) -> None:
        """Make results.csv and best.pt what they were when this checkpoint was written."""
        removed = cut_results(self.csv, epochs, checkpoint.get("train_results") or {})
        if removed:
            LOGGER.info(f"{self.csv}: {removed} row(s) past epoch {epochs} removed, the last one that was saved")
        for left in self.wdir.glob(".*.part"):
            # Of a process that was killed while it wrote.
            left.unlink(missing_ok=True)
        if last_is_best(checkpoint) and not self._best_is_of(checkpoint):
            LOGGER.info(f"{self.best}: written again from {self.resumed_from}, the best epoch so far")
            replace_bytes(self.best, self.resumed_from.read_bytes())

    def _best_is_of(self, checkpoint: Mapping[str, Any]) -> bool:
        """Return whether best.pt holds this epoch, or is stripped already."""
        if not self.best.is_file():
            return False
        epoch = load_checkpoint_file(self.best, trust=self.trust).get("epoch")
        return epoch in {-1, checkpoint.get("epoch")}

    def _do_train(self) -> None:
        with self.interruption.listening():
            if self.only_final_evaluation:
                self._complete()
            else:
                super()._do_train()

    def _complete(self) -> None:
        """Do what upstream does after its last epoch."""
        if self.world_size > 1:
            self._setup_ddp()
        self._setup_train()
        LOGGER.info(f"All {self.start_epoch} epochs are trained; the final evaluation is left")
        self.epoch = self.start_epoch - 1
        self.epoch_time, self.train_time_start = None, time.time()
        self.final_eval()
        if RANK in {-1, 0}:
            if self.args.plots:
                self.plot_metrics()
            self.run_callbacks("on_train_end")

    # Stopping -----------------------------------------------------------------------------------------------------

    def run_callbacks(self, event: str) -> None:
        """Run upstream's callbacks; between two batches, leave when a signal has asked for it."""
        super().run_callbacks(event)
        if event == "on_train_batch_end" and self.asked_to_stop():
            self.stop_now()

    def asked_to_stop(self) -> bool:
        """Return whether a signal has asked the run to end."""
        return self.interruption.requested

    def stop_now(self) -> None:
        """Save last.pt so that `train --resume` repeats the epoch that was cut short, and leave the run.

        In the final evaluation there is nothing to save: last.pt holds the last epoch.

        Raises:
            TrainingInterrupted: Always.
        """
        if RANK in {-1, 0} and not self.in_final_evaluation:
            # -1 stands for a run that was stopped in its first epoch.
            self.epoch -= 1
            self.save_model(keep_best=True)
        raise TrainingInterrupted(self.last, self.interruption.signal_name)
