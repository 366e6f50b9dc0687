"""What the auditors handed in: one file for each form, never changed once it is there."""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import DataError
from reg_yolo.files import file_sha256, make_folder, replace_text
from reg_yolo.inventory.audit.answers import Answer, Checker, listed_id
from reg_yolo.inventory.audit.filled import TypedRow, read_filled
from reg_yolo.inventory.audit.forms import ASSETS, DECIDER, DISPUTED, KIND, LISTED, STRETCHES
from reg_yolo.inventory.audit.plan import Plan, read_plan
from reg_yolo.stored import damage_named, read_stored_json

FOLDER = "record"
_MOST_NAMED = 3
SCHEMA = "reg_yolo.audit_record/1"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Submission:
    """One form that was handed in.

    Attributes:
        audit: Id of the audit.
        file: Name of the form.
        sha256: Of the form.
        recorded_at: ISO 8601, UTC.
        answers: What it says.
        typed: Its filled rows cell by cell, as they were typed.
    """

    audit: str
    file: str
    sha256: str
    recorded_at: str
    answers: tuple[Answer, ...]
    typed: tuple[dict[str, str], ...]


@dataclass
class Recorded:
    """What `record` did.

    Attributes:
        forms: How many forms were added.
        rows: Filled rows in them.
        empty: Rows that nobody filled.
        left_out: Points in stretches whose list is not said to be complete.
        known: Forms that were recorded before, as they are.
        lines: What the user should read.
    """

    forms: int = 0
    rows: int = 0
    empty: int = 0
    left_out: int = 0
    known: int = 0
    lines: list[str] = field(default_factory=list)


def record_forms(folder: Path, forms: Sequence[Path], say: Say = lambda _line: None) -> Recorded:
    """Check filled forms and add them to an audit's record; none is added where one is wrong.

    Args:
        folder: The audit.
        forms: CSV or GeoPackage.
        say: Called with each line that the user should read.

    Raises:
        DataError: In one line, naming file and row.
    """
    plan = read_plan(folder)
    before = read_record(folder, plan)
    digests = {one.sha256 for one in before}
    done = Recorded()

    def tell(line: str) -> None:
        done.lines.append(line)
        say(line)

    new: list[Submission] = []
    for path in forms:
        rows = read_filled(path, tell)
        digest = file_sha256(path)
        if digest in digests:
            done.known += 1
            tell(f"{path}: recorded before, nothing new in it{_overtaken(digest, [*before, *new])}")
            continue
        digests.add(digest)
        checker = Checker(plan, disputable([*before, *new]))
        filled, unfilled = _checked(path, rows, checker)
        empty = len(unfilled)
        answered, unfinished = _complete(filled)
        left_out = len(filled) - len(answered)
        done.empty += empty
        done.left_out += left_out
        if unfinished:
            tell(
                f"{path}: {left_out} points left out, in {len(unfinished)} stretches whose `checked` is not yes "
                f"({_some(unfinished)}); once all is listed there write yes, and hand it in again"
            )
        if not answered:
            tell(f"{path}: {'nothing' if unfinished else 'no row is filled, nothing'} recorded")
            for line in _kept(path, unfilled, (), [*before, *new]):
                tell(line)
            continue
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        answers, typed = tuple(one for _, one in answered), tuple(dict(row.cells) for row, _ in answered)
        new.append(Submission(plan.audit, path.name, digest, now, answers, typed))
        tell(f"{path}: {len(answered)} rows recorded, {empty} not filled{_which(path, unfilled)}")
        earlier = [*before, *new[:-1]]
        for line in (*_kept(path, unfilled, answers, earlier), *_remarks(path, answers, earlier, plan)):
            tell(line)
    for one in new:
        _write(folder, one)
        done.forms += 1
        done.rows += len(one.answers)
    return done


