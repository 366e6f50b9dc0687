"""The sections of `reg:`, one for each term of the loss. The defaults of every field are the stock loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from reg_yolo.config.sections import Flag, Section


class DualSettings(Section):
    """Class weights that ascend on the per-class mean loss (REG §2.6.2)."""

    step: float = Field(default=0.01, gt=0, le=10, description="Step size of the exponentiated gradient ascent.")
    pull: float = Field(default=0.01, ge=0, le=1, description="Share of the prior weights that each step mixes in.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Share of the old value in a class's average loss.")
    limit: float = Field(
        default=4.0, ge=1, le=1000, description="Each weight stays between prior / limit and prior x limit."
    )


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
    mitigation: float = Field(
        default=0.0,
        ge=0,
        le=5,
        description="Exponent q: negatives of a rarer class c' at positives of class c weigh (N_c'/N_c)^q; 0 is off.",
    )

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


# Alpha of the forms that balance the signs: Lin et al. 2017, and Zhang et al. 2021.
BALANCES: Final[Mapping[str, float]] = {"sigmoid": 0.25, "varifocal": 0.75}


class FocalSettings(Section):
    """Focusing factor (REG §2.1, GFL's quality focal loss)."""

    gamma: float = Field(default=0.0, ge=0, le=10, description="Focusing exponent; 0 is plain cross-entropy.")
    form: Literal["soft", "printed", "equalized", "sigmoid", "varifocal"] = Field(
        default="soft",
        description="soft: |y - p|^gamma BCE with soft targets over their sum. printed: A.10.2's indicator with hard "
        "targets, over the number of positives. equalized: soft with an exponent for each class (EFL). sigmoid: "
        "(1 - p_t)^gamma with alpha_t. varifocal: y on positives, p^gamma on negatives.",
    )
    alpha: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Forms sigmoid (weight of positives, 1 less it of negatives) and varifocal (weight of negatives); "
        "null is the paper's 0.25 and 0.75.",
    )
    s: float = Field(
        default=8.0,
        ge=0,
        le=100,
        description="Form equalized: exponent gamma + s (1 - g_c), g_c the class's positive over negative gradient.",
    )

    @model_validator(mode="after")
    def _equalized_has_an_exponent(self) -> FocalSettings:
        if self.form == "equalized" and self.gamma == 0:
            raise ValueError("form equalized divides by gamma, and gamma is 0; expected a gamma above 0, such as 2")
        return self

    @model_validator(mode="after")
    def _alpha_has_a_form(self) -> FocalSettings:
        if self.alpha is not None and self.form not in BALANCES:
            raise ValueError(
                f"alpha {self.alpha:g} balances signs in forms sigmoid and varifocal, and form is {self.form}; "
                "expected null, or one of these forms. Weights of classes are reg.alpha"
            )
        return self

    @property
    def balance(self) -> float | None:
        """Weight of positives (form sigmoid) or negatives (varifocal); None in the forms that have none."""
        return BALANCES.get(self.form) if self.alpha is None else self.alpha


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
    keep_hard: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Exponent k that lifts g to 1 - (1 - g) (1 - p)^k, so that an entry with a high p keeps weight 1; "
        "0 is off.",
    )


# A Gaussian of this deviation, truncated to [0, 1], has a mean between 0.24 and 0.76 wherever p lies.
LARGEST_PROBABILITY_DEVIATION = 0.3


class PriorSettings(Section):
    """Gaussian prior on the logit for the variational free energy (REG §2.6.4)."""

    mean: Annotated[float, Field(ge=-100, le=100)] | Literal["bias"] = Field(
        default="bias",
        description="Mean of the prior, a logit, or bias: what the head's class bias starts from at that stride.",
    )
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

    @model_validator(mode="after")
    def _truncated_normal_can_learn(self) -> UncertaintySettings:
        if self.mode != "truncated_normal":
            return self
        if self.deviation == "dfl":
            raise ValueError(
                "deviation dfl is one of logits, around 1, and truncated_normal wants one of probabilities: p-hat "
                "would stay near 0.5 and pass a positive hardly any gradient; expected learned or a number up to "
                f"{LARGEST_PROBABILITY_DEVIATION:g}, or mode logit_normal"
            )
        if isinstance(self.deviation, float) and self.deviation > LARGEST_PROBABILITY_DEVIATION:
            raise ValueError(
                f"deviation {self.deviation:g} is one of probabilities with truncated_normal, and above "
                f"{LARGEST_PROBABILITY_DEVIATION:g} p-hat hardly depends on the logit; expected a smaller one"
            )
        return self


