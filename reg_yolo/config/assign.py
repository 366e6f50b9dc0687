"""What a user may write under `reg.assign:`, how anchor points are assigned to objects."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from reg_yolo.config.sections import Flag, Section


class AssignSettings(Section):
    """The assigner (CLE eq. 5-7); its kind alone may stand for it: `assign: iac`."""

    kind: Literal["task_aligned", "iac"] = Field(
        default="task_aligned",
        description="task_aligned: the stock assigner. iac: it also recalls anchor points inside an object that miss "
        "its top-k but predict a box with IoU >= 0.5 and s >= threshold.",
    )
    alpha: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="Share of the class score in s = alpha p + (1 - alpha) intersection/smaller area. For kind iac.",
    )
    threshold: float = Field(default=0.5, ge=0, le=1, description="Lowest s that recalls. For kind iac.")
    recall_target: Literal["ignore", "iou"] = Field(
        default="ignore",
        description="ignore: a recalled anchor point is left out of the class loss. iou: it becomes a positive, and "
        "the targets of all positives of its object are at least their IoU. For kind iac.",
    )
    ignore_band: Flag = Field(
        default=False,
        description="Whether anchor points inside an object whose predicted box has an IoU between 0.4 and 0.5 are "
        "left out of the class loss, unless they are positive. For kind iac.",
    )

    @model_validator(mode="before")
    @classmethod
    def _kind_alone(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given

    @property
    def is_stock(self) -> bool:
        """Whether the assigner is the stock one."""
        return self.kind == "task_aligned"
