"""Classes by name: renamed, merged, left out and put in order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reg_yolo.config.problems import did_you_mean
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.errors import DataError


@dataclass(frozen=True)
class ClassPlan:
    """What becomes of every class of a source.

    Attributes:
        names: Classes of the result in the order of their indices.
        targets: By class of the source, its name in the result, or None where it is left out.
    """

    names: list[str]
    targets: dict[str, str | None] = field(default_factory=dict)


def plan_classes(
    found: Sequence[str],
    rename: Mapping[str, str],
    drop: Iterable[str],
    order: Sequence[str] | None = None,
    empty_roots: Sequence[str] = (),
) -> ClassPlan:
    """Decide the classes of the result.

    Args:
        found: Classes of the source in its order.
        rename: New name by old name; several old names may get the same new one.
        drop: Old names to leave out.
        order: All classes of the result in their order; None keeps the source's order.
        empty_roots: Classes that the source has left out itself; `drop` and `rename` may name them all the same.

    Raises:
        DataError: If `rename` or `drop` names a class that the source does not have, or the source has one that
            `order` does not.
    """
    dropped = [_composed(name) for name in drop]
    renamed = {_composed(old): _composed(new) for old, new in rename.items()}
    for parameter, names in (("rename", list(renamed)), ("drop", dropped)):
        for name in names:
            if name not in found and name not in empty_roots:
                known = ", ".join(found) or "none"
                hint = did_you_mean(name, found)
                raise DataError(f"{parameter}: the source has no class {name!r}; it has {known}.{hint}")
    both = sorted(set(dropped) & set(renamed))
    if both:
        raise DataError(f"class {both[0]!r} stands in rename and in drop; choose one of them")
    targets = {name: None if name in dropped else renamed.get(name, name) for name in found}
    wanted = list(dict.fromkeys(name for name in targets.values() if name is not None))
    if order is not None:
        ordered = [_composed(name) for name in order]
        foreign = [old for old, new in targets.items() if new is not None and new not in ordered]
        if foreign:
            raise DataError(
                f"classes: the class {foreign[0]!r} of the source is missing; add it, rename it or drop it."
                f"{did_you_mean(foreign[0], ordered)}"
            )
        wanted = ordered
    if not wanted:
        raise DataError("no class is left; the source declares none, or drop names them all")
    return ClassPlan(wanted, targets)


def parse_renames(words: Iterable[str]) -> dict[str, str]:
    """Read `old=new` words.

    Raises:
        DataError: If a word is of another form, or a class gets two names.
    """
    renames: dict[str, str] = {}
    for word in words:
        old, equals, new = (part.strip() for part in word.partition("="))
        if not (old and equals and new):
            raise DataError(f"rename: got {word!r}, expected OLD=NEW such as sign=warning_sign")
        if renames.get(old, new) != new:
            raise DataError(f"rename: the class {old!r} gets two names, {renames[old]!r} and {new!r}")
        renames[old] = new
    return renames


def read_class_order(text: str | None) -> list[str] | None:
    """Read the classes that the user names: `a,b,c`, or a data-set YAML.

    Raises:
        DataError: If a name is empty or stands twice, or the YAML cannot be read.
    """
    if text is None:
        return None
    if text.lower().endswith((".yaml", ".yml")):
        return read_dataset_yaml(Path(text), required=()).class_names
    names = [name.strip() for name in text.split(",")]
    repeated = [name for name in names if names.count(name) > 1]
    if not all(names) or repeated:
        fault = f"{repeated[0]!r} stands twice" if all(names) else "a name is empty"
        raise DataError(f"classes: in {text!r} {fault}; expected names such as a,b,c or a data-set YAML")
    return names


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