def _checked(
    path: Path, rows: Sequence[TypedRow], checker: Checker
) -> tuple[list[tuple[TypedRow, Answer]], list[TypedRow]]:
    """Answers of all filled rows, and the rows that are not filled.

    Raises:
        DataError: Naming the first row that is wrong and how many more are.
    """
    answered: list[tuple[TypedRow, Answer]] = []
    unfilled: list[TypedRow] = []
    wrong: list[str] = []
    for row in rows:
        try:
            answer = checker.answer(row)
        except DataError as error:
            wrong.append(str(error))
            continue
        if answer is None:
            unfilled.append(row)
        else:
            answered.append((row, answer))
    twice = [key for key, count in Counter((a.kind, a.form, a.item) for _, a in answered).items() if count > 1]
    wrong += [
        f"{path.name}: form {form}: {item} is answered in more than one row" for kind, form, item in twice
        if kind != STRETCHES
    ]  # fmt: skip
    tables = [answer for row, answer in answered if row.kind == STRETCHES and not row.is_mark]
    empty = {(one.form, one.item) for one in tables if not one.class_name}
    both = sorted(empty & {(one.form, one.item) for one in tables if one.class_name})
    wrong += [f"{path.name}: form {form}: stretch {item} has things listed and a row with none" for form, item in both]
    if wrong:
        more = f" (and {len(wrong) - 1} more of its rows are wrong)" if len(wrong) > 1 else ""
        raise DataError(f"{wrong[0]}{more}; nothing was recorded")
    return answered, unfilled


def _complete(
    filled: list[tuple[TypedRow, Answer]],
) -> tuple[list[tuple[TypedRow, Answer]], list[str]]:
    """Leave out what was drawn in stretches whose list is not said to be complete, and name these."""
    yes = {(one.form, one.item) for row, one in filled if row.is_mark}
    drawn = {(one.form, one.item) for row, one in filled if row.kind == LISTED}
    answered = [(row, one) for row, one in filled if row.kind != LISTED or (one.form, one.item) in yes]
    return answered, sorted({item for _, item in drawn - yes})


