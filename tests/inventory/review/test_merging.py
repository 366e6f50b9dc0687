"""Files of several reviewers: nothing is lost, and where they differ is said as a build would say it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.review.merging import merge_files
from tests.inventory.review.conftest import Record


def write(path: Path, who: str, *records: dict[str, Any]) -> Path:
    """Write a decisions file of a person."""
    path.write_text("".join(json.dumps({**one, "who": who}) + "\n" for one in records), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path, record: Record) -> list[Path]:
    """Return files of two people who differ on four assets and agree on one."""
    here = {"longitude": 100.5, "latitude": 13.7, "sigma_m": 1.0}
    one = write(
        tmp_path / "a.jsonl", "somchai",
        record("accept", 0), record("reject", 1), record("move", 2, **here), record("reclassify", 3, **{"class": "x"}),
        record("merge", 4, 5), record("reject", 7), record("accept", 8), record("reject", 9),
        record("undo", undoes="id8"),
    )  # fmt: skip
    other = write(
        tmp_path / "b.jsonl", "สุดา",
        record("accept", 0), record("accept", 1), record("move", 2, **{**here, "latitude": 13.8}),
        record("reclassify", 3, **{"class": "y"}), record("reject", 5), record("accept", 9),
    )  # fmt: skip
    return [one, other]


@pytest.mark.parametrize("with_inventory", [True, False])
def test_all_decisions_are_kept_and_conflicts_named(
    files: list[Path], folder: Path, tmp_path: Path, with_inventory: bool
) -> None:
    ids = {one["id"]: one["assets"] for path in files for one in map(json.loads, path.read_text("utf-8").splitlines())}
    out = tmp_path / "all.jsonl"
    done = merge_files(files, out, folder if with_inventory else None)
    merged, _ = read_decisions([out])
    assert len(merged) == done.decisions == 15 and {one.decision_id for one in merged} == set(ids)
    assert [one.when for one in merged] == sorted(one.when for one in merged)
    assert done.people == {"somchai": 9, "สุดา": 6} and done.left == []
    found = {(one.who, one.action, one.asset) for one in done.conflicts}
    # On asset 9 they agree, as id8 was taken back.
    assert found == {
        ("somchai", "reject", *ids["id2"]), ("สุดา", "accept", *ids["id11"]), ("somchai", "move", *ids["id3"]),
        ("สุดา", "move", *ids["id12"]), ("somchai", "reclassify", *ids["id4"]), ("สุดา", "reclassify", *ids["id13"]),
        ("somchai", "merge", ", ".join(ids["id5"])), ("สุดา", "reject", *ids["id14"]),
    }  # fmt: skip
    text = next(one for one in done.conflicts if one.action == "merge").as_text()
    assert "what is one asset is followed, but it conflicts with reject by สุดา on" in text and "a.jsonl:5" in text


def test_what_does_not_count_is_listed(files: list[Path], folder: Path, tmp_path: Path) -> None:
    lines = files[0].read_text(encoding="utf-8").replace('"frame": ', '"frame": 9000').splitlines()
    files[0].write_text(lines[0] + "\n" + lines[1][:40] + "\n", encoding="utf-8")
    done = merge_files(files, tmp_path / "all.jsonl", folder)
    assert done.left == [
        f"{files[0]}:2: the line is cut off or damaged, and is skipped",
        f"{files[0]}:1: no asset of this inventory has its observations",
    ]
    assert done.decisions == 7 and len(read_decisions([done.file])[0]) == 7
    with pytest.raises(ConfigError, match=r"--to: .* is one of the files that are merged"):
        merge_files(files, files[1])


def test_the_command_ends_with_3_where_people_differ(files: list[Path], tmp_path: Path, run_review: Any) -> None:
    outcome = run_review("decisions", "merge", *files, "--to", tmp_path / "all.jsonl")
    assert outcome.code == 3
    assert "15 decisions (somchai 9, สุดา 6)" in outcome.out and "8 decisions conflict" in outcome.err
    alone = run_review("decisions", "merge", files[0], "--to", tmp_path / "one.jsonl")
    assert alone.code == 0 and "9 decisions (somchai 9)" in alone.out
