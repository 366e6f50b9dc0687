"""The named loss settings, as plain data.

Each preset lists only where it departs from `stock`, and `stock` is empty: the defaults of the schema are the neutral
values, with which the criterion equals the one of Ultralytics. What a user writes stands above the preset.
"""

from __future__ import annotations

from typing import Any, Final, Literal

Preset = dict[str, Any]

PresetName = Literal[
    "stock",
    "gfl",
    "reg",
    "reg_v1",
    "reg_u",
    "reg_printed",
    "blog",
    "sigmoid_focal",
    "varifocal",
    "efl",
    "reg_efl",
    "focal_eiou",
    "cle",
]

DEFAULT_PRESET: Final[PresetName] = "reg"

# REG §2.1 with A.10.2's weights tempered to alpha^0.5 and §2.3's g on negatives only: as printed, a positive beta
# switches the positives off, because they lie close to an object.
_REG_V1: Preset = {
    "alpha": {"scheme": "balanced", "temper": 0.5, "on": "positives"},
    "focal": {"gamma": 1.5, "form": "soft"},
    "spatial": {
        "enabled": True,
        "beta": 3.0,
        "delta": 1.0,
        "distance": "center",
        "scope": "negatives",
        "floor": 0.1,
    },
    # §2.3's order on pixels too: background far from every object of the predicted class weighs most.
    "semantic": {"spatial": {"enabled": True, "beta": 0.5, "delta": 2.0, "scope": "negatives", "floor": 0.1}},
    "scale": "auto",
}

# What of it was not worse than the stock loss where it was measured, docs/evidence.md: alpha. gamma and g are neutral;
# g keeps the values with which it can be switched on, and the factor is the one measured for gamma.
_REG: Preset = {
    "alpha": _REG_V1["alpha"],
    "spatial": {**_REG_V1["spatial"], "enabled": False},
}

PRESETS: dict[str, Preset] = {
    "stock": {},
    # GFL's quality focal loss with the paper's exponent. Its distribution focal loss is the box branch YOLOv8 has.
    "gfl": {"focal": {"gamma": 2.0, "form": "soft"}},
    "reg": _REG,
    # All terms as REG has them; what `reg` was in version 1.
    "reg_v1": _REG_V1,
    # REG §2.5 with a p-hat that differs from p: the mean of a logit-normal whose deviation is the anchor's own blur.
    "reg_u": {**_REG_V1, "uncertainty": {"mode": "logit_normal", "deviation": "dfl"}},
    # The equations as they stand in print, for comparison: A.8 (1) unnormalised, A.10.2's hard indicator on both
    # signs, g everywhere and without a floor, p-hat identically p. No scale factor, because print has none.
    "reg_printed": {
        "alpha": {"scheme": "inverse_frequency", "temper": 1.0, "on": "both"},
        "focal": {"gamma": 1.5, "form": "printed"},
        "spatial": {
            "enabled": True,
            "beta": 3.0,
            "delta": 1.0,
            "distance": "center",
            "scope": "all",
            "floor": 0.0,
        },
        "uncertainty": {"mode": "printed"},
        "mask": {"spatial": {"enabled": True, "beta": 3.0, "delta": 1.0, "scope": "all", "floor": 0.0}},
        "semantic": {
            "dice": False,
            "auxiliary": 0.0,
            "spatial": {"enabled": True, "beta": 3.0, "delta": 1.0, "scope": "all", "floor": 0.0},
        },
        "scale": 1.0,
    },
    # REG-blog's baseline: SmoothL1 boxes and cross-entropy, a binary one for each class because its y-hat is a sigmoid.
    # The model yolov8n-leaky.yaml is its network.
    "blog": {"box": {"loss": "smooth_l1"}, "semantic": {"dice": False, "auxiliary": 0.0}},
    # Lin et al. 2017 and Zhang et al. 2021 with the papers' alpha and gamma, on YOLOv8's soft targets.
    "sigmoid_focal": {"focal": {"gamma": 2.0, "form": "sigmoid"}},
    "varifocal": {"focal": {"gamma": 2.0, "form": "varifocal"}},
    # Equalized Focal Loss (Li et al. 2022) with the paper's gamma_b and s, on soft targets; its union with alpha and
    # g of `reg_v1`, at a factor that is measured for the exponent.
    "efl": {"focal": {"gamma": 2.0, "form": "equalized", "s": 8.0}},
    "reg_efl": {**_REG_V1, "focal": {"gamma": 1.5, "form": "equalized", "s": 8.0}, "scale": "by_gamma"},
    # EIOU (10)-(11) on boxes; classes stay stock, so that a difference to `stock` is the box loss alone.
    "focal_eiou": {"box": {"loss": "focal_eiou", "gamma": 0.5}},
    # CLE (2)-(4) shift weight between positives at an unchanged sum. CLE's thresholds of 0.5 and 0.4 are those of
    # detectors trained with a focal loss, so L_i is a focal loss here too, with the exponent of preset `reg_v1`: the
    # two presets then differ by lambda against alpha and g, not by gamma.
    "cle": {
        "focal": {"gamma": 1.5, "form": "soft"},
        "dynamic_coefficient": {"enabled": True, "unit": "stride"},
    },
}
