"""What was changed in the GeoPackage comes back as decisions, and the rest is listed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.outputs.vector import import_pyogrio
from reg_yolo.inventory.review.edits import EditOptions, import_edits
from tests.inventory.simulated import build_of


def edit(path: Path, layer: str, *statements: str) -> None:
    """Change rows as QGIS does, through GDAL."""
    pyogrio = import_pyogrio()
    connection = sqlite3.connect(path)
    connection.create_function("ST_IsEmpty", 1, lambda _shape: 0)
    for name in ("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
        connection.create_function(name, 1, lambda _shape: 0.0)
    with connection:
        for statement in statements:
            connection.execute(statement.format(layer=layer))
    connection.close()
    assert pyogrio.read_info(path, layer=layer)["features"] >= 0


def shift(path: Path, layer: str, asset_id: str, east_m: float, first_only: bool = False) -> None:
    """Move an asset in a GeoPackage of metres, or the first vertex of a line."""
    import shapely

    with sqlite3.connect(path) as connection:
        (blob,) = connection.execute(f"SELECT geom FROM {layer} WHERE asset_id = ?", (asset_id,)).fetchone()
    # GeoPackage's header: 8 bytes, and an envelope whose size the flags tell.
    head = 8 + {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}[(blob[3] >> 1) & 7]
    shape = shapely.from_wkb(blob[head:])
    points = shapely.get_coordinates(shape)
    points[: 1 if first_only else None, 0] += east_m
    if first_only:
        points[-1, 0] -= east_m
    moved = shapely.set_coordinates(shape, points)
    plain = blob[:3] + bytes([blob[3] & ~0b1110]) + blob[4:8] + shapely.to_wkb(moved)
    edit(path, layer, f"UPDATE {{layer}} SET geom = x'{plain.hex()}' WHERE asset_id = '{asset_id}'")


@pytest.fixture
def edited(built: Path, tmp_path: Path) -> Path:
    """Return a copy of the inventory's GeoPackage, in EPSG:32647."""
    return Path(shutil.copy(built / "inventory.gpkg", tmp_path / "แก้ไข.gpkg"))


def ids_of(path: Path, layer: str) -> list[str]:
    """Return the ids of a layer."""
    with sqlite3.connect(path) as connection:
        return [row[0] for row in connection.execute(f"SELECT asset_id FROM {layer} ORDER BY fid")]


def test_edits_become_decisions_that_a_build_follows(
    drive: Path, built: Path, edited: Path, tmp_path: Path, run_review: Any
) -> None:
    gone, moved, called, signed, copied = ids_of(edited, "points")[:5]
    rail = ids_of(edited, "lines")[0]
    edit(
        edited, "points",
        f"DELETE FROM {{layer}} WHERE asset_id = '{gone}'",
        f"UPDATE {{layer}} SET class = 'bus_stop', reviewed_by = 'สุดา' WHERE asset_id = '{called}'",
        f"UPDATE {{layer}} SET reviewed_by = 'somchai' WHERE asset_id = '{signed}'",
        f"UPDATE {{layer}} SET height_m = 77 WHERE asset_id = '{copied}'",
    )  # fmt: skip
    shift(edited, "points", moved, 6.0)
    shift(edited, "lines", rail, 3.0)
    out = tmp_path / "decisions.jsonl"
    outcome = run_review("decisions", "import", edited, built, "--to", out, "--reviewer", "boss", "--sigma", "0.4")
    assert outcome.code == 3
    assert "5 decisions added (1 accept, 2 move, 1 reclassify, 1 reject), 0 known before" in outcome.out
    assert "1 edits are not held by decisions" in outcome.err and f"{copied} has another height_m" in outcome.err
    decisions, _ = read_decisions([out])
    made = {(*one.asset_ids, one.who, one.action) for one in decisions}
    assert made == {
        (gone, "boss", "reject"), (moved, "boss", "move"), (rail, "boss", "move"), (called, "สุดา", "reclassify"),
        (signed, "somchai", "accept"),
    }  # fmt: skip
    again = import_edits(edited, built, out, EditOptions("boss", 0.4))
    assert (again.decisions, again.known) == ([], 5) and len(read_decisions([out])[0]) == 5
    rebuilt = tmp_path / "rebuilt"
    more = ["--route", str(drive / "route.geojson"), "--crs", "EPSG:32647", "--decisions", str(out)]
    assert build_of(drive, rebuilt, *more) == 0
    with sqlite3.connect(rebuilt / "inventory.gpkg") as connection:
        followed = dict(connection.execute("SELECT asset_id, decisions FROM points WHERE decisions != ''"))
        assert connection.execute("SELECT asset_id FROM rejected").fetchall() == [(gone,)]
    assert followed == {moved: "move", called: "reclassify", signed: "accept"}
    # The new build holds the edits: there is nothing to read any more but what it was told in another way.
    same = import_edits(rebuilt / "inventory.gpkg", rebuilt, tmp_path / "none.jsonl")
    assert (same.decisions, same.left) == ([], [])


def test_what_cannot_be_read_is_one_line(built: Path, edited: Path, tmp_path: Path) -> None:
    first = ids_of(edited, "points")[0]
    edit(edited, "points", f"UPDATE {{layer}} SET class = 'x' WHERE asset_id = '{first}'")
    with pytest.raises(ConfigError, match=f"--reviewer: {first} was edited and its reviewed_by was not"):
        import_edits(edited, built, tmp_path / "d.jsonl")
    assert not (tmp_path / "d.jsonl").exists()
    edit(edited, "points", "UPDATE {layer} SET asset_id = 'z' || fid")
    with pytest.raises(DataError, match=r"is of another build: .* of its .* assets are in"):
        import_edits(edited, built, tmp_path / "d.jsonl", EditOptions("a"))
    edit(edited, "points", "ALTER TABLE {layer} RENAME COLUMN class TO TYPE")
    with pytest.raises(DataError, match="layer points has no column class; give with --fields"):
        import_edits(edited, built, tmp_path / "d.jsonl", EditOptions("a"))
    with pytest.raises(DataError, match="cannot be read"):
        import_edits(tmp_path / "nowhere.gpkg", built, tmp_path / "d.jsonl")


def test_what_no_decision_can_hold_is_listed(built: Path, edited: Path, tmp_path: Path) -> None:
    first, second = ids_of(edited, "points")[:2]
    columns = "asset_id, class, geometry_kind, reviewed_by, geom"
    edit(
        edited, "points",
        f"INSERT INTO {{layer}} ({columns}) SELECT {columns} FROM {{layer}} WHERE asset_id = '{first}'",
        f"INSERT INTO {{layer}} (class, geom) SELECT class, geom FROM {{layer}} WHERE asset_id = '{second}'",
    )  # fmt: skip
    shift(edited, "lines", ids_of(edited, "lines")[0], 1.0, first_only=True)
    edits = import_edits(edited, built, tmp_path / "d.jsonl", EditOptions("a"))
    assert edits.decisions == [] and len(edits.left) == 3
    assert f"{first} stands there twice" in edits.left[0] and "a row without asset_id is new" in edits.left[1]
    assert "has another shape; a decision moves its middle only" in edits.left[2]