class BoxSettings(Section):
    """Box regression loss (EIOU eq. 3-11, §5.4.3-5.4.4, REG-blog)."""

    loss: Literal[
        "ciou",
        "iou",
        "giou",
        "diou",
        "eiou",
        "focal_eiou",
        "focal_eiou_v1",
        "focal_eiou_star",
        "smooth_l1",
        "focal_l1",
        "balanced_l1",
    ] = Field(default="ciou", description="ciou is the stock loss; the three l1 losses work on distances in strides.")
    gamma: float = Field(default=0.5, ge=0, le=10, description="Exponent of focal_eiou and focal_eiou_star.")
    beta: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None,
        description="Of focal_eiou_v1 and focal_l1: how little large errors are suppressed, 1/e to 1 (null: 0.8). Of "
        "smooth_l1 and balanced_l1: the threshold between small and large errors, in strides (null: 1).",
    )
    weight_gradient: Flag = Field(default=False, description="Whether the gradient of focal_eiou passes IoU^gamma too.")
    form: Literal["clamped", "printed"] = Field(
        default="clamped", description="Of focal_eiou_star; printed is without bounds in both directions."
    )
    small_gain: float = Field(default=0.5, gt=0, le=10, description="balanced_l1: Libra's alpha, gain on small errors.")
    large_slope: float = Field(default=1.5, gt=0, le=10, description="balanced_l1: Libra's gamma, slope on large ones.")
    gain: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="Gain on the box loss instead of train.box, which also weighs masks; null leaves train.box.",
    )

    @property
    def beta_or_default(self) -> float:
        """The beta that the loss uses."""
        return (0.8 if self.loss in ("focal_eiou_v1", "focal_l1") else 1.0) if self.beta is None else self.beta

    @model_validator(mode="after")
    def _beta_fits_the_loss(self) -> BoxSettings:
        if self.loss in ("focal_eiou_v1", "focal_l1") and self.beta is not None and not 0.3678 <= self.beta <= 1:
            raise ValueError(f"beta of {self.loss} is {self.beta:g}; expected a number from 1/e = 0.3679 to 1")
        return self


class DynamicCoefficientSettings(Section):
    """Localisation-aware weights of the class loss on positives (CLE eq. 2-4)."""

    enabled: Flag = Field(default=False, description="Whether the positives are reweighted.")
    unit: Literal["stride", "diagonal", "pixels"] = Field(
        default="stride", description="Unit of the centre distance; pixels is printed and saturates within a few."
    )


class ProximalSettings(Section):
    """Inexact proximal step after each step of the optimizer (REG §2.6.3)."""

    enabled: Flag = Field(
        default=False,
        description="Whether the last class convolutions take it. G is the predicted probability farther than "
        "spatial.delta from every object of its class, in units of spatial.distance, over S. One device only.",
    )
    steps: int = Field(default=3, ge=0, le=100, description="K, gradient steps on norm^2 / (2 eta lr) + G; 0 is off.")
    eta: float = Field(default=1.0, ge=0, le=1e6, description="Strength, times the learning rate.")
    inner_lr: float = Field(
        default=0.5, gt=0, le=1, description="Length of a gradient step in units of eta x learning rate."
    )


class MaskSpatialSettings(Section):
    """The weight g of mask pixels, with d the distance to the object's own mask in mask pixels (REG §2.2, §2.3)."""

    enabled: Flag = Field(default=False, description="Whether g is multiplied in.")
    beta: float = Field(
        default=-0.5,
        ge=-100,
        le=100,
        description="Slope a mask pixel, signed; below 0 pixels near the outline weigh most, above 0 least.",
    )
    delta: float = Field(default=4.0, ge=-1000, le=1000, description="Distance at which g is 0.5, in mask pixels.")
    scope: Literal["negatives", "all"] = Field(
        default="negatives", description="Pixels that g weighs: those outside the object, or its own too (printed)."
    )
    floor: float = Field(default=0.1, ge=0, lt=1, description="Lower bound of g.")


class MaskSettings(Section):
    """Class weights, focusing and g on the pixels of instance masks (REG §2.2), for tasks segment and joint."""

    enabled: Flag = Field(
        default=True, description="Whether alpha and gamma weigh mask pixels too; off leaves the stock mask loss."
    )
    spatial: MaskSpatialSettings = Field(
        default_factory=MaskSpatialSettings, description="Spatial-contextual weight of mask pixels."
    )
