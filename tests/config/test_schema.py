"""The schema as a whole: its JSON form for editors, models that fit tasks, what Python callers may hand in."""

import json

import pytest
from pydantic import ValidationError

from reg_yolo.config.presets import PRESETS
from reg_yolo.config.problems import explain, nearest
from reg_yolo.config.schema import AlbumentationsSettings, RunConfig, json_schema
from reg_yolo.errors import ConfigError

LEAST = {"model": "yolov8n.yaml", "data": "roads.yaml"}


def test_json_schema_is_json_and_describes_every_key() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["additionalProperties"] is False
    assert "extends" in schema["properties"]
    assert "required" not in schema
    for name, definition in schema["$defs"].items():
        for key, node in definition["properties"].items():
            assert node.get("description"), f"{name}.{key} has no description"
    for key, node in schema["properties"].items():
        assert node.get("description"), f"{key} has no description"


def test_json_schema_knows_the_short_form_of_sections() -> None:
    options = json_schema()["properties"]["reg"]["anyOf"]
    assert {"type": "string", "enum": list(PRESETS)} in options


def test_python_data_round_trip() -> None:
    config = RunConfig.model_validate({**LEAST, "train": {"epochs": 1}, "reg": "gfl"})
    assert RunConfig.model_validate(config.to_dict()) == config


@pytest.mark.parametrize(
    ("task", "model", "expected"),
    [
        ("detect", "yolov8s-seg.pt", "yolov8s.pt"),
        ("detect", "yolov8n-seg-p6.yaml", "yolov8n-p6.yaml"),
        ("segment", "yolov8x.yaml", "yolov8x-seg.yaml"),
        ("joint", "yolov8m.pt", "yolov8m-seg.pt"),
        ("segment", "yolov8l-p6.yaml", "yolov8l-seg-p6.yaml"),
    ],
)
def test_a_stock_model_with_the_wrong_head_is_refused(task: str, model: str, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({**LEAST, "task": task, "model": model})
    assert explain(caught.value, RunConfig) == f"model: {model} does not fit task {task}; expected {expected}"


@pytest.mark.parametrize(
    ("task", "model"),
    [("detect", "yolov8n-p2.yaml"), ("joint", "yolov8n-seg.pt"), ("detect", "/runs/best.pt"), ("semantic", "x.yaml")],
)
def test_fitting_and_unknown_models_pass(task: str, model: str) -> None:
    assert RunConfig.model_validate({**LEAST, "task": task, "model": model}).model == model


def test_a_class_named_twice_is_refused() -> None:
    given = {**LEAST, "task": "joint", "model": "yolov8n-seg.pt", "mask_classes": ["sign", "wall", "sign"]}
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate(given)
    assert explain(caught.value, RunConfig) == "mask_classes: names the class sign twice"


def test_albumentations_settings_from_python() -> None:
    assert AlbumentationsSettings.from_mapping(None).is_stock
    assert AlbumentationsSettings.from_mapping("highway").preset == "highway"
    assert not AlbumentationsSettings.from_mapping({"mode": "replace"}).is_stock
    settings = AlbumentationsSettings.from_mapping({"transforms": ["Blur", {"CLAHE": None}]})
    assert settings.transforms == ["Blur", {"CLAHE": {}}]
    assert AlbumentationsSettings.from_mapping(settings.to_dict()) == settings
    with pytest.raises(
        ConfigError, match=r"^albumentations\.transform: unknown key\. Did you mean albumentations\.trans"
    ):
        AlbumentationsSettings.from_mapping({"transform": []})
    with pytest.raises(ConfigError, match=r"^albumentations\.transforms\[0\]: got 0 names in one entry"):
        AlbumentationsSettings.from_mapping({"transforms": [{}]})


def test_nearest_names() -> None:
    assert nearest("epoch", ["epochs", "box"]) == "epochs"
    assert nearest("gamma", ["reg.focal.gamma", "mask"]) == "reg.focal.gamma"
    assert nearest("EPOCHS", ["epochs"]) == "epochs"
    assert nearest("zzz", ["epochs"]) is None
    assert nearest("x", []) is None


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"resume": True}, "train.resume: not taken here; use reg-yolo train --resume RUN"),
        ({"lr0": float("inf")}, "train.lr0: got .inf, expected a finite number"),
    ],
)
def test_arguments_that_are_ours_to_set_are_refused_from_python_too(train: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({**LEAST, "train": train})
    assert explain(caught.value, RunConfig) == message
