"""The loader of a run that shows images and objects of rare classes more often."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ultralytics.utils import LOGGER, RANK

from reg_yolo.config.sampling import SamplingSettings, sampling_differences
from reg_yolo.data.sampling.factors import (
    class_factors,
    class_frequencies,
    count_matrix,
    image_factors,
    resolve_threshold,
)
from reg_yolo.errors import ConfigError
from reg_yolo.text_tables import text_table
from reg_yolo.yolo.datasets.rare_paste import paste_rare_objects
from reg_yolo.yolo.datasets.sampling import SampledDataLoader, SystematicSampler, draw_partners_alike

if TYPE_CHECKING:
    # Stands before an Ultralytics trainer, whose attributes it uses.
    from ultralytics.engine.trainer import BaseTrainer as Host
else:
    Host = object


class RareClassSampling(Host):
    """Mix-in for an Ultralytics trainer: systematic draws by repeat factors, and pasted objects of rare classes.

    Attributes:
        sampling: The `sampling:` block; with the stock one upstream's loader stays as it is.
    """

    sampling: SamplingSettings

    def get_dataloader(self, dataset_path: Any, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Return upstream's loader; that of the training images draws by the sampling."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)
        if mode != "train" or self.sampling.is_stock:
            return loader
        dataset = loader.dataset
        if dataset.rect:
            raise ConfigError("rect: orders the images by shape, and sampling needs an order of its own; leave one out")
        counts = count_matrix([label["cls"] for label in dataset.labels], self.data["nc"])
        if self.sampling.copy_paste.probability:
            usable = paste_rare_objects(
                dataset, self.sampling.copy_paste, self.data["names"], counts.sum(axis=0).tolist()
            )
            self._log(
                "Copy-paste of rare objects: " + ", ".join(f"{name} ({n} to choose from)" for name, n in usable.items())
            )
        if self.sampling.method == "none":
            return loader
        frequencies = class_frequencies(counts, self.sampling.method)
        threshold = resolve_threshold(frequencies, self.sampling.threshold)
        factors = class_factors(frequencies, threshold)
        sampler = SystematicSampler(
            image_factors(counts, factors),
            scaled=self.sampling.epoch == "scaled",
            seed=int(self.args.seed),
            rank=max(RANK, 0),
            ranks=max(self.world_size, 1),
        )
        draw_partners_alike(dataset)
        self._log(self._description(sampler, counts, factors, threshold))
        return SampledDataLoader.like(loader, sampler)

    def run_callbacks(self, event: str) -> None:
        """Run upstream's callbacks; the loader is told which epoch begins."""
        super().run_callbacks(event)
        if event == "on_train_epoch_start" and isinstance(self.train_loader, SampledDataLoader):
            self.train_loader.set_epoch(self.epoch)

    def _description(self, sampler: SystematicSampler, counts: Any, factors: Any, threshold: float) -> str:
        objects = sampler.expectations @ counts
        rows = [
            [name, f"{images:,}", f"{own:,}", f"{factor:.2f}", f"{shown:,.0f}"]
            for name, images, own, factor, shown in zip(
                self.data["names"].values(), (counts > 0).sum(axis=0), counts.sum(axis=0), factors, objects, strict=True
            )
        ]
        table = text_table(["class", "images with", "objects", "repeat factor", "objects an epoch"], rows)
        return (
            f"Sampling: {self.sampling.method}, threshold {threshold:.4g} ({self.sampling.threshold}), "
            f"{len(sampler) * max(self.world_size, 1):,} draws an epoch from {len(counts):,} images\n{table}"
        )

    def _log(self, text: str) -> None:
        if RANK in {-1, 0}:
            LOGGER.info(text)


def stored_sampling(stored: Mapping[str, Any], given: SamplingSettings | None, path: Path) -> SamplingSettings:
    """Return the sampling that a checkpoint was trained with; another one given by the user is refused.

    Args:
        stored: What reg_yolo stored in the checkpoint; nothing there about sampling is the stock one.
        given: The user's settings, or None to take the stored ones.
        path: The checkpoint, for the message.

    Raises:
        ConfigError: If the given sampling is another one, with every difference.
    """
    saved = SamplingSettings.from_mapping(stored.get("sampling"))
    changed = [] if given is None else sampling_differences(saved, given)
    if changed:
        raise ConfigError(
            f"{path} was trained with another sampling, and a resumed run keeps its sampling: {'; '.join(changed)}; "
            "leave these keys out, or start a new run from these weights"
        )
    return saved