def _overtaken(digest: str, record: Sequence[Submission]) -> str:
    """What to add of a form that is handed in again: that others, handed in since, count instead."""
    last = max((n for n, one in enumerate(record) if one.sha256 == digest), default=len(record))
    own = {(one.kind, one.form, one.item) for submission in record[last : last + 1] for one in submission.answers}
    later = [one for one in record[last + 1 :] if own & {(a.kind, a.form, a.item) for a in one.answers}]
    if not later:
        return ""
    count = len(own & {(one.kind, one.form, one.item) for submission in later for one in submission.answers})
    return (
        f"; {count} of its answers do not count, as {_some([one.file for one in later])} was recorded later; to make "
        "them count again, change something in the file, such as a remark, and hand it in"
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _which(path: Path, rows: Sequence[TypedRow]) -> str:
    """Name rows, such as `: row 13, sign-1a6ebaa1`."""
    named = [f"{row.where.removeprefix(f'{path.name}: ')}, {_item(row)}" for row in rows[:_MOST_NAMED]]
    more = len(rows) - len(named)
    return (f": {'; '.join(named)}" if named else "") + (f" and {more} more" if more else "")


def _item(row: TypedRow) -> str:
    return row.text(KIND[row.kind].key)


def _kept(
    path: Path, unfilled: Sequence[TypedRow], answers: Sequence[Answer], before: Sequence[Submission]
) -> list[str]:
    """Say that an empty row takes no earlier answer back."""
    earlier = {(one.kind, one.form, one.item) for submission in before for one in submission.answers}
    own = {(one.kind, one.form, one.item) for one in answers}
    kept = sorted({(row.kind, row.text("form").casefold(), _item(row)) for row in unfilled} & earlier - own)
    if not kept:
        return []
    some = _some([item for _, _, item in kept])
    back = "hand in their lists again" if kept[0][0] == STRETCHES else "write unsure"
    return [
        f"{path}: {len(kept)} that are not filled were answered before ({some}), and those answers still count; to "
        f"take them back {back}"
    ]


def _remarks(path: Path, answers: Sequence[Answer], before: Sequence[Submission], plan: Plan) -> list[str]:
    """What is worth a second look in answers that are recorded."""
    earlier = {(one.kind, one.form, one.item) for submission in before for one in submission.answers}
    again = sorted({(one.kind, one.form, one.item) for one in answers} & earlier)
    said = []
    if again:
        some = _some([item for _, _, item in again])
        said.append(f"{path}: {len(again)} were recorded before ({some}); what was typed last counts, both are kept")
    known = plan.all_classes
    strange = Counter((one.class_name, one.kind) for one in answers if one.class_name and one.class_name not in known)
    for (name, kind), count in strange.items():
        message = f"{path}: {count} of class {name!r}, which the inventory does not have"
        hint = did_you_mean(name, known)
        if hint:
            until = "; until then it counts as a class of its own, missed" if kind == STRETCHES else ""
            hint += f" Then correct it and hand the form in again{until}"
        said.append(with_hint(message, hint))
    return said


def _write(folder: Path, one: Submission) -> None:
    """Write a submission under a name of its own, later ones behind earlier ones."""
    make_folder(folder / FOLDER)
    stamp = one.recorded_at.replace(":", "").replace("-", "").replace(".", "_")
    content = {
        "schema": SCHEMA,
        "audit": one.audit,
        "file": one.file,
        "sha256": one.sha256,
        "recorded_at": one.recorded_at,
        "answers": [answer.to_dict() for answer in one.answers],
        "typed": list(one.typed),
    }
    target = folder / FOLDER / f"{stamp}_{secrets.token_hex(3)}.json"
    replace_text(target, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_record(folder: Path, plan: Plan) -> list[Submission]:
    """Return what was handed in, in its order.

    Raises:
        DataError: If a file of the record is damaged or belongs to another audit.
    """
    found = []
    place = folder / FOLDER
    for path in sorted(place.glob("*.json")) if place.is_dir() else []:
        if path.name.startswith("."):
            continue
        with damage_named(path, "a part of an audit's record", "take it from a backup"):
            content = read_stored_json(path)
            if content.get("schema") != SCHEMA:
                raise ValueError(f"schema {content.get('schema')!r} instead of {SCHEMA}")
            if content["audit"] != plan.audit:
                raise DataError(f"{path}: of audit {content['audit']}, but {os.fspath(folder)} holds {plan.audit}")
            found.append(_submission(content))
    return sorted(found, key=lambda one: one.recorded_at)


def _submission(content: dict[str, Any]) -> Submission:
    return Submission(
        str(content["audit"]),
        str(content["file"]),
        str(content["sha256"]),
        str(content["recorded_at"]),
        tuple(Answer(**one) for one in content["answers"]),
        tuple(dict(one) for one in content["typed"]),
    )


@dataclass(frozen=True)
class Answers:
    """What counts of all that was handed in: the last answer of each person.

    Attributes:
        assets: By person and asset.
        lists: By person and stretch: what stands there, empty where nothing does.
        decided: Whether something that was disputed stands, by its id; None where unsure.
    """

    assets: dict[tuple[str, str], Answer]
    lists: dict[tuple[str, str], tuple[Answer, ...]]
    decided: dict[str, bool | None]


def last_answers(record: Iterable[Submission]) -> Answers:
    """Return what counts; a person's list of a stretch is replaced as a whole by a later one."""
    found = Answers({}, {}, {})
    for submission in record:
        lists: dict[tuple[str, str], list[Answer]] = {}
        for one in submission.answers:
            if one.kind == ASSETS:
                found.assets[one.form, one.item] = one
            elif one.kind == DISPUTED and one.form == DECIDER:
                found.decided[one.item] = one.yes
            elif one.kind == STRETCHES:
                own = lists.setdefault((one.form, one.item), [])
                if one.class_name:
                    own.append(one)
        found.lists.update({key: tuple(own) for key, own in lists.items()})
    return found


def disputable(record: Iterable[Submission]) -> dict[str, str]:
    """Return the class of everything that was ever listed, by its id."""
    return {
        name_of(one): one.class_name
        for submission in record
        for one in submission.answers
        if one.kind == STRETCHES and one.class_name
    }


def name_of(one: Answer) -> str:
    """Return the id of something that was listed."""
    assert one.longitude is not None and one.latitude is not None
    return listed_id(one.item, one.class_name, one.longitude, one.latitude)
