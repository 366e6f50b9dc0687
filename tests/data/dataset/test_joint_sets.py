"""Class lists of the joint task: mapped by name, masks where they can be, and every mistake named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reg_yolo.config.schema import DataPair
from reg_yolo.data.dataset.joint_sets import JointSets, read_joint_sets
from reg_yolo.errors import ConfigError, DataError

BOX = "0.5 0.5 0.2 0.2"
POLYGON = "0.1 0.1 0.4 0.1 0.4 0.4"


def write_set(folder: Path, names: list[str], labels: dict[str, list[str]], **keys: str) -> Path:
    """Write a data set with one image for each label text, by split."""
    for split, texts in labels.items():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for index, text in enumerate(texts):
            (folder / f"images/{split}/{index}.jpg").write_bytes(b"x")
            (folder / f"labels/{split}/{index}.txt").write_text(text)
    lines = [f"{split}: images/{split}" for split in labels] + [f"{key}: {value}" for key, value in keys.items()]
    (folder / "data.yaml").write_text("\n".join([*lines, f"names: {json.dumps(names)}"]))
    return folder / "data.yaml"


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, Path]:
    """Two sets that share `sign` under different ids."""
    detect = write_set(
        tmp_path / "d", ["pole", "sign"],
        {"train": [f"0 {BOX}\n1 {POLYGON}", f"1 {BOX}"], "val": [f"0 {BOX}"]},
    )  # fmt: skip
    segment = write_set(
        tmp_path / "s", ["wall", "sign", "bridge"],
        {"train": [f"0 {POLYGON}\n1 {POLYGON}\n1 {BOX}\n1 {BOX}", f"2 {BOX}"], "test": [f"2 {POLYGON}"]},
    )  # fmt: skip
    return {"detect": detect, "segment": segment}


def test_a_pair_is_mapped_by_name(pair: dict[str, Path]) -> None:
    sets = read_joint_sets(pair)
    assert sets.class_names == ["pole", "sign", "wall", "bridge"]
    assert sets.mask_classes == ["sign", "wall", "bridge"]
    assert sets.is_mask_class == [False, True, True, True]
    detect, segment = sets.parts
    assert (detect.class_map, segment.class_map) == ([0, 1], [2, 1, 3])
    assert detect.annotated == [True, True, False, False]
    assert segment.annotated == [False, True, True, True]
    assert (detect.has_masks, segment.has_masks) == (False, True)
    assert read_joint_sets(DataPair(detect=str(pair["detect"]), segment=str(pair["segment"]))) == sets


def test_counts_are_of_all_objects_and_of_those_with_a_mask(pair: dict[str, Path]) -> None:
    # A polygon of the detection set is not a mask, a repeated row counts once, and box rows stay without one.
    assert read_joint_sets(pair).label_counts("train") == ([1, 4, 1, 1], [0, 1, 1, 0])
    assert read_joint_sets(pair, ["wall"]).label_counts("train") == ([1, 4, 1, 1], [0, 0, 1, 0])


def test_a_split_of_one_set_counts_alone_and_of_none_is_an_error(pair: dict[str, Path]) -> None:
    sets = read_joint_sets(pair)
    assert sets.label_counts("val") == ([1, 0, 0, 0], [0, 0, 0, 0])
    assert sets.parts_of("test") == [sets.parts[1]]
    pair["segment"].write_text(pair["segment"].read_text().replace("test: images/test", ""))
    with pytest.raises(DataError, match=r"neither .*d/data\.yaml nor .*s/data\.yaml names a 'test:' split"):
        read_joint_sets(pair).parts_of("test")


def test_one_mixed_set(tmp_path: Path) -> None:
    yaml = write_set(
        tmp_path / "one", ["pole", "sign", "wall"],
        {"train": [f"0 {BOX}\n1 {POLYGON}\n2 {POLYGON}", f"1 {BOX}\n0 {POLYGON}"]}, channels="3",
    )  # fmt: skip
    sets = read_joint_sets(yaml, ["wall", "sign"])
    assert sets.class_names == ["pole", "sign", "wall"]
    assert sets.mask_classes == ["sign", "wall"]
    assert sets.extra == {"channels": 3}
    (part,) = sets.parts
    assert part.class_map == [0, 1, 2] and part.annotated == [True] * 3 and part.has_masks
    assert sets.label_counts("train") == ([2, 2, 1], [0, 1, 1])
    with pytest.raises(ConfigError, match=r"needs mask_classes, .* has pole, sign, wall"):
        read_joint_sets(yaml)
    with pytest.raises(DataError, match=r"data\.yaml names no 'val:' split \(named: train\)"):
        sets.parts_of("val")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["wal"], "wal is not a class of the data. Did you mean wall"),
        (["wall", "zebra"], "zebra is not a class of the data. Classes that can have masks: wall, sign, bridge"),
        (["pole"], "pole is only in the detection set, which has no masks"),
        ([], "mask_classes is empty"),
    ],
)
def test_wrong_mask_classes_are_named(pair: dict[str, Path], chosen: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_joint_sets(pair, chosen)


def test_bad_rows_are_raised_as_in_the_detection_task(pair: dict[str, Path]) -> None:
    label = pair["segment"].parent / "labels/train/1.txt"
    label.write_text(f"3 {BOX}\n2 0.5 0.5 0.1")
    with pytest.raises(DataError, match=r"2 bad label rows in 1 file of the 'train' split") as caught:
        read_joint_sets(pair).label_counts("train")
    assert f"{label}:1: class id 3 is out of range" in str(caught.value)


def test_other_pairs_are_refused(pair: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has the keys detect and segment, got detect"):
        read_joint_sets({"detect": pair["detect"]})
    grey = write_set(tmp_path / "grey", ["wall"], {"train": [f"0 {POLYGON}"]}, channels="1")
    with pytest.raises(DataError, match=r"images of 3 channels and .* of 1"):
        read_joint_sets({"detect": pair["detect"], "segment": grey})


@pytest.mark.usefixtures("pair")
def test_plain_data_reads_the_same_sets_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sets = read_joint_sets({"detect": "d/data.yaml", "segment": "s/data.yaml"}, ["wall"])
    one = read_joint_sets("s/data.yaml", ["wall"])
    plain = [json.loads(json.dumps(item.to_plain())) for item in (sets, one)]
    monkeypatch.chdir("/")
    assert [JointSets.from_plain(item) for item in plain] == [sets, one]
