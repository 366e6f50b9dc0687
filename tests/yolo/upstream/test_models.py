"""Models of ours build at every scale, are stock apart from what they say, and leave other models alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv
from ultralytics.nn.tasks import DetectionModel

from reg_yolo.yolo.upstream.models import read_model


@pytest.mark.parametrize("scale", list("nsmlx"))
def test_the_leaky_network_is_yolov8_with_another_activation(scale: str) -> None:
    with torch.device("meta"):
        # Strides need numbers, so only the layers' shapes are compared.
        shapes = [
            {name: tuple(value.shape) for name, value in _layers(model, scale).state_dict().items()}
            for model in (f"yolov8{scale}.yaml", read_model(f"yolov8{scale}-leaky.yaml"))
        ]
    assert shapes[0] == shapes[1] and len(shapes[0]) > 300


def _layers(model, scale: str) -> nn.Module:
    from ultralytics.nn.tasks import parse_model, yaml_model_load

    content = yaml_model_load(model) if isinstance(model, str) else model
    assert content["scale"] == scale
    return parse_model({**content, "nc": 3}, ch=3, verbose=False)[0]


def test_every_activation_is_leaky_and_the_next_model_is_stock_again() -> None:
    model = DetectionModel(read_model("yolov8n-leaky.yaml"), nc=3, verbose=False)
    kinds = [type(m.act) for m in model.modules() if isinstance(m, Conv)]
    assert set(kinds) == {nn.LeakyReLU} and len(kinds) == 57
    assert {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}
    assert not [m for m in model.modules() if isinstance(m, nn.SiLU)]
    stock = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    assert {type(m.act) for m in stock.modules() if isinstance(m, Conv)} == {nn.SiLU}


def test_other_models_are_left_to_upstream() -> None:
    for model in ("yolov8n.yaml", "my/yolov8n-leaky.yaml", {"nc": 3}, None):
        assert read_model(model) is model
