"""A training whose ranks were started from outside, by `torchrun` or Ray, on one machine or on several.

Upstream starts the processes of one machine's GPUs itself, and counts that machine's devices. Here WORLD_SIZE says how
many processes there are, each has one device, which may be the CPU, and the process group is there before the trainer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
import ultralytics
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from ultralytics.nn.tasks import load_checkpoint
from ultralytics.utils import DEFAULT_CFG, LOCAL_RANK, LOGGER, RANK, WORLD_SIZE
from ultralytics.utils.torch_utils import TORCH_2_13, torch_distributed_zero_first

import reg_yolo
from reg_yolo.config.merging import flattened
from reg_yolo.errors import ConfigError, TrainingInterrupted
from reg_yolo.yolo.datasets.resolved import ResolvedDataset
from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.training.rank_group import any_rank, hand_out, own_device, require_alike, said_by_first

if TYPE_CHECKING:
    # Stands before an Ultralytics validator, whose attributes it uses.
    from ultralytics.engine.validator import BaseValidator as Host
else:
    Host = object

# What may differ from machine to machine: where things lie, and how a machine does its share.
_OF_THE_MACHINE = {
    "device", "workers", "cache", "save_dir", "project", "name", "exist_ok", "data", "model", "pretrained", "resume",
    "verbose", "amp", "augmentations",
}  # fmt: skip


class RankedValidation(Host):
    """Mix-in for one of our validators: each rank validates its share, and rank 0 gets all.

    Attributes:
        is_final: The weights are those of a checkpoint, not the ones that are being trained.
    """

    is_final: bool = False

    def init_metrics(self, model: nn.Module) -> None:
        """Start with nothing counted; from here on the final validation is one of its own, not one of a training."""
        if self.is_final:
            self.training = False
        super().init_metrics(model)

    def gather_stats(self) -> None:
        """Gather what upstream does; on a CPU also the losses, whose mean not every PyTorch's Gloo can make."""
        super().gather_stats()
        if self.training and self.device.type == "cpu":
            for value in self.loss.values():
                distributed.all_reduce(value)
                value /= WORLD_SIZE


