"""The whole configuration of a run, and what a user may write under `albumentations:`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from reg_yolo.config.merging import SHORT_FORMS
from reg_yolo.config.pixel_terms import check_pixel_terms
from reg_yolo.config.problems import KeyedError, explain
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.sampling import SamplingSettings
from reg_yolo.config.sections import Section
from reg_yolo.config.suppression import SuppressionKind
from reg_yolo.config.train_arguments import check_refused
from reg_yolo.errors import ConfigError

Task = Literal["detect", "segment", "joint", "semantic"]
Name = Annotated[str, StringConstraints(min_length=1)]
Threads = Literal["auto", "upstream"] | Annotated[int, Field(ge=1, le=1024)]

_YOLOV8_NAME = re.compile(r"yolov8[nsmlx]?(?P<variant>[\w-]*)\.(yaml|pt)")


class AlbumentationsSettings(Section):
    """Image augmentation by Albumentations, in addition to Ultralytics' own (mosaic, colours, flips, geometry)."""

    preset: Literal["none", "highway"] = Field(
        default="none",
        description="highway: rain, fog, sun flare, shadow, motion blur, low light, each now and then.",
    )
    transforms: list[Name | dict[Name, dict[str, Any]]] = Field(
        default_factory=list,
        description="Further transforms, in order: the name of an Albumentations class, or {Name: {argument: value}}.",
    )
    mode: Literal["extend", "replace"] = Field(
        default="extend", description="extend: after Ultralytics' own short list. replace: without it."
    )

    @model_validator(mode="before")
    @classmethod
    def _preset_by_name(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"preset": given}
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None}

    @field_validator("transforms", mode="before")
    @classmethod
    def _arguments_may_be_left_out(cls, given: Any) -> Any:
        # `- RandomRain:` without arguments reads as {RandomRain: null}.
        if not isinstance(given, list):
            return given
        return [
            {name: {} if arguments is None else arguments for name, arguments in entry.items()}
            if isinstance(entry, Mapping)
            else entry
            for entry in given
        ]

    @field_validator("transforms", mode="after")
    @classmethod
    def _one_name_an_entry(cls, transforms: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
        for index, entry in enumerate(transforms):
            if isinstance(entry, dict) and len(entry) != 1:
                message = f"got {len(entry)} names in one entry, expected one: {{Name: {{argument: value}}}}"
                raise KeyedError(("albumentations", "transforms", index), message)
        return transforms

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any] | str | None = None) -> AlbumentationsSettings:
        """Return the settings for a mapping as it stands under `albumentations:`, or for a preset's name.

        Raises:
            ConfigError: If a key is unknown, or a value has the wrong type.
        """
        try:
            return cls.model_validate({} if given is None else given)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, prefix=("albumentations",))) from None

    def to_dict(self) -> dict[str, Any]:
        """Return every value as plain Python data, which `from_mapping` reads back to an equal object."""
        return self.model_dump(mode="python")

    @property
    def is_stock(self) -> bool:
        """Whether Ultralytics' own list is left as it is."""
        return self.preset == "none" and not self.transforms and self.mode == "extend"


class DataPair(Section):
    """Two data sets for one joint network: class lists are mapped by name."""

    detect: Name = Field(description="Data YAML of the set with boxes.")
    segment: Name = Field(description="Data YAML of the set with masks.")


