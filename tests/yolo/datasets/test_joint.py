"""The joint data set against upstream's: equal without box-only objects, and each kind as in its own pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from ultralytics.data.build import build_dataloader, build_yolo_dataset
from ultralytics.models.yolo.segment import SegmentationValidator

from reg_yolo.data.dataset.joint_sets import read_joint_sets
from reg_yolo.errors import DataError
from tests.yolo.datasets.mixed_labels import NAMES, STILL, arguments, items, joint, reseed, write_mixed

EVERYTHING: dict[str, Any] = {
    "mosaic": 0.8, "degrees": 20.0, "translate": 0.3, "scale": 0.6, "shear": 8.0, "perspective": 0.0008,
    "flipud": 0.5, "fliplr": 0.5, "mixup": 0.4, "cutmix": 0.6, "copy_paste": 0.5, "hsv_h": 0.1,
}  # fmt: skip
SPATIAL = [
    albumentations.to_dict(albumentations.Perspective(scale=(0.05, 0.1), p=1.0)),
    albumentations.to_dict(albumentations.HorizontalFlip(p=0.5)),
    albumentations.to_dict(albumentations.CoarseDropout(num_holes_range=(1, 3), hole_height_range=(0.2, 0.5), p=0.5)),
]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The YAMLs of the same images with mixed rows, polygon rows, box rows. Do not write to them."""
    return write_mixed(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def sets_of_two_shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same with upright and lying images. Do not write to them."""
    return write_mixed(tmp_path_factory.mktemp("shapes"), sizes=((96, 128), (128, 64), (64, 128)))


def stock(yaml: Path, task: str, mode: str = "train", rect: bool = False, **overrides: Any) -> Any:
    """Upstream's own data set."""
    data = {"names": dict(enumerate(NAMES)), "nc": len(NAMES), "channels": 3}
    args = arguments(task, **overrides)
    return build_yolo_dataset(args, str(yaml.parent / "images" / mode), 4, data, mode=mode, rect=rect, stride=32)


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Every key of upstream's batch is ours, bit for bit."""
    assert set(ours) == set(theirs) | {"has_mask", "annotated"}
    for key, value in theirs.items():
        if isinstance(value, torch.Tensor):
            assert ours[key].dtype == value.dtype and torch.equal(ours[key], value), key
        elif key != "im_file":
            assert str(ours[key]) == str(value), key  # tuples, of arrays where batches are rectangular


@pytest.mark.parametrize(
    "overrides",
    [
        STILL,
        {},
        EVERYTHING,
        {**EVERYTHING, "copy_paste_mode": "mixup"},
        {**EVERYTHING, "overlap_mask": False, "mask_ratio": 2},
        {**EVERYTHING, "single_cls": True},
        {**EVERYTHING, "classes": [2]},
        {**EVERYTHING, "augmentations": SPATIAL},
        {"cache": "ram", "mosaic": 1.0},
        {"rect": True},
    ],
    ids=[
        "still",
        "default",
        "everything",
        "paste_mixup",
        "no_overlap",
        "single_cls",
        "classes",
        "spatial",
        "ram",
        "rect",
    ],
)
def test_without_box_only_objects_batches_are_upstreams(sets: dict[str, Path], overrides: dict[str, Any]) -> None:
    ours = joint(sets["outlined"], mask_classes=NAMES, **overrides)
    theirs = stock(sets["outlined"], "segment", **overrides)
    for seed in range(2):
        reseed(seed)
        mine = ours.collate_fn([ours[index] for index in range(len(ours))])
        reseed(seed)
        assert_same(mine, theirs.collate_fn([theirs[index] for index in range(len(theirs))]))
        assert mine["has_mask"].all() and mine["annotated"].all()


def test_validation_batches_are_upstreams(sets_of_two_shapes: dict[str, Path]) -> None:
    yaml = sets_of_two_shapes["outlined"]
    ours, theirs = joint(yaml, "val", rect=True, mask_classes=NAMES), stock(yaml, "segment", "val", rect=True)
    assert np.array_equal(ours.batch_shapes, theirs.batch_shapes)
    assert ours.im_files == theirs.im_files
    for mine, stocks in zip(
        *(build_dataloader(d, 4, 0, shuffle=False, device="cpu") for d in (ours, theirs)), strict=True
    ):
        assert_same(mine, stocks)


@pytest.mark.parametrize("mode", ["train", "val"])
def test_label_cache_is_neither_read_nor_written(tmp_path: Path, mode: str) -> None:
    yaml = write_mixed(tmp_path)["mixed"]
    joint(yaml, mode)
    assert not list(tmp_path.rglob("*.cache"))
    foreign = yaml.parent / f"labels/{mode}.cache"
    foreign.write_bytes(b"of another task")
    dataset = joint(yaml, mode)
    assert sum(len(label["cls"]) for label in dataset.labels) > 0
    assert foreign.read_bytes() == b"of another task"


GEOMETRY = {
    "still": {},
    "mosaic": {"mosaic": 1.0},
    "rotation": {"degrees": 40.0},
    "scale": {"scale": 0.8, "translate": 0.4},
    "shear": {"shear": 20.0},
    "perspective": {"perspective": 0.001, "degrees": 10.0},
    "flips": {"fliplr": 0.5, "flipud": 0.5},
    "mixup": {"mixup": 1.0, "mosaic": 1.0},
    "copy_paste": {"copy_paste": 1.0},
    "paste_mixup": {"copy_paste": 1.0, "copy_paste_mode": "mixup"},
    "mosaic_paste": {"copy_paste": 1.0, "mosaic": 1.0},
    "spatial": {"augmentations": SPATIAL},
    "all": {"mosaic": 1.0, "degrees": 20.0, "scale": 0.6, "translate": 0.3, "shear": 8.0, "mixup": 0.5, "fliplr": 0.5,
            "augmentations": SPATIAL},
}  # fmt: skip


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("name", GEOMETRY)
def test_masks_are_those_of_the_picture_without_its_box_only_objects(
    sets: dict[str, Path], name: str, overlap: bool
) -> None:
    overrides = {**STILL, **GEOMETRY[name], "overlap_mask": overlap}
    mixed, outlined = joint(sets["mixed"], **overrides), joint(sets["outlined"], **overrides)
    some_masks, some_boxes, pasted = 0, 0, 0
    for ours, alone in zip(items(mixed), items(outlined), strict=True):
        kept = ours["has_mask"]
        assert torch.equal(ours["img"], alone["img"])
        assert torch.equal(ours["cls"][kept], alone["cls"])
        assert torch.equal(ours["bboxes"][kept], alone["bboxes"])
        assert torch.equal(ours["sem_masks"], alone["sem_masks"])
        masks = ours["masks"] if overlap else ours["masks"][kept]
        assert torch.equal(masks.float(), alone["masks"].float())
        if overlap:
            # Rows with a mask come first, so that value i + 1 in the map is row i.
            assert kept[: int(kept.sum())].all() and int(ours["masks"].max()) <= int(kept.sum())
        else:
            assert len(ours["masks"]) == len(kept) and not ours["masks"][~kept].any()
        assert len(kept) == len(ours["cls"]) == len(ours["bboxes"]) == len(ours["batch_idx"])
        some_masks, some_boxes = some_masks + int(kept.sum()), some_boxes + int((~kept).sum())
        pasted += int(kept.sum()) > 3
    assert some_masks > 5 and some_boxes > 5
    assert pasted or "paste" not in name


@pytest.mark.parametrize("name", [name for name in GEOMETRY if name != "paste_mixup"])
def test_boxes_of_box_only_objects_are_those_of_the_detection_pipeline(sets: dict[str, Path], name: str) -> None:
    overrides = {**STILL, **GEOMETRY[name]}
    mixed, detection = joint(sets["mixed"], **overrides), stock(sets["boxed"], "detect", **overrides)
    for ours, theirs in zip(items(mixed), items(detection), strict=True):
        box_only = ~ours["has_mask"]
        assert torch.equal(ours["cls"][box_only], theirs["cls"])
        # The same sums in float32, but of arrays of other lengths.
        torch.testing.assert_close(ours["bboxes"][box_only], theirs["bboxes"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["flip", "mixup"])
def test_pictures_with_box_only_objects_alone_are_the_detection_pipelines(sets: dict[str, Path], mode: str) -> None:
    overrides = {**EVERYTHING, "copy_paste_mode": mode, "augmentations": SPATIAL}
    ours, theirs = joint(sets["boxed"], **overrides), stock(sets["boxed"], "detect", **overrides)
    for mine, stocks in zip(items(ours, 3), items(theirs, 3), strict=True):
        assert torch.equal(mine["img"], stocks["img"])
        assert torch.equal(mine["cls"], stocks["cls"])
        torch.testing.assert_close(mine["bboxes"], stocks["bboxes"], rtol=0, atol=1e-6)
        assert not mine["has_mask"].any() and not mine["masks"].any()


@pytest.mark.parametrize("seed", range(3))
def test_rows_stay_aligned_when_everything_is_on(sets: dict[str, Path], seed: int) -> None:
    dataset = joint(sets["mixed"], **EVERYTHING, augmentations=SPATIAL)
    reseed(seed)
    batch = next(iter(build_dataloader(dataset, 4, 0, shuffle=True, device="cpu")))
    rows = len(batch["cls"])
    assert rows == len(batch["bboxes"]) == len(batch["batch_idx"]) == len(batch["has_mask"])
    assert batch["masks"].shape == (4, 32, 32) and batch["annotated"].shape == (4, 3)
    assert set(batch["cls"].flatten().tolist()) <= {0.0, 1.0, 2.0}
    assert not batch["has_mask"][batch["cls"].flatten() == 0].any()
    for image in range(4):
        with_mask = batch["has_mask"][batch["batch_idx"] == image]
        assert int(batch["masks"][image].max()) <= int(with_mask.sum())


def test_a_polygon_of_a_class_without_masks_is_a_box(sets: dict[str, Path]) -> None:
    dataset = joint(sets["mixed"], mask_classes=["wall"], **STILL)
    for item in items(dataset):
        assert torch.equal(item["has_mask"], item["cls"].flatten() == 2)
    counted = read_joint_sets(sets["mixed"], ["wall"]).label_counts("train")
    labels = np.concatenate([label["cls"].flatten() for label in dataset.labels])
    assert counted[0] == [int((labels == index).sum()) for index in range(3)]
    outlines = [len(outline) > 0 for label in dataset.labels for outline in label["segments"]]
    assert counted[1] == [0, 0, sum(outlines)]


def test_classes_and_fraction_are_upstreams_arguments(sets: dict[str, Path]) -> None:
    dataset = joint(sets["mixed"], classes=[1], **STILL)
    assert {value for label in dataset.labels for value in label["cls"].flatten()} == {1.0}
    found = [item["has_mask"].tolist() for item in items(dataset)]
    assert [True, False] in found and [False] in found
    assert len(joint(sets["mixed"], fraction=0.5)) == 4


def test_closing_mosaic_keeps_our_transforms(sets: dict[str, Path]) -> None:
    dataset = joint(sets["mixed"], mosaic=1.0, degrees=30.0, mixup=1.0)
    dataset.close_mosaic(arguments(mosaic=1.0, degrees=30.0, mixup=1.0))
    reseed(1)
    first = dataset[0]
    assert first["has_mask"].tolist() == [True, True, True, False, False, False]


def test_upstreams_validator_sees_empty_masks_for_box_only_objects(sets: dict[str, Path]) -> None:
    for overlap in (True, False):
        dataset = joint(sets["mixed"], "val", rect=True, overlap_mask=overlap)
        validator = SegmentationValidator(args={"task": "segment", "overlap_mask": overlap, "imgsz": 128})
        validator.device, validator.process = torch.device("cpu"), None
        batch = validator.preprocess(next(iter(build_dataloader(dataset, 4, 0, shuffle=False, device="cpu"))))
        for image in range(4):
            prepared = validator._prepare_batch(image, batch)
            rows = batch["has_mask"][batch["batch_idx"] == image]
            assert prepared["masks"].shape[0] == len(rows) or not len(rows)
            assert [bool(mask.any()) for mask in prepared["masks"][: len(rows)]] == rows.tolist()


def test_bad_rows_are_named_and_a_set_without_objects_is_refused(tmp_path: Path) -> None:
    yamls = write_mixed(tmp_path)
    label = yamls["mixed"].parent / "labels/train/001.txt"
    label.write_text("1 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1\n7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"2 bad label rows in 1 file") as caught:
        joint(yamls["mixed"])
    assert f"{label}:2" in str(caught.value) and f"{label}:3" in str(caught.value)
    for path in (yamls["boxed"].parent / "labels/train").glob("*.txt"):
        path.unlink()
    with pytest.raises(DataError, match="no labelled object"):
        joint(yamls["boxed"])


def test_a_repeated_row_counts_once_and_orders_rows_as_upstream(tmp_path: Path) -> None:
    yaml = write_mixed(tmp_path)["outlined"]
    for path in (yaml.parent / "labels/train").glob("*.txt"):
        path.write_text(path.read_text() * 2)
    ours, theirs = joint(yaml, mask_classes=NAMES, **STILL), stock(yaml, "segment", **STILL)
    for mine, stocks in zip(ours.labels, theirs.labels, strict=True):
        assert np.array_equal(mine["cls"], stocks["cls"]) and np.array_equal(mine["bboxes"], stocks["bboxes"])
        assert all(np.array_equal(a, b) for a, b in zip(mine["segments"], stocks["segments"], strict=True))


def test_more_points_than_upstream_resamples_to_and_outlines_in_parts(tmp_path: Path) -> None:
    from tests.yolo.datasets.mixed_labels import star

    yamls = write_mixed(tmp_path)
    parts = f"2 {star(0.3, 0.6, 0.1, 10)} {star(0.7, 0.6, 0.1, 10)} {star(0.3, 0.6, 0.1, 10)[:15]}"
    long = f"1 {star(0.5, 0.4, 0.3, 1400)}"
    for name in ("mixed", "outlined"):
        label = yamls[name].parent / "labels/train/000.txt"
        label.write_text(label.read_text() + f"{long}\n{parts}\n")
    overrides = {**STILL, "mosaic": 1.0, "degrees": 10.0}
    ours, theirs = (
        joint(yamls["outlined"], mask_classes=NAMES, **overrides),
        stock(yamls["outlined"], "segment", **overrides),
    )
    mixed = joint(yamls["mixed"], **overrides)
    for mine, stocks, both in zip(items(ours), items(theirs), items(mixed), strict=True):
        assert_same(mine, stocks)
        assert torch.equal(both["masks"].float(), stocks["masks"].float())


def test_workers_give_the_same_keys(sets: dict[str, Path]) -> None:
    loader = build_dataloader(joint(sets["mixed"], mosaic=1.0, copy_paste=0.5), 4, 2, shuffle=True, device="cpu")
    batch = next(iter(loader))
    assert len(batch["has_mask"]) == len(batch["cls"])
    loader.close()
