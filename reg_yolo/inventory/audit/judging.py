"""Recall, precision and position of an audited inventory, and whether each reaches its limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from reg_yolo import __version__
from reg_yolo.inventory.audit.agreement import Agreement, cohens_kappa
from reg_yolo.inventory.audit.estimates import (
    FAIL,
    NOT_ENOUGH,
    PASS,
    Estimate,
    Group,
    asset_share,
    checks_to_decide,
    stretch_share,
)
from reg_yolo.inventory.audit.findings import Checked, Findings, Standing, bring_together
from reg_yolo.inventory.audit.forms import ASSETS, STRETCHES
from reg_yolo.inventory.audit.plan import Plan
from reg_yolo.inventory.audit.recapture import Independence, Recapture, chapman, independence
from reg_yolo.inventory.audit.record import Submission, last_answers
from reg_yolo.inventory.audit.who import Who, who_checked

ALL = ""
RECALL, PRECISION, POSITION = "recall", "precision", "position"


@dataclass(frozen=True)
class Judged:
    """One limit, over all or for a class.

    Attributes:
        what: `recall`, `precision` or `position`.
        class_name: "" for all.
        limit: Share that the contract asks for.
        estimate: What the sample says; what is disputed counts against the inventory.
        verdict: `pass`, `fail` or `not enough`.
        disputed: How many of the checked ones are.
        missing: How many of the planned checks are not there: assets, or stretches for recall.
        why: One line where the verdict is `not enough`.
    """

    what: str
    class_name: str
    limit: float
    estimate: Estimate
    verdict: str
    disputed: int = 0
    missing: int = 0
    why: str = ""


@dataclass(frozen=True)
class Judgement:
    """All that a report says.

    Attributes:
        plan: The audit.
        rows: Limits over all first, then by class.
        verdict: `pass` where all limits over all pass, `fail` where one fails.
        errors_m: Median and 95th percentile of the measured distances; None where none was measured.
        assets_agreement, lists_agreement: Of the two people.
        lists: What both lists together hold of what stands there, by capture and recapture.
        passes: Completeness from opposite passes, over all and by class; None where the columns cannot tell.
        independence: Whether the passes are independent, by what the auditors found; None where nothing tells.
        findings: What the above is made of.
        who: Who checked, and when.
        reported_at: ISO 8601, UTC.
        notes: What the reader should know.
    """

    plan: Plan
    rows: list[Judged]
    verdict: str
    errors_m: tuple[float, float] | None
    assets_agreement: Agreement
    lists_agreement: Agreement
    lists: Recapture | None
    passes: dict[str, Recapture]
    independence: Independence | None
    findings: Findings
    who: Who
    reported_at: str
    notes: list[str]

    @property
    def unchecked(self) -> str:
        """What of the sample nobody has checked; "" where all is."""
        plan, findings = self.plan, self.findings
        stretches, assets = len(plan.stretches) - len(findings.stretches), len(plan.assets) - len(findings.assets)
        if not stretches and not assets:
            return ""
        return f"{stretches} of {len(plan.stretches)} stretches, {assets} of {len(plan.assets)} assets"

    def over_all(self) -> list[Judged]:
        """Return the limits over all."""
        return [row for row in self.rows if row.class_name == ALL]

    def by_class(self) -> list[Judged]:
        """Return the limits of classes."""
        return [row for row in self.rows if row.class_name != ALL]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON, without the sample."""
        from dataclasses import asdict

        return {
            "audit": self.plan.audit,
            "inventory": self.plan.inventory,
            "sha256": self.plan.sha256,
            "planned_at": self.plan.planned_at,
            "terms": asdict(self.plan.terms),
            "verdict": self.verdict,
            "limits": [asdict(row) for row in self.rows],
            "position_median_m": None if self.errors_m is None else self.errors_m[0],
            "position_p95_m": None if self.errors_m is None else self.errors_m[1],
            "agreement_assets": asdict(self.assets_agreement),
            "agreement_lists": asdict(self.lists_agreement),
            "lists": None if self.lists is None else asdict(self.lists),
            "passes": {name or "all": asdict(one) for name, one in self.passes.items()},
            "independence": None if self.independence is None else asdict(self.independence),
            "auditors": self.who.auditors,
            "checked_on": self.who.dates,
            "reported_at": self.reported_at,
            "reg_yolo_version": __version__,
            "notes": self.notes,
        }


