"""The loss settings: presets, what overrides them, what is refused, what counts as the stock loss."""

import pickle
from itertools import pairwise
from typing import Any, get_args

import pytest

from reg_yolo.config.loss_scales import CLASS_SCALES, FORM_SCALES, MASK_SCALES
from reg_yolo.config.presets import PRESETS, PresetName
from reg_yolo.config.reg import RegSettings, differences
from reg_yolo.errors import ConfigError


def test_every_preset_name_has_a_preset_and_loads() -> None:
    assert set(PRESETS) == set(get_args(PresetName))
    for name in PRESETS:
        settings = RegSettings.from_mapping(name)
        assert settings.preset == name
        assert RegSettings.from_mapping(settings.to_dict()) == settings


def test_without_a_preset_the_loss_is_reg() -> None:
    expected = RegSettings.from_mapping("reg")
    assert RegSettings.from_mapping(None) == expected
    assert RegSettings.from_mapping({}) == expected
    assert RegSettings() == expected
    assert (expected.alpha.scheme, expected.alpha.temper, expected.alpha.on) == ("balanced", 0.5, "positives")
    assert differences("stock", {"preset": "stock", "alpha": {"scheme": "balanced", "temper": 0.5}}) == [
        line for line in differences("stock", "reg") if "alpha" in line
    ]
    assert not expected.spatial.enabled and not expected.semantic.spatial.enabled
    assert expected.focal.gamma == 0 and expected.scale == "by_gamma"


def test_reg_v1_has_every_term() -> None:
    expected = RegSettings.from_mapping("reg_v1")
    assert expected.to_dict()["focal"] == {"gamma": 1.5, "form": "soft", "alpha": None, "s": 8.0}
    assert expected.spatial.model_dump() == {
        "enabled": True,
        "beta": 3.0,
        "delta": 1.0,
        "distance": "center",
        "scope": "negatives",
        "floor": 0.1,
        "keep_hard": 0.0,
    }
    assert (expected.alpha.scheme, expected.alpha.temper, expected.alpha.on) == ("balanced", 0.5, "positives")
    assert expected.scale == "auto"


def test_presets_differ_from_stock_in_the_terms_they_name() -> None:
    changed = {name: {line.split(".")[1].split(":")[0] for line in differences("stock", name)} for name in PRESETS}
    assert changed == {
        "stock": set(),
        "gfl": {"focal"},
        "sigmoid_focal": {"focal"},
        "varifocal": {"focal"},
        "reg": {"alpha", "spatial"},
        "reg_v1": {"alpha", "focal", "spatial", "semantic", "scale"},
        "reg_u": {"alpha", "focal", "spatial", "semantic", "uncertainty", "scale"},
        "reg_printed": {"alpha", "focal", "mask", "spatial", "semantic", "uncertainty", "scale"},
        "blog": {"box", "semantic"},
        "efl": {"focal"},
        "reg_efl": {"alpha", "focal", "spatial", "semantic"},
        "focal_eiou": {"box"},
        "cle": {"focal", "dynamic_coefficient"},
    }


def test_printed_preset_is_the_printed_form() -> None:
    printed = RegSettings.from_mapping("reg_printed")
    assert (printed.alpha.scheme, printed.alpha.temper, printed.alpha.on) == ("inverse_frequency", 1.0, "both")
    assert printed.focal.form == "printed"
    assert (printed.spatial.scope, printed.spatial.floor) == ("all", 0.0)
    assert printed.uncertainty.mode == "printed"
    assert printed.scale == 1.0


def test_what_stands_beside_a_preset_overrides_it_deeply() -> None:
    settings = RegSettings.from_mapping({"preset": "reg_v1", "spatial": {"beta": -2}})
    assert settings.spatial.beta == -2.0
    assert settings.spatial.floor == 0.1
    assert settings.focal.gamma == 1.5


@pytest.mark.parametrize("section", ["alpha", "focal", "spatial", "uncertainty", "box", "dynamic_coefficient", "scale"])
def test_an_empty_section_says_nothing(section: str) -> None:
    assert RegSettings.from_mapping({"preset": "cle", section: None}) == RegSettings.from_mapping("cle")


