"""What a user may write under `reg:`, the settings of the loss. The defaults of every field are the stock loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from reg_yolo.config.assign import AssignSettings
from reg_yolo.config.merging import merge_reg
from reg_yolo.config.presets import DEFAULT_PRESET, PRESETS, PresetName
from reg_yolo.config.problems import explain, show_value
from reg_yolo.config.sections import Flag, Section
from reg_yolo.errors import ConfigError


class DualSettings(Section):
    """Class weights that ascend on the per-class mean loss (REG §2.6.2)."""

    step: float = Field(default=0.01, gt=0, le=10, description="Step size of the exponentiated gradient ascent.")
    pull: float = Field(default=0.01, ge=0, le=1, description="Share of the prior weights that each step mixes in.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Share of the old value in a class's average loss.")


class AlphaSettings(Section):
    """Class weights (REG A.8 eq. 1, A.10.2, §2.6.2), counted from the training labels unless given."""

    scheme: Literal["none", "inverse_frequency", "balanced", "dual"] = Field(
        default="none",
        description="none: 1 for every class. inverse_frequency: N_total/N_c as printed, at temper 1; below 1 the same "
        "as balanced. balanced: (N_total/(C N_c))^temper with a mean of 1 over the annotations. dual: learned on the "
        "simplex.",
    )
    weights: list[Annotated[float, Field(ge=0)]] | None = Field(
        default=None,
        min_length=1,
        description="Explicit weights, one a class in the data YAML's order; exclude a scheme.",
    )
    temper: float = Field(
        default=1.0, ge=0, le=1, description="Exponent on the weights: 0 switches them off, 1 is the paper's."
    )
    on: Literal["positives", "both"] = Field(
        default="positives", description="Entries that are weighted: those with a target above 0, or the negatives too."
    )
    dual: DualSettings = Field(default_factory=DualSettings, description="For scheme dual only.")

    @model_validator(mode="after")
    def _one_source_of_weights(self) -> AlphaSettings:
        if self.weights is not None:
            if self.scheme != "none":
                raise ValueError("give either weights or a scheme, not both (with weights, scheme is none)")
            if not any(self.weights):
                raise ValueError("weights are all 0, so no class would be learned; expected one above 0")
        return self

    @property
    def is_neutral(self) -> bool:
        """Whether every class weighs 1."""
        if self.weights is not None:
            return all(weight == 1 for weight in self.weights)
        return self.scheme == "none" or (self.scheme != "dual" and self.temper == 0)


class FocalSettings(Section):
    """Focusing factor (REG §2.1, GFL's quality focal loss)."""

    gamma: float = Field(default=0.0, ge=0, le=10, description="Focusing exponent; 0 is plain cross-entropy.")
    form: Literal["soft", "printed"] = Field(
        default="soft",
        description="soft: |y - p|^gamma BCE with soft targets over their sum. printed: A.10.2's indicator with hard "
        "targets, over the number of positives.",
    )


class SpatialSettings(Section):
    """Spatial-contextual weight g = sigmoid(beta (d - delta)) (REG §2.3)."""

    enabled: Flag = Field(default=False, description="Whether g is multiplied in.")
    beta: float = Field(
        default=3.0,
        ge=-100,
        le=100,
        description="Slope, signed: above 0 as in §2.3, below 0 as in proof A.4.",
    )
    delta: float = Field(
        default=1.0, ge=-1000, le=1000, description="Distance at which g is 0.5, in units of `distance`."
    )
    distance: Literal["center", "edge"] = Field(
        default="center",
        description="center: to the box centre over half the box diagonal (1 is a corner). edge: to the box border "
        "over the stride, 0 inside.",
    )
    scope: Literal["negatives", "all"] = Field(
        default="negatives", description="Entries that g weighs; all is printed, where beta > 0 switches positives off."
    )
    floor: float = Field(default=0.0, ge=0, lt=1, description="Lower bound of g, for a class absent from an image.")


class PriorSettings(Section):
    """Gaussian prior on the logit for the variational free energy (REG §2.6.4)."""

    mean: float = Field(default=-4.6, ge=-100, le=100, description="Mean of the prior, a logit; -4.6 is 1 %.")
    deviation: float = Field(default=3.0, gt=0, le=100, description="Standard deviation of the prior, in logits.")
    kl_weight: float = Field(default=0.001, ge=0, le=1000, description="Weight of the divergence from the prior.")


class UncertaintySettings(Section):
    """Expected probability p-hat (REG §2.5) or the free energy (REG §2.6.4)."""

    mode: Literal["none", "printed", "logit_normal", "truncated_normal", "free_energy"] = Field(
        default="none",
        description="none and printed: p itself (the printed mean of a Gaussian around p is p). logit_normal, "
        "truncated_normal: the mean of that distribution. free_energy: E_q[loss] + KL(q, prior).",
    )
    deviation: Annotated[float, Field(gt=0, le=100)] | Literal["learned", "dfl"] = Field(
        default="dfl",
        description="Standard deviation: a constant (in logits; in probability for truncated_normal), learned for each "
        "class, or dfl: taken from the anchor's own box distribution.",
    )
    kappa: float = Field(default=1.0, gt=0, le=100, description="Factor on the deviation dfl.")
    grad_to_box: Flag = Field(default=False, description="Whether deviation dfl passes gradient to boxes.")
    prior: PriorSettings = Field(default_factory=PriorSettings, description="For mode free_energy only.")


class BoxSettings(Section):
    """Box regression loss (EIOU eq. 3-11, REG-blog)."""

    loss: Literal[
        "ciou", "iou", "giou", "diou", "eiou", "focal_eiou", "focal_eiou_v1", "focal_eiou_star", "smooth_l1"
    ] = Field(default="ciou", description="ciou is the stock loss; smooth_l1 works on distances in strides.")
    gamma: float = Field(default=0.5, ge=0, le=10, description="Exponent of focal_eiou and focal_eiou_star.")


class DynamicCoefficientSettings(Section):
    """Localisation-aware weights of the class loss on positives (CLE eq. 2-4)."""

    enabled: Flag = Field(default=False, description="Whether the positives are reweighted.")
    unit: Literal["stride", "diagonal", "pixels"] = Field(
        default="stride", description="Unit of the centre distance; pixels is printed and saturates within a few."
    )


class MaskSettings(Section):
    """The same terms on the pixels of instance masks (REG §2.2), for tasks segment and joint."""

    enabled: Flag = Field(
        default=True, description="Whether alpha, gamma and g weigh mask pixels too; off leaves the stock mask loss."
    )


class RegSettings(Section):
    """The loss: `preset`, and above it whatever else is given. Without a preset named, `reg` lies below."""

    preset: PresetName = Field(default=DEFAULT_PRESET, description="Values for every key that is not given.")
    alpha: AlphaSettings = Field(default_factory=AlphaSettings, description="Class weights.")
    focal: FocalSettings = Field(default_factory=FocalSettings, description="Focusing on hard entries.")
    spatial: SpatialSettings = Field(default_factory=SpatialSettings, description="Spatial-contextual weight g.")
    uncertainty: UncertaintySettings = Field(default_factory=UncertaintySettings, description="Probability refinement.")
    box: BoxSettings = Field(default_factory=BoxSettings, description="Box loss.")
    dynamic_coefficient: DynamicCoefficientSettings = Field(
        default_factory=DynamicCoefficientSettings, description="Localisation-aware class weights of positives."
    )
    assign: AssignSettings = Field(default_factory=AssignSettings, description="Which anchor points learn an object.")
    mask: MaskSettings = Field(default_factory=MaskSettings, description="Mask loss of tasks segment and joint.")
    scale: Literal["auto"] | Annotated[float, Field(gt=0, le=1e6)] = Field(
        default="auto",
        description="Factor on the classification loss, and on the mask loss; auto is stock over ours on the first "
        "training batch, for each, so that the stock gains keep their meaning.",
    )

    @model_validator(mode="before")
    @classmethod
    def _lay_over_preset(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"preset": given}
        if not isinstance(given, Mapping):
            return given
        own = {key: value for key, value in given.items() if value is not None}
        name = own.pop("preset", DEFAULT_PRESET)
        below = PRESETS.get(name, {}) if isinstance(name, str) else {}
        return {**merge_reg(below, own), "preset": name}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any] | str | None = None) -> RegSettings:
        """Returns the settings for a mapping as it stands under `reg:`, or for a preset's name; None is preset `reg`.

        Raises:
            ConfigError: a key is unknown, or a value has the wrong type or range.
        """
        try:
            return cls.model_validate({} if given is None else given)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, prefix=("reg",))) from None

    def to_dict(self) -> dict[str, Any]:
        """Returns every value as plain Python data, which `from_mapping` reads back to an equal object."""
        return self.model_dump(mode="python")

    @property
    def is_neutral(self) -> bool:
        """Whether the classification loss is the stock one: every term of it switched off and no factor on it."""
        return (
            self.alpha.is_neutral
            and self.focal.gamma == 0
            and self.focal.form == "soft"
            and not self.spatial.enabled
            and self.uncertainty.mode in ("none", "printed")
            and not self.dynamic_coefficient.enabled
            and self.scale in ("auto", 1.0)
        )

    @property
    def is_neutral_on_masks(self) -> bool:
        """Whether the mask loss is the stock one; uncertainty and the dynamic coefficient do not reach it."""
        return not self.mask.enabled or (
            self.alpha.is_neutral
            and self.focal.gamma == 0
            and self.focal.form == "soft"
            and not self.spatial.enabled
            and self.scale in ("auto", 1.0)
        )

    @property
    def is_stock(self) -> bool:
        """Whether the whole criterion is the stock one, boxes included."""
        return self.is_neutral and self.box.loss == "ciou" and self.assign.is_stock


def differences(old: RegSettings | Mapping[str, Any], new: RegSettings | Mapping[str, Any]) -> list[str]:
    """Returns one line for each dotted key in which two losses differ, `reg.focal.gamma: 1.5, now 2.0`.

    The preset's name does not count: the same values under another name are the same loss.

    Raises:
        ConfigError: one of them is not a valid `reg` section.
    """
    left, right = (
        _flatten((given if isinstance(given, RegSettings) else RegSettings.from_mapping(given)).to_dict())
        for given in (old, new)
    )
    return [
        f"{key}: {show_value(left.get(key))}, now {show_value(right.get(key))}"
        for key in dict.fromkeys([*left, *right])
        if key != "reg.preset" and left.get(key) != right.get(key)
    ]


def _flatten(values: Mapping[str, Any], prefix: str = "reg.") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
