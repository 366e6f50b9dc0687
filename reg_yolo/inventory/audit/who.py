"""Who checked what: whether as many people as planned did, each for themselves."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reg_yolo.inventory.audit.forms import ASSETS, PEOPLE, STRETCHES, people
from reg_yolo.inventory.audit.plan import Plan
from reg_yolo.inventory.audit.record import Submission

_MOST_NAMED = 3


@dataclass(frozen=True)
class Who:
    """Who checked.

    Attributes:
        forms: Those that anything was handed in of.
        auditors, dates: Names and days as typed in the answers that count, by form.
        lacks: What keeps the checks from being those of two people, by `stretches` and `assets`; "" where nothing does.
    """

    forms: tuple[str, ...]
    auditors: dict[str, list[str]]
    dates: dict[str, list[str]]
    lacks: dict[str, str]


@dataclass
class _Signed:
    """Names and days of what counts of a person's answers about one thing."""

    names: set[str]
    dates: set[str]


def who_checked(plan: Plan, record: Sequence[Submission]) -> Who:
    """Return who checked.

    Args:
        plan: The audit.
        record: What was handed in.
    """
    counts: dict[tuple[str, str, str], _Signed] = {}
    for submission in record:
        own: dict[tuple[str, str, str], _Signed] = {}
        for one in submission.answers:
            signed = own.setdefault((one.kind, one.form, one.item), _Signed(set(), set()))
            signed.names |= {one.auditor} - {""}
            signed.dates |= {one.checked_on} - {""}
        counts |= own
    forms = sorted({form for _, form, _ in counts})
    auditors = {form: _all(one.names for key, one in counts.items() if key[1] == form) for form in forms}
    dates = {form: _all(one.dates for key, one in counts.items() if key[1] == form) for form in forms}
    lacks = dict.fromkeys((STRETCHES, ASSETS), "")
    if people(plan) == PEOPLE:
        names = {form: {_plain(name) for name in auditors.get(form, [])} for form in PEOPLE}
        for kind in lacks:
            done = {
                form: {key[2]: one for key, one in counts.items() if key[:2] == (kind, form)} for form in PEOPLE
            }  # fmt: skip
            lacks[kind] = "; ".join([*_one_sided(kind, done), *_one_person(kind, done, names, auditors)])
    return Who(
        tuple(forms),
        {form: own for form, own in auditors.items() if own},
        {form: own for form, own in dates.items() if own},
        lacks,
    )


def _one_sided(kind: str, done: dict[str, dict[str, _Signed]]) -> list[str]:
    """What one person has checked and the other has not."""
    said = []
    for form, other in (PEOPLE, PEOPLE[::-1]):
        lacking = [item for item in done[other] if item not in done[form]]
        if not lacking:
            continue
        if not done[form]:
            said.append(f"form {form} has no {kind} yet")
        else:
            said.append(f"form {form} lacks {len(lacking)} {kind} that form {other} has ({_some(lacking)})")
    return [f"{', '.join(said)}: two people must check"] if said else []


def _one_person(
    kind: str, done: dict[str, dict[str, _Signed]], names: dict[str, set[str]], auditors: dict[str, list[str]]
) -> list[str]:
    """Whether both forms are one person's, or it cannot be told."""
    first, second = PEOPLE
    both = [item for item in done[first] if item in done[second]]
    unnamed = [form for form in PEOPLE if both and not names[form]]
    said = [f"form {form} names no auditor; write the name into a row and hand it in again" for form in unnamed]

    def of(form: str, item: str) -> set[str]:
        """Who signed it; where the row has no name, the only one of the form."""
        own = {_plain(name) for name in done[form][item].names}
        return own or (names[form] if len(names[form]) == 1 else set())

    same = [item for item in both if of(first, item) & of(second, item)]
    if same:
        twice = set().union(*(of(first, item) & of(second, item) for item in same))
        some = ", ".join(name for name in auditors[first] if _plain(name) in twice)
        said.append(f"{some} is the auditor of {len(same)} {kind} on both forms; two people must check")
    return said


def _all(some: Iterable[set[str]]) -> list[str]:
    return sorted(set().union(*some))


def _plain(name: str) -> str:
    """A name without what two ways of typing it may differ in."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def _some(items: Sequence[str]) -> str:
    return ", ".join(items[:_MOST_NAMED]) + (
        f" and {len(items) - _MOST_NAMED} more" if len(items) > _MOST_NAMED else ""
    )
