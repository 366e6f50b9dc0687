"""audit.json: what is checked, against which limits, and all that is needed to judge what the auditors find."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.errors import DataError
from reg_yolo.files import replace_text
from reg_yolo.inventory.audit.sizes import SampleSize
from reg_yolo.stored import damage_named, read_stored_json

NAME = "audit.json"
INVENTORY_FILES = ("inventory.geojson", "inventory.gpkg")
SCHEMA = "reg_yolo.audit/1"
ID_DIGITS = 12


@dataclass(frozen=True)
class Terms:
    """What a contract asks for, and how it is checked.

    Attributes:
        recall, precision: Shares that the contract asks for.
        position_m: Distance from its true place within which an asset must lie.
        position_share: Share of the right ones that must.
        confidence: 1 - the probability of passing what just misses a limit.
        power: Probability of passing what is as good as expected.
        expected_recall, expected_precision, expected_position: Shares that the producer expects.
        clustering: Correlation of misses within a stretch that is assumed at least.
        each_class: Assets of every class that are checked at least.
        stretch_m: Length of a stretch.
        reach_m: How far to both sides of a stretch everything is listed.
        within_m: Distance within which something listed is an asset of the inventory.
        seed: Of the sample.
        checkers: How many people check the same sample, 1 or 2.
        contract_classes: Classes that the contract asks for, whether the inventory has them or not.
    """

    recall: float = 0.9
    precision: float = 0.95
    position_m: float = 5.0
    position_share: float = 0.95
    confidence: float = 0.95
    power: float = 0.9
    expected_recall: float = 0.95
    expected_precision: float = 0.975
    expected_position: float = 0.975
    clustering: float = 0.05
    each_class: int = 5
    stretch_m: float = 100.0
    reach_m: float = 20.0
    within_m: float = 10.0
    seed: int = 0
    checkers: int = 2
    contract_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Twin:
    """Another asset of the inventory of the same class, so near that both may be one real thing.

    Attributes:
        asset_id: Which.
        longitude, latitude: Of its middle.
        apart_m: Distance between both; of long ones between their lines.
    """

    asset_id: str
    longitude: float
    latitude: float
    apart_m: float


@dataclass(frozen=True)
class SampledAsset:
    """An asset that is checked: whether it is right, and where it stands.

    Attributes:
        asset_id, class_name, road, longitude, latitude, chainage, side, length_m: As the inventory has it.
        twins: Others of its class near it, the nearest first; None in audits planned before they were kept.
    """

    asset_id: str
    class_name: str
    road: str
    longitude: float
    latitude: float
    chainage: str = ""
    side: str = ""
    length_m: float | None = None
    twins: tuple[Twin, ...] | None = None


@dataclass(frozen=True)
class SampledStretch:
    """A stretch along which everything is listed.

    Attributes:
        stretch_id, road, length_m, chainage_from, chainage_to: As of the stretch.
        line: Longitude and latitude.
        opposite: Whether two drives, and no more, came by, in opposite directions.
    """

    stretch_id: str
    road: str
    line: tuple[tuple[float, float], ...]
    length_m: float
    chainage_from: str = ""
    chainage_to: str = ""
    opposite: bool = False


@dataclass(frozen=True)
class Nearby:
    """An asset of the inventory at a sampled stretch.

    Attributes:
        asset_id, class_name: Which.
        line: Longitude and latitude of its points.
        is_line: Whether it is long: then anything listed along it is it.
        seen: Which of two opposite passes saw it: `both`, `first`, `second`; None where the columns cannot tell.
    """

    asset_id: str
    class_name: str
    line: tuple[tuple[float, float], ...]
    is_line: bool = False
    seen: str | None = None


@dataclass(frozen=True)
class Passes:
    """How many assets two opposite passes saw, by class.

    Attributes:
        counts: `(first, second, both)` by class; the first two include those of both.
        untold: How many assets the columns cannot tell of.
    """

    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    untold: int = 0


@dataclass(frozen=True)
class Plan:
    """An audit.

    Attributes:
        terms: What is asked for.
        inventory: Name of the file.
        sha256: Of the file.
        planned_at: ISO 8601, UTC.
        asset_size: Of the sample of assets, for precision and position.
        stretch_size: Of the listed assets that recall needs; `checked` stretches make them up.
        classes: Assets of the inventory by class.
        stretches_in_all: By road.
        assets, stretches, nearby, passes: The sample, and what the inventory says there.
        notes: What the user should read.
        audit: Its id, of all the others.
        sections: First and last chainage of the road that was drawn from, by road; "" without a route.
        surveyed: First and last time that a drive saw the road, ISO 8601; empty where the inventory does not say.
    """

    terms: Terms
    inventory: str
    sha256: str
    planned_at: str
    asset_size: SampleSize
    stretch_size: SampleSize
    classes: dict[str, int]
    stretches_in_all: dict[str, int]
    assets: tuple[SampledAsset, ...]
    stretches: tuple[SampledStretch, ...]
    nearby: tuple[Nearby, ...]
    passes: Passes
    notes: tuple[str, ...] = ()
    audit: str = ""
    sections: dict[str, tuple[str, str]] = field(default_factory=dict)
    surveyed: tuple[str, ...] = ()

    @property
    def all_classes(self) -> tuple[str, ...]:
        """Classes of the inventory and of the contract; one that only differs in case is the inventory's."""
        names = {name.casefold(): name for name in (*self.terms.contract_classes, *self.classes)}
        return tuple(sorted(names.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {"schema": SCHEMA, **asdict(self)}


def named(plan: dict[str, Any]) -> str:
    """Return the id that an audit's content gives it."""
    content = {key: value for key, value in plan.items() if key != "audit"}
    # A spreadsheet takes digits alone, or digits around an e, for a number: a letter comes first.
    return "a" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:ID_DIGITS]


def write_plan(folder: Path, plan: Plan) -> None:
    """Write audit.json."""
    replace_text(folder / NAME, json.dumps(plan.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")


def read_plan(folder: Path) -> Plan:
    """Read audit.json.

    Raises:
        DataError: If it is missing, damaged or was changed by hand.
    """
    path = folder / NAME
    remedy = "take it from a backup, or plan a new audit"
    try:
        with damage_named(path, "an audit", remedy):
            content = read_stored_json(path, 1 << 30)
            if content.get("schema") != SCHEMA:
                raise ValueError(f"schema {content.get('schema')!r} instead of {SCHEMA}")
            name = named(content)
            # Ids of earlier audits have no letter before their digits.
            if content["audit"] not in (name, name[1:]):
                raise ValueError("changed since it was planned")
            return _plan(content)
    except FileNotFoundError:
        if any((folder / file).is_file() for file in INVENTORY_FILES):
            raise DataError(f"{folder}: that is an inventory; name the audit's folder") from None
        raise DataError(
            f"{folder} holds no audit ({NAME}); plan one with: reg-yolo inventory audit plan INVENTORY --out {folder}"
        ) from None


def _plan(content: dict[str, Any]) -> Plan:
    terms = content["terms"]
    return Plan(
        Terms(**{**terms, "contract_classes": tuple(map(str, terms.get("contract_classes", ())))}),
        str(content["inventory"]),
        str(content["sha256"]),
        str(content["planned_at"]),
        SampleSize(**content["asset_size"]),
        SampleSize(**content["stretch_size"]),
        {str(key): int(value) for key, value in content["classes"].items()},
        {str(key): int(value) for key, value in content["stretches_in_all"].items()},
        tuple(SampledAsset(**{**one, "twins": _twins(one.get("twins"))}) for one in content["assets"]),
        tuple(SampledStretch(**{**one, "line": _line(one["line"])}) for one in content["stretches"]),
        tuple(Nearby(**{**one, "line": _line(one["line"])}) for one in content["nearby"]),
        Passes(
            {str(key): (int(v[0]), int(v[1]), int(v[2])) for key, v in content["passes"]["counts"].items()},
            int(content["passes"]["untold"]),
        ),
        tuple(map(str, content["notes"])),
        str(content["audit"]),
        {str(key): (str(first), str(last)) for key, (first, last) in content.get("sections", {}).items()},
        tuple(map(str, content.get("surveyed", ()))),
    )


def _twins(rows: list[dict[str, Any]] | None) -> tuple[Twin, ...] | None:
    return None if rows is None else tuple(Twin(**one) for one in rows)


def _line(points: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)
