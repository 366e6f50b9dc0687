"""Whatever a user writes, in a file or on the command line, either loads or is a ConfigError."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reg_yolo.config.loader import dump_config, load_config
from reg_yolo.config.problems import schema_keys
from reg_yolo.config.reg import RegSettings, differences
from reg_yolo.config.schema import RunConfig
from reg_yolo.config.yaml_text import dump_yaml, read_yaml
from reg_yolo.errors import ConfigError

SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = [*schema_keys(RunConfig.model_json_schema()), "epochs", "lr0", "device", "extends", "reg.preset", "data.detect"]
YAMLISH = st.text(alphabet=st.sampled_from(list("abegmor.:,-[]{}'\"&*!|>%@#~<?= \n\t01e9_\\x\u0e01")), max_size=60)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["reg", "gfl", "none", "auto", "dfl", "off", "balanced", "1e-3", "yolov8n.yaml", "highway"]),
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        (path / "roads.yaml").write_text("names: [sign]\n")
        (path / "base.yaml").write_text("model: yolov8n.yaml\ndata: roads.yaml\n")
        yield path


def nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def loads_or_refuses(source: str, words: list[str], folder: Path, **more: Any) -> RunConfig | None:
    try:
        return load_config(source, words, cwd=folder, **more)
    except ConfigError as error:
        assert str(error)
        return None


@SLOW
@given(st.lists(st.one_of(YAMLISH, st.text(max_size=30)), max_size=3), st.booleans())
def test_any_words_on_the_command_line(folder: Path, words: list[str], checked: bool) -> None:
    loads_or_refuses("base.yaml", words, folder, train_keys={"epochs": 100} if checked else None)


@SLOW
@given(st.sampled_from(KEYS), st.one_of(YAMLISH, st.text(max_size=20), PLAIN.map(lambda value: repr(value))))
def test_any_value_for_any_key(folder: Path, key: str, text: str) -> None:
    loads_or_refuses("base.yaml", [f"{key}={text}"], folder)


@SLOW
@given(st.one_of(YAMLISH.map(str.encode), st.binary(max_size=60)), st.booleans())
def test_any_text_as_a_file(folder: Path, text: bytes, after_base: bool) -> None:
    (folder / "any.yaml").write_bytes((b"extends: base.yaml\n" if after_base else b"") + text)
    loads_or_refuses("any.yaml", [], folder)


@SLOW
@given(st.sampled_from(KEYS), PLAIN)
def test_any_data_for_any_key_in_a_file(folder: Path, key: str, value: Any) -> None:
    values = {"model": "yolov8n.yaml", "data": "roads.yaml", **nested(key, value)}
    (folder / "data.yaml").write_text(dump_yaml(values), encoding="utf-8")
    config = loads_or_refuses("data.yaml", [], folder)
    if config is not None:
        (folder / "dumped.yaml").write_text(dump_config(config), encoding="utf-8")
        assert load_config("dumped.yaml", cwd=folder) == config


@SLOW
@given(st.text(max_size=40))
def test_any_name_of_a_configuration(folder: Path, name: str) -> None:
    loads_or_refuses(name, [], folder)


@SLOW
@given(PLAIN)
def test_plain_data_survives_writing_and_reading(value: Any) -> None:
    again = read_yaml(dump_yaml({"v": value}), "x").value["v"]
    assert repr(again) == repr(value)


@SLOW
@given(st.sampled_from([key for key in KEYS if key.startswith("reg.")]), PLAIN)
def test_any_data_in_the_loss_settings(key: str, value: Any) -> None:
    try:
        loaded = RegSettings.from_mapping(nested(key, value)["reg"])
    except ConfigError:
        return
    assert RegSettings.from_mapping(loaded.to_dict()) == loaded
    assert differences(loaded, loaded.to_dict()) == []