class RunConfig(Section):
    """One run: what is trained on what, with which arguments and which loss."""

    task: Task = Field(
        default="detect",
        description="detect: boxes. segment: masks. joint: both in one network. semantic: a class for each pixel.",
    )
    model: Name = Field(description="A YOLOv8 model YAML (from scratch), or a .pt (fine-tuning).")
    data: Name | DataPair = Field(
        description="A data YAML, or the name of a shipped one; for task joint also {detect: ..., segment: ...}."
    )
    mask_classes: list[Name] | None = Field(
        default=None, min_length=1, description="Task joint only: names of the classes that have masks."
    )
    lambda_seg: float = Field(
        default=1.0, ge=0, le=1000, description="Task joint only: weight of the segmentation loss; 1 is the stock gain."
    )
    train: dict[str, Any] = Field(default_factory=dict, description="Arguments of Ultralytics, by their own names.")
    reg: RegSettings = Field(
        default_factory=lambda: RegSettings.from_mapping(None),
        description="The loss: a preset, and what overrides it. Without this section, preset reg.",
    )
    albumentations: AlbumentationsSettings = Field(
        default_factory=AlbumentationsSettings, description="Image augmentation by Albumentations."
    )
    sampling: SamplingSettings = Field(
        default_factory=SamplingSettings, description="How often images and objects of rare classes are shown."
    )
    suppression: SuppressionKind = Field(
        default="stock",
        description="Suppression in the validation that chooses best.pt. stock: Ultralytics' NMS. soft: soft-NMS. "
        "balanced: of boxes of one object the best placed one stays (CLE).",
    )
    threads: Threads = Field(
        default="auto",
        description="Threads of PyTorch on a CPU. auto: all allowed cores, but Ultralytics' own number where loss, "
        "sampling and precision are the stock ones. upstream: Ultralytics' own number. Or a number.",
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        empty = [
            key
            for key in ("train", "reg", "albumentations", "sampling", "suppression", "threads", "lambda_seg")
            if given.get(key) is None
        ]
        return {key: value for key, value in given.items() if key not in empty}

    @model_validator(mode="after")
    def _keys_fit_together(self) -> RunConfig:
        check_refused(self.train)
        if self.task != "joint":
            if self.mask_classes is not None:
                raise KeyedError(("mask_classes",), f"belongs to task joint, and task is {self.task}; leave it out")
            if self.lambda_seg != 1.0:
                raise KeyedError(("lambda_seg",), f"belongs to task joint, and task is {self.task}; leave it out")
            if isinstance(self.data, DataPair):
                message = f"two data sets belong to task joint, and task is {self.task}; expected one path"
                raise KeyedError(("data",), message)
        if self.mask_classes is not None and len(set(self.mask_classes)) < len(self.mask_classes):
            twice = next(name for name in self.mask_classes if self.mask_classes.count(name) > 1)
            raise KeyedError(("mask_classes",), f"names the class {twice} twice")
        if self.train.get("cls_pw") and not self.reg.alpha.is_neutral:
            message = "Ultralytics' class weights and ours (reg.alpha) are both on, and would be multiplied; "
            raise KeyedError(("train", "cls_pw"), message + "leave out train.cls_pw, or set reg.alpha.scheme to none")
        if self.train.get("rect") and not self.sampling.is_stock:
            message = "orders the images by shape, and sampling needs an order of its own; leave one of them out"
            raise KeyedError(("train", "rect"), message)
        if self.task == "semantic":
            self._check_semantic()
        self._check_model_name()
        return self

    def _check_semantic(self) -> None:
        """Refuse what has no meaning for the classes of pixels."""
        check_pixel_terms(self.reg)
        if self.sampling.copy_paste.probability:
            message = "pastes objects with their boxes, and task semantic learns from a map of pixels; leave it out"
            raise KeyedError(("sampling", "copy_paste"), message)
        if self.suppression != "stock":
            message = "chooses between overlapping boxes, and task semantic has none; leave it out"
            raise KeyedError(("suppression",), message)
        if self.train.get("single_cls"):
            message = "makes one class of all boxes; task semantic takes a data YAML with one class instead"
            raise KeyedError(("train", "single_cls"), message)

    def _check_model_name(self) -> None:
        """Refuse a stock YOLOv8 model whose head is not the task's; a user's own file is known when it is built."""
        known = _YOLOV8_NAME.fullmatch(self.model)
        if known is None:
            return
        head = {"detect": "", "semantic": "-sem"}.get(self.task, "-seg")
        given = next((each for each in ("-seg", "-sem") if each in known["variant"]), "")
        if given != head:
            stem, suffix = self.model.replace(given, "").rsplit(".", 1)
            size, _, rest = stem.partition("-")
            expected = f"{size}{head}{'-' + rest if rest else ''}.{suffix}"
            if self.task == "semantic":
                # Nobody publishes weights with this head; those of another one bring the backbone.
                expected = f"{size}-sem.yaml" + (f" with train.pretrained: {self.model}" if suffix == "pt" else "")
            raise KeyedError(("model",), f"{self.model} does not fit task {self.task}; expected {expected}")

    def to_dict(self) -> dict[str, Any]:
        """Return every value as plain Python data; keys of another task are left out."""
        values = self.model_dump(mode="python")
        if self.task != "joint":
            del values["mask_classes"], values["lambda_seg"]
        return values


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a configuration file, for editors and `reg-yolo config --schema`."""
    schema = RunConfig.model_json_schema()
    properties = {
        "extends": {
            "type": "string",
            "description": "Another configuration to build on: a path relative to this file, or a shipped name.",
        },
        **schema["properties"],
    }
    for section, short in SHORT_FORMS.items():
        own = properties[section]
        word = {"type": "string", "enum": schema["$defs"][_definition(own)]["properties"][short]["enum"]}
        description = own.pop("description", "")
        properties[section] = {"anyOf": [own, word, {"type": "null"}], "description": description}
    # A file may leave to its base, or to the command line, what a run needs.
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **{key: value for key, value in schema.items() if key != "required"},
        "properties": properties,
    }


def _definition(node: Mapping[str, Any]) -> str:
    return str(node["$ref"]).rpartition("/")[2]
