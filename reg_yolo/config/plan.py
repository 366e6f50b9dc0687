"""What a user may write in the plan of a comparison: which arms, on which sets, with which seeds, and what decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from reg_yolo.config.layers import Layer
from reg_yolo.config.loader import load_config, read_yaml_file
from reg_yolo.config.problems import KeyedError, KeyPath, explain
from reg_yolo.config.schema import RunConfig
from reg_yolo.config.sections import Section
from reg_yolo.config.shipped import shipped_file
from reg_yolo.errors import ConfigError

Endpoint = Literal["map50_95", "map50", "f1_best", "f1_025", "rare_ap", "mask_map50_95", "mask_map50", "mask_rare_ap"]
PlanName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]
Seed = Annotated[int, Field(ge=0, le=2**31)]

FIXED_TRAIN: dict[str, Any] = {"val": False, "plots": False, "save": False, "verbose": False}
"""Ultralytics' arguments that are the same in every run: no validation before the one at the end, nothing drawn."""
_OURS = {
    "val": "the last epoch's EMA is evaluated once, at the end",
    "seed": "write seeds: at the top of the plan",
    "time": "arms must take equally many steps, whatever a step takes",
    "resume": "a run that was cut off is repeated",
    **dict.fromkeys(("project", "name", "exist_ok", "save_dir"), "the plan's results lie where --out says"),
    **dict.fromkeys(("save", "save_period", "plots"), "the last epoch's weights are kept, nothing is drawn"),
}


class Family(Section):
    """The comparisons whose p-values are adjusted together (Holm): arms x endpoints x sets."""

    arms: list[PlanName] | None = Field(default=None, min_length=1, description="By default every arm.")
    endpoints: list[Endpoint] = Field(default=["map50_95", "rare_ap"], min_length=1, description="The primary ones.")
    sets: list[PlanName] | None = Field(default=None, min_length=1, description="By default every set.")