def test_explicit_weights_replace_the_scheme_of_the_preset() -> None:
    settings = RegSettings.from_mapping({"preset": "reg", "alpha": {"weights": [1, 2.5]}})
    assert settings.alpha.scheme == "none"
    assert settings.alpha.weights == [1.0, 2.5]
    assert not settings.alpha.is_neutral


@pytest.mark.parametrize(
    ("given", "neutral"),
    [
        ("stock", True),
        ("focal_eiou", True),
        ({"preset": "stock", "uncertainty": {"mode": "printed"}}, True),
        ({"preset": "stock", "alpha": {"scheme": "balanced", "temper": 0}}, True),
        ({"preset": "stock", "alpha": {"weights": [1, 1, 1]}}, True),
        ({"preset": "stock", "scale": 1}, True),
        ({"preset": "stock", "scale": 0.5}, False),
        ({"preset": "stock", "alpha": {"scheme": "dual", "temper": 0}}, False),
        ({"preset": "stock", "alpha": {"weights": [1, 2]}}, False),
        ({"preset": "stock", "alpha": {"scheme": "balanced", "temper": 0.1}}, False),
        ({"preset": "stock", "focal": {"gamma": 0.1}}, False),
        ({"preset": "stock", "focal": {"form": "printed"}}, False),
        ({"preset": "stock", "spatial": {"enabled": True}}, False),
        ({"preset": "stock", "uncertainty": {"mode": "logit_normal"}}, False),
        ({"preset": "stock", "uncertainty": {"mode": "free_energy"}}, False),
        ({"preset": "stock", "dynamic_coefficient": {"enabled": True}}, False),
        ("reg", False),
    ],
)
def test_neutral_means_that_the_class_loss_is_stock(given: Any, neutral: bool) -> None:
    assert RegSettings.from_mapping(given).is_neutral is neutral


def test_stock_means_boxes_too() -> None:
    assert RegSettings.from_mapping("stock").is_stock
    assert not RegSettings.from_mapping("focal_eiou").is_stock


