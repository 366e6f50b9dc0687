"""Splitting a data set: no group on two sides, every class with its share, the same bytes every time."""

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reg_yolo.data.dataset import dataset_yaml
from reg_yolo.data.dataset.dataset_yaml import label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.split.run import SplitResult, split_dataset
from reg_yolo.errors import ConfigError, DataError
from tests.real_data import REAL_DATA

NAMES = ["เสา", "sign", "wall"]
LISTED = dataset_yaml.glob.glob


def write_set(root: Path, images: dict[str, list[int]], splits: tuple[str, ...] = ("train",)) -> Path:
    """Write images named `SPLIT/NAME` with one box for each class id in the list; return the YAML."""
    for name, classes in images.items():
        image = root / "images" / f"{name}.png"
        label = label_path_for(image)
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16)).save(image)
        rows = "".join(f"{c} 0.5 0.5 0.{k + 1:03d} 0.2\n" for k, c in enumerate(classes))
        label.write_text(rows, encoding="utf-8")
    listed = "".join(f"{split}: images/{split}\n" for split in splits)
    text = f"path: .\n{listed}names: [{', '.join(NAMES)}]\nchannels: 3\n"
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root / "data.yaml"


def drives(seed: int, count: int, split: str = "train") -> dict[str, list[int]]:
    """Drives of 1 to 12 frames, with a rare class 2 in a few of them."""
    rng = random.Random(seed)
    images = {}
    for drive in range(count):
        rare = rng.random() < 0.25
        for frame in range(rng.randint(1, 12)):
            classes = [0] * rng.randint(0, 3) + [1] * rng.randint(0, 1) + [2] * (rare and rng.randint(0, 1))
            images[f"{split}/drive{drive:02d}_{frame:06d}"] = classes
    return images


def drive_of(path: Path) -> str:
    return path.stem.partition("_")[0]


def written_bytes(result: SplitResult) -> dict[str, bytes]:
    folder = result.data_yaml.parent
    return {path.name: path.read_bytes() for path in sorted(folder.glob(f"{result.data_yaml.stem}*"))}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 25), st.sampled_from([(0.2, 0.0), (0.25, 0.15)]))
def test_no_drive_on_two_sides_and_shares_near(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, shares: tuple[float, float]
) -> None:
    root = tmp_path_factory.mktemp("set")
    images = drives(seed, count)
    if not any(images.values()):
        return
    result = split_dataset(write_set(root, images), val=shares[0], test=shares[1], seed=seed)
    side: dict[str, set[str]] = {}
    for split, members in result.images.items():
        for image in members:
            side.setdefault(drive_of(image), set()).add(split)
    assert all(len(splits) == 1 for splits in side.values())
    assert sum(map(len, result.images.values())) == len(images)
    description = read_dataset_yaml(result.data_yaml, required=tuple(result.images))
    held: dict[int, set[str]] = {}
    total: Counter[int] = Counter()
    by_split: dict[str, Counter[int]] = {split: Counter() for split in result.images}
    for split in result.images:
        assert description.images(split) == sorted(result.images[split])
        for image in description.images(split):
            for row in read_label_file(label_path_for(image), 3).rows:
                held.setdefault(row.class_id, set()).add(drive_of(image))
                total[row.class_id] += 1
                by_split[split][row.class_id] += 1
    for index, row in enumerate(result.table.classes):
        assert row.groups == len(held.get(index, ()))
        assert row.counts == {split: counts[index] for split, counts in by_split.items()}
        # With two splits, drives of many classes are no obstacle here: class 0 and 1 are in almost every drive.
        if row.groups >= len(shares) + 1 + len(NAMES):
            assert all(row.counts[split] for split in result.images)
    largest = max(Counter(map(drive_of, (image for members in result.images.values() for image in members))).values())
    for split, wanted in zip(("val", "test"), shares, strict=True):
        if wanted:
            assert abs(result.table.images.counts[split] - wanted * len(images)) <= largest + 0.15 * len(images)


