"""The runs of a plan: their settings resolved, and digests of everything that a result hangs on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.config.plan import Plan, PlanSet
from reg_yolo.config.problems import did_you_mean
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.schema import DataPair, RunConfig
from reg_yolo.config.shipped import shipped_weights
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import read_joint_sets
from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.comparison.records import RunRecord, find_record, record_path, run_name

# Arguments of Ultralytics that say where a run is made, not what is trained.
_NOT_OF_THE_METHOD = {"device", "workers", "project", "name", "exist_ok", "verbose", "seed"}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan, resolved.

    Attributes:
        set_name, arm, seed: Which.
        config: Its configuration, without the seed.
        content: What is trained on what, as plain data.
        run_hash: Digest of `content`.
    """

    set_name: str
    arm: str
    seed: int
    config: RunConfig
    content: dict[str, Any]
    run_hash: str

    @property
    def key(self) -> tuple[str, str, int]:
        """Set, arm and seed."""
        return self.set_name, self.arm, self.seed

    @property
    def name(self) -> str:
        """What the run is called in messages."""
        return run_name(self.set_name, self.arm, self.seed)

    def record_path(self, out: Path) -> Path:
        """Return where its record is written."""
        return record_path(out, *self.key, self.run_hash)

    def record(self, out: Path) -> RunRecord | None:
        """Return its record where there is one."""
        return find_record(out, self.key, self.run_hash, self.content, default_content())


def planned_runs(plan: Plan) -> list[PlannedRun]:
    """Return every run of a plan, seed by seed: all sets and all arms before the next seed.

    Raises:
        RegYoloError: If a configuration is wrong, or a data set cannot be read.
    """
    digests: dict[str, str] = {}
    resolved = {}
    for set_name in plan.sets:
        for arm in plan.settings.arms:
            config = plan.resolve(set_name, arm, DEFAULT_CFG_DICT)
            _require_classes(plan.sets[set_name], config)
            content = _content(config, digests)
            resolved[set_name, arm] = (config, content, digest_of(content))
    return [
        PlannedRun(set_name, arm, seed, config, content, run_hash)
        for seed in plan.settings.seeds
        for (set_name, arm), (config, content, run_hash) in resolved.items()
    ]


def _require_classes(chosen: PlanSet, config: RunConfig) -> None:
    """Refuse rare classes that the data set does not have.

    Raises:
        ConfigError: With the first of them.
    """
    names = {name for description in _descriptions(config) for name in description.class_names} if chosen.rare else ()
    unknown = next((name for name in chosen.rare or () if name not in names), None)
    if unknown is not None:
        raise ConfigError(f"rare: {chosen.name} has no class {unknown}.{did_you_mean(unknown, names)}")


@cache
def default_content() -> dict[str, Any]:
    """Return every setting of a configuration at its default, as `PlannedRun.content` has them."""
    return RunConfig(model="-", data="-", reg=RegSettings.from_mapping("stock")).to_dict()


def plan_hash(runs: Sequence[PlannedRun]) -> str:
    """Return a digest of all runs of a plan."""
    return digest_of({f"{run.set_name}/{run.arm}/{run.seed}": run.run_hash for run in runs})


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _content(config: RunConfig, digests: dict[str, str]) -> dict[str, Any]:
    """Return what is trained on what; files stand with a digest of what they hold, not with their paths."""
    content = config.to_dict()
    evaluated = str(config.train.get("split") or "val")
    shown = json.dumps([config.task == "joint", content.pop("data"), config.mask_classes, evaluated], default=str)
    if shown not in digests:
        digests[shown] = _data_digest(_descriptions(config), evaluated)
    model = str(content["model"])
    content["model"] = _weights_digest(model, digests)
    train = {key: value for key, value in content["train"].items() if key not in _NOT_OF_THE_METHOD}
    if isinstance(train.get("pretrained"), str):
        train["pretrained"] = _weights_digest(train["pretrained"], digests)
    return {**content, "train": train, "data": digests[shown]}


def _weights_digest(name: str, digests: dict[str, str]) -> str:
    path = Path(name) if Path(name).is_file() else shipped_weights(Path(name).name)
    if path is None:
        return name
    if str(path) not in digests:
        digests[str(path)] = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return digests[str(path)]


def _descriptions(config: RunConfig) -> list[DatasetDescription]:
    """Return the data set of a run, or the sets of the joint task."""
    if config.task != "joint":
        return [read_dataset_yaml(str(config.data))]
    data = config.data.model_dump() if isinstance(config.data, DataPair) else config.data
    return [part.description for part in read_joint_sets(data, config.mask_classes).parts]


def _data_digest(descriptions: Sequence[DatasetDescription], evaluated: str) -> str:
    """Return a digest of class names, label files, and the names and sizes of images of both splits."""
    digest = hashlib.sha256()
    for description in descriptions:
        digest.update("\n".join(description.class_names).encode())
        for split in ("train", evaluated):
            digest.update(split.encode())
            for image in sorted(description.images(split)) if split in description.splits else ():
                label = label_path_for(image)
                rows = label.read_bytes() if label.is_file() else b""
                digest.update(f"{image.name} {image.stat().st_size} {len(rows)}\n".encode() + rows)
    return digest.hexdigest()[:16]
