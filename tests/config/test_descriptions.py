"""The text of `reg-yolo config --losses` follows from the settings."""

import pytest

from reg_yolo.config.descriptions import BOX_LOSSES, describe_losses, loss_terms
from reg_yolo.config.presets import PRESETS
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.reg_sections import BoxSettings


def test_every_preset_and_paper_is_there() -> None:
    text = describe_losses()
    for name in PRESETS:
        assert f"\n{name}" in text
    for tag in ("REG §2.1", "REG §2.3", "REG §2.5", "REG A.8 eq. 1", "REG A.10.2", "EIOU eq. 10-11", "CLE eq. 2-4"):
        assert tag in text


def test_every_box_loss_has_a_description() -> None:
    choices = BoxSettings.model_json_schema()["properties"]["loss"]["enum"]
    assert set(BOX_LOSSES) == set(choices)


def test_every_box_loss_and_what_no_preset_has_is_listed_with_its_keys() -> None:
    lines = describe_losses().splitlines()
    listed = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert set(BOX_LOSSES) <= set(listed)
    for name, key in (
        ("focal_eiou", "weight_gradient"), ("focal_eiou_v1", "[beta]"), ("focal_eiou_star", "form: clamped or printed"),
        ("smooth_l1", "[beta]"), ("focal_l1", "beta 0.8"), ("balanced_l1", "small_gain, large_slope"),
        ("gain", "2.5 for IoU losses"), ("train.optimizer=RiemannianAdamW", "(REG §2.6.1)"),
        ("reg.proximal.enabled=true", "(REG §2.6.3)"), ("model=yolov8n-leaky.yaml", "(REG-blog)"),
    ):  # fmt: skip
        assert key in listed[name], name


def test_only_active_terms_are_named() -> None:
    labels = {name: [label for label, _ in loss_terms(RegSettings.from_mapping(name))] for name in PRESETS}
    assert labels == {
        "stock": ["class", "box"],
        "gfl": ["class", "pixels", "box", "scale"],
        "sigmoid_focal": ["class", "box", "scale"],
        "varifocal": ["class", "box", "scale"],
        "reg": ["class", "alpha", "pixels", "box", "scale"],
        "reg_v1": ["class", "alpha", "g", "pixels", "g (pix.)", "box", "scale"],
        "reg_u": ["class", "alpha", "g", "p-hat", "box", "scale"],
        "reg_printed": ["class", "alpha", "g", "p-hat", "g (mask)", "pixels", "g (pix.)", "box", "scale"],
        "blog": ["class", "pixels", "box"],
        "efl": ["class", "box", "scale"],
        "reg_efl": ["class", "alpha", "g", "box", "scale"],
        "focal_eiou": ["class", "box"],
        "cle": ["class", "lambda", "box", "scale"],
    }


@pytest.mark.parametrize(
    ("given", "label", "part"),
    [
        ({"focal": {"gamma": 1.25}}, "class", "|y - p|^1.25 BCE(z, y)"),
        ({"focal": {"form": "printed"}}, "class", "over positives"),
        ({"uncertainty": {"mode": "truncated_normal", "deviation": 0.2}}, "p-hat", "cut to [0,1], s = 0.2"),
        ({"uncertainty": {"mode": "logit_normal", "deviation": "learned"}}, "p-hat", "s learned for each class"),
        ({"uncertainty": {"mode": "free_energy"}}, "class", "F(q) = E_q["),
        ({"uncertainty": {"mode": "free_energy"}}, "p-hat", "prior N(the head's first bias, 3^2)"),
        ({"alpha": {"weights": [1, 2.5]}}, "alpha", "given: 1, 2.5, on positives"),
        ({"alpha": {"scheme": "dual"}}, "alpha", "REG §2.6.2"),
        ({"spatial": {"delta": -1}}, "g", "sigmoid(3 (d + 1))"),
        ({"spatial": {"distance": "edge"}}, "g", "border distance over the stride"),
        ({"box": {"loss": "focal_eiou", "gamma": 2}}, "box", "IoU^2 EIoU"),
        ({"box": {"loss": "focal_eiou", "weight_gradient": True}}, "box", "min(sum of y, 1) (EIOU"),
        ({"box": {"loss": "focal_eiou_star", "form": "printed"}}, "box", "as printed"),
        ({"box": {"loss": "focal_eiou_v1", "beta": 0.5}}, "box", "beta 0.5"),
        ({"box": {"loss": "focal_l1"}}, "box", "beta 0.8"),
        ({"box": {"loss": "balanced_l1", "small_gain": 0.4}}, "box", "alpha 0.4, gamma 1.5, beta 1"),
        ({"box": {"gain": 2.5}}, "box", "2.5 x CIoU"),
        ({"alpha": {"mitigation": 0.5}}, "M", "min(1, N_c'/N_c)^0.5"),
        ({"alpha": {"mitigation": 0.5}}, "class", "BCE(z, y) M g / S"),
        ({"spatial": {"keep_hard": 2}}, "g", "1 - (1 - max(sigmoid(3 (d - 1)), 0.1)) (1 - p)^2 on negatives"),
        ({"focal": {"form": "equalized", "s": 4}}, "class", "e_c/1.5 |y - p|^e_c BCE(z, y) g / S (EFL eq. 3-4"),
        ({"focal": {"form": "equalized", "s": 4}}, "class", "e_c = 1.5 + 4 (1 - g_c)"),
        ({"focal": {"form": "sigmoid"}}, "class", "(0.25 y + 0.75 (1 - y)) (1 - p_t)^1.5 BCE(z, y) g / S (focal loss"),
        ({"focal": {"form": "varifocal", "alpha": 0.5}}, "class", "(y where y > 0, 0.5 p^1.5 elsewhere) BCE(z, y) g"),
        ({"mask": {"spatial": {"enabled": True}}}, "g (mask)", "max(sigmoid(-0.5 (d - 4)), 0.1) on pixels outside"),
        (
            {"proximal": {"enabled": True, "steps": 5, "eta": 2}},
            "prox",
            "5 gradient steps on norm^2 / (2 x 2 x lr) + G",
        ),
        ({"proximal": {"enabled": True}, "spatial": {"delta": 3, "distance": "edge"}}, "prox", "3 strides from its"),
        ({"scale": 3}, "scale", "3"),
        ({"scale": "by_gamma"}, "scale", "measured for gamma 1.5"),
        ({"scale": "auto"}, "scale", "first training batch"),
    ],
)
def test_terms_show_their_values(given: dict[str, object], label: str, part: str) -> None:
    assert part in dict(loss_terms(RegSettings.from_mapping({"preset": "reg_v1", **given})))[label]
