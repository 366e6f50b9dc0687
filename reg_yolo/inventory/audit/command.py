"""Everything that `inventory audit plan`, `record` and `report` do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.errors import ConfigError
from reg_yolo.files import whole_folder
from reg_yolo.inventory.audit.forms import write_forms
from reg_yolo.inventory.audit.judging import Judgement, judge
from reg_yolo.inventory.audit.plan import Plan, Terms, read_plan, write_plan
from reg_yolo.inventory.audit.planning import plan_audit
from reg_yolo.inventory.audit.record import read_record
from reg_yolo.inventory.audit.report import lines_of, write_disputed, write_outputs
from reg_yolo.inventory.audit.signed_page import write_pdf

Say = Callable[[str], None]
Progress = Callable[[int, int], None]


def plan_into(
    inventory: Path,
    out: Path,
    terms: Terms,
    routes: Sequence[Path] = (),
    say: Say = lambda _line: None,
    progress: Progress = lambda _done, _total: None,
) -> Plan:
    """Plan an audit and write it with its forms into a new folder.

    Args:
        inventory: inventory.gpkg, inventory.geojson, or the folder with both.
        out: The folder; it must not exist yet, or be empty.
        terms: What the contract asks for.
        routes: Axes with chainage.
        say: Called with each line that the user should read.
        progress: Called with the steps done and to do.

    Raises:
        ConfigError: If terms do not fit each other.
        DataError: If the inventory cannot be audited, or the folder holds something.
    """
    with whole_folder(out) as folder:
        plan = plan_audit(inventory, terms, routes, say, progress)
        write_plan(folder, plan)
        write_forms(folder, plan)
    say(f"Audit {plan.audit}: {out}; how to fill its forms: {out / 'instructions.md'}")
    return plan


@dataclass(frozen=True)
class Reported:
    """What `report` wrote.

    Attributes:
        judgement: What it says.
        files: Reports, and forms of what is disputed.
    """

    judgement: Judgement
    files: list[Path]


def report_into(folder: Path, say: Say = lambda _line: None) -> Reported:
    """Judge an audit as far as it is recorded, and write report.md, .csv, .json and .pdf into its folder.

    Raises:
        DataError: If the folder holds no audit, or its record is damaged.
    """
    plan = read_plan(folder)
    record = read_record(folder, plan)
    judgement = judge(plan, record)
    files = write_outputs(folder, judgement)
    pdf = folder / "report.pdf"
    write_pdf(pdf, judgement)
    files.append(pdf)
    for line in lines_of(judgement):
        say(line)
    for note in judgement.notes[len(plan.notes) :]:
        say(note)
    files += write_disputed(folder, judgement, record, say)
    say(f"To sign: {pdf}")
    return Reported(judgement, files)


def names(text: str) -> tuple[str, ...]:
    """Read names such as `sign, guardrail`, each once.

    Example:
        >>> names("sign, guardrail,sign")
        ('sign', 'guardrail')
    """
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def metres(text: str, option: str) -> float:
    """Read a length such as `5m`.

    Raises:
        ConfigError: If it is none.

    Example:
        >>> metres("5m", "--position"), metres("2.5", "--position")
        (5.0, 2.5)
    """
    try:
        return float(text.strip().removesuffix("m"))
    except ValueError:
        raise ConfigError(f"{option}: expected metres such as 5m, got {text!r}") from None