def test_the_same_set_gives_the_same_bytes_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = drives(1, 20)
    found = []
    for number in range(3):
        root = tmp_path / str(number)
        names = list(images)
        random.Random(number).shuffle(names)
        data = write_set(root, {name: images[name] for name in names})
        if number == 2:
            monkeypatch.setattr(dataset_yaml.glob, "glob", lambda *a, **k: LISTED(*a, **k)[::-1])
        found.append(written_bytes(split_dataset(data, by="drive,burst", workers=number % 2 + 1)))
    assert found[0] == found[1] == found[2]
    assert sorted(found[0]) == [
        "data_split.yaml", "data_split_groups.csv", "data_split_train.txt", "data_split_val.txt"]  # fmt: skip
    # Without a byte-order mark Excel reads Thai letters as others.
    assert found[0]["data_split_groups.csv"].startswith("\ufeffimage,group,split\n".encode())
    again = split_dataset(tmp_path / "0/data.yaml", by="drive,burst")
    assert written_bytes(again) == found[0]


def test_ultralytics_reads_the_same_images_wherever_the_folder_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.data.base import BaseDataset
    from ultralytics.data.utils import check_det_dataset, img2label_paths

    data = write_set(tmp_path / "before", drives(3, 12))
    split_dataset(data)
    moved = tmp_path / "ที่ใหม่ 2"
    (tmp_path / "before").rename(moved)
    monkeypatch.chdir(tmp_path)
    stock = check_det_dataset(str(moved / "data_split.yaml"), autodownload=False)
    ours = read_dataset_yaml(moved / "data_split.yaml")
    assert stock["names"] == ours.names == dict(enumerate(NAMES))
    for split in ("train", "val"):
        reader = BaseDataset.__new__(BaseDataset)
        reader.prefix, reader.fraction = "", 1.0
        files = [str(Path(name).resolve()) for name in reader.get_img_files(stock[split])]
        assert files == [str(image) for image in ours.images(split)]
        assert all(Path(label).is_file() for label in img2label_paths(files))


def test_the_users_files_stay_and_a_foreign_one_is_not_overwritten(tmp_path: Path) -> None:
    data = write_set(tmp_path, drives(2, 10))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = split_dataset(data)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert result.data_yaml.read_text(encoding="utf-8").startswith("# Written by `reg-yolo data split`")
    assert read_dataset_yaml(result.data_yaml).extra == {"channels": 3}
    first = (tmp_path / "data_split_val.txt").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("./images/train/drive")
    (tmp_path / "data_split.yaml").write_text("mine: true\n")
    with pytest.raises(DataError, match="was not written by"):
        split_dataset(data)
    assert (tmp_path / "data_split.yaml").read_text() == "mine: true\n"
    elsewhere = split_dataset(data, out=tmp_path / "lists/deep/s.yaml")
    assert read_dataset_yaml(elsewhere.data_yaml).images("val") == sorted(elsewhere.images["val"])


def test_copies_are_whole_data_sets(tmp_path: Path) -> None:
    images = {**drives(4, 9), **{f"val/{name.partition('/')[2]}": c for name, c in list(drives(4, 9).items())[:5]}}
    data = write_set(tmp_path / "a", images, ("train", "val"))
    result = split_dataset(data, copy_to=tmp_path / "copy")
    shutil.rmtree(tmp_path / "a")
    description = read_dataset_yaml(tmp_path / "copy/data.yaml")
    assert result.data_yaml == tmp_path / "copy/data.yaml"
    count = {split: len(description.images(split)) for split in ("train", "val")}
    assert count == {split: len(members) for split, members in result.images.items()}
    # The five names that stood in both folders are there twice, and on one side.
    assert sum(count.values()) == len(images)
    assert all(label_path_for(i).is_file() for split in ("train", "val") for i in description.images(split))
    with pytest.raises(DataError, match=r"data\.yaml does not exist"):
        split_dataset(data, copy_to=tmp_path / "copy2")
    assert not (tmp_path / "copy2").exists()


