"""The `sampling:` section: short form, layers, ranges, and what two of them differ in."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.config.loader import load_config
from reg_yolo.config.sampling import SamplingSettings, sampling_differences
from reg_yolo.config.schema import json_schema
from reg_yolo.errors import ConfigError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "roads.yaml").write_text("train: images\nval: images\nnames: {0: sign}\n")
    path = tmp_path / "base.yaml"
    path.write_text("model: yolov8n.yaml\ndata: roads.yaml\nsampling: repeat_factor\n")
    return path


def test_a_method_by_name_and_keys_above_it(base: Path) -> None:
    assert load_config(base).sampling == SamplingSettings(method="repeat_factor")
    config = load_config(base, ["sampling.threshold=0.01", "sampling.copy_paste.probability=0.3"])
    assert config.sampling.method == "repeat_factor"
    assert config.sampling.threshold == 0.01
    assert config.sampling.copy_paste.probability == 0.3
    heir = base.with_name("heir.yaml")
    heir.write_text("extends: base.yaml\nsampling: {epoch: scaled}\n")
    assert load_config(heir).sampling == SamplingSettings(method="repeat_factor", epoch="scaled")
    # A layer that names a method starts afresh, so that `sampling=none` is none.
    assert load_config(heir, ["sampling.copy_paste.probability=1", "sampling=none"]).sampling == SamplingSettings(
        copy_paste={"probability": 1.0}
    )
    heir.write_text("extends: base.yaml\nsampling: {copy_paste: {probability: 0.5}}\n")
    assert not load_config(heir).sampling.is_stock
    assert load_config(heir, ["sampling=none"]).sampling.is_stock


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sampling=repeat", 'sampling.method: got "repeat", expected one of none, repeat_factor'),
        ("sampling.threshold=0", "sampling.threshold: got 0, expected"),
        ("sampling.treshold=0.1", "Did you mean sampling.threshold?"),
        ("sampling.copy_paste.classes=[sign, sign]", "each once"),
        ("rect=true", "orders the images by shape"),
    ],
)
def test_wrong_values_are_refused(base: Path, word: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(base, [word], train_keys={"rect": False})
    assert message in str(refused.value)


def test_the_stock_sampling_is_the_default_and_says_so() -> None:
    assert SamplingSettings().is_stock
    assert not SamplingSettings(method="repeat_factor").is_stock
    assert not SamplingSettings.from_mapping({"copy_paste": {"probability": 0.1}}).is_stock


def test_differences_name_every_key() -> None:
    old = SamplingSettings.from_mapping({"method": "repeat_factor", "copy_paste": {"probability": 0.5}})
    new = SamplingSettings.from_mapping({"method": "repeat_factor", "threshold": 0.1})
    assert sampling_differences(old, new) == [
        'sampling.threshold: "median", now 0.1',
        "sampling.copy_paste.probability: 0.5, now 0.0",
    ]
    assert sampling_differences(old, SamplingSettings.from_mapping(old.to_dict())) == []


def test_json_schema_knows_the_short_form() -> None:
    options = json_schema()["properties"]["sampling"]["anyOf"]
    assert {"type": "string", "enum": ["none", "repeat_factor", "instance_repeat_factor"]} in options
