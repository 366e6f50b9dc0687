"""Filled forms, as spreadsheets and a GIS leave them: what is read, what is refused, and that nothing is lost."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from reg_yolo.errors import DataError
from reg_yolo.inventory.audit.command import report_into
from reg_yolo.inventory.audit.forms import KIND, LAYERS
from reg_yolo.inventory.audit.plan import read_plan
from reg_yolo.inventory.audit.record import last_answers, read_record, record_forms
from tests.inventory.audit.worlds import POLE, Row, asset_filler, degrees, fill, rows_of


def recorded(audit: Path) -> list[Row]:
    """Return everything that was ever typed."""
    return [row for one in read_record(audit, read_plan(audit)) for row in one.typed]


def as_text(rows: list[Row], columns: list[str], separator: str) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, delimiter=separator, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("separator", "encoding", "first"),
    [
        (";", "utf-8-sig", ""),
        ("\t", "utf-16", ""),
        (",", "utf-8", ""),
        (";", "cp874", ""),
        (";", "utf-8", "sep=;\r\n"),
        (";", "utf-8", "sep=;\r"),
    ],
)
def test_a_table_saved_by_another_program(
    audit: Path, tmp_path: Path, separator: str, encoding: str, first: str
) -> None:
    form = fill(audit / "form_a_assets.csv", tmp_path / "filled.csv", asset_filler(far={}), "assets")
    columns = [*reversed(KIND["assets"].columns), "ours"]
    rows = [{**row, "error_m": "0,5" if separator != "," else "0.5", "ours": "เพิ่ม"} for row in rows_of(form)]
    east, north = rows[0]["longitude"], f"{float(rows[0]['latitude']) + 1e-5:.7f}"
    east = east if separator == "," else east.replace(".", ",")
    rows[0] = {**rows[0], "error_m": "", "true_longitude": east, "true_latitude": north}
    blank = dict.fromkeys(columns, "")
    form.write_bytes((first + as_text([*rows, blank], columns, separator)).encode(encoding))
    said: list[str] = []
    done = record_forms(audit, [form], said.append)
    assert (done.forms, done.rows) == (1, len(rows))
    assert any("Windows-874" in line for line in said) == (encoding == "cp874")
    answers = last_answers(read_record(audit, read_plan(audit))).assets
    errors = [answers["a", row["asset_id"]].error_m for row in rows]
    assert errors[1:] == [0.5] * (len(rows) - 1) and errors[0] == pytest.approx(1.11, abs=0.02)
    # Columns that the form does not have are kept as they were typed.
    assert {row["ours"] for row in recorded(audit)} == {"เพิ่ม"}
    assert {row["auditor"] for row in recorded(audit)} == {"สมชาย"}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("assets", lambda row: {**row, "correct": "mabye"}, "row 2: correct: expected yes, no or unsure, got 'mabye'"),
        ("assets", lambda row: {**row, "correct": "yes", "error_m": "near"}, "row 2: error_m: expected a number"),
        ("assets", lambda row: {**row, "correct": "yes", "error_m": "-2"}, "row 2: error_m: expected metres from 0"),
        ("assets", lambda row: {**row, "remark": "fallen"}, "row 2: correct is empty but remark is filled"),
        ("assets", lambda row: {**row, "correct": "no", "asset_id": "x-1"}, "'x-1' is not in the sample"),
        ("assets", lambda row: {**row, "correct": "no", "audit": "0123"}, "a form of audit 0123, but this one is"),
        ("assets", lambda row: {**row, "correct": "no", "form": "d"}, "form: expected a or b or c, got 'd'"),
        (
            "assets",
            lambda row: {**row, "correct": "yes", "true_longitude": "14", "true_latitude": "80"},
            "are longitude and latitude swapped",
        ),
        ("assets", lambda row: {**row, "correct": "yes", "true_longitude": "102"}, "expected both true_longitude and"),
        ("stretches", lambda row: {**row, "class": "sign"}, "no place; expected longitude and latitude"),
        (
            "stretches",
            lambda row: {**row, "class": "sign", "longitude": "102.5", "latitude": "14"},
            "m from stretch s0.* expected 30 m at most",
        ),
        ("stretches", lambda row: {**row, "longitude": "102"}, "class is empty; expected what stands there, or none"),
        ("stretches", lambda row: {**row, "class": "none", "stretch_id": "s9"}, "'s9' is not in the sample"),
    ],
)
def test_a_wrong_row_is_one_line_and_nothing_is_recorded(
    audit: Path, tmp_path: Path, kind: str, change: Callable[[Row], Row], message: str
) -> None:
    form = fill(audit / f"form_a_{kind}.csv", tmp_path / "filled.csv", lambda row: [change(row)], kind)
    good = fill(audit / "form_b_assets.csv", tmp_path / "good.csv", asset_filler(), "assets")
    with pytest.raises(DataError, match=message) as found:
        record_forms(audit, [good, form])
    assert "\n" not in str(found.value) and "nothing was recorded" in str(found.value)
    assert not (audit / "record").exists()


def test_forms_that_are_none(audit: Path, tmp_path: Path) -> None:
    for name, content, message in (
        ("a.csv", "x,y\n1,2\n", "is not a form of an audit: expected a column asset_id or listed_id or stretch_id"),
        ("b.csv", "audit,form,asset_id,corect\n", r"b.csv: no column 'correct'; take .* Did you mean corect\?"),
        ("c.csv", "audit,asset_id,correct\n", "no column 'form'"),
        ("d.csv", "", "is empty"),
        ("e.xlsx", "x", "save the sheet as CSV"),
        ("f.gpkg", "x", "cannot be read"),
        ("g.csv", "audit,form,asset_id,correct,correct\n", "column 'correct' is there twice"),
        ("h.csv", 'audit,form,asset_id,correct\n1,a,x,yes\n1,a,y,"yes\n1,a,z,no\n', "after row 2: unexpected end"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message):
            record_forms(audit, [tmp_path / name])
    with pytest.raises(DataError, match=r"cannot be read: "):
        record_forms(audit, [tmp_path / "none.csv"])


def test_contradictions_in_one_form(audit: Path, tmp_path: Path) -> None:
    def twice(row: Row) -> list[Row]:
        return [{**row, "correct": "yes"}, {**row, "correct": "no"}]

    form = fill(audit / "form_a_assets.csv", tmp_path / "twice.csv", twice, "assets")
    with pytest.raises(DataError, match="is answered in more than one row"):
        record_forms(audit, [form])

    def both(row: Row) -> list[Row]:
        return [{**row, "class": "none"}, {**row, "class": "sign", "along_m": "10", "offset_m": "-5"}]

    form = fill(audit / "form_a_stretches.csv", tmp_path / "both.csv", both, "stretches")
    with pytest.raises(DataError, match="has things listed and a row with none"):
        record_forms(audit, [form])


def test_places_along_a_stretch(audit: Path, tmp_path: Path) -> None:
    def change(row: Row) -> list[Row]:
        return [{**row, "class": "SIGN", "along_m": "40", "offset_m": "-6"}]

    record_forms(audit, [fill(audit / "form_a_stretches.csv", tmp_path / "a.csv", change, "stretches")])
    for (_, stretch_id), [one] in last_answers(read_record(audit, read_plan(audit))).lists.items():
        x = (int(stretch_id[1:]) - 1) * 100 + 40.0
        # The first drive goes east at -2 m; to the left is north. Classes are written as the inventory writes them.
        assert (one.longitude, one.latitude) == pytest.approx(degrees(x, 4.0), abs=2e-6)
        assert one.class_name == "sign"


def test_what_is_typed_again_replaces_and_nothing_is_lost(audit: Path, tmp_path: Path) -> None:
    first = fill(audit / "form_a_assets.csv", tmp_path / "first.csv", asset_filler(), "assets")
    item = rows_of(first)[0]["asset_id"]
    assert record_forms(audit, [first]).rows == len(rows_of(first))
    assert record_forms(audit, [first]).known == 1
    second = fill(audit / "form_a_assets.csv", tmp_path / "second.csv", lambda row: [
        {**row, "correct": "no", "remark": "ล้ม"}] if row["asset_id"] == item else [row], "assets")  # fmt: skip
    said: list[str] = []
    done = record_forms(audit, [second], said.append)
    assert (done.rows, done.empty) == (1, len(rows_of(first)) - 1)
    assert any("1 were recorded before" in line and "both are kept" in line for line in said)
    answers = last_answers(read_record(audit, read_plan(audit))).assets
    assert answers["a", item].yes is False and sum(one.yes is True for one in answers.values()) == done.empty
    typed = [row for row in recorded(audit) if row["asset_id"] == item]
    assert [row["correct"] for row in typed] == ["yes", "no"] and typed[1]["remark"] == "ล้ม"


def test_an_earlier_form_again_is_said_not_to_count(audit: Path, tmp_path: Path) -> None:
    first = fill(audit / "form_a_assets.csv", tmp_path / "first.csv", asset_filler(), "assets")
    item = rows_of(first)[0]["asset_id"]
    second = fill(audit / "form_a_assets.csv", tmp_path / "second.csv", lambda row: [
        {**row, "correct": "no"}] if row["asset_id"] == item else [row], "assets")  # fmt: skip
    other = fill(audit / "form_b_assets.csv", tmp_path / "other.csv", asset_filler(), "assets")
    record_forms(audit, [first, second, other])
    said: list[str] = []
    done = record_forms(audit, [second, first, other], said.append)
    assert (done.known, done.forms) == (3, 0)
    assert [line.partition("recorded before, nothing new in it")[2] for line in said] == [
        "",
        "; 1 of its answers do not count, as second.csv was recorded later; to make them count again, change something "
        "in the file, such as a remark, and hand it in",
        "",
    ]
    # As it says.
    fill(first, first, lambda row: [{**row, "remark": "as before"}], "assets")
    assert record_forms(audit, [first]).forms == 1
    assert last_answers(read_record(audit, read_plan(audit))).assets["a", item].yes is True
    assert "nothing new in it; " in record_forms(audit, [second]).lines[0]


def test_a_class_that_the_inventory_lacks_is_named(audit: Path, tmp_path: Path) -> None:
    def change(row: Row) -> list[Row]:
        return [{**row, "class": "sgin", "along_m": "10", "offset_m": "1"}]

    said: list[str] = []
    record_forms(audit, [fill(audit / "form_a_stretches.csv", tmp_path / "a.csv", change, "stretches")], said.append)
    assert any(
        "of class 'sgin', which the inventory does not have. Did you mean sign? Then correct it and hand the form in "
        "again; until then it counts as a class of its own, missed" in line
        for line in said
    )


def test_rows_that_are_not_filled_are_named_and_do_not_take_answers_back(audit: Path, tmp_path: Path) -> None:
    first = fill(audit / "form_a_assets.csv", tmp_path / "first.csv", asset_filler(), "assets")
    items = [row["asset_id"] for row in rows_of(first)]
    record_forms(audit, [first])

    def emptied(row: Row) -> list[Row]:
        blank = {**row, "correct": "", "error_m": "", "auditor": ""}
        return [blank if row["asset_id"] in (items[1], *items[5:9]) else {**row, "remark": "again"}]

    done = record_forms(audit, [fill(first, tmp_path / "second.csv", emptied, "assets")])
    assert done.lines[0].endswith(
        f"rows recorded, 5 not filled: row 3, {items[1]}; row 7, {items[5]}; row 8, {items[6]} and 2 more"
    )
    assert any("5 that are not filled were answered before" in line and "write unsure" in line for line in done.lines)
    assert last_answers(read_record(audit, read_plan(audit))).assets["a", items[1]].yes is True
    blank = fill(audit / "form_a_assets.csv", tmp_path / "blank.csv", lambda row: [row], "assets")
    done = record_forms(audit, [blank])
    assert (done.forms, len(done.lines)) == (0, 2)
    assert f"{len(items)} that are not filled were answered before" in done.lines[1]
    # What the form's instructions say.
    told = " ".join((audit / "instructions.md").read_text(encoding="utf-8").split())
    assert "A row that you empty does not: the earlier answer still counts" in told
    back = fill(audit / "form_a_assets.csv", tmp_path / "back.csv", asset_filler({items[1]: "unsure"}), "assets")
    record_forms(audit, [back])
    assert last_answers(read_record(audit, read_plan(audit))).assets["a", items[1]].yes is None


def test_the_folder_of_an_inventory_is_no_audit(inventory: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"that is an inventory; name the audit's folder$"):
        record_forms(inventory, [tmp_path / "form.csv"])


def test_a_damaged_record_is_named(audit: Path, tmp_path: Path) -> None:
    record_forms(audit, [fill(audit / "form_a_assets.csv", tmp_path / "a.csv", asset_filler(), "assets")])
    [path] = (audit / "record").glob("*.json")
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:300], encoding="utf-8")
    with pytest.raises(DataError, match="not a part of an audit's record"):
        report_into(audit)
    path.write_text(text.replace(read_plan(audit).audit, "0" * 12), encoding="utf-8")
    with pytest.raises(DataError, match="of audit 000000000000"):
        report_into(audit)


def edited(path: Path, *statements: tuple[str, tuple[str, ...]]) -> None:
    """Edit a GeoPackage as a GIS does it; triggers of the spatial index need functions that SQLite alone lacks."""
    with sqlite3.connect(path) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
        for statement in statements:
            connection.execute(*statement)


def drawn(path: Path, *points: tuple[float, float]) -> None:
    """Draw poles in the layer `listed`, with nothing but their class."""
    geometry, given, answers = LAYERS["listed"]
    columns = [*given, *answers]
    data = [np.array([POLE if name == "class" else None] * len(points), dtype=object) for name in columns]
    pyogrio.raw.write(
        str(path), np.array([shapely.to_wkb(shapely.Point(one)) for one in points], dtype=object), data,
        np.array(columns, dtype=object), layer="listed", driver="GPKG", geometry_type=geometry, crs="EPSG:4326",
    )  # fmt: skip


def middle(line: tuple[tuple[float, float], ...]) -> tuple[float, float]:
    """Return the middle of a straight stretch."""
    return (line[0][0] + line[-1][0]) / 2, (line[0][1] + line[-1][1]) / 2


CHECK = "UPDATE stretches SET checked = ? WHERE stretch_id = ?"


def test_geopackages_edited_in_a_gis(audit: Path) -> None:
    plan, stretches, assets = read_plan(audit), audit / "form_b_stretches.gpkg", audit / "form_b_assets.gpkg"
    first, second = plan.stretches[:2]
    edited(stretches, (CHECK, ("yes", first.stretch_id)), (CHECK, ("ใช่", second.stretch_id)))
    edited(assets, ("UPDATE assets SET correct = 'ไม่ใช่' WHERE asset_id = ?", (plan.assets[0].asset_id,)))
    drawn(stretches, middle(second.line))
    assert record_forms(audit, [stretches, assets]).forms == 2
    found = last_answers(read_record(audit, plan))
    # A point without ids belongs to the stretch that it lies at; nothing stands along the one that was only looked at.
    assert set(found.lists) == {("b", first.stretch_id), ("b", second.stretch_id)}
    assert found.lists["b", first.stretch_id] == ()
    [one] = found.lists["b", second.stretch_id]
    assert one.class_name == POLE and (one.longitude, one.latitude) == pytest.approx(middle(second.line), abs=1e-6)
    assert {key: one.yes for key, one in found.assets.items()} == {("b", plan.assets[0].asset_id): False}


@pytest.mark.parametrize("checked", ["no", "", "unsure"])
def test_points_in_a_stretch_that_is_not_said_to_be_complete_are_left_out(audit: Path, checked: str) -> None:
    plan, path = read_plan(audit), audit / "form_b_stretches.gpkg"
    first, second = plan.stretches[:2]
    edited(path, (CHECK, (checked, first.stretch_id)), (CHECK, ("yes", second.stretch_id)))
    drawn(path, middle(first.line), middle(second.line))
    done = record_forms(audit, [path])
    assert (done.rows, done.left_out, done.empty) == (2, 1, len(plan.stretches) - 1)
    assert f"1 points left out, in 1 stretches whose `checked` is not yes ({first.stretch_id})" in done.lines[0]
    found = last_answers(read_record(audit, plan)).lists
    assert {key: len(own) for key, own in found.items()} == {("b", second.stretch_id): 1}
    # Nothing else in it.
    edited(path, (CHECK, ("no", second.stretch_id)))
    done = record_forms(audit, [path])
    assert (done.forms, done.left_out) == (0, 2) and done.lines[1] == f"{path}: nothing recorded"
    # Its earlier list still counts.
    assert f"({second.stretch_id}), and those answers still count; to take them back hand in" in done.lines[2]
    # What the form's instructions say.
    told = " ".join((audit / "instructions.md").read_text(encoding="utf-8").split())
    assert "`checked` is empty, `no` or `unsure` counts as not checked, and its points are left out" in told


def test_a_point_that_was_moved_says_where_an_asset_stands(audit: Path) -> None:
    plan, path = read_plan(audit), audit / "form_a_assets.gpkg"
    meta, _, shapes, data = pyogrio.raw.read(path, layer="assets")
    fields = [str(name) for name in meta["fields"]]
    data[fields.index("correct")] = np.array(["yes"] * len(shapes), dtype=object)
    east, north = degrees(3.0, 4.0)
    points = shapely.transform(shapely.from_wkb(shapes), lambda xy: xy + (np.array([east, north]) - (102.0, 14.0)))
    moved = [shapely.to_wkb(points[0]), *shapes[1:]]
    pyogrio.raw.write(
        str(path), np.array(moved, dtype=object), list(data), meta["fields"], layer="assets", driver="GPKG",
        geometry_type="Point", crs="EPSG:4326",
    )  # fmt: skip
    record_forms(audit, [path])
    answers = last_answers(read_record(audit, plan)).assets
    assert answers["a", plan.assets[0].asset_id].error_m == pytest.approx(5.0, abs=0.05)
    assert {answers["a", one.asset_id].error_m for one in plan.assets[1:]} == {None}
