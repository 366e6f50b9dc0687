"""A training run that can be compared: its start and its draws hang on the seed alone, and its end is measured once."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import init_seeds, unwrap_model

from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.validation.kept_matches import file_name, keeping_matches

# Pixels of so many batches of an epoch are part of the digest of the draws; labels are of all of them.
_PIXELS_OF = 4
Progress = Callable[[float, int], None]


class ComparedTraining(RegTraining):
    """Mix-in that stands before one of our trainers.

    Random numbers start again from the seed before the model is built and before the first batch is drawn, so that
    neither hangs on what an arm's loss or sampling has drawn in between. Nothing is validated during training; the EMA
    of the last epoch, last.pt, is evaluated once at the end, and there is no best.pt.

    Attributes:
        reading: Held while the label files are read, which caches them beside the images.
        progress: Told how many epochs are done, in fractions, and how many there are.
        initial_weights: Digest of the weights before the first step.
        steps: Optimizer steps that were taken.
        seconds: Of `training` and of `evaluation`.
    """

    reading: ClassVar[Callable[[], AbstractContextManager[Any]]] = nullcontext
    progress: ClassVar[Progress | None] = None
    initial_weights: str = ""
    steps: int = 0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Prepare a run; the arguments are upstream's."""
        super().__init__(*arguments, **named)
        # Nobody looks at the sheet of the first batch of a hundred runs.
        self.sheet_drawn = True
        self.seconds: dict[str, float] = {}
        self._draws = hashlib.sha256()
        self._batches = 0

    @property
    def draws(self) -> str:
        """Digest of everything that was trained on: images, their order, and what augmentation made of them."""
        return self._draws.hexdigest()[:16]

    def get_model(self, *arguments: Any, **named: Any) -> nn.Module:
        """Build the model as upstream does, from random numbers that hang on the seed alone."""
        self._start_draws()
        return super().get_model(*arguments, **named)

    def setup_model(self) -> dict[str, Any] | None:
        """Build or load the model as upstream does, and take the digest of what training starts from."""
        checkpoint = super().setup_model()
        self.initial_weights = digest_of_weights(unwrap_model(self.model))
        return checkpoint

    def _build_train_pipeline(self) -> None:
        with type(self).reading():
            super()._build_train_pipeline()

    def _setup_train(self) -> None:
        super()._setup_train()
        self._start_draws()

    def _start_draws(self) -> None:
        init_seeds(self.args.seed + 1 + RANK, deterministic=self.args.deterministic)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Prepare a batch as upstream does, after adding it to the digest of the draws."""
        self._draws.update(repr([zlib.crc32(name.encode()) for name in map(file_name, batch["im_file"])]).encode())
        for key in ("batch_idx", "cls", "bboxes"):
            self._draws.update(batch[key].numpy().tobytes())
        if self._batches % len(self.train_loader) < _PIXELS_OF:
            self._draws.update(zlib.crc32(batch["img"].numpy().tobytes()).to_bytes(4, "little"))
        self._batches += 1
        return super().preprocess_batch(batch)

    def optimizer_step(self) -> None:
        """Step as upstream does, and count."""
        super().optimizer_step()
        self.steps += 1

    def run_callbacks(self, event: str) -> None:
        """Run upstream's callbacks, and tell how far the run is."""
        super().run_callbacks(event)
        progress = type(self).progress
        if progress is not None and event == "on_train_batch_end":
            progress(self._batches / len(self.train_loader), self.epochs)

    def stop_now(self) -> None:
        """Leave the run; it is repeated from its start, so that its draws stay those of the other arms.

        Raises:
            KeyboardInterrupt: Always.
        """
        raise KeyboardInterrupt

    def validate(self) -> tuple[dict[str, float], None]:
        """Validate nothing, also not after the last epoch, where upstream does so to choose best.pt."""
        return self.metrics, None

    def save_model(self, keep_best: bool = False) -> bool:
        """Write last.pt, and no best.pt."""
        del keep_best
        return super().save_model(keep_best=True)

    def get_validator(self) -> Any:
        """Return our validator, which keeps the matched detections of its images."""
        plain = self.validator_class
        type(self).validator_class = keeping_matches(plain)
        try:
            return super().get_validator()
        finally:
            type(self).validator_class = plain

    def final_eval(self) -> None:
        """Evaluate the EMA of the last epoch, once."""
        begun = time.perf_counter()
        self.seconds["training"] = time.time() - self.train_time_start
        self._strip(self.last, {})
        self.validator.args.plots = False
        self.validator.args.compile = False
        self.metrics = self.validator(model=self.last)
        reports = self.validator.write_reports(self.save_dir, self.last.name)
        self.report, self.mask_report = (*reports, None)[:2]
        self.seconds["evaluation"] = time.perf_counter() - begun


def compared(
    trainer: type[RegTraining], *, progress: Progress | None, reading: Callable[[], AbstractContextManager[Any]]
) -> type[ComparedTraining]:
    """Return a subclass of one of our trainers, with its settings, for one run of a comparison."""
    attributes = {"progress": staticmethod(progress) if progress else None, "reading": staticmethod(reading)}
    return type(trainer.__name__, (ComparedTraining, trainer), {**attributes, "__module__": trainer.__module__})


def digest_of_weights(model: nn.Module) -> str:
    """Return 16 hexadecimal digits that stand for every number of a model's state."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()[:16]
