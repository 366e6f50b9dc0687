"""Configurations of task semantic: what is shipped, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from reg_yolo.config.loader import load_config
from reg_yolo.config.problems import KeyedError, explain
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.schema import RunConfig
from reg_yolo.config.shipped import config_for_model, shipped_model, shipped_names

LEAST = {"task": "semantic", "model": "yolov8n-sem.yaml", "data": "x.yaml"}


@pytest.mark.parametrize("size", list("nsmlx"))
def test_every_size_is_shipped(size: str, tmp_path: Path) -> None:
    config = load_config(f"semantic/yolov8{size}", cwd=tmp_path)
    assert (config.task, config.model) == ("semantic", f"yolov8{size}-sem.yaml")
    assert config.reg == RegSettings.from_mapping("reg")
    assert config_for_model(config.model) == f"semantic/yolov8{size}"
    file, scale = shipped_model(config.model)
    assert (file.name, scale) == ("yolov8-sem.yaml", size)


def test_models_are_no_configurations() -> None:
    assert shipped_names("models") == ["yolov8-leaky", "yolov8-sem"]
    assert not [name for name in shipped_names() if name.startswith("models/")]
    assert shipped_model("yolov8n.yaml") is None


def test_shipped_weights_can_be_started_from_by_name(tmp_path: Path) -> None:
    config = load_config("semantic/yolov8n", ["pretrained=highway_yolov8n.pt"], cwd=tmp_path)
    assert Path(config.train["pretrained"]).is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "yolov8s.yaml"}, "model: yolov8s.yaml does not fit task semantic; expected yolov8s-sem.yaml"),
        (
            {"model": "yolov8m-seg.pt"},
            "model: yolov8m-seg.pt does not fit task semantic; expected yolov8m-sem.yaml with "
            "train.pretrained: yolov8m-seg.pt",
        ),
        ({"task": "detect"}, "model: yolov8n-sem.yaml does not fit task detect; expected yolov8n.yaml"),
        ({"task": "segment"}, "model: yolov8n-sem.yaml does not fit task segment; expected yolov8n-seg.yaml"),
        ({"reg": "cle"}, "reg.dynamic_coefficient.enabled: weighs by how well boxes are placed"),
        ({"sampling": {"copy_paste": {"probability": 0.5}}}, "sampling.copy_paste: pastes objects with their boxes"),
        ({"suppression": "soft"}, "suppression: chooses between overlapping boxes"),
        ({"reg": {"proximal": {"enabled": True}}}, "reg.proximal.enabled: steps on the last class convolutions"),
        ({"train": {"single_cls": True}}, "train.single_cls: makes one class of all boxes"),
    ],
)
def test_what_does_not_fit_pixels_is_refused(given: dict, message: str) -> None:
    with pytest.raises((ValidationError, KeyedError)) as caught:
        RunConfig.model_validate({**LEAST, **given})
    error = caught.value
    text = explain(error, RunConfig) if isinstance(error, ValidationError) else f"{'.'.join(error.path)}: {error}"
    assert text.startswith(message)


def test_the_papers_form_is_in_the_presets_of_the_papers() -> None:
    for name in ("reg_printed", "blog"):
        semantic = RegSettings.from_mapping(name).semantic
        assert (semantic.dice, semantic.auxiliary) == (False, 0.0)
    assert RegSettings.from_mapping("stock").is_stock_on_pixels
    assert not RegSettings.from_mapping({"preset": "stock", "semantic": {"dice": False}}).is_stock_on_pixels


@pytest.mark.parametrize(
    ("reg", "scale"),
    [("stock", 1.0), ("gfl", None), ("reg", None), ({"preset": "gfl", "scale": 2.0}, 2.0), ("reg_printed", 1.0)],
)
def test_the_factor_is_a_number_or_left_to_the_first_batch(reg: object, scale: float | None) -> None:
    assert RegSettings.from_mapping(reg).pixel_scale == scale
