"""What a user may write under `reg:`, the settings of the loss as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from reg_yolo.config.assign import AssignSettings
from reg_yolo.config.loss_scales import CLASS_SCALES, FORM_SCALES, MASK_SCALES, scale_by_gamma
from reg_yolo.config.merging import flattened, merge_reg
from reg_yolo.config.presets import DEFAULT_PRESET, PRESETS, PresetName
from reg_yolo.config.problems import explain, show_value
from reg_yolo.config.reg_sections import (
    AlphaSettings,
    BoxSettings,
    DynamicCoefficientSettings,
    FocalSettings,
    MaskSettings,
    ProximalSettings,
    SpatialSettings,
    UncertaintySettings,
)
from reg_yolo.config.sections import Section
from reg_yolo.config.semantic import STOCK_AUXILIARY, SemanticSettings
from reg_yolo.errors import ConfigError


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
    proximal: ProximalSettings = Field(
        default_factory=ProximalSettings, description="Proximal step after each step of the optimizer."
    )
    semantic: SemanticSettings = Field(
        default_factory=SemanticSettings, description="Terms of task semantic next to alpha and gamma."
    )
    scale: Literal["by_gamma", "auto"] | Annotated[float, Field(gt=0, le=1e6)] = Field(
        default="by_gamma",
        description="Factor on the classification loss, and on the mask loss. by_gamma: measured for the exponent, for "
        "each. auto: stock over ours on the first training batch, for each.",
    )

    @model_validator(mode="after")
    def _terms_fit_together(self) -> RegSettings:
        if self.focal.form not in ("soft", "printed") and self.uncertainty.mode not in ("none", "printed"):
            reason = "goes by the gradients" if self.focal.form == "equalized" else "is a loss"
            raise ValueError(
                f"focal.form {self.focal.form} {reason} of plain logits, and uncertainty.mode is "
                f"{self.uncertainty.mode}; expected uncertainty.mode none, or focal.form soft"
            )
        return self

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
        """Return the settings for a mapping as it stands under `reg:`, or for a preset's name; None is preset `reg`.

        Raises:
            ConfigError: If a key is unknown, or a value has the wrong type or range.

        Example:
            >>> settings = RegSettings.from_mapping({"preset": "gfl", "focal": {"gamma": 1.5}})
            >>> settings.focal.gamma, settings.spatial.enabled
            (1.5, False)
        """
        try:
            return cls.model_validate({} if given is None else given)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, prefix=("reg",))) from None

    def to_dict(self) -> dict[str, Any]:
        """Return every value as plain Python data, which `from_mapping` reads back to an equal object."""
        return self.model_dump(mode="python")

    @property
    def is_neutral(self) -> bool:
        """Whether the classification loss is the stock one: every term of it switched off and no factor on it."""
        return (
            self.alpha.is_neutral
            and self.alpha.mitigation == 0
            and self.focal.gamma == 0
            and self.focal.form == "soft"
            and not self.spatial.enabled
            and self.uncertainty.mode in ("none", "printed")
            and not self.dynamic_coefficient.enabled
            and self.scale in ("by_gamma", "auto", 1.0)
        )

    @property
    def is_neutral_on_masks(self) -> bool:
        """Whether the mask loss is the stock one; uncertainty and the dynamic coefficient do not reach it."""
        return not self.mask.enabled or (
            self.alpha.is_neutral
            and self.focal.gamma == 0
            and self.focal.form == "soft"
            and not self.mask.spatial.enabled
            and self.scale in ("by_gamma", "auto", 1.0)
        )

    @property
    def is_neutral_on_pixels(self) -> bool:
        """Whether the loss of pixels in task semantic is cross-entropy, with no factor on it."""
        return (
            self.alpha.is_neutral
            and self.focal.gamma == 0
            and not self.semantic.spatial.enabled
            and self.scale in ("by_gamma", "auto", 1.0)
        )

    @property
    def is_stock_on_pixels(self) -> bool:
        """Whether the whole criterion of task semantic is the stock one."""
        return self.is_neutral_on_pixels and self.semantic.dice and self.semantic.auxiliary == STOCK_AUXILIARY

    @property
    def class_scale(self) -> float | None:
        """Factor on the classification loss, 1 where there is none; None where the first training batch fixes it."""
        return 1.0 if self.is_neutral else self._scale_of(FORM_SCALES.get(self.focal.form, CLASS_SCALES))

    @property
    def mask_scale(self) -> float | None:
        """Factor on the mask loss, as `class_scale`."""
        return 1.0 if self.is_neutral_on_masks else self._scale_of(MASK_SCALES)

    @property
    def pixel_scale(self) -> float | None:
        """Factor on the loss of pixels, as `class_scale`; by_gamma was measured on sigmoids, so auto stands for it."""
        if self.is_neutral_on_pixels or self.focal.form == "printed":
            return self.scale if isinstance(self.scale, float) else 1.0
        return self.scale if isinstance(self.scale, float) else None

    def _scale_of(self, measured: Mapping[float, float]) -> float | None:
        if isinstance(self.scale, float):
            return self.scale
        if self.focal.form == "printed":
            return 1.0
        return None if self.scale == "auto" else scale_by_gamma(self.focal.gamma, measured)

    @property
    def is_stock(self) -> bool:
        """Whether the whole criterion is the stock one, boxes included."""
        return self.is_neutral and self.box.loss == "ciou" and self.box.gain is None and self.assign.is_stock


def differences(old: RegSettings | Mapping[str, Any], new: RegSettings | Mapping[str, Any]) -> list[str]:
    """Return one line for each dotted key in which two losses differ, `reg.focal.gamma: 1.5, now 2.0`.

    The preset's name does not count: the same values under another name are the same loss.

    Raises:
        ConfigError: If one of them is not a valid `reg` section.
    """
    left, right = (
        flattened((given if isinstance(given, RegSettings) else RegSettings.from_mapping(given)).to_dict(), "reg.")
        for given in (old, new)
    )
    return [
        f"{key}: {show_value(left.get(key))}, now {show_value(right.get(key))}"
        for key in dict.fromkeys([*left, *right])
        if key != "reg.preset" and left.get(key) != right.get(key)
    ]
