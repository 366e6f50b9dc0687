"""Checkpoints of a run: written whole and renamed, with our metadata and the thresholds of the final validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ultralytics.utils import LOCAL_RANK, LOGGER, RANK
from ultralytics.utils.patches import torch_load
from ultralytics.utils.torch_utils import strip_optimizer, torch_distributed_zero_first, unwrap_model

from reg_yolo.errors import WeightsError
from reg_yolo.files import replacing
from reg_yolo.yolo.weights.checkpoints import METADATA_KEY, metadata_of, set_metadata, write_checkpoint

if TYPE_CHECKING:
    # Stands before an Ultralytics trainer, whose attributes it uses.
    from ultralytics.engine.trainer import BaseTrainer as Host
else:
    Host = object


class AtomicCheckpoints(Host):
    """Mix-in for an Ultralytics trainer: last.pt and best.pt are replaced by rename, never written in place."""

    last: Path
    best: Path
    epoch: int
    save_period: int
    started_from: str
    data_state: dict[str, dict[str, Any]]
    in_final_evaluation: bool = False

    def metadata(self) -> dict[str, Any]:
        """Return what must survive besides the weights, as plain Python data."""
        return {
            "format": 1,
            "task": self.task_name,
            "reg": self.reg.to_dict(),
            "sampling": self.sampling.to_dict(),
            "suppression": self.ranking.kind,
            "class_counts": list(self.class_counts),
            **self.precision_metadata(),
            **self.sphere_metadata(),
            **self.criterion.state(),
            **(self.joint or {}),
            "model": self.started_from,
            "data_state": self.data_state,
        }

    def save_model(self, keep_best: bool = False) -> bool:
        """Write upstream's checkpoints with our metadata; last.pt and best.pt are replaced by rename.

        Args:
            keep_best: Leave best.pt as it is, whatever the fitness.
        """
        # Upstream has decided by now whether this was the last epoch; a signal's save is in the middle of one.
        metadata = {**self.metadata(), "complete": bool(self.stop) and not keep_best}
        for model in (unwrap_model(self.model), self.ema.ema):
            setattr(model, METADATA_KEY, metadata)
        with self._writing_beside() as (last, best):
            saved = super().save_model()
            if saved:
                improved = best.exists() and not keep_best
                checkpoint = torch_load(last, map_location="cpu")
                set_metadata(checkpoint, metadata)
        if saved:
            written = [self.last, *([self.best] if improved else []), *([] if keep_best else self._numbered())]
            write_checkpoint(checkpoint, written)
        return bool(saved)

    def _numbered(self) -> list[Path]:
        """Return the file that `save_period` asks for after this epoch."""
        due = self.args.save_period > 0 and self.epoch % self.args.save_period == 0
        return [self.wdir / f"epoch{self.epoch}.pt"] if due else []

    @contextmanager
    def _writing_beside(self) -> Iterator[tuple[Path, Path]]:
        """Point upstream's writing at temporary files in the same folder."""
        last, best = self.last, self.best
        self.last, self.best = (path.with_name(f".{path.name}.upstream.part") for path in (last, best))
        period, self.save_period = self.save_period, -1
        try:
            yield self.last, self.best
        finally:
            for path in (self.last, self.best):
                path.unlink(missing_ok=True)
            self.last, self.best, self.save_period = last, best, period

    def final_eval(self) -> None:
        """Strip the checkpoints, validate best.pt, and store the per-class thresholds in it.

        The thresholds are written last: a run whose best.pt holds them is finished.
        """
        self.in_final_evaluation = True
        with torch_distributed_zero_first(LOCAL_RANK):
            if RANK in {-1, 0}:
                results = self._strip(self.last, {}).get("train_results")
                self._strip(self.best, {"train_results": results})
        self.hand_out(self.best)
        if not self.best.exists():
            return
        LOGGER.info(f"\nValidating {self.best}...")
        self.validator.args.plots = self.args.plots
        self.validator.args.compile = False
        self.metrics = self.validate_best()
        self.metrics.pop("fitness", None)
        if RANK in {-1, 0}:
            self._store_report()
        # Loggers show the best metrics one step after the last epoch, as upstream arranges it.
        self.epoch += 1
        self.run_callbacks("on_fit_epoch_end")
        self.epoch -= 1

    def hand_out(self, path: Path) -> None:
        """Give a checkpoint to processes that have no run folder of their own; here there is one folder."""

    def validate_best(self) -> dict[str, Any]:
        """Return upstream's metrics of best.pt."""
        metrics: dict[str, Any] = self.validator(model=self.best)
        return metrics

    def _strip(self, path: Path, updates: dict[str, Any]) -> dict[str, Any]:
        if not path.exists():
            return {}
        with replacing(path) as partial:
            stripped = strip_optimizer(path, s=str(partial), updates=updates)
            if not partial.stat().st_size:
                # Upstream only logs that it could not read the file.
                raise WeightsError(f"{path}: cannot be read back to strip it; the disk may be full or failing")
        return stripped

    def _store_report(self) -> None:
        reports = self.validator.write_reports(self.save_dir, self.best.name)
        self.report, self.mask_report = (*reports, None)[:2]
        thresholds = self.validator.class_thresholds()
        checkpoint = torch_load(self.best, map_location="cpu")
        metadata = {**metadata_of(checkpoint), "thresholds": thresholds.to_dict()}
        set_metadata(checkpoint, metadata)
        write_checkpoint(checkpoint, [self.best])
        for report in reports:
            LOGGER.info(report.as_text())
