"""What a user may write under `reg.semantic:`, for task semantic."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reg_yolo.config.sections import Flag, Section

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
