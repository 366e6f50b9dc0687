"""From filled forms to a verdict: faults that are known, disputes and who decides them, and the page to sign."""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from reg_yolo.inventory.audit.command import Reported, report_into
from reg_yolo.inventory.audit.judging import ALL, Judged, judge
from reg_yolo.inventory.audit.plan import Plan, read_plan
from reg_yolo.inventory.audit.record import read_record, record_forms
from reg_yolo.inventory.audit.report import facts
from tests.inventory.audit.worlds import POLE, RAIL, SIGN, asset_filler, fill, rows_of, stretch_filler


def row(done: Reported, what: str, name: str = ALL) -> Judged:
    """Return a limit."""
    return next(one for one in done.judgement.rows if (one.what, one.class_name) == (what, name))


def hand_in(audit: Path, out: Path, form: str, assets: object = None, stretches: object = None) -> None:
    """Fill and record a person's tables."""
    fillers = {"assets": assets or asset_filler(), "stretches": stretches or stretch_filler()}
    forms = [
        fill(audit / f"form_{form}_{kind}.csv", out / f"{form}_{kind}.csv", change, kind)  # type: ignore[arg-type]
        for kind, change in fillers.items()
    ]
    record_forms(audit, forms)


def judged(audit: Path) -> Reported:
    """Judge an audit without writing a report."""
    plan = read_plan(audit)
    return Reported(judge(plan, read_record(audit, plan)), [])


def strangers(plan: Plan) -> list[tuple[str, float, float]]:
    """Return three poles that the inventory lacks, along the first sampled stretches."""
    return [(POLE, (int(one.stretch_id[1:]) - 1) * 100 + 48.0, -14.0) for one in plan.stretches[:3]]


def test_known_faults_come_out(audit: Path, tmp_path: Path) -> None:
    plan = read_plan(audit)
    poles = [one.asset_id for one in plan.assets if one.class_name == POLE]
    assets = asset_filler(dict.fromkeys(poles[:3], "no"), dict.fromkeys(poles[3:5], 9.0))
    stretches = stretch_filler(more=strangers(plan))
    for form in "ab":
        hand_in(audit, tmp_path, form, assets, stretches)
    done = report_into(audit)
    recall = row(done, "recall")
    rails = sum(500 < (int(one.stretch_id[1:]) - 1) * 100 + 50 < 800 for one in plan.stretches)
    assert recall.estimate.checked == 3 * len(plan.stretches) + 3 + rails and recall.estimate.faults == 3
    assert row(done, "recall", RAIL).estimate.checked == rails and row(done, "recall", SIGN).estimate.faults == 0
    precision, position = row(done, "precision"), row(done, "position")
    assert (precision.estimate.checked, precision.estimate.faults) == (len(plan.assets), 3)
    assert (position.estimate.checked, position.estimate.faults) == (len(plan.assets) - 3, 2)
    shares = {POLE: 1 - 3 / len(poles), SIGN: 1.0, RAIL: 1.0}
    weighed = sum(shares[name] * count for name, count in plan.classes.items()) / 61
    assert precision.estimate.share == pytest.approx(weighed, abs=0.012)
    assert recall.estimate.low < recall.estimate.share < recall.estimate.high
    assert done.judgement.assets_agreement.kappa == 1.0
    # Both listed all that anybody or the inventory has, so chance explains that they agree.
    assert done.judgement.lists_agreement.kappa is None and done.judgement.lists_agreement.both > 20
    assert done.judgement.errors_m is not None and done.judgement.errors_m[0] == 0.5
    # Both saw all but four poles, and the strangers were seen by neither.
    total = done.judgement.passes[ALL]
    assert (total.first, total.second, total.both) == (39, 37, 36) and 0.99 < total.completeness < 1
    tested = done.judgement.independence
    assert tested is not None and tested.neither == 3
    assert {path.name for path in done.files} == {"report.md", "report.csv", "report.json", "report.pdf"}
    content = json.loads((audit / "report.json").read_text(encoding="utf-8"))
    assert content["schema"] == "reg_yolo.audit_report/1" and content["verdict"] == done.judgement.verdict
    assert content["auditors"] == {"a": ["สมชาย"], "b": ["Malee"]}
    raw = (audit / "report.csv").read_bytes()
    table = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert raw.startswith(b"\xef\xbb\xbf")
    assert {one["class"] for one in table} == {"all", POLE, SIGN, RAIL}
    assert POLE in (audit / "report.md").read_text(encoding="utf-8")


