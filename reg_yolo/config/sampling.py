"""What a user may write under `sampling:`, how often images and objects of rare classes are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from reg_yolo.config.merging import flattened
from reg_yolo.config.problems import explain, show_value
from reg_yolo.config.sections import Section
from reg_yolo.errors import ConfigError


class CopyPasteSettings(Section):
    """Objects of rare classes, pasted from other training images into an image at the place they had on their own."""

    probability: float = Field(default=0.0, ge=0, le=1, description="Share of the images that get objects; 0: none do.")
    classes: Literal["rare"] | list[Annotated[str, StringConstraints(min_length=1)]] = Field(
        default="rare",
        description="rare: classes with fewer objects than a third of the median class. Or their names.",
    )
    max_objects: int = Field(default=2, ge=1, le=20, description="Objects pasted into one image at most.")
    max_cover: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of another object's box that a pasted one may cover, and of its own that a nearer one may.",
    )
    shift: float = Field(default=0.05, ge=0, le=1, description="Sideways shift at most, as a share of the image width.")
    scale: float = Field(
        default=0.1, ge=0, le=0.5, description="Change of size at most, as a share; the foot keeps its row."
    )

    @model_validator(mode="after")
    def _classes_named_once(self) -> CopyPasteSettings:
        if self.classes != "rare" and not 0 < len(self.classes) == len(set(self.classes)):
            raise ValueError("expected rare or at least one class name, each once")
        return self


class SamplingSettings(Section):
    """How often images are shown in an epoch, and whether objects of rare classes are pasted into others."""

    method: Literal["none", "repeat_factor", "instance_repeat_factor"] = Field(
        default="none",
        description="none: every image once an epoch. repeat_factor: images of rare classes more often (Gupta et al. "
        "2019). instance_repeat_factor: a class is rare by images and by objects (Yaman et al. 2023).",
    )
    threshold: Annotated[float, Field(gt=0, le=1)] | Literal["median"] = Field(
        default="median",
        description="Frequency t below which a class is shown more often, sqrt(t / frequency) times; median: of the "
        "classes' own frequencies.",
    )
    epoch: Literal["fixed", "scaled"] = Field(
        default="fixed",
        description="fixed: as many draws an epoch as images. scaled: the sum of the images' repeat factors.",
    )
    copy_paste: CopyPasteSettings = Field(
        default_factory=CopyPasteSettings, description="Objects of rare classes pasted into other images."
    )

    @model_validator(mode="before")
    @classmethod
    def _method_by_name(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"method": given}
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None}

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any] | str | None = None) -> SamplingSettings:
        """Return the settings for a mapping as it stands under `sampling:`, or for a method's name.

        Raises:
            ConfigError: If a key is unknown, or a value has the wrong type or is out of range.

        Example:
            >>> SamplingSettings.from_mapping("repeat_factor").threshold
            'median'
        """
        try:
            return cls.model_validate({} if given is None else given)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, prefix=("sampling",))) from None

    def to_dict(self) -> dict[str, Any]:
        """Return every value as plain Python data, which `from_mapping` reads back to an equal object."""
        return self.model_dump(mode="python")

    @property
    def is_stock(self) -> bool:
        """Whether images and objects are shown just as upstream shows them."""
        return self.method == "none" and not self.copy_paste.probability


def sampling_differences(old: SamplingSettings, new: SamplingSettings) -> list[str]:
    """Return one line for each dotted key in which two settings differ, `sampling.method: none, now repeat_factor`."""
    left, right = (flattened(settings.to_dict(), "sampling.") for settings in (old, new))
    return [
        f"{key}: {show_value(value)}, now {show_value(right[key])}"
        for key, value in left.items()
        if value != right[key]
    ]
