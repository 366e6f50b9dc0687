"""What stands under `reg.assign:`."""

from __future__ import annotations

import pytest

from reg_yolo.config.descriptions import loss_terms
from reg_yolo.config.merging import merge_reg
from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError


def test_the_kind_alone_and_a_section() -> None:
    alone = RegSettings.from_mapping({"preset": "stock", "assign": "iac"})
    assert alone == RegSettings.from_mapping({"preset": "stock", "assign": {"kind": "iac"}})
    assert (alone.assign.alpha, alone.assign.threshold, alone.assign.recall_target) == (0.75, 0.5, "ignore")
    assert not alone.is_stock and alone.is_neutral and RegSettings.from_mapping("stock").is_stock
    assert RegSettings.from_mapping(alone.to_dict()) == alone


def test_a_later_layer_adds_to_the_kind() -> None:
    merged = merge_reg({"assign": "iac"}, {"assign": {"threshold": 0.4}})
    assert merged["assign"] == {"kind": "iac", "threshold": 0.4}
    assert merge_reg({"assign": {"kind": "iac", "alpha": 0.5}}, {"assign": "task_aligned"})["assign"] == {
        "kind": "task_aligned",
        "alpha": 0.5,
    }


def test_descriptions_name_it() -> None:
    text = dict(loss_terms(RegSettings.from_mapping({"preset": "stock", "assign": "iac"})))["assign"]
    assert "0.75 p + 0.25 intersection/smaller area >= 0.5" in text and "CLE eq. 5-7" in text
    assert "assign" not in dict(loss_terms(RegSettings.from_mapping("stock")))


@pytest.mark.parametrize(
    ("assign", "message"),
    [
        ("iak", "iac"),
        ({"kind": "iac", "treshold": 0.4}, "threshold"),
        ({"kind": "iac", "recall_target": "ioU"}, "iou"),
        ({"kind": "iac", "threshold": 1.2}, "reg.assign.threshold"),
    ],
)
def test_errors_name_the_nearest(assign: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RegSettings.from_mapping({"preset": "stock", "assign": assign})
