"""The data-set YAML: everything Ultralytics accepts, relative to the YAML, and one clear line for what it does not."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reg_yolo.data.dataset.dataset_yaml import label_path_for, read_dataset_yaml
from reg_yolo.errors import DataError

MakeDataset = Callable[..., Path]


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """Return a function that writes a small data set and its YAML; keyword arguments override the YAML's keys."""

    def make(drop: tuple[str, ...] = (), **keys: Any) -> Path:
        root = tmp_path / "set"
        for split in ("train", "val"):
            for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg"):
                target = root / "images" / split / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"x")
        content = {"train": "images/train", "val": "images/val", "names": ["pole", "sign"], **keys}
        target = root / "data.yaml"
        target.write_text(yaml.safe_dump({key: value for key, value in content.items() if key not in drop}))
        return target

    return make


def names_of(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_paths_are_relative_to_the_yaml_not_to_the_working_directory(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(path="./")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "images" / "train").mkdir(parents=True)
    (elsewhere / "images" / "train" / "wrong.jpg").write_bytes(b"x")
    monkeypatch.chdir(elsewhere)
    description = read_dataset_yaml(Path("..") / "set" / "data.yaml")
    assert description.root == tmp_path / "set"
    assert names_of(description.images("train")) == ["a.PNG", "b.jpg"]
    assert all(image.is_absolute() for image in description.images("train"))
    assert description.class_names == ["pole", "sign"]


def test_absolute_root_and_root_without_path_key(make_dataset: MakeDataset, tmp_path: Path) -> None:
    moved = tmp_path / "moved.yaml"
    moved.write_text(make_dataset(path=str(tmp_path / "set")).read_text())
    assert names_of(read_dataset_yaml(moved).images("val")) == ["a.PNG", "b.jpg"]
    assert read_dataset_yaml(make_dataset()).root == tmp_path / "set"


def test_names_as_mapping_with_text_keys_and_values_that_are_no_text(make_dataset: MakeDataset) -> None:
    description = read_dataset_yaml(make_dataset(names={"1": "ป้ายเตือน", "0": True}, nc="2"))
    assert description.names == {0: "true", 1: "ป้ายเตือน"}
    assert list(description.names) == [0, 1]


def test_split_as_list_of_folders_and_text_files(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(train=["images/train", "extra.txt"])
    other = tmp_path / "set" / "other" / "images"
    other.mkdir(parents=True)
    for name in ("c.jpg", "d.jpg", "e.jpg"):
        (other / name).write_bytes(b"x")
    lines = ["./other/images/c.jpg", "other/images/d.jpg", str(other / "e.jpg"), "", "readme.md"]
    (tmp_path / "set" / "extra.txt").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    images = read_dataset_yaml(path).images("train")
    assert sorted(names_of(images)) == ["a.PNG", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert all(image.exists() for image in images)
    assert images == sorted(images)


def test_roboflow_parent_folders_are_forgiven(make_dataset: MakeDataset) -> None:
    description = read_dataset_yaml(make_dataset(train="../images/train", val="../images/val"))
    assert names_of(description.images("train")) == ["a.PNG", "b.jpg"]


def test_validation_is_another_name_for_val_and_test_may_point_nowhere(make_dataset: MakeDataset) -> None:
    description = read_dataset_yaml(make_dataset(drop=("val",), validation="images/val", test="images/none"))
    assert names_of(description.images("val")) == ["a.PNG", "b.jpg"]
    with pytest.raises(DataError, match=r"'test:' points to .*images/none, which does not exist"):
        description.images("test")


def test_ultralytics_reads_our_copy_from_any_working_directory(
    make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.data.utils import check_det_dataset

    path = make_dataset(path="./", train=["images/train", "extra.txt"], channels=3, download="raise SystemExit")
    (tmp_path / "set" / "extra.txt").write_text("images/val/b.jpg\n")
    description = read_dataset_yaml(path)
    copy = description.write_for_ultralytics(tmp_path / "run")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    upstream = check_det_dataset(str(copy))
    assert upstream["names"] == {0: "pole", 1: "sign"}
    assert upstream["channels"] == 3
    assert "download" not in upstream
    listed = Path(upstream["train"]).read_text().split()
    assert listed == [str(image) for image in description.images("train")]
    assert Path(upstream["val"]) == tmp_path / "set" / "images" / "val"
    assert not list((tmp_path / "run").glob("*.part"))


def test_image_list_equals_ultralytics(make_dataset: MakeDataset, tmp_path: Path) -> None:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import img2label_paths

    path = make_dataset()
    nested = tmp_path / "set" / "images" / "train" / "images" / "deep.er"
    nested.mkdir(parents=True)
    for name in ("x.y.jpeg", "no_suffix", "z.gif"):
        (nested / name).write_bytes(b"x")
    hidden = tmp_path / "set" / "images" / "train" / ".cache"
    hidden.mkdir()
    (hidden / "thumb.jpg").write_bytes(b"x")
    images = read_dataset_yaml(path).images("train")
    lister = YOLODataset.__new__(YOLODataset)
    lister.prefix, lister.fraction = "", 1.0
    assert [str(image) for image in images] == lister.get_img_files(str(tmp_path / "set" / "images" / "train"))
    assert [str(label_path_for(image)) for image in images] == img2label_paths(images)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
        ("/images/set/images/a.b.jpg", "/images/set/labels/a.b.txt"),
        ("/d/photos/a.jpg", "/d/photos/a.txt"),
    ],
)
def test_label_path(image: str, label: str) -> None:
    assert str(label_path_for(image)) == label.replace("/", os.sep)


@pytest.mark.parametrize(
    ("keys", "drop", "message"),
    [
        ({}, ("names",), "has no class names"),
        ({"nc": 2}, ("names",), "has no class names"),
        ({"names": []}, (), "'names' is empty"),
        ({"names": "pole"}, (), "must be a list or a mapping from class index, got str 'pole'"),
        ({"names": {0: "pole", 2: "sign"}}, (), "must run from 0 to 1 without a gap, got 0, 2"),
        ({"names": {"pole": 0}}, (), "has the key 'pole'; expected class indices"),
        ({"names": ["pole", None]}, (), "gives class 1 no name"),
        ({"names": ["pole", "pole"]}, (), "'pole' stands twice"),
        ({"nc": 3}, (), "'nc' is 3 but 'names' has 2"),
        ({"nc": "many"}, (), "'nc' must be the number of classes, got 'many'"),
        ({"path": 3}, (), "'path' must be a folder, got int 3"),
        ({"train": {"a": 1}}, (), "'train' must be a folder"),
        ({"train": []}, (), "'train' must be a folder"),
        ({}, ("train",), r"names no 'train:' split \(it names: val\)"),
        ({"val": "images/nowhere"}, (), "'val:' points to .*images/nowhere, which does not exist"),
        ({"val": "labels"}, (), "'val:' points to .*labels, which does not exist"),
    ],
)
def test_errors_name_the_file_and_the_fault(
    make_dataset: MakeDataset, keys: dict[str, Any], drop: tuple[str, ...], message: str
) -> None:
    path = make_dataset(drop=drop, **keys)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_split(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(val="empty")
    (tmp_path / "set" / "empty").mkdir()
    with pytest.raises(DataError, match=r"'val:' split has no images in .*empty; expected files that end in"):
        read_dataset_yaml(path)
    assert read_dataset_yaml(path, required=("train",)).splits["val"] == [tmp_path / "set" / "empty"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"names: [a\ntrain: x", r"data\.yaml:2 is not valid YAML"),
        (b"just text", "is not a data-set file"),
        (b"", "is not a data-set file"),
        (b"\xff\xfen\x00a\x00", "is not UTF-8 text"),
    ],
)
def test_malformed_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_dataset_yaml(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.yaml does not exist"):
        read_dataset_yaml(tmp_path / "none.yaml")
    with pytest.raises(DataError, match="is a folder; name the data-set YAML"):
        read_dataset_yaml(tmp_path)


@pytest.mark.parametrize("path", ["/home/anna/sets/set", "C:\\sets\\set", "../../datasets/set", "set"])
def test_a_yaml_of_another_machine_falls_back_to_its_own_folder(make_dataset: MakeDataset, path: str) -> None:
    description = read_dataset_yaml(make_dataset(path=path))
    assert names_of(description.images("train")) == ["a.PNG", "b.jpg"]
    assert len(description.notes) == 1 and description.notes[0].startswith(f"'path: {path}' is not there")


@pytest.mark.parametrize(
    "entry", ["/content/drive/set/images/val", "D:\\set\\images\\val", "Images/VAL", "../val", "data/images/val"]
)
def test_a_split_of_another_machine_is_found_by_the_end_of_its_path(make_dataset: MakeDataset, entry: str) -> None:
    path = make_dataset(val=entry)
    if entry == "../val":
        (path.parent / "images/val").rename(path.parent / "val")
    description = read_dataset_yaml(path)
    folder = "val" if entry == "../val" else "images/val"
    assert description.splits["val"] == [path.parent / folder]
    # Roboflow's `../` is so usual that it is forgiven without a word, as upstream does.
    assert bool(description.notes) is (entry != "../val")


def test_a_last_folder_that_could_be_any_is_no_guess(make_dataset: MakeDataset) -> None:
    path = make_dataset(val="valid/images")
    with pytest.raises(DataError, match=r"'val:' points to .*valid/images, which does not exist"):
        read_dataset_yaml(path)


def test_lines_of_a_list_are_found_by_the_end_of_their_path_and_noted(make_dataset: MakeDataset) -> None:
    path = make_dataset(train="train.txt")
    lines = ["data/images/train/b.jpg", "C:\\x\\images\\train\\A.png", "./images/train/gone.jpg"]
    (path.parent / "train.txt").write_text("\n".join(lines))
    description = read_dataset_yaml(path)
    for _ in range(2):
        assert names_of(description.images("train")) == ["a.PNG", "b.jpg", "gone.jpg"]
    assert description.notes == [
        "train.txt: lines found by the end of their path: 2, such as data/images/train/b.jpg as images/train/b.jpg"
    ]
    written = description.write_for_ultralytics(path.parent / "run")
    listed = (written.parent / "data_train.txt").read_text().splitlines()
    assert listed[:2] == [str(path.parent / "images/train" / name) for name in ("a.PNG", "b.jpg")]


def test_names_stay_as_they_are_written_in_what_upstream_reads(make_dataset: MakeDataset, tmp_path: Path) -> None:
    path = make_dataset(drop=("names",))
    names = ["no", "yes", "1e3", "0x10", "12:30", "null2", "~x", "off"]
    path.write_text(path.read_text() + "names:\n" + "".join(f"  - {name}\n" for name in names))
    description = read_dataset_yaml(path)
    assert description.class_names == names
    written = yaml.safe_load(description.write_for_ultralytics(tmp_path / "run").read_text())
    assert list(written["names"].values()) == names


@pytest.mark.parametrize("text", ["a: &a [*a]\nnames: *a\n", "a: &a {b: *a}\nnames: [x]\ntrain: images\n"])
def test_a_value_inside_itself_is_no_data_set(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match="nested too deeply"):
        read_dataset_yaml(tmp_path / "data.yaml")
