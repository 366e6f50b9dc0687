"""What an audit has come to, as Markdown, CSV and JSON, and the forms of what is disputed."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reg_yolo import __version__
from reg_yolo.files import file_sha256, replace_bytes, replace_text
from reg_yolo.inventory.audit.filled import read_filled
from reg_yolo.inventory.audit.forms import ASSETS, DECIDER, DISPUTED, KIND, asset_rows, people, write_table
from reg_yolo.inventory.audit.judging import POSITION, RECALL, Judged, Judgement, share_text
from reg_yolo.inventory.audit.plan import Plan
from reg_yolo.inventory.audit.record import Submission, name_of
from reg_yolo.text_tables import csv_cell, escape_markdown, markdown_rows

HEADINGS = ("limit", "of", "asked", "checked", "faults", "share", "interval", "verdict's limits", "verdict")
METHOD = (
    "The interval holds the truth with the stated confidence on average (mid-P). The verdict rests on one-sided exact "
    "limits (Clopper-Pearson): pass where the lower one reaches what is asked for, fail where the upper one does not, "
    "not enough in between. Each is wrong with a probability of at most 1 - confidence."
)
SCHEMA = "reg_yolo.audit_report/1"
ONE_CHECKER = "one person checked, as planned (--checkers 1): nobody sees what that person overlooks"
_MOST_NAMED = 4


def limit_name(row: Judged, judgement: Judgement) -> str:
    """Return what a limit is about."""
    return f"within {judgement.plan.terms.position_m:g} m" if row.what == POSITION else row.what


def shown(row: Judged, judgement: Judgement) -> list[str]:
    """Return a limit's cells under `HEADINGS`."""
    one = row.estimate
    if one.checked:
        interval = "all checked" if one.census else f"{one.low:.3f} to {one.high:.3f}"
        bounds = "all checked" if one.census else f"{one.bound_low:.3f}, {one.bound_high:.3f}"
    else:
        interval = bounds = "-"
    return [
        limit_name(row, judgement), row.class_name or "all", f"{row.limit:g}", str(one.checked), str(one.faults),
        share_text(one.share), interval, bounds, row.verdict,
    ]  # fmt: skip


def reasons(judgement: Judgement) -> list[str]:
    """Return why limits over all have no verdict; those with one reason share a line."""
    named: dict[str, list[str]] = {}
    for row in judgement.over_all():
        if row.why:
            named.setdefault(row.why, []).append(limit_name(row, judgement))
    return [f"{', '.join(names)}: {why}" for why, names in named.items()]


def facts(judgement: Judgement) -> list[tuple[str, str]]:
    """Return what is known besides the limits, each with its name."""
    plan, terms = judgement.plan, judgement.plan.terms
    stretches = sum(plan.stretches_in_all.values())
    said = [
        ("Inventory", f"{plan.inventory}, {sum(plan.classes.values())} assets, SHA-256 {plan.sha256[:16]}..."),
        ("Roads", _roads(plan)),
        ("Surveyed", " to ".join(dict.fromkeys(time[:10] for time in plan.surveyed)) or "not stated"),
        ("Planned", f"{plan.planned_at}, seed {terms.seed}"),
        ("Reported", f"{judgement.reported_at}, reg-yolo {__version__}"),
        (
            "Sample",
            f"{len(plan.assets)} assets; {len(plan.stretches)} of {stretches} stretches",
        ),
        ("Confidence", f"{terms.confidence * 100:g}%"),
    ]
    if judgement.unchecked:
        said.insert(5, ("Not checked", judgement.unchecked))
    if judgement.errors_m is not None:
        median, most = judgement.errors_m
        said.append(("Position", f"median {median:.2f} m, 95 % within {most:.2f} m, as measured"))
    for what, agreement in (
        ("Agreement on assets", judgement.assets_agreement),
        ("Agreement on lists", judgement.lists_agreement),
    ):
        if agreement.both:
            kappa = "kappa does not apply, both say the same of all"
            if agreement.kappa is not None:
                kappa = f"kappa {agreement.kappa:.2f} ({agreement.low:.2f} to {agreement.high:.2f})"
            said.append((what, f"{agreement.agreed} of {agreement.both} alike, {kappa}"))
    if judgement.lists is not None and judgement.findings.lists[0] and judgement.findings.lists[1]:
        one = judgement.lists
        said.append(
            (
                "Both lists together",
                f"hold {one.completeness:.3f} of what stands there ({one.low:.3f} to {one.high:.3f}), by capture and "
                "recapture of the two people",
            )
        )
    total = judgement.passes.get("")
    if total is not None:
        said.append(
            (
                "Opposite passes",
                f"{total.first} and {total.second} seen, {total.both} by both: completeness {total.completeness:.3f} "
                f"({total.low:.3f} to {total.high:.3f}), if the passes are independent",
            )
        )
    tested = judgement.independence
    if tested is not None:
        ratio = "no finite odds ratio" if tested.odds_ratio is None else f"odds ratio {tested.odds_ratio:.2f}"
        said.append(
            (
                "Independence",
                f"{tested.both} seen by both, {tested.first_only} and {tested.second_only} by one, {tested.neither} by "
                f"neither of what the auditors found: {ratio}, p = {tested.p_value:.3g} (Fisher)",
            )
        )
    who = judgement.who
    for form in sorted({*people(plan), *who.forms}):
        names = ", ".join(who.auditors.get(form, [])) or "no auditor's name"
        days = f"; checked on {_few(who.dates[form])}" if form in who.dates else ""
        said.append((f"Form {form}", names + days if form in who.forms else "not handed in"))
    if terms.checkers == 1:
        said.append(("One checker", ONE_CHECKER))
    return said