def judge(plan: Plan, record: Sequence[Submission]) -> Judgement:
    """Return what an audit has come to so far.

    Args:
        plan: The audit.
        record: What was handed in.
    """
    findings = bring_together(plan, last_answers(record))
    classes = sorted({*plan.classes, *(one.listed.class_name for one in findings.standing)})
    who = who_checked(plan, record)
    rows = []
    for what in (RECALL, PRECISION, POSITION):
        lacks = who.lacks[STRETCHES if what == RECALL else ASSETS]
        rows += [_judged(plan, findings, what, name, classes, lacks) for name in (ALL, *classes)]
    rows = [row for row in rows if row.class_name == ALL or row.estimate.checked]
    over_all = [row.verdict for row in rows if row.class_name == ALL]
    verdict = FAIL if FAIL in over_all else PASS if set(over_all) == {PASS} else NOT_ENOUGH
    errors = [one.error_m for one in findings.assets if one.right and one.error_m is not None]
    confidence = plan.terms.confidence
    passes = _passes(plan)
    tested = _independence(plan, findings)
    judgement = Judgement(
        plan,
        rows,
        verdict,
        (float(np.median(errors)), float(np.percentile(errors, 95))) if errors else None,
        cohens_kappa(findings.asset_pairs, confidence),
        cohens_kappa(findings.list_pairs, confidence),
        chapman(*findings.lists, confidence),
        passes,
        tested,
        findings,
        who,
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        [],
    )
    judgement.notes.extend(_notes(judgement))
    return judgement


def _judged(plan: Plan, findings: Findings, what: str, name: str, classes: Sequence[str], lacks: str) -> Judged:
    """Judge one limit; `lacks` says what keeps its checks from being those of two people."""
    terms = plan.terms
    limit = {RECALL: terms.recall, PRECISION: terms.precision, POSITION: terms.position_share}[what]
    chosen = [name] if name else classes
    worst, best = (_estimate(plan, findings, what, chosen, doubt) for doubt in (False, True))
    if what == RECALL:
        disputed = sum(one.disputed and one.listed.class_name in chosen for one in findings.standing)
        missing = len(plan.stretches) - len(findings.stretches)
    else:
        disputed = sum(one.disputed and one.class_name in chosen for one in findings.assets)
        planned = [one for one in plan.assets if one.class_name in chosen]
        missing = len(planned) - sum(one.class_name in chosen for one in findings.assets)
        if what == POSITION:
            # Position is measured for correct assets only.
            right = [one for one in findings.assets if one.class_name in chosen and one.right]
            missing += sum(one.error_m is None for one in right)
    lowest, highest = worst.verdict(limit), best.verdict(limit)
    verdict, why = lowest, ""
    if lowest == FAIL and highest != FAIL:
        verdict = NOT_ENOUGH
    if lacks and worst.checked:
        verdict, why = NOT_ENOUGH, lacks
    elif verdict == NOT_ENOUGH:
        part = len(findings.stretches) / sum(plan.stretches_in_all.values())
        if what != RECALL:
            part = worst.checked / max(sum(plan.classes.get(one, 0) for one in chosen), 1)
        why = _why(worst, limit, disputed if lowest != highest else 0, terms.confidence, part)
    return Judged(what, name, limit, worst, verdict, disputed, missing, why)


def _why(estimate: Estimate, limit: float, disputed: int, confidence: float, part: float) -> str:
    """Say what would decide a limit, of which a part of all has been checked."""
    if not estimate.checked:
        return "nothing was checked"
    if disputed:
        return f"{disputed} disputed ones decide it"
    needed = checks_to_decide(estimate, limit, confidence)
    if (needed or 100 * estimate.checked) * part >= estimate.checked:
        return f"only a check of all would decide it, were the share to stay {estimate.share:.3f}"
    if needed is None:
        return "the share is too near to its limit to be told from it"
    return f"about {needed} checks in all would decide it, were the share to stay {estimate.share:.3f}"


