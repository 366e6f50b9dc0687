"""decisions.jsonl: what is written is read, what is cut off is named, and nothing is lost."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from reg_yolo.errors import DataError, OutputError
from reg_yolo.inventory.decisions.decision import SCHEMA, Decision, Place, Seen
from reg_yolo.inventory.decisions.files import DecisionLog, read_decisions

SEEN = Seen("ถนน.mp4", 7, (10.0, 20.0, 30.5, 60.25))
OTHER = Seen("ถนน.mp4", 9, (110.0, 20.0, 130.0, 60.0))
MADE = [
    Decision("somchai", "accept", ((SEEN,),), "seen on site"),
    Decision("somchai", "reject", ((SEEN, OTHER),)),
    Decision("สมหญิง", "move", ((SEEN,),), place=Place(100.5, 13.7, 0.5)),
    Decision("สมหญิง", "reclassify", ((SEEN,),), class_name="ป้าย"),
    Decision("somchai", "merge", ((SEEN,), (OTHER,))),
    Decision("somchai", "split", ((SEEN,), (OTHER,))),
    Decision("somchai", "undo", undoes="a1"),
]


def written(path: Path) -> Path:
    """Write all of `MADE`, one process after the other."""
    for decision in MADE:
        with DecisionLog(path) as log:
            log.append(decision)
    return path


def test_every_action_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path / "decisions.jsonl")
    decisions, torn = read_decisions([path])
    assert (decisions, torn) == (MADE, [])
    assert [one.read_from for one in decisions] == [f"{path}:{n}" for n in range(1, 8)]
    # A copy of a file says nothing new.
    assert read_decisions([path, written(tmp_path / "copy.jsonl")])[0] == MADE


def test_a_line_that_a_crash_cut_off_is_skipped_and_what_follows_is_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "decisions.jsonl")
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    decisions, torn = read_decisions([path])
    assert decisions == MADE[:-1]
    assert [(one.read_from, one.decision) for one in torn] == [(f"{path}:7", None)]
    with DecisionLog(path) as log:
        log.append(replace(MADE[0], decision_id="later"))
    decisions, torn = read_decisions([path])
    assert [one.decision_id for one in decisions[-2:]] == [MADE[5].decision_id, "later"]
    assert [one.read_from for one in torn] == [f"{path}:7"]
    assert path.read_bytes().startswith(content[:-30])


def test_a_second_writer_is_refused_and_a_full_disk_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path) as log:
        log.append(MADE[0])
        with pytest.raises(OutputError, match="is written by another process"), DecisionLog(path):
            pass
        real, calls = os.write, []

        def full(number: int, content: bytes) -> int:
            if calls:
                raise OSError(28, "No space left on device")
            calls.append(real(number, content[:20]))
            return calls[0]

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="No space left"):
            log.append(MADE[1])
        monkeypatch.undo()
        log.append(MADE[2])
    assert read_decisions([path]) == ([MADE[0], MADE[2]], [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "reg_yolo.decisions/2"}, f"reads '{SCHEMA}'"),
        ({"action": "keep"}, "action must be one of accept, reject"),
        ({"who": " "}, "who must name a person"),
        ({"when": "2024-05-02T08:15:30"}, "a time with its offset"),
        ({"observations": []}, "accept needs one list of observations, got 0"),
        ({"observations": [{"source": "a.mp4", "frame": 1, "xyxy": [3, 2, 1, 4]}]}, "xyxy must be left, top"),
        ({"observations": [{"source": "a.mp4", "frame": 1, "xyxy": [0, 0, 10**400, 4]}]}, "too large"),
        ({"class": "pole"}, "class must be given with reclassify"),
        ({"action": "move"}, "no 'longitude' in it"),
        ({"action": "move", "longitude": 200, "latitude": 10, "sigma_m": 1}, "must be degrees, got 200, 10"),
        ({"action": "merge"}, "merge needs two or more parts, got 0"),
        ({"id": MADE[1].decision_id}, "ids must differ"),
    ],
)
def test_a_line_that_is_no_decision_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = written(tmp_path / "decisions.jsonl")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(MADE[0].to_record() | {"id": "new"} | change) + "\n")
    with pytest.raises(DataError, match=r"decisions\.jsonl:8 is ") as failure:
        read_decisions([path])
    assert message in str(failure.value)
