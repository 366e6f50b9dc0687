"""Records of a comparison: read back whole, chosen by what was trained, refused where they do not belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.errors import DataError
from reg_yolo.evaluation.comparison.checks import choose_records, pairing_notes, require_comparable
from reg_yolo.evaluation.comparison.records import (
    RunRecord,
    content_differences,
    find_record,
    read_record,
    read_records,
    record_path,
)
from tests.evaluation.comparison.made_runs import drawn_matches, write_run

CONTENT: dict[str, Any] = {"reg": {"preset": "reg", "focal": {"gamma": 1.5}}, "train": {"epochs": 3}, "data": "abc"}


@pytest.fixture
def records(tmp_path: Path) -> list[RunRecord]:
    matches = drawn_matches(0.5, seed=0, images=5)
    return [write_run(tmp_path, arm, seed, matches, content=CONTENT) for seed in (0, 1) for arm in ("stock", "reg")]


def planned(records: list[RunRecord]) -> dict[tuple[str, str, int], tuple[str, dict[str, Any]]]:
    return {(r.set_name, r.arm, r.seed): (r.run_hash, r.content) for r in records}


def test_a_record_is_read_back_whole(records: list[RunRecord], tmp_path: Path) -> None:
    read, faults = read_records(tmp_path)
    assert faults == [] and sorted(r.name for r in read) == sorted(r.name for r in records)
    by_name = {r.name: r for r in read}
    assert all(by_name[r.name] == r for r in records)


def test_files_that_are_no_record_are_named(records: list[RunRecord], tmp_path: Path) -> None:
    assert records[0].path is not None
    whole = records[0].path.read_text()
    records[0].path.write_text(whole[: len(whole) // 2])
    (tmp_path / "records" / "x.json").write_text('{"schema": "other/1"}')
    read, faults = read_records(tmp_path)
    assert len(read) == 3 and len(faults) == 2
    assert any(str(records[0].path) in fault and "skipped" in fault for fault in faults)
    with pytest.raises(ValueError, match="no record of schema"):
        read_record(tmp_path / "records" / "x.json")


def test_the_same_settings_are_found_whatever_came_to_the_program_since(
    records: list[RunRecord], tmp_path: Path
) -> None:
    key, defaults = ("scenes", "reg", 0), {"reg": {"focal": {"gamma": 0.0, "steps": 4}}}
    now = {**CONTENT, "reg": {"preset": "reg_v1", "focal": {"gamma": 1.5, "steps": 4}}}
    found = find_record(tmp_path, key, "another hash", now, defaults)
    assert found is not None and found.run_hash == records[1].run_hash
    other = {**CONTENT, "reg": {"focal": {"gamma": 1.5, "steps": 8}}}
    assert find_record(tmp_path, key, "another hash", other, defaults) is None
    assert find_record(tmp_path, ("scenes", "reg", 5), "h", CONTENT, defaults) is None


def test_content_differences_name_the_key_and_both_values() -> None:
    now = {**CONTENT, "reg": {"focal": {"gamma": 2.0}}}
    assert content_differences(CONTENT, now, {}) == ["reg.focal.gamma: 1.5, now 2.0"]
    assert content_differences(CONTENT, {**CONTENT, "data": "new"}, {}) == ["data: 'abc', now 'new'"]
    weather = {**CONTENT, "albumentations": {"preset": "highway"}}
    assert content_differences(CONTENT, weather, {"albumentations": {"preset": "none"}}) == [
        "albumentations.preset: 'none', now 'highway'"
    ]
    gone = {"reg": CONTENT["reg"], "train": {}, "data": "abc"}
    assert content_differences(CONTENT, gone, {}) == ["train.epochs: 3, now None"]


def test_records_of_other_settings_are_named_and_not_mixed_in(records: list[RunRecord]) -> None:
    foreign = replace(records[1], run_hash="f" * 16, content={**CONTENT, "train": {"epochs": 9}}, finished="2027")
    stray = replace(records[0], arm="forgotten")
    chosen, notes = choose_records([*records, foreign, stray], planned(records), {})
    assert chosen == records
    assert notes == [
        "Left out, not in the plan: scenes/forgotten/seed0 (stock000).",
        "Left out, made with other settings: scenes/reg/seed0 (ffffffff): train.epochs: 9, now 3.",
    ]


def test_devices_and_precisions_are_not_mixed(records: list[RunRecord]) -> None:
    require_comparable(records)
    for key, value, said in (
        ("processor", "H100", "several devices are not compared: A: 3 runs such as"),
        ("precision", "bfloat16", "one amp in several precisions are not compared: float32: 3 runs such as"),
    ):
        other = replace(records[3], environment={**records[3].environment, key: value})
        with pytest.raises(DataError, match=said) as caught:
            require_comparable([*records[:3], other])
        assert f"; {value}: 1 runs" in str(caught.value) and "\n" not in str(caught.value)


def test_arms_that_ask_for_another_precision_are_compared(records: list[RunRecord]) -> None:
    environment = {**records[3].environment, "precision": "bfloat16"}
    content = {**records[3].content, "train": {**records[3].content["train"], "amp": "bf16"}}
    both = [*records[:3], replace(records[3], environment=environment, content=content)]
    require_comparable(both)
    keys = [(record.set_name, record.arm, record.seed) for record in both]
    assert f"On scenes, these arms compute in another precision than stock: {both[3].arm}." in pairing_notes(
        both, "stock", keys
    )
    assert not any("precision" in note for note in pairing_notes(records, "stock", keys))


def test_other_images_steps_or_classes_are_refused(records: list[RunRecord]) -> None:
    changes = {
        "different images": {"images": {**records[3].images, "digest": "other"}},
        "different numbers of optimizer steps": {"steps": 7},
        "different classes": {"boxes": records[3].boxes[:2]},
    }
    for message, change in changes.items():
        with pytest.raises(DataError, match=message):
            require_comparable([*records[:3], replace(records[3], **change)])
    # Another set is another comparison.
    require_comparable([*records, replace(records[0], set_name="other", steps=7)])


def test_what_runs_of_a_seed_do_not_share_is_said(records: list[RunRecord]) -> None:
    keys = list(planned(records))
    assert pairing_notes(records, "stock", keys) == []
    changed = replace(records[1], draws="x", initial_weights="y")
    assert pairing_notes([records[0], changed, *records[2:]], "stock", keys) == [
        "On scenes, these arms start from other weights than stock: reg.",
        "On scenes, these arms see other batches than stock: reg.",
    ]
    versions = {**records[3].environment["versions"], "torch": "3"}
    newer = replace(records[3], environment={**records[3].environment, "versions": versions, "threads": 2})
    assert pairing_notes([*records[:3], newer], "stock", keys) == [
        "Runs differ in torch's version: 2 (3), 3 (1).",
        "Runs differ in threads: 1 (3), 2 (1).",
    ]
    assert pairing_notes(records[:3], "stock", keys) == ["Not finished: 1 of 4 runs: scenes/reg/seed1."]


def test_a_record_lies_where_its_settings_say(tmp_path: Path) -> None:
    path = record_path(tmp_path, "scenes", "reg", 3, "0123456789abcdef")
    assert path == tmp_path / "records/scenes/reg/seed3-01234567.json"
