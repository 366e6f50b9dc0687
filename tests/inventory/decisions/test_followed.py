"""Decisions in whole builds: made on one inventory, followed by those that come later."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.decisions.decision import Decision, Place, Seen
from reg_yolo.inventory.decisions.files import DecisionLog
from reg_yolo.inventory.diff.known import read_known
from reg_yolo.inventory.opening import BuildOptions
from tests.inventory.simulated import START, build_of

Observed = dict[str, list[dict[str, Any]]]


def observed(out: Path) -> Observed:
    """Return what each asset of an inventory was seen by, in the order of the file."""
    header, *records = [json.loads(line) for line in (out / "observations.jsonl").read_text("utf-8").splitlines()]
    assert (header["schema"], header["assets"]) == ("reg_yolo.observations/1", len(records))
    return {record["asset_id"]: record["observations"] for record in records}


def parts_of(known: Observed, *asset_ids: str) -> tuple[tuple[Seen, ...], ...]:
    """Return the observations of assets as a decision refers to them."""
    return tuple(tuple(map(Seen.from_record, known[asset_id])) for asset_id in asset_ids)


def properties(out: Path) -> dict[str, dict[str, Any]]:
    """Return the columns of the assets by their ids, with the first place as `at`."""
    features = json.loads((out / "inventory.geojson").read_text(encoding="utf-8"))["features"]
    return {
        one["id"]: {**one["properties"], "at": np.array(one["geometry"]["coordinates"]).reshape(-1, 2).mean(axis=0)}
        for one in features
    }


def of_class(known: Observed, name: str) -> list[str]:
    """Return ids of a class."""
    return [asset_id for asset_id in known if asset_id.startswith(name)]


def test_an_inventory_says_what_each_asset_was_seen_by(drive: Path, built: Path) -> None:
    known = observed(built)
    assert {asset_id: len(some) for asset_id, some in known.items()} == {
        asset_id: one["observations"] for asset_id, one in properties(built).items()
    }
    boxes = {
        (record["frame"], tuple(found["xyxy"]), found["class"])
        for record in map(json.loads, (drive / "detections.jsonl").read_text().splitlines())
        if record["record"] == "frame"
        for found in record["detections"]
    }
    seen = [one for some in known.values() for one in some]
    assert all((one["frame"], tuple(one["xyxy"]), one["class"]) in boxes for one in seen)
    assert all(one["time_s"] == one["frame"] * 0.25 for one in seen)


def test_decisions_are_followed_by_another_build(
    drive: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, before = observed(built), properties(built)
    poles = sorted(of_class(known, "single_arm_pole"), key=lambda asset_id: before[asset_id]["probability"])
    sign, pavilion, rail = (of_class(known, name)[0] for name in ("warning_sign", "pavilion", "concrete_guardrail"))
    place = Place(float(before[sign]["at"][0]) + 2e-4, float(before[sign]["at"][1]), 0.4)
    rail_place = Place(float(before[rail]["at"][0]), float(before[rail]["at"][1]) + 1e-4, 0.7)
    made = [
        Decision("somchai", "accept", parts_of(known, poles[0])),
        Decision("somchai", "reject", parts_of(known, poles[1]), "a shadow"),
        Decision("somchai", "move", parts_of(known, sign), place=place),
        Decision("somchai", "reclassify", parts_of(known, pavilion), class_name="bus_stop"),
        Decision("somchai", "reject", parts_of(known, poles[2]), decision_id="wrong"),
        Decision("somchai", "undo", undoes="wrong"),
        Decision("somchai", "accept", ((Seen("truth", 5, (1.0, 1.0, 5.0, 5.0)),),)),
        Decision("somchai", "move", parts_of(known, rail), place=rail_place),
    ]
    with DecisionLog(tmp_path / "decisions.jsonl") as log:
        for decision in made:
            log.append(decision)
    with (tmp_path / "decisions.jsonl").open("a") as stream:
        stream.write('{"schema":"reg_yolo.deci')
    out = tmp_path / "out"
    # Later, with another calibration of the clock, and with the earlier inventory's ids.
    more = ["--decisions", str(tmp_path / "decisions.jsonl"), "--previous", str(built / "inventory.geojson")]
    # What nobody has confirmed would be left out with this.
    certain = min(one["probability"] for asset_id, one in before.items() if asset_id not in (poles[0], poles[1], rail))
    assert max(before[poles[0]]["probability"], before[rail]["probability"]) < certain
    more += ["--min-probability", str((before[rail]["probability"] + certain) / 2)]
    assert build_of(drive, out, *more, start="2024-05-01T03:00:00.2Z") == 3
    after = properties(out)
    assert set(before) - set(after) == {poles[1]}
    assert set(after) <= set(before)
    done = {asset_id: (one["decisions"], one["reviewed_by"]) for asset_id, one in after.items() if one["decisions"]}
    assert done == {
        poles[0]: ("accept", "somchai"), sign: ("move", "somchai"), pavilion: ("reclassify", "somchai"),
        rail: ("move", "somchai"),
    }  # fmt: skip
    assert {after[asset_id]["probability"] for asset_id in done} == {1.0}
    assert after[poles[2]]["probability"] < 1
    assert after[sign]["at"] == pytest.approx([place.longitude_deg, place.latitude_deg], abs=1e-6)
    assert (after[sign]["sigma_along_m"], after[sign]["sigma_across_m"], after[sign]["method"]) == (0.4, 0.4, "move")
    assert after[rail]["at"][1] == pytest.approx(rail_place.latitude_deg, abs=1e-5)
    assert after[rail]["length_m"] == pytest.approx(before[rail]["length_m"], abs=3)
    assert (after[pavilion]["class"], after[pavilion]["class_votes"][:8]) == ("bus_stop", "pavilion")
    with sqlite3.connect(out / "inventory.gpkg") as connection:
        rejected = connection.execute("SELECT asset_id, reviewed_by FROM rejected").fetchall()
        left = connection.execute("SELECT reason, source, frame, box_px FROM decisions_not_applied").fetchall()
    assert rejected == [(poles[1], "somchai")]
    assert left == [
        ("the line is cut off or damaged, and is skipped", None, None, None),
        ("no asset has its observations", "truth", 5, "1 1 5 5"),
    ]
    # What was rejected is no asset to those who read the file.
    assert {one.asset_id for one in read_known(out / "inventory.gpkg")} == set(after)
    said = capsys.readouterr()
    assert "8 decisions: 4 assets reviewed, 1 rejected" in said.out
    assert f"2 decisions not applied: {tmp_path / 'decisions.jsonl'}:9 (the line is cut off" in said.out
    assert "Partly done" in said.err
    assert "Decisions that are not applied: 2" in (out / "report.html").read_text(encoding="utf-8")


def test_what_is_one_asset_is_a_reviewers_word(drive: Path, built: Path, tmp_path: Path) -> None:
    known, before = observed(built), properties(built)
    poles = of_class(known, "single_arm_pole")
    near = sorted(poles, key=lambda asset_id: float(before[asset_id]["track_m"]))
    longest = max(near, key=lambda asset_id: len(known[asset_id]))
    halves = known[longest][::2], known[longest][1::2]
    merged = [asset_id for asset_id in near if asset_id != longest][:2]

    def options(*decisions: Decision) -> BuildOptions:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        with DecisionLog(path) as log:
            for decision in decisions:
                log.append(decision)
        return BuildOptions(
            (drive / "detections.jsonl",), (drive / "forward" / "track_clean.gpx",), (drive / "camera.yaml",), (START,),
            decisions=(path,),
        )  # fmt: skip

    # Of the halves only some observations are named; the others go to the part that is nearest.
    parts = tuple(tuple(map(Seen.from_record, half[:4])) for half in halves)
    split = Decision("a", "split", parts)
    pavilion, sign = (of_class(known, name)[0] for name in ("pavilion", "warning_sign"))
    inventory = build_inventory(
        options(
            split,
            Decision("a", "merge", parts_of(known, *merged)),
            Decision("a", "reclassify", parts_of(known, pavilion), class_name="bus_stop"),
            Decision("a", "move", parts_of(known, sign), place=Place(*before[sign]["at"] + 3e-4, 0.4)),
        )
    )
    assert inventory.not_applied == []
    # Whoever was told of an asset finds it again.
    assert {pavilion, sign} <= {asset.asset_id for asset in inventory.assets}
    counts = sorted(len(asset.observations) for asset in inventory.assets if asset.class_name == "single_arm_pole")
    kept = [len(known[asset_id]) for asset_id in poles if asset_id not in (longest, *merged)]
    united = sum(len(known[asset_id]) for asset_id in merged)
    pieces = [asset for asset in inventory.assets if asset.values.get("decisions") == "split"]
    assert len(pieces) == 2
    assert sum(len(asset.observations) for asset in pieces) == len(known[longest])
    assert counts == sorted([*kept, united, *(len(asset.observations) for asset in pieces)])
    # Half of the looks show the same pole where all of them do.
    whole = before[longest]["at"]
    for asset in pieces:
        at = inventory.projection.to_degrees(asset.middle_m)[0]
        assert float(np.hypot(*((at - whole) * [107_000, 111_000]))) < 2.0
    # A merge of what two frames show at once is what the reviewer says, wherever that is.
    both = next(asset for asset in inventory.assets if asset.values.get("decisions") == "merge")
    assert len(both.observations) == united


def test_what_drives_saw_is_put_together_and_taken_apart(drive: Path, built: Path, tmp_path: Path) -> None:
    known = observed(built)
    near = sorted(of_class(known, "single_arm_pole"), key=lambda asset_id: known[asset_id][0]["frame"])
    text = (drive / "detections.jsonl").read_text()
    (tmp_path / "again.jsonl").write_text(text.replace('"source":"truth"', '"source":"again"'))

    def again(part: tuple[Seen, ...]) -> tuple[Seen, ...]:
        return tuple(replace(seen, source="again") for seen in part)

    parts = parts_of(known, *near)
    with DecisionLog(tmp_path / "decisions.jsonl") as log:
        log.append(Decision("a", "split", (parts[0], again(parts[0]))))
        log.append(Decision("a", "merge", (parts[1], again(parts[2]))))
    track = drive / "forward" / "track_clean.gpx"
    inventory = build_inventory(
        BuildOptions(
            (drive / "detections.jsonl", tmp_path / "again.jsonl"), (track, track), (drive / "camera.yaml",),
            (START, "2024-05-01T03:00:00Z"), decisions=(tmp_path / "decisions.jsonl",),
        )
    )  # fmt: skip
    assert inventory.not_applied == []
    made = sorted(
        (asset.values["decisions"], asset.values["passes"], sorted(set(asset.observations.sources)),
         len(asset.observations))
        for asset in inventory.assets if asset.values.get("decisions")
    )  # fmt: skip
    both = 2 * (len(parts[1]) + len(parts[2]))
    assert made == [
        ("merge", 2, ["again", "truth"], both), ("split", 1, ["again"], len(parts[0])),
        ("split", 1, ["truth"], len(parts[0])),
    ]  # fmt: skip
    others = [asset.values["passes"] for asset in inventory.assets if not asset.values.get("decisions")]
    assert others and set(others) == {2}


def test_decisions_of_another_drive_are_one_line(
    drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DecisionLog(tmp_path / "other.jsonl") as log:
        log.append(Decision("a", "accept", ((Seen("/else/z.mp4", 5, (1.0, 1.0, 5.0, 5.0)),),)))
    assert build_of(drive, tmp_path / "out", "--decisions", str(tmp_path / "other.jsonl")) == 2
    assert "holds decisions for another drive: it refers to /else/z.mp4, the detections to truth" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
