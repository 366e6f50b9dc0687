"""What a plan draws from, what it writes, and what it refuses."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import file_sha256
from reg_yolo.inventory.audit.command import metres, names, plan_into
from reg_yolo.inventory.audit.forms import asset_rows
from reg_yolo.inventory.audit.plan import Terms, named, read_plan
from reg_yolo.inventory.audit.planning import plan_audit
from reg_yolo.inventory.audit.sizes import drawn_for
from tests.inventory.audit.worlds import POLE, RAIL, SIGN, degrees, rows_of

EASY = Terms(precision=0.8, expected_precision=0.95, recall=0.8, expected_recall=0.98)


def route_file(path: Path) -> Path:
    """Write an axis from 300 m on, whose chainage begins at 12 km."""
    points = [degrees(300.0, 0.0), degrees(3300.0, 0.0)]
    axis = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": points},
            "properties": {"route": "4", "chainage_m": [12_000, 15_000]}}  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [axis]}))
    return path


def test_a_road_driven_twice_is_cut_once(inventory: Path, planned: Path) -> None:
    plan = read_plan(planned)
    assert plan.stretches_in_all == {"ไป0": 20}
    assert plan.classes == {RAIL: 1, SIGN: 20, POLE: 40}
    assert any("20 stretches left out: driven before" in note for note in plan.notes)
    assert all(one.length_m == pytest.approx(100, abs=0.2) and one.opposite for one in plan.stretches)
    assert plan.sha256 == file_sha256(inventory / "inventory.geojson")


def test_passes_are_told_by_the_place_of_the_camera(planned: Path) -> None:
    plan = read_plan(planned)
    # Of 40 poles 36 were seen by both; the first drive saw three more, the second the other one. Signs face one way.
    assert plan.passes.counts == {POLE: (39, 37, 36)}
    assert plan.passes.untold == 21


def test_stretches_along_a_route_have_its_chainage(inventory: Path, tmp_path: Path) -> None:
    said: list[str] = []
    plan = plan_audit(inventory, EASY, [route_file(tmp_path / "route.geojson")], said.append)
    # It goes on for 1,300 m beyond the drives.
    assert plan.stretches_in_all == {"4": 17}
    assert "13 stretches left out, no drive came within 20 m of their middle" in "\n".join(said)
    first = plan.stretches[0]
    assert first.chainage_from[:3] == "12+" and int(first.chainage_to[3:]) - int(first.chainage_from[3:]) == 100
    # What stands more than 200 m before its beginning belongs to no road.
    west = degrees(100.0, 0.0)[0]
    assert {asset.asset_id for asset in plan.assets if asset.road == "elsewhere"} == {
        asset.asset_id for asset in plan.assets if asset.longitude < west
    }


def test_a_road_is_drawn_from_once_however_many_files_hold_it(inventory: Path, tmp_path: Path) -> None:
    first = route_file(tmp_path / "route.geojson")
    copy = tmp_path / "copy.geojson"
    copy.write_bytes(first.read_bytes())
    for twice in (first, copy):
        with pytest.raises(ConfigError, match=rf"--route .*{twice.name}: the same as .*route\.geojson; give every"):
            plan_audit(inventory, EASY, [first, twice])
    # The same road in another file, 2 m off and 400 m longer at its beginning, and one that crosses it.
    content = json.loads(first.read_text())
    [axis] = content["features"]
    axis["geometry"]["coordinates"] = [degrees(-100.0, 2.0), degrees(3300.0, 2.0)]
    axis["properties"] = {"route": "4b", "chainage_m": [11_600, 15_000]}
    other = tmp_path / "other.geojson"
    other.write_text(json.dumps(content))
    axis["geometry"]["coordinates"] = [degrees(350.0, -40.0), degrees(350.0, 60.0)]
    axis["properties"] = {"route": "9", "chainage_m": [0, 100]}
    crossing = tmp_path / "crossing.geojson"
    crossing.write_text(json.dumps(content))
    said: list[str] = []
    plan = plan_audit(inventory, EASY, [first, other, crossing], said.append)
    assert plan.stretches_in_all == {"4": 17, "4b": 3, "9": 1}
    assert any("other.geojson: 17 stretches left out, they lie within 20 m of an earlier" in one for one in said)
    assert len({one.stretch_id for one in plan.stretches}) == len(plan.stretches)


def test_the_same_seed_draws_the_same_and_another_one_another(inventory: Path) -> None:
    first, again, other = (plan_audit(inventory, replace(EASY, seed=seed)) for seed in (1, 1, 2))
    assert first.assets == again.assets and first.stretches == again.stretches
    assert first.assets != other.assets


def test_what_cannot_be_met_is_said(inventory: Path) -> None:
    said: list[str] = []
    plan = plan_audit(inventory, Terms(), say=said.append)
    assert len(plan.assets) < 61 or any("a census" in line for line in said)
    assert len(plan.stretches) == 20 and plan.stretch_size.census
    assert any("would need more than all 20 stretches; all of them are checked (a census)" in line for line in said)


def test_more_are_drawn_than_positions_need(inventory: Path) -> None:
    said: list[str] = []
    terms = replace(EASY, position_share=0.8, expected_position=0.95, each_class=0)
    plan = plan_audit(inventory, terms, say=said.append)
    [needed] = [int(one) for line in said for one in re.findall(r"position: (\d+) right ones", line)]
    assert len(plan.assets) == drawn_for(needed, 0.95, 0.9) > math.ceil(needed / 0.95)


def test_forms_are_blind_and_open_in_excel(planned: Path) -> None:
    plan = read_plan(planned)
    assert (planned / "form_a_assets.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    for form in "ab":
        assets, stretches = (rows_of(planned / f"form_{form}_{kind}.csv") for kind in ("assets", "stretches"))
        assert {row["asset_id"] for row in assets} == {one.asset_id for one in plan.assets}
        assert {row["class"] for row in assets} >= {POLE, SIGN}
        assert {row["form"] for row in (*assets, *stretches)} == {form}
        hidden = {"probability", "sigma_along_m", "observations", "passes", "class_votes", "best_frame", "source"}
        assert not hidden & {*assets[0], *stretches[0]}
        # Nothing of what stands there.
        text = (planned / f"form_{form}_stretches.csv").read_text(encoding="utf-8-sig")
        assert not any(name in text for name in (POLE, SIGN, "rail"))
        layers, held = {}, {}
        for path in sorted(planned.glob(f"form_{form}*.gpkg")):
            held[path.name] = {str(name) for name, _ in pyogrio.list_layers(path)}
            layers |= {name: pyogrio.raw.read(path, layer=name) for name in held[path.name]}
        # What the inventory has is in a file of its own.
        assert held == {f"form_{form}_assets.gpkg": {"assets"}, f"form_{form}_stretches.gpkg": {"stretches", "listed"}}
        assert [len(layers[name][2]) for name in ("stretches", "listed", "assets")] == [
            len(plan.stretches), 0, len(plan.assets)
        ]  # fmt: skip
        assert not hidden & {str(field) for meta, *_ in layers.values() for field in meta["fields"]}


def test_a_plan_that_was_changed_is_refused(audit: Path) -> None:
    path = audit / "audit.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["terms"]["recall"] = 0.1
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"audit\.json: not an audit \(changed since it was planned\)"):
        read_plan(audit)
    path.write_text(path.read_text(encoding="utf-8")[:200], encoding="utf-8")
    with pytest.raises(DataError, match=r"audit\.json: not an audit"):
        read_plan(audit)
    path.unlink()
    with pytest.raises(DataError, match="holds no audit"):
        read_plan(audit)


def test_a_plan_is_never_overwritten(inventory: Path, audit: Path) -> None:
    before = (audit / "audit.json").read_bytes()
    with pytest.raises(DataError, match="exists already"):
        plan_into(inventory, audit, EASY)
    assert (audit / "audit.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recall": 1.2}, "--recall: expected a share between 0 and 1, got 1.2"),
        ({"expected_precision": 0.7}, "--expected-precision: expected a share above --precision 0.8"),
        ({"expected_position": 0.9}, "--expected-position: expected a share above --position-share 0.95"),
        (
            {"expected_recall": 0.8001},
            "--expected-recall: the sample would be over 20,000 checks",
        ),
        ({"position_m": -1.0}, "--position: expected metres above 0, got -1"),
        ({"reach_m": 60.0}, "--reach 60: expected less than half of a stretch of 100 m"),
        ({"clustering": 1.0}, "--clustering: expected a correlation"),
        ({"each_class": -1}, "--each-class: expected 0 or more"),
        ({"seed": -1}, "--seed: expected 0 or more, got -1"),
    ],
)
def test_terms_that_do_not_fit(inventory: Path, tmp_path: Path, change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_into(inventory, tmp_path / "out", replace(EASY, **change))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_inventories_that_cannot_be_audited(inventory: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.geojson"
    alone.write_bytes((inventory / "inventory.geojson").read_bytes())
    with pytest.raises(DataError, match=r"no surveyed stretches .* --route"):
        plan_audit(alone, EASY)
    plan = plan_audit(alone, EASY, [route_file(tmp_path / "route.geojson")])
    assert plan.passes.counts == {} and sum(plan.stretches_in_all.values()) == 30
    content = json.loads(alone.read_text(encoding="utf-8"))
    twice = tmp_path / "twice.geojson"
    twice.write_text(json.dumps({**content, "features": content["features"][:2] * 2}), encoding="utf-8")
    empty = tmp_path / "empty.geojson"
    empty.write_text(json.dumps({**content, "features": []}), encoding="utf-8")
    for feature in content["features"]:
        feature["properties"]["TYPE"] = feature["properties"].pop("class")
    renamed = tmp_path / "renamed.geojson"
    renamed.write_text(json.dumps(content), encoding="utf-8")
    for path, message in (
        (twice, "is there twice"), (empty, "no asset in it"), (renamed, "not every asset has a class"),
        (tmp_path / "none.gpkg", "no such file"), (tmp_path, "expected inventory.geojson or inventory.gpkg"),
        (inventory / "inventory.gpkg.txt", "no such file"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            plan_audit(path, EASY)


def test_the_folder_of_a_survey_names_its_inventory(inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/inventory.geojson").write_bytes((inventory / "inventory.geojson").read_bytes())
    with pytest.raises(DataError, match=rf"in it\. Did you mean {tmp_path / 'inventory'}\?$"):
        plan_audit(tmp_path, EASY)


def test_ids_begin_with_a_letter_and_those_of_before_are_read(audit: Path) -> None:
    plan = read_plan(audit)
    assert re.fullmatch(r"a[0-9a-f]{12}", plan.audit)
    assert plan.sections == {"ไป0": ("", "")} and len(plan.surveyed) == 2
    path = audit / "audit.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for name in ("sections", "surveyed"):
        del content[name]
    for name in ("checkers", "contract_classes"):
        del content["terms"][name]
    for asset in content["assets"]:
        del asset["twins"]
    content["audit"] = named(content)[1:]
    path.write_text(json.dumps(content), encoding="utf-8")
    old = read_plan(audit)
    assert old.audit == content["audit"] and old.terms == plan.terms and old.assets[0].twins is None
    assert {row["same_class_near"] for row in asset_rows(old, "a", old.assets) if row["same_class_near"]} == set()


def test_one_checker_and_the_classes_of_a_contract(inventory: Path, tmp_path: Path) -> None:
    said: list[str] = []
    terms = replace(EASY, checkers=1, contract_classes=names("SIGN, guardrail"))
    plan = plan_into(inventory, tmp_path / "audit", terms, say=said.append)
    assert read_plan(tmp_path / "audit").terms == terms
    forms = {f"form_a_{kind}" for kind in ("stretches.csv", "stretches.gpkg", "assets.csv", "assets.gpkg")}
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {*forms, "audit.json", "instructions.md"}
    assert any("nobody sees what that person overlooks" in line for line in said)
    assert any(line.endswith("none of these classes of the contract: guardrail") for line in said)
    told = " ".join((tmp_path / "audit/instructions.md").read_text(encoding="utf-8").split())
    # In the inventory's writing where it has the class.
    assert f"Classes of the inventory and the contract: guardrail, rail, sign, {POLE}. Write these as" in told
    assert "One person checks the sample" in told and plan.audit in told


def test_metres() -> None:
    assert np.allclose([metres(text, "--position") for text in ("5m", "5 m", "2.5")], [5, 5, 2.5])
    with pytest.raises(ConfigError, match="expected metres such as 5m, got 'far'"):
        metres("far", "--position")
