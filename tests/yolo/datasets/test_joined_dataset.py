"""A detection set beside a segmentation set: one data set, two kinds of truth, and no image mixed from both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from ultralytics.data.build import build_dataloader

from reg_yolo.data.dataset.joint_sets import JointSets, read_joint_sets
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.yolo.datasets.joint import JoinedDataset, build_joint_dataset
from reg_yolo.yolo.datasets.transforms import active_transforms
from tests.real_data import REAL_DATA
from tests.yolo.datasets.mixed_labels import STILL, arguments, build, reseed, star

RED, BLUE = 2, 0


def write_pair(root: Path, shapes: tuple[tuple[int, int], ...] = ((96, 128),)) -> JointSets:
    """Red images with boxes of `sign` and `lamp`, blue ones with masks of `wall` and `sign` and boxes of `fence`."""
    yamls = {}
    for name, channel, names, rows in (
        ("detect", RED, ["sign", "lamp"], ["0 0.3 0.3 0.2 0.2", "1 0.6 0.6 0.2 0.3", f"0 {star(0.5, 0.3, 0.15, 6)}"]),
        ("segment", BLUE, ["wall", "sign", "fence"],
         [f"0 {star(0.3, 0.6, 0.2, 8)}", f"1 {star(0.6, 0.4, 0.2, 9)}", "2 0.5 0.5 0.4 0.1"]),
    ):  # fmt: skip
        folder = root / name
        for split in ("train", "val"):
            (folder / "images" / split).mkdir(parents=True)
            (folder / "labels" / split).mkdir(parents=True)
            for number in range(7):
                height, width = shapes[number % len(shapes)]
                image = np.zeros((height, width, 3), dtype=np.uint8)
                image[..., channel] = 200
                cv2.imwrite(str(folder / f"images/{split}/{number}.png"), image)
                (folder / f"labels/{split}/{number}.txt").write_text("\n".join(rows[: 1 + number % 3]) + "\n")
        yamls[name] = folder / "data.yaml"
        yamls[name].write_text(f"train: images/train\nval: images/val\nnames: {names}\n")
    return read_joint_sets(yamls)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> JointSets:
    """The two sets. Do not write to them."""
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def pair_of_shapes(tmp_path_factory: pytest.TempPathFactory) -> JointSets:
    """Two sets with upright, square and lying images. Do not write to them."""
    return write_pair(tmp_path_factory.mktemp("shapes"), ((96, 128), (128, 64), (64, 64)))


def is_red(item: dict[str, Any]) -> bool:
    """Whether the image is of the detection set; no image may hold pixels of both."""
    red, _, blue = (bool((item["img"][channel] > 150).any()) for channel in range(3))
    assert red != blue
    return red


MIXED = {**STILL, "mosaic": 1.0, "mixup": 1.0, "cutmix": 1.0, "copy_paste": 0.9, "copy_paste_mode": "mixup"}


def test_classes_masks_and_annotations_belong_to_the_set_of_the_picture(pair: JointSets) -> None:
    assert pair.class_names == ["sign", "lamp", "wall", "fence"]
    dataset = build(pair, **STILL)
    assert isinstance(dataset, JoinedDataset) and len(dataset) == 14
    for index in range(14):
        item = dataset[index]
        red = is_red(item)
        assert red == (index < 7)
        assert item["annotated"].tolist() == ([True, True, False, False] if red else [True, False, True, True])
        classes = item["cls"].flatten().tolist()
        assert sorted(classes) == sorted(([0, 1, 0] if red else [2, 0, 3])[: 1 + index % 7 % 3])
        # The polygon row of the detection set is the box around it; `fence` has box rows only.
        assert item["has_mask"].tolist() == [not red and value != 3 for value in classes]
        assert bool(item["masks"].any()) == (not red)


def test_pictures_are_mixed_within_their_set(pair: JointSets) -> None:
    dataset = build(pair, **MIXED)
    reseed(0)
    loader = build_dataloader(dataset, 4, 0, shuffle=True, device="cpu")
    batches = [batch for _ in range(2) for batch in loader]
    keys = ("img", "annotated")
    images = [{key: batch[key][place] for key in keys} for batch in batches for place in range(len(batch["img"]))]
    reds = [is_red(image) for image in images]
    assert [image["annotated"][1].item() for image in images] == reds
    assert sum(reds) == 14 and len(reds) == 28
    assert any(0 < batch["annotated"][:, 1].sum() < 4 for batch in batches)


def test_labels_files_and_counts_are_those_of_both(pair: JointSets) -> None:
    dataset = build(pair)
    assert [label["im_file"] for label in dataset.labels] == dataset.im_files
    counted = np.bincount(np.concatenate([label["cls"].flatten() for label in dataset.labels]).astype(int), minlength=4)
    objects, masks = pair.label_counts("train")
    assert counted.tolist() == objects == [13, 4, 7, 2]
    assert masks == [4, 0, 7, 0]


def test_closing_mosaic_and_dropping_classes_reach_both(pair: JointSets) -> None:
    dataset = build(pair, **MIXED)
    dataset.close_mosaic(arguments(**MIXED))
    reseed(0)
    assert [len(dataset[index]["cls"]) for index in range(14)] == [1, 2, 3, 1, 2, 3, 1] * 2
    dataset.update_labels([0, 2])
    assert {value for label in dataset.labels for value in label["cls"].flatten()} == {0.0, 2.0}
    assert len(dataset[1]["cls"]) == 1


def test_validation_sorts_both_by_aspect_ratio_together(pair_of_shapes: JointSets) -> None:
    dataset = build(pair_of_shapes, "val", rect=True)
    assert dataset.rect and len(dataset.batch_shapes) == 4
    assert [label["im_file"] for label in dataset.labels] == dataset.im_files
    ratios = []
    loader = build_dataloader(dataset, 4, 0, shuffle=False, device="cpu")
    for number, batch in enumerate(loader):
        assert list(batch["img"].shape[2:]) == dataset.batch_shapes[number].tolist()
        assert list(batch["im_file"]) == dataset.im_files[number * 4 : number * 4 + 4]
        assert [("/detect/" in file) for file in batch["im_file"]] == batch["annotated"][:, 1].tolist()
        ratios += [height / width for height, width in batch["ori_shape"]]
        for image in range(len(batch["img"])):
            label = dataset.labels[number * 4 + image]
            found = batch["cls"][batch["batch_idx"] == image].flatten().tolist()
            assert sorted(found) == sorted(label["cls"].flatten().tolist())
    assert ratios == sorted(ratios) and len(ratios) == 14
    assert len({tuple(shape) for shape in dataset.batch_shapes.tolist()}) > 1


def test_rectangular_training_switches_mosaic_off(pair_of_shapes: JointSets) -> None:
    dataset = build(pair_of_shapes, **{**STILL, "mosaic": 1.0, "rect": True})
    loader = build_dataloader(dataset, 4, 0, shuffle=False, device="cpu")
    assert [list(batch["img"].shape[2:]) for batch in loader] == dataset.batch_shapes.tolist()


def test_fraction_and_ram_cache_hold_for_each_set(pair: JointSets) -> None:
    dataset = build(pair, fraction=0.5, cache="ram", **MIXED)
    assert [len(part) for part in dataset.datasets] == [4, 4]
    reseed(0)
    assert [is_red(dataset[index]) for index in range(8)] == [True] * 4 + [False] * 4


def test_augmentations_are_found_for_the_proof_that_they_arrived(pair: JointSets) -> None:
    import albumentations

    wanted = [albumentations.to_dict(albumentations.RandomGamma(p=0.5))]
    assert active_transforms(build(pair, augmentations=wanted)) == ["RandomGamma"]


def test_a_split_of_one_set_only_is_that_sets(pair: JointSets, tmp_path: Path) -> None:
    sets = write_pair(tmp_path)
    yaml = sets.parts[0].description.yaml_path
    yaml.write_text(yaml.read_text().replace("val: images/val\n", ""))
    sets = JointSets.from_plain(sets.to_plain())
    dataset = build(sets, "val", rect=True)
    assert not isinstance(dataset, JoinedDataset)
    assert dataset.annotated.tolist() == [True, False, True, True] and dataset.rect
    with pytest.raises(DataError, match=r"neither .* nor .* names a 'test:' split"):
        build_joint_dataset(pair, "test", args=arguments(), mode="val", batch=4, stride=32)


def test_one_class_of_all_needs_sets_that_annotate_all(pair: JointSets) -> None:
    with pytest.raises(ConfigError, match=r"single_cls .* does not annotate wall, fence"):
        build(pair, single_cls=True)


def test_real_sets_side_by_side(road_data: Path) -> None:
    yamls = {"detect": road_data / "roadsign4/data.yaml", "segment": road_data / "camvid4_seg/data.yaml"}
    caches = {path: path.stat().st_mtime_ns for path in road_data.rglob("*.cache")}
    sets = read_joint_sets(yamls)
    dataset = build(sets)
    assert len(dataset) == 700 + 367
    counted = np.bincount(np.concatenate([label["cls"].flatten() for label in dataset.labels]).astype(int)).tolist()
    assert counted == sets.label_counts("train")[0] == [625, 158, 136, 73, 3315, 2446, 485, 1593]
    batch = next(iter(build_dataloader(dataset, 4, 0, shuffle=True, device="cpu")))
    assert torch.equal(batch["has_mask"], batch["cls"].flatten() >= 4)
    assert {path: path.stat().st_mtime_ns for path in road_data.rglob("*.cache")} == caches


@pytest.fixture
def road_data() -> Path:
    """Real images, where they are at hand."""
    folder = REAL_DATA
    if not (folder / "camvid4_seg").is_dir():
        pytest.skip("no real road data beside the repository")
    return folder
