"""The data of the joint task: one set that mixes boxes and polygons, or a detection set beside a segmentation set.

The class lists of two sets are mapped by name onto one joint list. What a set does not annotate is not background on
its images, so every part says which of the joint classes it annotates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.config.problems import did_you_mean
from reg_yolo.config.schema import DataPair
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, offer_to_split, read_dataset_yaml
from reg_yolo.data.dataset.label_scan import scan_labels
from reg_yolo.errors import ConfigError, DataError


@dataclass(frozen=True)
class JointPart:
    """One data set of the joint task.

    Attributes:
        description: What its YAML says.
        class_map: By class index of the set, the joint class index.
        annotated: By joint class, whether the set annotates it.
        has_masks: Whether its polygons are masks. In a detection set they only stand for the boxes around them.
    """

    description: DatasetDescription
    class_map: list[int]
    annotated: list[bool]
    has_masks: bool


@dataclass(frozen=True)
class JointSets:
    """One or two data sets under one list of classes.

    Attributes:
        class_names: The joint classes; for a pair the detection set's in their order, then the segmentation set's new
            ones.
        mask_classes: Names of the classes that have masks, in the order of `class_names`.
        parts: The sets; for a pair the detection set first.
        extra: Keys that the YAMLs hold beside classes and splits (`channels`, for one).
    """

    class_names: list[str]
    mask_classes: list[str]
    parts: list[JointPart]
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_mask_class(self) -> list[bool]:
        """By joint class, whether it has masks."""
        return [name in self.mask_classes for name in self.class_names]

    def parts_of(self, split: str) -> list[JointPart]:
        """Return the parts that have a split.

        Raises:
            DataError: If none has it.
        """
        found = [part for part in self.parts if split in part.description.splits]
        if not found:
            files = " nor ".join(str(part.description.yaml_path) for part in self.parts)
            negation = "neither " if len(self.parts) > 1 else ""
            known = ", ".join(sorted({name for part in self.parts for name in part.description.splits})) or "none"
            offer = "."
            if split == "val" and "train" in known:
                offer = offer_to_split(self.parts[-1].description.yaml_path)
            raise DataError(
                f"{negation}{files} names {'a' if negation else 'no'} '{split}:' split (named: {known}); add it{offer}"
            )
        return found

    def label_counts(self, split: str) -> tuple[list[int], list[int]]:
        """Count the labels of a split.

        Returns:
            By joint class, all objects, and the objects whose mask is usable: polygon rows of mask classes in sets
            with masks.

        Raises:
            DataError: If the split is missing or a label row is bad.
        """
        objects, masks = [0] * len(self.class_names), [0] * len(self.class_names)
        is_mask_class = self.is_mask_class
        for part in self.parts_of(split):
            scan = scan_labels(part.description, split, allow_mixed=True)
            scan.raise_for_problems()
            for own, joint in enumerate(part.class_map):
                objects[joint] += scan.instance_counts[own]
                if part.has_masks and is_mask_class[joint]:
                    masks[joint] += scan.polygon_counts[own]
        return objects, masks

    def to_plain(self) -> dict[str, Any]:
        """Return what `from_plain` reads the sets from again, in another process or another working directory."""
        paths = [str(part.description.yaml_path) for part in self.parts]
        data = paths[0] if len(paths) == 1 else {"detect": paths[0], "segment": paths[1]}
        return {"data": data, "mask_classes": list(self.mask_classes)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> JointSets:
        """Read the sets that `to_plain` named.

        Raises:
            DataError: If a file has gone or changed its classes in between.
        """
        return read_joint_sets(plain["data"], plain["mask_classes"])


def read_joint_sets(
    data: str | Path | DataPair | Mapping[str, str | Path], mask_classes: Sequence[str] | None = None
) -> JointSets:
    """Read the one or two data sets of the joint task and map their classes by name.

    Args:
        data: A data-set YAML, or `{detect: YAML, segment: YAML}`.
        mask_classes: Names of the classes that have masks. For a pair, None means all classes of the segmentation set.

    Raises:
        ConfigError: If `mask_classes` is missing for a single set, or names a class that cannot have masks.
        DataError: If a YAML is wrong. Splits are looked at when they are used.
    """
    if isinstance(data, str | Path):
        description = read_dataset_yaml(data, required=())
        names = description.class_names
        if mask_classes is None:
            raise ConfigError(
                f"task joint on one data set needs mask_classes, the names of the classes that have masks; "
                f"{description.yaml_path} has {', '.join(names)}."
            )
        part = JointPart(description, list(range(len(names))), [True] * len(names), has_masks=True)
        return JointSets(names, _ordered_mask_classes(mask_classes, names, names), [part], description.extra)

    pair = data if isinstance(data, DataPair) else _as_pair(data)
    detect, segment = (read_dataset_yaml(path, required=()) for path in (pair.detect, pair.segment))
    names = list(dict.fromkeys([*detect.class_names, *segment.class_names]))
    chosen = segment.class_names if mask_classes is None else mask_classes
    parts = [_map_part(detect, names, has_masks=False), _map_part(segment, names, has_masks=True)]
    return JointSets(
        names, _ordered_mask_classes(chosen, segment.class_names, names), parts, _common_extra(detect, segment)
    )


def _as_pair(data: Mapping[str, str | Path]) -> DataPair:
    if set(data) != {"detect", "segment"}:
        given = ", ".join(map(str, data)) or "nothing"
        raise ConfigError(f"data: a pair of sets has the keys detect and segment, got {given}.")
    return DataPair(detect=str(data["detect"]), segment=str(data["segment"]))


def _map_part(description: DatasetDescription, names: list[str], *, has_masks: bool) -> JointPart:
    own = description.class_names
    return JointPart(description, [names.index(name) for name in own], [name in own for name in names], has_masks)


def _ordered_mask_classes(chosen: Sequence[str], maskable: list[str], names: list[str]) -> list[str]:
    """Return the chosen names in the order of the joint list; only `maskable` classes can have masks."""
    for name in chosen:
        if name not in maskable:
            what = "is only in the detection set, which has no masks" if name in names else "is not a class of the data"
            hint = did_you_mean(name, maskable) or f" Classes that can have masks: {', '.join(maskable)}."
            raise ConfigError(f"mask_classes: {name} {what}.{hint}")
    if not chosen:
        raise ConfigError("mask_classes is empty; name at least one class, or use task detect.")
    return [name for name in names if name in chosen]


def _common_extra(detect: DatasetDescription, segment: DatasetDescription) -> dict[str, Any]:
    if detect.channels != segment.channels:
        raise DataError(
            f"{detect.yaml_path} has images of {detect.channels} channels and {segment.yaml_path} of "
            f"{segment.channels}; one network needs one number."
        )
    return {**segment.extra, **detect.extra}
