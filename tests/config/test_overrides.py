"""Settings on the command line: `key=value`, ours dotted, Ultralytics' under their own names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.config.loader import load_config
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.schema import RunConfig
from reg_yolo.errors import ConfigError

Write = Callable[[str, str], Path]


@pytest.fixture
def load(write: Write, tmp_path: Path, train_keys: dict[str, Any]) -> Callable[..., RunConfig]:
    path = write("a.yaml", "extends: detect/yolov8n\ndata: roads.yaml\n")

    def load_with(*overrides: str) -> RunConfig:
        return load_config(path, overrides, train_keys=train_keys, cwd=tmp_path)

    return load_with


def test_bare_keys_are_arguments_of_ultralytics(load: Callable[..., RunConfig]) -> None:
    train = load("epochs=3", "train.imgsz=320", "lr0=1e-3", "classes=[0, 2]", "name=no", "plots=no").train
    expected = {"epochs": 3, "imgsz": 320, "lr0": 0.001, "classes": [0, 2], "name": "no", "plots": False}
    assert {key: train[key] for key in expected} == expected
    assert isinstance(train["lr0"], float)


def test_names_that_both_sides_have_go_to_ultralytics_when_bare(load: Callable[..., RunConfig]) -> None:
    config = load("scale=0.3", "box=5", "reg.scale=2", "reg.box.loss=eiou")
    assert (config.train["scale"], config.train["box"]) == (0.3, 5)
    assert (config.reg.scale, config.reg.box.loss) == (2.0, "eiou")


def test_later_words_count_and_both_spellings_are_one_key(load: Callable[..., RunConfig]) -> None:
    assert load("epochs=3", "train.epochs=4").train["epochs"] == 4
    assert load("train.epochs=4", "epochs=3").train["epochs"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("reg=gfl", "reg.focal.gamma=1"),
        ("reg.focal.gamma=1", "reg=gfl"),
        ("reg.preset=gfl", "reg.focal.gamma=1"),
        ("reg={preset: gfl, focal: {gamma: 1}}",),
        ("reg={preset: gfl}", "reg.focal={gamma: 1}"),
    ],
)
def test_a_preset_and_a_key_above_it_in_any_order(load: Callable[..., RunConfig], words: tuple[str, ...]) -> None:
    assert load(*words).reg == RegSettings.from_mapping({"preset": "gfl", "focal": {"gamma": 1}})


def test_a_preset_on_the_command_line_drops_the_files_values(load: Callable[..., RunConfig]) -> None:
    assert load("reg=stock").reg == RegSettings.from_mapping("stock")
    assert load("reg.focal.gamma=2").reg.alpha.scheme == "balanced"


def test_weights_on_the_command_line_replace_the_scheme(load: Callable[..., RunConfig]) -> None:
    assert load("reg.alpha.weights=[1, 2]").reg.alpha.scheme == "none"


def test_albumentations_by_preset(load: Callable[..., RunConfig]) -> None:
    assert load().albumentations.preset == "highway"
    assert load("albumentations=none").albumentations.is_stock
    assert load("albumentations.transforms=[Blur]").albumentations.transforms == ["Blur"]
    assert load("albumentations.transforms=[Blur]").albumentations.preset == "highway"


def test_without_the_list_of_arguments_any_bare_key_passes() -> None:
    assert read_overrides(["anything=1"]).values == {"train": {"anything": 1}}


WRONG = [
    ("epoch=3", "epoch: unknown key (command line). Did you mean epochs?"),
    ("gama=2", "gama: unknown key (command line). Did you mean reg.focal.gamma?"),
    ("focal.gamma=1", "focal.gamma: unknown key (command line). Did you mean reg.focal.gamma?"),
    ("reg.focl.gamma=1", "reg.focl: unknown key (command line). Did you mean reg.focal?"),
    ("reg.focal.beta=1", "reg.focal.beta: unknown key (command line). Did you mean reg.spatial.beta?"),
    ("trian.epochs=1", "trian.epochs: unknown key (command line). Did you mean"),
    ("zzzzzz=1", "zzzzzz: unknown key (command line)"),
    ("train.epoch=4", "train.epoch: not an argument of Ultralytics (command line). Did you mean train.epochs?"),
    ("reg.spatial.beta=200", "reg.spatial.beta: got 200, expected a number from -100 to 100 (command line)"),
    ("reg.focal=2", "reg.focal: got 2, expected a mapping of keys (command line)"),
    ("reg=regg", 'reg.preset: got "regg", expected one of stock, gfl, reg'),
    ("lr0=fast", 'train.lr0: got "fast", expected a number such as 0.01 (command line)'),
    ("reg.uncertainty.mode=off", "Did you mean none?"),
    ("epochs", "'epochs' (command line): expected KEY=VALUE, such as epochs=3 or reg.focal.gamma=1.5"),
    ("=3", "'=3' (command line): expected KEY=VALUE"),
    ("reg..gamma=3", "'reg..gamma=3' (command line): expected KEY=VALUE"),
    ("epochs=", "epochs: no value after = (command line); write epochs=null to unset it"),
    ("name=[a", "name=[a (command line): not valid YAML"),
    ("name=@x", "quote text like name='\"...\"'"),
    ("extends=b.yaml", "extends: belongs in a file, not on the command line"),
    ("mode=val", "train.mode: not taken here; the command decides it"),
    ("resume=true", "train.resume: not taken here; use reg-yolo train --resume RUN (command line)"),
    ("trainer=x", "train.trainer: not taken here; task: at the top level chooses the trainer (command line)"),
    ("cls_pw=1", "train.cls_pw: Ultralytics' class weights and ours (reg.alpha) are both on"),
    ("task=segment", "model: yolov8n.yaml does not fit task segment; expected yolov8n-seg.yaml"),
    ("data={detect: roads.yaml, segment: roads.yaml}", "data: two data sets belong to task joint"),
    ("reg.alpha={weights: [1], scheme: dual}", "reg.alpha: give either weights or a scheme, not both"),
    ("mask_classes=[]", "mask_classes: got [], expected a list, each entry text"),
]


@pytest.mark.parametrize(("word", "message"), WRONG, ids=[word for word, _ in WRONG])
def test_errors_say_that_the_command_line_is_meant(load: Callable[..., RunConfig], word: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(word)
    assert message in str(caught.value) and not str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