def test_nothing_handed_in_is_not_enough(audit: Path) -> None:
    done = report_into(audit)
    assert done.judgement.verdict == "not enough"
    assert {one.why for one in done.judgement.over_all()} == {"nothing was checked"}
    assert (audit / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_what_was_not_checked_at_all_and_what_no_sample_decides(audit: Path, tmp_path: Path) -> None:
    plan = read_plan(audit)
    poles = [one.asset_id for one in plan.assets if one.class_name == POLE]
    # Of 61 assets, signs and the guardrail not looked at.
    wrong = asset_filler(dict.fromkeys(poles[: len(poles) // 5], "no"))
    for form in "ab":
        hand_in(audit, tmp_path, form, lambda row: wrong(row) if row["class"] == POLE else [row])
    done = judged(audit)
    assert (
        "precision and position say nothing of classes of which no asset was checked: rail (1), sign (20)"
        in done.judgement.notes
    )
    precision = row(done, "precision")
    assert precision.verdict == "not enough"
    assert precision.why.startswith("only a check of all would decide it, were the share to stay")


def test_two_people_who_list_it_at_different_stretches_agree(audit: Path, tmp_path: Path) -> None:
    plan = read_plan(audit)
    numbers = sorted(int(one.stretch_id[1:]) for one in plan.stretches)
    first = next(n for n in numbers if n + 1 in numbers)
    for form, off in (("a", -1.0), ("b", 1.0)):
        hand_in(audit, tmp_path, form, None, stretch_filler(more=[(POLE, first * 100 + off, -14.0)]))
    recall = row(judged(audit), "recall")
    assert (recall.estimate.faults, recall.disputed) == (1, 0)


def test_a_confidence_is_not_rounded_to_certainty(audit: Path) -> None:
    plan = read_plan(audit)
    judgement = judge(replace(plan, terms=replace(plan.terms, confidence=0.995)), [])
    assert dict(facts(judgement))["Confidence"] == "99.5%"


def test_a_good_inventory_passes_and_a_bad_one_fails(audit: Path, tmp_path: Path) -> None:
    for form in "ab":
        hand_in(audit, tmp_path, form)
    done = judged(audit)
    assert {one.what: one.verdict for one in done.judgement.over_all()} == {
        "recall": "pass", "precision": "pass", "position": "pass"
    }  # fmt: skip
    assert done.judgement.verdict == "pass"
    items = [one.asset_id for one in read_plan(audit).assets]
    bad = asset_filler(dict.fromkeys(items[: len(items) // 2], "no"))
    for form in "ab":
        hand_in(audit, tmp_path, form, bad)
    done = judged(audit)
    assert (row(done, "precision").verdict, done.judgement.verdict) == ("fail", "fail")


def test_what_is_disputed_is_decided_by_a_third(audit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Setting pages takes a second each time.
    monkeypatch.setattr("reg_yolo.inventory.audit.command.write_pdf", lambda _path, _judgement: None)
    plan = read_plan(audit)
    items = [one.asset_id for one in plan.assets]
    disputed = items[: len(items) // 2]
    hand_in(audit, tmp_path, "a", None, stretch_filler(more=strangers(plan)))
    hand_in(audit, tmp_path, "b", asset_filler(dict.fromkeys(disputed, "no")), None)
    said: list[str] = []
    done = report_into(audit, said.append)
    precision = row(done, "precision")
    assert (precision.verdict, precision.disputed) == ("not enough", len(disputed))
    assert precision.why == f"{len(disputed)} disputed ones decide it"
    recall = row(done, "recall")
    assert (recall.estimate.faults, recall.disputed) == (3, 3)
    assert any("3 disputed listed things to decide" in line for line in said)
    forms = [audit / "form_c_assets.csv", audit / "form_c_disputed.csv"]
    assert [row["asset_id"] for row in rows_of(forms[0])] == [one for one in items if one in disputed]
    # Nothing that the third person types is lost, not even by another report before it is recorded.
    wrong = {"correct": "no", "error_m": ""}
    right = {"correct": "yes", "error_m": "0,4"}
    fill(forms[0], forms[0], lambda row: [{**row, **(wrong if row["asset_id"] == disputed[0] else right)}], "assets")
    typed = forms[0].read_bytes()
    report_into(audit, said.append)
    assert forms[0].read_bytes() == typed and any("is filled and not recorded, so it stays" in line for line in said)
    fill(forms[1], forms[1], lambda row: [{**row, "stands": "no"}], "disputed")
    assert record_forms(audit, forms).rows == len(disputed) + 3
    done = report_into(audit)
    assert (row(done, "precision").estimate.faults, row(done, "precision").disputed) == (1, 0)
    assert row(done, "recall").estimate.faults == row(done, "recall").disputed == 0
    assert done.judgement.verdict == "pass" and not any(form.exists() for form in forms)
    # What the two people said stays, for kappa.
    assert done.judgement.assets_agreement.agreed == len(items) - len(disputed)


def test_a_listing_that_the_inventory_has_needs_no_third(audit: Path, tmp_path: Path) -> None:
    plan = read_plan(audit)
    x = (int(plan.stretches[0].stretch_id[1:]) - 1) * 100
    hand_in(audit, tmp_path, "a")
    hand_in(audit, tmp_path, "b", None, stretch_filler(hidden=(f"{POLE}-{x + 20:04d}",)))
    done = judged(audit)
    assert (row(done, "recall").estimate.faults, row(done, "recall").disputed) == (0, 0)
    agreement = done.judgement.lists_agreement
    assert agreement.both - agreement.agreed == 1
    first, second, both = done.judgement.findings.lists
    assert (first - second, both) == (1, second)


def test_the_page_can_be_read_and_names_are_thai(audit: Path, tmp_path: Path) -> None:
    hand_in(audit, tmp_path, "a")
    report_into(audit)
    content = (audit / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    streams = b"".join(
        zlib.decompress(one) for one in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
        if one[:1] == b"x"
    )  # fmt: skip
    # Thai letters are glyphs of the font that ships with the package; a map leads back to their codes.
    assert b"Sarabun" in content or b"Sarabun" in streams
    assert b"0E2A" in streams.upper() or b"0e2a" in streams