class PlanSettings(Section):
    """The plan of a comparison."""

    base: Annotated[str, StringConstraints(min_length=1)] = Field(
        description="The configuration that every arm builds on: a path relative to the plan, or a shipped name."
    )
    data: str | list[str] | dict[PlanName, str | dict[str, Any]] = Field(
        description="One data YAML, a list of them, or {name: YAML, name: {data: YAML, model: ..., train: ...}}."
    )
    seeds: list[Seed] = Field(min_length=1, description="Each arm is trained once with each.")
    reference: PlanName = Field(description="The arm that every other one is compared with.")
    train: dict[str, Any] = Field(default_factory=dict, description="Arguments of Ultralytics for every arm.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Further keys of a configuration, for every arm."
    )
    arms: dict[PlanName, dict[str, Any]] = Field(
        min_length=2, description="By name, the keys of a configuration in which the arm departs from the base."
    )
    rare: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Names of the rare classes; by default under a third of the median count.",
    )
    endpoints: list[Endpoint] = Field(
        default=["map50_95", "map50", "f1_best", "f1_025", "rare_ap"], min_length=1, description="What is reported."
    )
    family: Family = Field(default_factory=Family, description="What is adjusted for together.")
    effect: dict[Endpoint, Annotated[float, Field(gt=0, le=100)]] = Field(
        default_factory=dict,
        description="By endpoint, the difference in points worth finding; 1, and 3 for rare classes.",
    )

    @model_validator(mode="before")
    @classmethod
    def _arms_may_be_empty(cls, given: Any) -> Any:
        # `stock:` with nothing under it is the base as it stands.
        if isinstance(given, Mapping) and isinstance(given.get("arms"), Mapping):
            arms = {name: {} if keys is None else keys for name, keys in given["arms"].items()}
            return {**given, "arms": arms}
        return given

    @model_validator(mode="after")
    def _names_are_known(self) -> PlanSettings:
        if self.reference not in self.arms:
            raise KeyedError(("reference",), f"there is no arm {self.reference}; the arms are {', '.join(self.arms)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise KeyedError(("seeds",), "a seed stands twice; runs with one seed are equal")
        unknown = [name for name in self.family.arms or () if name not in self.arms or name == self.reference]
        if unknown:
            raise KeyedError(("family", "arms"), f"{unknown[0]} is no arm beside the reference")
        left_out = [name for name in self.family.endpoints if name not in self.endpoints]
        if left_out and "family" in self.model_fields_set:
            raise KeyedError(("family", "endpoints"), f"{left_out[0]} is not among endpoints")
        written = [("train", self.train), ("settings.train", self.settings.get("train"))]
        for key, keys in [*written, *((f"arms.{n}.train", a.get("train")) for n, a in self.arms.items())]:
            named = next((name for name in keys or () if name in _OURS), None) if isinstance(keys, Mapping) else None
            if named:
                raise KeyedError((*key.split("."), named), f"not taken in a plan; {_OURS[named]}")
        return self


@dataclass(frozen=True)
class PlanSet:
    """One data set of a plan.

    Attributes:
        name: What it is called.
        values: Keys of a configuration in which it departs from the base; `data` is one of them.
        rare: Names of its rare classes where the plan gives them.
        where: Path of its keys in the plan.
    """

    name: str
    values: dict[str, Any]
    rare: tuple[str, ...] | None
    where: KeyPath


@dataclass(frozen=True)
class Plan:
    """A plan that has been read.

    Attributes:
        path: Its file.
        settings: What it says.
        sets: Its data sets by name.
        lines: The line of each key.
    """

    path: Path
    settings: PlanSettings
    sets: dict[str, PlanSet]
    lines: Mapping[KeyPath, int] = field(default_factory=dict, repr=False)

    def resolve(self, set_name: str, arm: str, train_keys: Mapping[str, object]) -> RunConfig:
        """Return the whole configuration of an arm on a set, without a seed.

        Args:
            set_name: One of `sets`.
            arm: One of the plan's arms.
            train_keys: The arguments of Ultralytics with their defaults.

        Raises:
            ConfigError: If a key of base, set or arm is unknown, a value wrong, or keys contradict each other.
        """
        chosen = self.sets[set_name]
        layers = [
            self._layer({"train": self.settings.train}, ()),
            self._layer(self.settings.settings, ("settings",)),
            self._layer(chosen.values, chosen.where),
            self._layer(self.settings.arms[arm], ("arms", arm)),
            Layer({"train": FIXED_TRAIN}, "compare"),
        ]
        try:
            config = load_config(self.settings.base, train_keys=train_keys, cwd=self.path.parent, above=layers)
            if config.train.get("time"):
                raise ConfigError(f"train.time: not taken in a comparison; {_OURS['time']}")
        except ConfigError as error:
            raise ConfigError(f"arm {arm} on {set_name}: {error}") from None
        return config

    def _layer(self, values: Mapping[str, Any], where: KeyPath) -> Layer:
        lines = {key[len(where) :]: line for key, line in self.lines.items() if key[: len(where)] == where}
        return Layer(dict(values), self.path.name, lines)


def load_plan(source: str | Path, data: str | Path | None = None) -> Plan:
    """Read and check a plan; each arm's configuration is checked by `Plan.resolve`.

    Args:
        source: The plan's YAML, or the name of a shipped one such as `losses`.
        data: A data YAML, relative to the working directory, in the place of the plan's sets.

    Raises:
        ConfigError: If it is missing or malformed, a key is unknown or a value wrong.
    """
    path = Path(source).expanduser()
    if not path.is_file():
        shipped = shipped_file(str(source), "plans")
        if shipped is None:
            raise ConfigError(f"no plan {source}: no such file in {Path.cwd()}, and no shipped plan of that name")
        path = shipped
    path = path.absolute()
    values, lines = read_yaml_file(path, path.name)
    if data is not None:
        values["data"] = str(Path(data).expanduser().absolute())

    def where(key: KeyPath) -> str:
        for length in range(len(key), 0, -1):
            if key[:length] in lines:
                return f" ({path.name}:{lines[key[:length]]})"
        return f" ({path.name})"

    try:
        settings = PlanSettings.model_validate(values)
        sets = _sets(settings)
    except ValidationError as error:
        raise ConfigError(explain(error, PlanSettings, where=where)) from None
    except KeyedError as error:
        raise ConfigError(f"{'.'.join(map(str, error.path))}: {error}{where(error.path)}") from None
    return Plan(path, settings, sets, lines)


def _sets(settings: PlanSettings) -> dict[str, PlanSet]:
    rare = tuple(settings.rare) if settings.rare else None
    data = settings.data
    if isinstance(data, dict):
        found = {}
        for name, given in data.items():
            values = {"data": given} if isinstance(given, str) else dict(given)
            own = values.pop("rare", None)
            if "data" not in values:
                raise KeyedError(("data", name), "missing data: the set's data YAML")
            if own is not None and not (isinstance(own, list) and own and all(isinstance(each, str) for each in own)):
                raise KeyedError(("data", name, "rare"), "expected a list of class names")
            where: KeyPath = ("data", name) if isinstance(given, dict) else ("data", name, "data")
            named = next((key for key in values.get("train") or () if key in _OURS), None)
            if named:
                raise KeyedError(("data", name, "train", named), f"not taken in a plan; {_OURS[named]}")
            found[name] = PlanSet(name, values, tuple(own) if own else rare, where)
    else:
        files = [data] if isinstance(data, str) else data
        found = {name: PlanSet(name, {"data": file}, rare, ()) for file in files if (name := _set_name(file))}
        if len(found) < len(files):
            raise KeyedError(("data",), "two sets would have one name; write {name: YAML, other_name: YAML}")
    unknown = next((name for name in settings.family.sets or () if name not in found), None)
    if unknown:
        raise KeyedError(("family", "sets"), f"there is no set {unknown}; the sets are {', '.join(found)}")
    return found


def _set_name(file: str) -> str:
    """Return what a set is called: the YAML's name, or its folder's where that says more."""
    path = Path(file)
    name = path.parent.name if path.stem in ("data", "dataset") and path.parent.name else path.stem
    return "".join(character if character.isalnum() or character in "_.+-" else "_" for character in name).lstrip(
        "_.+-"
    )