def _roads(plan: Plan) -> str:
    """Roads that were drawn from, with chainage where there is a route."""
    said = []
    for road in plan.stretches_in_all:
        first, last = plan.sections.get(road, ("", ""))
        said.append(f"{road}, {first} to {last}" if first and last else road)
    return _few(said, "; ")


def _few(some: Sequence[str], between: str = ", ") -> str:
    more = len(some) - _MOST_NAMED
    return between.join(some[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def write_outputs(folder: Path, judgement: Judgement) -> list[Path]:
    """Write report.md, report.csv and report.json, and return them."""
    written = [folder / f"report.{ending}" for ending in ("md", "csv", "json")]
    replace_text(written[0], _markdown(judgement))
    replace_bytes(written[1], b"\xef\xbb\xbf" + _csv(judgement).encode("utf-8"))
    content = {"schema": SCHEMA, **judgement.to_dict()}
    replace_text(written[2], json.dumps(_finite(content), ensure_ascii=False, indent=1, allow_nan=False) + "\n")
    return written


def _markdown(judgement: Judgement) -> str:
    lines = [f"# Acceptance audit {judgement.plan.audit}", "", f"**{judgement.verdict.upper()}**", ""]
    lines += [f"- {name}: {escape_markdown(text)}" for name, text in facts(judgement)]
    lines += ["", *(f"- {escape_markdown(line)}" for line in reasons(judgement))]
    for title, rows in (("Limits", judgement.over_all()), ("By class", judgement.by_class())):
        if rows:
            cells = [[escape_markdown(cell) for cell in shown(row, judgement)] for row in rows]
            lines += ["", f"## {title}", "", markdown_rows(HEADINGS, cells, 2)]
    lines += ["", METHOD, ""]
    if len(judgement.passes) > 1:
        cells = [
            [
                escape_markdown(name or "all"), str(one.first), str(one.second), str(one.both),
                f"{one.completeness:.3f}", f"{one.low:.3f} to {one.high:.3f}",
            ]
            for name, one in judgement.passes.items()
        ]  # fmt: skip
        heads = ("class", "first pass", "second pass", "both", "completeness", "interval")
        lines += ["## Opposite passes", "", markdown_rows(heads, cells), ""]
    if judgement.notes:
        lines += ["## Notes", "", *(f"- {escape_markdown(note)}" for note in judgement.notes), ""]
    return "\n".join(lines)


def _csv(judgement: Judgement) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(
        ("limit", "class", "asked", "checked", "faults", "effective", "share", "low", "high", "bound_low", "bound_high",
         "census", "disputed", "missing", "verdict", "why")
    )  # fmt: skip
    for row in judgement.rows:
        one = row.estimate
        numbers = [one.effective, one.share, one.low, one.high, one.bound_low, one.bound_high]
        shown_numbers = ["" if math.isnan(number) else round(number, 5) for number in numbers]
        cells = [row.what, row.class_name or "all", row.limit, one.checked, one.faults, *shown_numbers]
        cells += ["yes" if one.census else "no", row.disputed, row.missing, row.verdict, row.why]
        writer.writerow([csv_cell(cell) for cell in cells])
    return stream.getvalue()


def _finite(value: Any) -> Any:
    """Numbers that are not finite become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value


def write_disputed(
    folder: Path, judgement: Judgement, record: Sequence[Submission], say: Callable[[str], None]
) -> list[Path]:
    """Write forms of what two people dispute, for a third who decides.

    A form that somebody has begun to fill and not handed in stays as it is.
    """
    plan, findings = judgement.plan, judgement.findings
    sampled = {asset.asset_id: asset for asset in plan.assets}
    assets = [sampled[one.asset_id] for one in findings.assets if one.disputed]
    things = [
        {
            "audit": plan.audit,
            "form": DECIDER,
            "listed_id": name_of(one.listed),
            "stretch_id": one.listed.item,
            "class": one.listed.class_name,
            "longitude": f"{one.listed.longitude:.7f}",
            "latitude": f"{one.listed.latitude:.7f}",
        }
        for one in findings.standing
        if one.disputed
    ]
    known = {one.sha256 for one in record}
    written = []
    for kind, rows in ((ASSETS, asset_rows(plan, DECIDER, assets)), (DISPUTED, things)):
        path = folder / f"form_{DECIDER}_{kind}.csv"
        if path.exists() and file_sha256(path) not in known and _begun(path, kind):
            say(f"{path} is filled and not recorded, so it stays; record it first")
            continue
        if rows:
            write_table(path, KIND[kind], rows)
            say(f"{len(rows)} disputed {'assets' if kind == ASSETS else 'listed things'} to decide: {path}")
            written.append(path)
        else:
            path.unlink(missing_ok=True)
    return written


def _begun(path: Path, kind: str) -> bool:
    """Whether anything was typed into a form."""
    return any(row.text(name) for row in read_filled(path) for name in KIND[kind].answers)


def lines_of(judgement: Judgement) -> list[str]:
    """Return what the command prints."""
    lines = []
    for row in judgement.over_all():
        one = row.estimate
        text = f"{limit_name(row, judgement)}: {row.verdict}"
        if one.checked:
            reach = "all checked" if one.census else f"{one.low:.3f} to {one.high:.3f}"
            of = "listed" if row.what == RECALL else "checked"
            text += f", {share_text(one.share)} ({reach}), asked {row.limit:g}; {one.checked} {of}, {one.faults} faults"
        lines.append(text + (f"; {row.why}" if row.why else ""))
    if judgement.plan.terms.checkers == 1:
        lines.append(f"Note: {ONE_CHECKER}")
    return [*lines, f"Verdict: {judgement.verdict}"]