def _estimate(plan: Plan, findings: Findings, what: str, chosen: Sequence[str], doubt: bool) -> Estimate:
    """What the sample says of some classes; with `doubt` what is disputed counts for the inventory."""
    names, confidence = set(chosen), plan.terms.confidence
    if what == RECALL:
        total = sum(plan.stretches_in_all.values())
        of = {stretch: n for n, stretch in enumerate(findings.stretches)}
        listed, missed = np.zeros(len(of)), np.zeros(len(of))
        for one in findings.standing:
            if one.listed.class_name in names and not (doubt and one.disputed):
                listed[of[one.listed.item]] += 1
                missed[of[one.listed.item]] += one.found is None
        return stretch_share(listed, missed, len(of) / total, plan.terms.clustering, confidence)
    groups = []
    for name in sorted(names & set(plan.classes)):
        own = [one for one in findings.assets if one.class_name == name]
        groups.append(_group(plan, own, what, plan.classes[name], doubt))
    return asset_share(groups, confidence)


def _group(plan: Plan, own: Sequence[Checked], what: str, population: int, doubt: bool) -> Group:
    right = [one for one in own if one.right or (doubt and one.disputed)]
    if what == PRECISION or not own:
        return Group(population, len(own), len(own) - len(right))
    measured = [one.error_m for one in right if one.error_m is not None]
    far = sum(error > plan.terms.position_m for error in measured)
    # How many right ones there are is known as far as the sample tells.
    rights = max(round(population * len(right) / len(own)), len(measured))
    return Group(rights, len(measured), far)


def _passes(plan: Plan) -> dict[str, Recapture]:
    counts = plan.passes.counts
    if not counts:
        return {}
    first, second, both = (sum(own[n] for own in counts.values()) for n in range(3))
    found = {ALL: (first, second, both), **counts}
    made = {name: chapman(*values, confidence=plan.terms.confidence) for name, values in found.items()}
    return {name: one for name, one in made.items() if one is not None}


def _independence(plan: Plan, findings: Findings) -> Independence | None:
    """Test the passes by what the auditors found where both looked, of classes that both can see."""
    looked = {stretch.stretch_id for stretch in plan.stretches if stretch.opposite}
    some = [
        one for one in findings.standing if one.listed.item in looked and one.listed.class_name in plan.passes.counts
    ]
    cells = {key: sum(_seen(one) == key for one in some) for key in ("both", "first", "second", "neither")}
    if not cells["both"] + cells["first"] + cells["second"]:
        return None
    return independence(*cells.values())


def _seen(one: Standing) -> str | None:
    return "neither" if one.found is None else one.found.seen


def _notes(judgement: Judgement) -> list[str]:
    plan, findings = judgement.plan, judgement.findings
    said = [*plan.notes, *findings.notes]
    missing = judgement.unchecked
    if missing:
        said.append(f"not checked: {missing}; the figures hold if what is missing is missing by chance")
    seen = {one.class_name for one in findings.assets}
    unseen = {name: count for name, count in plan.classes.items() if name not in seen}
    if unseen and seen:
        some = ", ".join(f"{name} ({count})" for name, count in unseen.items())
        said.append(f"precision and position say nothing of classes of which no asset was checked: {some}")
    unmeasured = sum(one.right and one.error_m is None for one in findings.assets)
    if unmeasured:
        said.append(f"{unmeasured} right assets have no measured position")
    lists = sum(one.disputed for one in findings.standing)
    disputed = sum(one.disputed for one in findings.assets)
    if lists or disputed:
        said.append(
            f"disputed and not decided, counted against the inventory: {disputed} assets, {lists} listed things"
        )
    for what, agreement in (("assets", judgement.assets_agreement), ("lists", judgement.lists_agreement)):
        if agreement.kappa is not None and agreement.kappa < 0.6:
            said.append(
                f"{what}: kappa {agreement.kappa:.2f} is low, as it is where nearly all is right; look at the disputed"
            )
    if not judgement.passes:
        said.append("no completeness from opposite passes: the inventory's columns do not tell which drive saw what")
    elif plan.passes.untold:
        said.append(
            f"opposite passes: {plan.passes.untold} assets left out: they face one way, are long, or were not driven "
            "past exactly twice in opposite directions"
        )
    tested = judgement.independence
    if tested is not None and tested.p_value < 1 - plan.terms.confidence:
        said.append(
            f"opposite passes are not independent (p = {tested.p_value:.3g}): use recall, not their completeness"
        )
    return said


def share_text(value: float) -> str:
    """Return a share with three digits, and a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.3f}"
