"""The loader's side of sampling: ranks, epochs, resumption in the middle, and partners by the same weights."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from torch.utils.data import Dataset
from ultralytics.data.augment import Compose, CopyPaste, MixUp, Mosaic
from ultralytics.data.build import build_dataloader

from reg_yolo.errors import RegYoloError
from reg_yolo.yolo.datasets.sampling import SampledDataLoader, SystematicSampler, draw_partners_alike, mixing_transforms

FACTORS = np.array([1.0] * 9 + [4.0, 2.0])


class Numbers(Dataset):
    """Its items are their own indices."""

    def __len__(self) -> int:
        return len(FACTORS)

    def __getitem__(self, index: int) -> int:
        return index


def loader_of(workers: int = 0, seed: int = 0) -> SampledDataLoader:
    stock = build_dataloader(Numbers(), batch=4, workers=workers, device="cpu")
    return SampledDataLoader.like(stock, SystematicSampler(FACTORS, seed=seed))


def epoch_of(loader: SampledDataLoader, epoch: int) -> list[int]:
    loader.set_epoch(epoch)
    return [int(item) for batch in loader for item in batch]


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("scaled", [False, True])
def test_ranks_partition_the_draws_of_an_epoch(ranks: int, scaled: bool) -> None:
    shares = [SystematicSampler(FACTORS, scaled=scaled, seed=5, rank=rank, ranks=ranks) for rank in range(ranks)]
    total = np.zeros(len(FACTORS))
    for _ in range(100):
        drawn = [list(share) for share in shares]
        assert len({len(share) for share in drawn}) == 1
        assert len(drawn[0]) == len(shares[0])
        counts = np.bincount(np.concatenate(drawn), minlength=len(FACTORS))
        expected = shares[0].expectations
        assert np.all((counts == np.floor(expected)) | (counts == np.ceil(expected)))
        total += counts
    assert np.abs(total - 100 * expected).max() < 1 + 1e-6
    assert np.allclose(expected / expected[0], FACTORS)


def test_epoch_length_is_the_images_or_the_sum_of_factors() -> None:
    assert len(SystematicSampler(FACTORS)) == 11
    assert len(SystematicSampler(FACTORS, scaled=True)) == 15
    assert len(SystematicSampler(FACTORS, ranks=2)) == 6
    assert SystematicSampler(FACTORS, ranks=2).expectations.sum() == pytest.approx(12)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_the_same_after_a_resume_a_repeat_and_a_reset(workers: int) -> None:
    loader = loader_of(workers)
    epochs = [epoch_of(loader, epoch) for epoch in range(5)]
    assert all(Counter(one) != Counter(range(11)) for one in epochs)
    assert len({tuple(one) for one in epochs}) == 5
    # A run that starts in the middle.
    assert epoch_of(loader_of(workers), 3) == epochs[3]
    # An epoch that is repeated after a loss that was no number.
    assert epoch_of(loader, 4) == epochs[4]
    # Mosaic is closed when the epoch has begun, with a reset.
    loader.set_epoch(5)
    begun = enumerate(loader)
    loader.reset()
    assert [int(item) for _, batch in begun for item in batch] == epoch_of(loader_of(), 5)
    # An epoch cut short and begun again.
    loader.set_epoch(6)
    next(iter(loader))
    assert epoch_of(loader, 6) == epoch_of(loader_of(), 6)
    loader.close()


def test_the_loader_keeps_what_upstream_decided() -> None:
    stock = build_dataloader(Numbers(), batch=4, workers=2, device="cpu")
    ours = SampledDataLoader.like(stock, SystematicSampler(FACTORS))
    for name in (
        "batch_size",
        "num_workers",
        "prefetch_factor",
        "pin_memory",
        "collate_fn",
        "worker_init_fn",
        "generator",
    ):
        assert getattr(ours, name) is getattr(stock, name) or getattr(ours, name) == getattr(stock, name), name
    assert len(ours) == len(stock) == 3


def pipeline_over(images: int, buffer: int) -> SimpleNamespace:
    dataset = SimpleNamespace(
        im_files=[f"{index}.jpg" for index in range(images)], max_buffer_length=buffer, cache=None
    )
    mosaic = Mosaic(dataset, imgsz=32)
    first = Compose([mosaic, CopyPaste(dataset, pre_transform=Compose([Mosaic(dataset, imgsz=32)]), mode="mixup")])
    dataset.transforms = Compose([first, MixUp(dataset, pre_transform=first)])
    return dataset


def test_partners_come_as_often_as_images_are_drawn() -> None:
    dataset = pipeline_over(len(FACTORS), buffer=8)
    steps = mixing_transforms(dataset.transforms)
    assert sorted(type(step).__name__ for step in steps) == ["CopyPaste", "MixUp", "Mosaic", "Mosaic"]
    draw_partners_alike(dataset)
    note = dataset.transforms.transforms[0]
    sampler = SystematicSampler(FACTORS)
    partners: Counter[int] = Counter()
    for _ in range(600):
        for index in sampler:
            note({"im_file": f"{index}.jpg"})
            for step in steps:
                drawn = step.get_indexes()
                assert isinstance(drawn, list) == isinstance(step, Mosaic)
                partners.update(drawn if isinstance(drawn, list) else [drawn])
    shares = np.array([partners[index] for index in range(len(FACTORS))]) / partners.total()
    assert np.allclose(shares, FACTORS / FACTORS.sum(), rtol=0.06)


def test_a_pipeline_without_mixing_is_refused() -> None:
    dataset = pipeline_over(4, buffer=4)
    dataset.transforms = Compose([])
    with pytest.raises(RegYoloError, match="no mosaic"):
        draw_partners_alike(dataset)