class RankedTraining(RegTraining):
    """Mix-in that stands before one of our trainers, in a process that is one rank of several."""

    _seems_alone: bool = False
    epochs: int

    def __init__(
        self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: dict | None = None
    ) -> None:
        """Prepare a run; the arguments are upstream's.

        Raises:
            ConfigError: If a setting does not go with several processes.
            RanksDifferError: If the ranks were given different settings, data or versions.
        """
        overrides = dict(overrides or {})
        overrides["device"] = own_device(overrides.get("device"))
        super().__init__(cfg, overrides, _callbacks)
        if self.device.type == "cpu" and RANK:
            # Upstream switches it off for a CPU, but in rank 0 alone. That bfloat16 is asked for has been read by now.
            self.args.amp = False
        self._require_fitting_arguments()
        require_alike(self._settings_to_compare())

    @property
    def world_size(self) -> int:
        """How many ranks there are; upstream asks for it everywhere."""
        return 0 if self._seems_alone else WORLD_SIZE

    @world_size.setter
    def world_size(self, counted: int) -> None:
        """Leave upstream's count of this machine's devices aside."""

    @contextmanager
    def _seeming_alone(self) -> Iterator[None]:
        """Let upstream take this for a run of one process, where it could not do its part on a CPU."""
        self._seems_alone = self.device.type == "cpu"
        try:
            yield
        finally:
            self._seems_alone = False

    def _setup_scheduler(self) -> None:
        """Set up upstream's; with `time` each process reckons its epochs from a clock of its own, so rank 0's count."""
        if self.args.time:
            self.epochs = self.args.epochs = said_by_first(self.epochs)
        super()._setup_scheduler()

    # Alike on all ranks -------------------------------------------------------------------------------------------

    def _require_fitting_arguments(self) -> None:
        batch = self.args.batch
        if type(batch) is not int or batch < 1 or batch % WORLD_SIZE:
            raise ConfigError(
                f"batch: got {batch}, expected a multiple of the {WORLD_SIZE} processes that share a batch"
            )
        if self.args.time and not self.args.val:
            raise ConfigError("time: several processes agree on their epochs by validating; leave out val=false")
        if self.args.rect:
            LOGGER.warning("rect: does not go with several processes, the images are shuffled")
            self.args.rect = False

    def _settings_to_compare(self) -> dict[str, Any]:
        arguments = {
            key: value for key, value in sorted(vars(self.args).items()) if key not in _OF_THE_MACHINE and value
        }
        return {
            "the version of reg_yolo": reg_yolo.__version__,
            "the version of Ultralytics": ultralytics.__version__,
            "the version of PyTorch": torch.__version__.partition("+")[0],
            "the kind of device": self.device.type,
            "task": self.task_name,
            "bfloat16": self.bfloat16,
            **arguments,
            **flattened(self.reg.to_dict(), "reg."),
            **flattened(self.sampling.to_dict(), "sampling."),
            "suppression": self.ranking.kind,
            "albumentations": self.requested_augmentations,
            "mask_classes and lambda_seg": [(self.joint or {}).get(key) for key in ("mask_classes", "lambda_seg")],
            "the model": Path(str(self.args.model)).name,
            "the classes": self.data["names"],
            **{f"the images or labels of {split}": state for split, state in self.data_state.items()},
        }

    def note_data(self, resolved: ResolvedDataset) -> None:
        """Take the fingerprints on every rank, to compare them."""
        super().note_data(resolved)
        if RANK:
            self.data_state = self.fingerprints(resolved)

    def build_criterion(self, model: nn.Module) -> Any:
        """Return the criterion, whose normalisers are those of all ranks' images together."""
        criterion = super().build_criterion(model)
        criterion.ranks = WORLD_SIZE
        return criterion

    def _setup_train(self) -> None:
        with self._seeming_alone():
            super()._setup_train()
        order = "\n".join(str(label["cls"].tolist()) for label in self.train_loader.dataset.labels)
        require_alike(
            {
                "the criterion": self.criterion.describe(),
                **{f"the criterion's {key}": value for key, value in self.criterion.state().items()},
                "the objects of each class": self.class_counts,
                "the order of the images": hashlib.sha256(order.encode()).hexdigest()[:16],
            }
        )
        if RANK == 0:
            LOGGER.info(
                f"Ranks: {WORLD_SIZE} processes train together, {self.batch_size // WORLD_SIZE} images each in a batch "
                f"of {self.batch_size}; settings, data and criterion are the same on all"
            )

    # Upstream's hooks ---------------------------------------------------------------------------------------------

    def _setup_ddp(self) -> None:
        """Do nothing: the process group is there, and the device chosen."""

    def _build_train_pipeline(self) -> None:
        self._seems_alone = False
        if not isinstance(self.model, DistributedDataParallel):
            # As upstream wraps it, without the indices of a GPU.
            compiled = bool(self.args.compile)
            options: dict[str, Any] = {
                "forward_sync_buffers" if TORCH_2_13 else "broadcast_buffers": False,
                "static_graph": compiled,
            }
            self.model = DistributedDataParallel(self.model, find_unused_parameters=not compiled, **options)
        super()._build_train_pipeline()

    def get_dataloader(self, dataset_path: Any, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Return this rank's loader; rank 0 reads and caches the labels first, then one rank of each machine."""
        del rank
        with torch_distributed_zero_first(LOCAL_RANK):
            return super().get_dataloader(dataset_path, batch_size, RANK, mode)

    def get_validator(self) -> Any:
        """Return our validator; a signal is left to the end of the next training batch, where all ranks agree."""
        validator = super().get_validator()
        validator.leave_if_asked = None
        return validator

    def validate(self) -> tuple[Any, Any]:
        """Validate as upstream does; on a CPU the buffers and the losses are shared by us."""
        if self.device.type == "cpu":
            for buffer in self.ema.ema.buffers():
                distributed.broadcast(buffer, src=0)
        with self._seeming_alone():
            return super().validate()

    def asked_to_stop(self) -> bool:
        """Return whether a signal has asked one of the ranks to end, the same in all of them."""
        return any_rank(self.interruption.requested)

    def stop_now(self) -> None:
        """Save in rank 0 and leave the run, in all ranks after the same batch.

        Raises:
            TrainingInterrupted: Always, with the checkpoint of rank 0.
        """
        last = Path(said_by_first(str(self.last)))
        self.interruption.signal_name = self.interruption.signal_name or "signal in another rank"
        if RANK == 0:
            super().stop_now()
        raise TrainingInterrupted(last, self.interruption.signal_name)

    def _handle_nan_recovery(self, epoch: int) -> bool:
        bad = (self.loss is not None and not bool(self.loss.isfinite())) or (
            self.fitness is not None and not math.isfinite(self.fitness)
        )
        if said_by_first(bad):
            # The other ranks go back to it too.
            self.hand_out(self.last)
        return bool(super()._handle_nan_recovery(epoch))

    def hand_out(self, path: Any) -> None:
        """Give a checkpoint of rank 0 to the other ranks."""
        hand_out(path)

    def validate_best(self) -> dict[str, Any]:
        """Validate best.pt on all ranks; on a CPU by way of a stand-in for a trainer that is training it.

        Upstream's own way takes a GPU for granted wherever there are ranks.
        """
        if self.device.type != "cpu":
            return super().validate_best()
        model, _ = load_checkpoint(str(self.best), device=self.device, fuse=True)
        stand_in = SimpleNamespace(
            ema=SimpleNamespace(ema=model), device=self.device, data=self.data, amp=False, loss_items={}, epoch=0,
            epochs=1, stopper=SimpleNamespace(possible_stop=False),
        )  # fmt: skip
        self.validator.is_final = True
        results: dict[str, Any] = self.validator(trainer=stand_in)
        return results


def as_rank(trainer: type[RegTraining]) -> type[RegTraining]:
    """Return a trainer as it is in a process of its own, and as one of several ranks where it is one."""
    if RANK == -1:
        return trainer
    validator = trainer.validator_class
    attributes: dict[str, Any] = {
        "validator_class": type(validator.__name__, (RankedValidation, validator), {}),
        "__doc__": trainer.__doc__,
        "__module__": trainer.__module__,
    }
    return type(trainer.__name__, (RankedTraining, trainer), attributes)