WRONG = [
    ({"focal": {"gama": 1}}, "reg.focal.gama: unknown key. Did you mean reg.focal.gamma?"),
    ({"focl": {"gamma": 1}}, "reg.focl: unknown key. Did you mean reg.focal?"),
    ({"gamma": 1}, "reg.gamma: unknown key. Did you mean reg.focal.gamma?"),
    ({"focal": {"beta": 1}}, "reg.focal.beta: unknown key. Did you mean reg.spatial.beta?"),
    ({"focal": {"gamma": -1}}, "reg.focal.gamma: got -1, expected a number from 0 to 10"),
    ({"focal": {"gamma": "1.5"}}, 'reg.focal.gamma: got "1.5", expected a number from 0 to 10'),
    ({"focal": {"gamma": True}}, "reg.focal.gamma: got true, expected a number from 0 to 10"),
    ({"focal": {"gamma": float("nan")}}, "reg.focal.gamma: got .nan, expected a number from 0 to 10"),
    ({"focal": {"gamma": None}}, "reg.focal.gamma: got null, expected a number from 0 to 10"),
    ({"spatial": {"beta": float("-inf")}}, "reg.spatial.beta: got -.inf, expected a number from -100 to 100"),
    ({"spatial": {"floor": 1}}, "reg.spatial.floor: got 1, expected a number at least 0 and below 1"),
    ({"spatial": {"enabled": "maybe"}}, 'reg.spatial.enabled: got "maybe", expected true or false'),
    ({"spatial": {"enabled": 1}}, "reg.spatial.enabled: got 1, expected true or false"),
    ({"spatial": 3}, "reg.spatial: got 3, expected a mapping of keys"),
    ({"alpha": {"temper": 1.5}}, "reg.alpha.temper: got 1.5, expected a number from 0 to 1"),
    ({"alpha": {"on": "postives"}}, 'got "postives", expected one of positives, both. Did you mean positives?'),
    ({"alpha": {"scheme": "off"}}, "Did you mean none?"),
    ({"alpha": {"weights": []}}, "reg.alpha.weights: got [], expected a list, each entry a number at least 0"),
    ({"alpha": {"weights": [1, -2]}}, "reg.alpha.weights[1]: got -2, expected a number at least 0"),
    ({"alpha": {"weights": [0, 0]}}, "reg.alpha: weights are all 0"),
    ({"alpha": {"scheme": "dual", "weights": [1]}}, "reg.alpha: give either weights or a scheme, not both"),
    ({"alpha": {"dual": {"momentum": 1}}}, "reg.alpha.dual.momentum: got 1, expected a number at least 0 and below 1"),
    (
        {"uncertainty": {"deviation": 0}},
        "reg.uncertainty.deviation: got 0, expected a number above 0 and at most 100 or one of learned, dfl",
    ),
    ({"uncertainty": {"deviation": "dlf"}}, "Did you mean dfl?"),
    ({"uncertainty": {"prior": {"deviation": 0}}}, "reg.uncertainty.prior.deviation: got 0"),
    ({"box": {"loss": "eiuo"}}, "Did you mean eiou?"),
    ({"scale": 0}, "reg.scale: got 0, expected one of by_gamma, auto or a number above 0"),
    ({"scale": "aut"}, "Did you mean auto?"),
    ({"preset": "regg"}, 'reg.preset: got "regg", expected one of stock, gfl, reg, reg_v1, reg_u'),
    ({"preset": 3}, "reg.preset: got 3, expected one of"),
    (3, "reg: got 3, expected a mapping of keys"),
    ([1], "reg: got [1], expected a mapping of keys"),
]


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[str(given)[:50] for given, _ in WRONG])
def test_what_is_wrong_is_named_with_what_was_expected(given: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RegSettings.from_mapping(given)
    assert message in str(caught.value) and not str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_several_problems_take_two_lines_and_a_count() -> None:
    with pytest.raises(ConfigError) as caught:
        RegSettings.from_mapping({"focal": {"gamma": -1}, "scale": 0, "box": 1, "spatial": 2})
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("(2 more)")


@pytest.mark.parametrize(("word", "value"), [("on", True), ("yes", True), ("Off", False), ("no", False)])
def test_words_for_truth_are_taken_where_a_boolean_is_meant(word: str, value: bool) -> None:
    assert RegSettings.from_mapping({"spatial": {"enabled": word}}).spatial.enabled is value


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = RegSettings.from_mapping("reg")
    with pytest.raises(ValueError, match="frozen"):
        settings.focal.gamma = 3.0


def test_settings_travel_by_pickle() -> None:
    settings = RegSettings.from_mapping({"preset": "reg_u", "uncertainty": {"deviation": "learned"}})
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_differences_name_each_key_with_both_values() -> None:
    assert differences("reg", {"preset": "reg", "focal": {"gamma": 2}}) == ["reg.focal.gamma: 0.0, now 2.0"]
    assert differences({"alpha": {"weights": [1, 2]}}, {"alpha": {"weights": [1, 3]}}) == [
        "reg.alpha.weights: [1.0, 2.0], now [1.0, 3.0]"
    ]
    assert differences("gfl", {"preset": "stock", "focal": {"gamma": 2.0}}) == []
    assert differences(RegSettings.from_mapping("cle"), RegSettings.from_mapping("cle").to_dict()) == []
    nested = differences("reg", {"preset": "reg", "alpha": {"dual": {"step": 1}}})
    assert nested == ["reg.alpha.dual.step: 0.01, now 1.0"]


@pytest.mark.parametrize("deviation", ["dfl", 0.5])
def test_a_truncated_normal_that_could_not_learn_is_refused_with_the_reason(deviation: Any) -> None:
    with pytest.raises(ConfigError, match=r"truncated_normal.*p-hat"):
        RegSettings.from_mapping({"uncertainty": {"mode": "truncated_normal", "deviation": deviation}})
    for fits in ("learned", 0.3):
        RegSettings.from_mapping({"uncertainty": {"mode": "truncated_normal", "deviation": fits}})


def test_context_of_boxes_leaves_the_masks_neutral() -> None:
    boxes_only = RegSettings.from_mapping({"preset": "stock", "spatial": {"enabled": True}})
    assert boxes_only.is_neutral_on_masks and not boxes_only.is_neutral
    masks_only = RegSettings.from_mapping({"preset": "stock", "mask": {"spatial": {"enabled": True}}})
    assert masks_only.is_neutral and not masks_only.is_neutral_on_masks


def test_reg_differs_from_reg_v1_in_what_is_switched_on() -> None:
    assert differences("reg_v1", "reg") == [
        "reg.focal.gamma: 1.5, now 0.0",
        "reg.spatial.enabled: true, now false",
        "reg.semantic.spatial.enabled: true, now false",
        'reg.scale: "auto", now "by_gamma"',
    ]


def test_equalized_needs_an_exponent_and_plain_logits() -> None:
    with pytest.raises(ConfigError, match=r"reg\.focal.*divides by gamma"):
        RegSettings.from_mapping({"preset": "stock", "focal": {"form": "equalized"}})
    with pytest.raises(ConfigError, match=r"gradients of plain logits, and uncertainty\.mode is logit_normal"):
        RegSettings.from_mapping({"preset": "efl", "uncertainty": {"mode": "logit_normal"}})


def test_forms_that_balance_the_signs_have_their_papers_alpha() -> None:
    assert RegSettings.from_mapping("sigmoid_focal").focal.balance == 0.25
    assert RegSettings.from_mapping("varifocal").focal.balance == 0.75
    given = {"preset": "varifocal", "focal": {"alpha": 0.0}}
    assert RegSettings.from_mapping(given).focal.balance == 0.0
    assert RegSettings.from_mapping("gfl").focal.balance is None
    assert not RegSettings.from_mapping({"preset": "sigmoid_focal", "focal": {"gamma": 0}}).is_neutral
    with pytest.raises(
        ConfigError, match=r"reg\.focal.*balances signs in forms sigmoid and varifocal, and form is soft"
    ):
        RegSettings.from_mapping({"preset": "stock", "focal": {"alpha": 0.25}})
    with pytest.raises(
        ConfigError, match=r"varifocal is a loss of plain logits, and uncertainty\.mode is logit_normal"
    ):
        RegSettings.from_mapping({"preset": "varifocal", "uncertainty": {"mode": "logit_normal"}})


def test_beta_of_a_focal_l1_has_the_papers_range() -> None:
    with pytest.raises(ConfigError, match=r"beta of focal_l1 is 0\.2; expected a number from 1/e"):
        RegSettings.from_mapping({"box": {"loss": "focal_l1", "beta": 0.2}})
    assert RegSettings.from_mapping({"box": {"loss": "smooth_l1", "beta": 0.2}}).box.beta_or_default == 0.2


@pytest.mark.parametrize("term", [{"alpha": {"mitigation": 0.5}}, {"scale": 2.0}])
def test_what_changes_the_class_loss_is_not_neutral(term: dict[str, Any]) -> None:
    assert not RegSettings.from_mapping({"preset": "stock", **term}).is_neutral


def test_a_box_gain_is_not_the_stock_loss() -> None:
    assert not RegSettings.from_mapping({"preset": "stock", "box": {"gain": 2.5}}).is_stock


def test_factors_by_gamma_rise_with_the_exponent() -> None:
    def factors(gamma: float) -> tuple[float | None, float | None]:
        settings = RegSettings.from_mapping({"preset": "stock", "focal": {"gamma": gamma}})
        return settings.class_scale, settings.mask_scale

    assert factors(0.0) == (1.0, 1.0)
    for measured, index in ((CLASS_SCALES, 0), (MASK_SCALES, 1)):
        for gamma, number in measured.items():
            assert factors(gamma)[index] == number
        found = [factors(gamma)[index] for gamma in (0.0, 0.25, 0.5, 1.2, 1.5, 1.7, 2.0, 2.5, 3.0)]
        assert all(low < high for low, high in pairwise(found))
    between = RegSettings.from_mapping({"preset": "stock", "focal": {"gamma": 1.25}}).class_scale
    assert between == pytest.approx((CLASS_SCALES[1.0] * CLASS_SCALES[1.5]) ** 0.5, abs=1e-3)
    assert RegSettings.from_mapping({"preset": "gfl", "scale": "auto"}).class_scale is None


@pytest.mark.parametrize("form", FORM_SCALES)
def test_forms_that_balance_the_signs_have_factors_of_their_own(form: str) -> None:
    for gamma, number in FORM_SCALES[form].items():
        settings = RegSettings.from_mapping({"preset": "stock", "focal": {"gamma": gamma, "form": form}})
        assert settings.class_scale == number > 1.0
        # Pixels of masks have hard targets, on which the soft form is the focal loss.
        assert settings.mask_scale == MASK_SCALES[gamma]
