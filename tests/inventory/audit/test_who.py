"""Whether two people checked, and what counts as one fault where one thing is listed twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.audit.command import plan_into
from reg_yolo.inventory.audit.judging import PRECISION, RECALL, Judgement, judge
from reg_yolo.inventory.audit.plan import Terms, read_plan
from reg_yolo.inventory.audit.record import read_record, record_forms
from reg_yolo.inventory.audit.report import facts, lines_of
from reg_yolo.inventory.audit.signed_page import set_pages
from reg_yolo.inventory.score.scoring import score_files
from scripts.fill_audit_forms import fill_forms
from tests.inventory.audit.worlds import POLE, Row, asset_filler, fill, rows_of, stretch_filler, write_truth

ONE_SIDED = "form b has no assets yet: two people must check"


def hand_in(audit: Path, out: Path, form: str, kind: str, change: object = None) -> Path:
    """Fill and record one table, and return it."""
    filler = change or (asset_filler() if kind == "assets" else stretch_filler())
    path = fill(audit / f"form_{form}_{kind}.csv", out / f"{form}_{kind}.csv", filler, kind)  # type: ignore[arg-type]
    record_forms(audit, [path])
    return path


def judged(audit: Path) -> Judgement:
    """Judge an audit."""
    plan = read_plan(audit)
    return judge(plan, read_record(audit, plan))


def why(judgement: Judgement) -> dict[str, str]:
    """Return what keeps each limit over all from a verdict."""
    return {row.what: row.why for row in judgement.over_all()}


def test_one_of_two_forms_is_not_enough_and_page_one_says_so(audit: Path, tmp_path: Path) -> None:
    for kind in ("assets", "stretches"):
        hand_in(audit, tmp_path, "a", kind)
    found = judged(audit)
    assert found.verdict == "not enough" and {row.verdict for row in found.rows} == {"not enough"}
    assert why(found)[RECALL] == "form b has no stretches yet: two people must check"
    assert why(found)[PRECISION] == ONE_SIDED
    assert any(ONE_SIDED in line for line in lines_of(found))
    assert dict(facts(found))["Form b"] == "not handed in"
    first = " ".join(text.get_text() for text in set_pages(found).figures[0].texts)
    assert (
        f"precision, within 5 m: {ONE_SIDED}" in first
        and "Signatures" in first
        and "Verdict: NOT ENOUGH" in first
        and "Form b not handed in" in first
    )
    # The same sample, planned for one person: a verdict, which says so.
    plan = read_plan(audit)
    alone = judge(replace(plan, terms=replace(plan.terms, checkers=1)), read_record(audit, plan))
    assert alone.verdict == "pass" and any("one person checked, as planned" in line for line in lines_of(alone))
    first = " ".join(text.get_text() for text in set_pages(alone).figures[0].texts)
    assert "one person checked, as planned" in first and "Auditor B" not in first


def test_a_second_form_that_is_partly_filled_is_not_enough(audit: Path, tmp_path: Path) -> None:
    for form in "ab":
        hand_in(audit, tmp_path, form, "stretches")
    hand_in(audit, tmp_path, "a", "assets")
    items = [one.asset_id for one in read_plan(audit).assets]
    full = asset_filler()
    hand_in(audit, tmp_path, "b", "assets", lambda row: [row] if row["asset_id"] in items[4:6] else full(row))
    found = judged(audit)
    lacks = f"form b lacks 2 assets that form a has ({items[4]}, {items[5]}): two people must check"
    assert (found.verdict, why(found)[PRECISION], why(found)[RECALL]) == ("not enough", lacks, "")
    hand_in(audit, tmp_path, "b", "assets", lambda row: full(row) if row["asset_id"] in items[4:6] else [row])
    found = judged(audit)
    assert found.verdict == "pass" and dict(facts(found))["Form b"] == "Malee"


def test_one_person_on_both_forms_is_not_two(audit: Path, tmp_path: Path) -> None:
    for form in "ab":
        hand_in(audit, tmp_path, form, "stretches")
    first = hand_in(audit, tmp_path, "a", "assets")

    def copied(row: Row) -> list[Row]:
        return [{**row, "form": "b", "auditor": " สมชาย "}]

    copy = fill(first, tmp_path / "copy.csv", copied, "assets")
    record_forms(audit, [copy])
    found = judged(audit)
    count = len(read_plan(audit).assets)
    assert found.verdict == "not enough"
    assert why(found)[PRECISION] == f"สมชาย is the auditor of {count} assets on both forms; two people must check"
    # A list without names is that of the one who signed the rest of the form.
    assert why(found)[RECALL].startswith("สมชาย is the auditor of ") and "stretches on both forms" in why(found)[RECALL]
    # The name put right, nothing else is typed again.
    record_forms(audit, [fill(copy, tmp_path / "right.csv", lambda row: [{**row, "auditor": "Malee"}], "assets")])
    assert judged(audit).verdict == "pass"


def test_forms_without_a_name_are_not_known_to_be_two_peoples(audit: Path, tmp_path: Path) -> None:
    full = asset_filler()
    hand_in(audit, tmp_path, "a", "assets")
    hand_in(audit, tmp_path, "b", "assets", lambda row: [{**full(row)[0], "auditor": ""}])
    found = judged(audit)
    assert why(found)[PRECISION] == "form b names no auditor; write the name into a row and hand it in again"
    assert dict(facts(found))["Form b"] == "no auditor's name"


def test_what_one_is_sure_of_and_the_other_is_not_is_disputed(audit: Path, tmp_path: Path) -> None:
    item = read_plan(audit).assets[0].asset_id
    hand_in(audit, tmp_path, "a", "assets")
    hand_in(audit, tmp_path, "b", "assets", asset_filler({item: "unsure"}))
    found = judged(audit)
    [disputed] = [one for one in found.findings.assets if one.disputed]
    assert disputed.asset_id == item and not disputed.right
    assert [row.estimate.faults for row in found.over_all() if row.what == PRECISION] == [1]
    hand_in(audit, tmp_path, "a", "assets", asset_filler({item: "unsure"}))
    found = judged(audit)
    assert item not in {one.asset_id for one in found.findings.assets}
    assert dict(facts(found))["Not checked"].endswith(f"1 of {len(found.plan.assets)} assets")


def test_who_checked_when_is_told(audit: Path, tmp_path: Path) -> None:
    full = asset_filler()
    hand_in(audit, tmp_path, "a", "assets", lambda row: [{**full(row)[0], "checked_on": "2026-03-02"}])
    found = judged(audit)
    told = dict(facts(found))
    assert told["Form a"] == "สมชาย; checked on 2026-03-02" and told["Roads"] == "ไป0"
    assert told["Surveyed"] == "1970-01-01" and "reg-yolo" in told["Reported"]
    assert found.to_dict()["checked_on"] == {"a": ["2026-03-02"]}


@pytest.fixture
def doubled(inventory: Path, tmp_path: Path) -> Path:
    """Folder of the inventory with one pole listed three times, and one twice."""
    folder = tmp_path / "doubled"
    folder.mkdir()
    (folder / "inventory.gpkg").write_bytes((inventory / "inventory.gpkg").read_bytes())
    content = json.loads((inventory / "inventory.geojson").read_text(encoding="utf-8"))
    poles = {one["properties"]["asset_id"]: one for one in content["features"] if one["properties"]["class"] == POLE}
    for name, copy, east in ((f"{POLE}-0120", "x-1", 3e-5), (f"{POLE}-0120", "x-2", -2e-5), (f"{POLE}-0520", "x-3", 0)):
        x, y, *rest = poles[name]["geometry"]["coordinates"]
        more = {**poles[name], "id": copy, "properties": {**poles[name]["properties"], "asset_id": copy}}
        content["features"].append({**more, "geometry": {"type": "Point", "coordinates": [x + east, y, *rest]}})
    (folder / "inventory.geojson").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_of_several_listed_for_one_thing_all_but_one_are_faults(doubled: Path, tmp_path: Path) -> None:
    audit, truth = tmp_path / "audit", write_truth(tmp_path / "truth.geojson")
    plan_into(doubled, audit, Terms(recall=0.8, expected_recall=0.98, each_class=100))
    rows = {row["asset_id"]: row["same_class_near"] for row in rows_of(audit / "form_a_assets.csv")}
    assert rows[f"{POLE}-0120"].startswith("x-2 2.2 m W (102.001") and "; x-1 3.2 m E (102.001" in rows[f"{POLE}-0120"]
    assert rows["x-3"].startswith(f"{POLE}-0520 0 m ") and rows[f"{POLE}-0220"] == "none"
    record_forms(audit, fill_forms(audit, truth, tmp_path / "filled", mistaken=0.0))
    found = judged(audit)
    assert {one.asset_id for one in found.findings.assets if not one.right} == {"x-1", "x-2", f"{POLE}-0520"}
    # As many as comparing with the truth finds.
    score = score_files(doubled / "inventory.geojson", truth)
    assert (score.double, score.false) == (3, 0)
    [precision] = [row for row in found.over_all() if row.what == PRECISION]
    assert precision.estimate.faults == 3 and precision.estimate.checked == 64


def test_a_twin_outside_of_the_sample_is_named(doubled: Path, tmp_path: Path) -> None:
    few = Terms(
        precision=0.5, expected_precision=0.9, position_share=0.5, expected_position=0.9, recall=0.8,
        expected_recall=0.98, seed=1,
    )  # fmt: skip
    plan_into(doubled, tmp_path / "audit", few)
    rows = {row["asset_id"]: row["same_class_near"] for row in rows_of(tmp_path / "audit/form_b_assets.csv")}
    assert len(rows) < 30
    pairs = [(f"{POLE}-0120", "x-1"), ("x-1", f"{POLE}-0120"), (f"{POLE}-0520", "x-3"), ("x-3", f"{POLE}-0520")]
    left = [(one, other) for one, other in pairs if one in rows and other not in rows]
    assert left and all(f"{other} " in rows[one] for one, other in left)


def test_a_form_b_of_an_audit_for_one_is_refused(audit: Path, tmp_path: Path, inventory: Path) -> None:
    plan_into(inventory, tmp_path / "one", replace(read_plan(audit).terms, checkers=1))
    full = asset_filler()
    form = fill(
        tmp_path / "one/form_a_assets.csv", tmp_path / "b.csv", lambda row: full({**row, "form": "b"}), "assets"
    )
    with pytest.raises(DataError, match="form: expected a or c, got 'b'"):
        record_forms(tmp_path / "one", [form])