def test_a_test_split_stays_unless_it_is_asked_for(tmp_path: Path) -> None:
    images = {**drives(5, 10), **drives(6, 4, "test"), "test/drive90_1": [0]}
    data = write_set(tmp_path, images, ("train", "test"))
    kept = split_dataset(data)
    assert {image.parent.name for image in kept.images["test"]} == {"test"}
    assert {image.parent.name for image in kept.images["train"] + kept.images["val"]} == {"train"}
    assert any("other images are tied to them" in note for note in kept.notes), kept.notes
    anew = split_dataset(data, test=0.2)
    assert sum(map(len, anew.images.values())) == len(images)
    assert {image.parent.name for image in anew.images["test"]} != {"test"}


def test_notes_say_what_could_not_be_had(tmp_path: Path) -> None:
    images: dict[str, list[int]] = {f"train/d{n}_{k}": [0] for n in range(9) for k in range(3)}
    images["train/d0_1"] = [0, 2]
    result = split_dataset(write_set(tmp_path, images))
    assert "no image has a sign" in result.notes
    assert "wall is in one group only, so val cannot have it" in result.notes
    table = result.as_text().splitlines()
    assert table[1].split() == ["groups", "9", "7", "2"]
    assert table[2].split() == ["images", "9", "27", "21", "77.8%", "6", "22.2%"]
    assert table[5].split() == ["wall", "1", "1", "1", "100.0%", "0", "0.0%"]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"val": 0}, ConfigError, "val must be"),
        ({"val": float("nan")}, ConfigError, "val must be"),
        ({"val": 0.6, "test": 0.4}, ConfigError, "nothing to train on"),
        ({"by": "drvie"}, ConfigError, "by: got drvie"),
        ({"by": "folder"}, DataError, "By folder, all 3 images are one group, too few for 2 splits. Choose by from"),
        ({"by": "gps"}, DataError, "None of the 3 images has a GPS position"),
        ({"out": "x.yaml", "copy_to": "y"}, ConfigError, "give one of them"),
        ({"out": "x.txt"}, DataError, "must end in .yaml"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    data = write_set(tmp_path, {"train/a1_1": [0], "train/b1_1": [0], "train/c1_1": [1]})
    with pytest.raises(error) as found:
        split_dataset(data, **arguments)
    assert words in str(found.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.yaml", "images", "labels"]


def test_bad_labels_are_named_and_none_at_all_too(tmp_path: Path) -> None:
    data = write_set(tmp_path, {"train/a1_1": [0], "train/b1_1": []})
    (tmp_path / "labels/train/a1_1.txt").write_bytes(b"9 0.5 0.5 0.1 0.1\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"1 bad label row,.*\n.*a1_1\.txt: is not UTF-8"):
        split_dataset(data)
    (tmp_path / "labels/train/a1_1.txt").write_bytes(b"")
    with pytest.raises(DataError, match="none of the 2 images has a labelled object"):
        split_dataset(data)


def test_a_yaml_without_val_is_offered_the_command(tmp_path: Path) -> None:
    data = write_set(tmp_path / "with space", drives(7, 10))
    with pytest.raises(DataError) as found:
        read_dataset_yaml(data)
    assert f"reg-yolo data split '{data}' --by drive --val 0.2" in str(found.value)
    read_dataset_yaml(split_dataset(data).data_yaml)


@pytest.fixture
def shared() -> Path:
    folder = REAL_DATA
    if not folder.is_dir():
        pytest.skip("the real data is not here")
    return folder


def test_real_bursts_and_drives(shared: Path, tmp_path: Path) -> None:
    burst = split_dataset(shared / "roadsign4/data.yaml", by="burst", out=tmp_path / "b.yaml", workers=1)
    group = {image.stem: name for image, name in burst.groups.items()}
    for first, second in (("road42", "road48"), ("road414", "road415"), ("road514", "road515")):
        assert group[first] == group[second]
    for row in [*burst.table.classes, burst.table.images]:
        assert row.share("val") == pytest.approx(0.2, abs=0.01)
    drive = split_dataset(shared / "camvid4_seg/data.yaml", test=0.2, out=tmp_path / "d.yaml")
    assert sorted(set(drive.groups.values())) == ["0001TP", "0006R0_f", "0016E5", "Seq05VD_f"]
    assert np.all([row.counts[split] > 0 for row in drive.table.classes for split in drive.images])
