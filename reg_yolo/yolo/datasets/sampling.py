"""Sampling on its way into upstream's loader: draws by weight, and mixing partners that follow the same draws."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler
from ultralytics.data.augment import BaseMixTransform, Compose, Mosaic
from ultralytics.data.build import InfiniteDataLoader

from reg_yolo.data.sampling.draws import SystematicDraws
from reg_yolo.data.sampling.factors import expected_draws
from reg_yolo.errors import RegYoloError


class SystematicSampler(Sampler[int]):
    """The draws of one epoch after another; on several GPUs the ranks' shares partition each epoch's draws.

    Attributes:
        next_epoch: The epoch (from 0) that the next iteration yields.
        expectations: Draws of each image that an epoch is expected to hold, float64 `[N]`, over all ranks.
    """

    def __init__(
        self, factors: NDArray[np.float64], *, scaled: bool = False, seed: int = 0, rank: int = 0, ranks: int = 1
    ) -> None:
        """Prepare the draws.

        Args:
            factors: Repeat factor of each image, float64 `[N]`, > 0.
            scaled: As many draws an epoch as the factors sum to, instead of as many as there are images. Rounded up to
                a multiple of `ranks`, so that all ranks take equally many steps.
            seed: Seed of the run.
            rank: This process's number among `ranks`.
            ranks: Processes that share an epoch.
        """
        draws = float(factors.sum()) if scaled else len(factors)
        total = max(1, math.ceil(round(draws) / ranks)) * ranks
        self.expectations = expected_draws(factors, total)
        self.next_epoch = 0
        self._draws = SystematicDraws(self.expectations, seed)
        self._rank, self._ranks = rank, ranks

    def __iter__(self) -> Iterator[int]:
        """Yield this rank's images of the next epoch, in the order in which they are shown."""
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        yield from self._draws.order(epoch)[self._rank :: self._ranks].tolist()

    def __len__(self) -> int:
        """Return the draws of this rank in an epoch."""
        return self._draws.draws // self._ranks

    def set_epoch(self, epoch: int) -> None:
        """Leave it to the loader, which says the epoch before workers begin it; upstream calls this on several GPUs."""


class SampledDataLoader(InfiniteDataLoader):
    """Upstream's loader with workers that live on, over systematic draws; told the epoch, it also starts in the middle.

    Attributes:
        epoch: The epoch (from 0) that the next iteration yields.
    """

    sampler: SystematicSampler

    @classmethod
    def like(cls, loader: InfiniteDataLoader, sampler: SystematicSampler) -> SampledDataLoader:
        """Return a loader with everything but the order from one that has not been iterated over."""
        return cls(
            dataset=loader.dataset,
            batch_size=min(loader.batch_size, len(sampler)),
            sampler=sampler,
            num_workers=loader.num_workers,
            prefetch_factor=loader.prefetch_factor,
            pin_memory=loader.pin_memory,
            pin_memory_device=loader.pin_memory_device,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
            generator=loader.generator,
            drop_last=loader.drop_last,
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare as upstream does; the arguments are those of a data loader."""
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "epoch", 0)
        self._delivered: int | None = None

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of `epoch`."""
        if self.iterator is None:
            self.sampler.next_epoch = self.epoch
        self._delivered = None
        yield from super().__iter__()
        self._delivered = self.epoch

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; batches that workers hold ready for another one are dropped.

        They hold none where the epochs follow each other. A run that repeats an epoch, after a loss that was no
        number, gets the same draws again.
        """
        if self.iterator is not None and self._delivered != epoch - 1:
            self.reset()
        self.epoch = epoch


class RecentDraws:
    """The first transform of a pipeline: notes which images were drawn, for partners of mosaic, mixup and the like.

    Upstream takes partners from the images that it still holds in memory, each as likely as the next. Here every draw
    counts, so that an image is a partner as often as it is drawn, and mostly still held in memory.
    """

    def __init__(self, dataset: Any) -> None:
        """Prepare for the pipeline of a data set."""
        self._index = {file: index for index, file in enumerate(dataset.im_files)}
        # As long as upstream's buffer of decoded images.
        self._recent: deque[int] = deque(maxlen=max(1, dataset.max_buffer_length))

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Note the image that `labels` belong to, and hand them on."""
        self._recent.append(self._index[labels["im_file"]])
        return labels

    def partner(self) -> int:
        """Return one of the recent draws."""
        return random.choice(self._recent)

    def partners(self, count: int) -> list[int]:
        """Return so many of the recent draws, some perhaps more than once."""
        return random.choices(self._recent, k=count)


def draw_partners_alike(dataset: Any) -> None:
    """Let the transforms that mix images take their partners by the same weights as the sampler draws images.

    Args:
        dataset: One of upstream's or ours that augments; of joined sets each draws within itself, as upstream does.

    Raises:
        RegYoloError: If there is no such transform; upstream has them in every training pipeline, switched off or on.
    """
    for part in getattr(dataset, "datasets", [dataset]):
        recent = RecentDraws(part)
        found = mixing_transforms(part.transforms)
        if not found:
            raise RegYoloError(
                "sampling: no mosaic in the training pipeline; this Ultralytics version builds it differently"
            )
        for step in found:
            # On the object, since every kind of mixing asks this one method.
            step.get_indexes = partial(recent.partners, step.n - 1) if isinstance(step, Mosaic) else recent.partner
        part.transforms.insert(0, recent)


def mixing_transforms(pipeline: Any) -> list[BaseMixTransform]:
    """Return the transforms of a pipeline that take further images, wherever they are nested, each once."""
    found: dict[int, BaseMixTransform] = {}
    pending = [pipeline]
    while pending:
        step = pending.pop()
        if isinstance(step, BaseMixTransform):
            found[id(step)] = step
        pending += [*(getattr(step, "transforms", None) or [])] if isinstance(step, Compose) else []
        pending += [inner] if (inner := getattr(step, "pre_transform", None)) is not None else []
    return list(found.values())
