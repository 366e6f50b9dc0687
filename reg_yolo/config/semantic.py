"""What a user may write under `reg.semantic:`, the loss of task semantic, and what that task cannot take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from reg_yolo.config.problems import KeyedError, KeyPath
from reg_yolo.config.sections import Flag, Section

if TYPE_CHECKING:
    from reg_yolo.config.reg import RegSettings

STOCK_AUXILIARY = 0.4


class PixelSpatialSettings(Section):
    """The weight g of pixels, with d the distance to the nearest object of the predicted class (REG §2.2, §2.3)."""

    enabled: Flag = Field(default=False, description="Whether g is multiplied in.")
    beta: float = Field(
        default=0.5,
        ge=-100,
        le=100,
        description="Slope a mask pixel, signed: above 0 background far from objects weighs most, below 0 least.",
    )
    delta: float = Field(default=2.0, ge=-1000, le=1000, description="Distance at which g is 0.5, in mask pixels.")
    scope: Literal["negatives", "all"] = Field(
        default="negatives", description="Pixels that g weighs: those of the background, or of objects too (printed)."
    )
    floor: float = Field(default=0.1, ge=0, lt=1, description="Lower bound of g.")


class SemanticSettings(Section):
    """The terms next to the loss of pixels, and g of pixels (REG §2.2), for task semantic."""

    dice: Flag = Field(default=True, description="Whether Ultralytics' Dice loss is added; the papers have none.")
    auxiliary: float = Field(
        default=STOCK_AUXILIARY,
        ge=0,
        le=10,
        description="Weight of the same loss on the auxiliary head at P4; 0.4 is the stock one, the papers have none.",
    )
    spatial: PixelSpatialSettings = Field(
        default_factory=PixelSpatialSettings, description="Spatial-contextual weight of pixels."
    )


def pixel_term_faults(reg: RegSettings) -> list[tuple[KeyPath, str]]:
    """Return the key of every term that has no meaning for a softmax over the classes of a pixel, and why."""
    found: list[tuple[KeyPath, str]] = []
    if reg.uncertainty.mode not in ("none", "printed"):
        message = f"{reg.uncertainty.mode} works on a sigmoid of a box's class, and task semantic has neither"
        found.append((("reg", "uncertainty", "mode"), f"{message}; expected none"))
    if reg.dynamic_coefficient.enabled:
        message = "weighs by how well boxes are placed, and task semantic has none; expected false"
        found.append((("reg", "dynamic_coefficient", "enabled"), message))
    if reg.focal.form == "equalized":
        message = "equalized goes by the gradients of sigmoids, and task semantic has a softmax; expected soft"
        found.append((("reg", "focal", "form"), message))
    if reg.alpha.mitigation:
        message = "weighs negatives of sigmoids, and task semantic has a softmax; expected 0"
        found.append((("reg", "alpha", "mitigation"), message))
    return found


def check_pixel_terms(reg: RegSettings) -> None:
    """Refuse the terms of a loss that have no meaning in task semantic.

    Raises:
        KeyedError: With the first that is switched on.
    """
    for key, message in pixel_term_faults(reg):
        raise KeyedError(key, message)
