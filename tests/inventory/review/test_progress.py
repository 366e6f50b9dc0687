"""The queue by doubt, and decisions that are on the disk before anybody is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reg_yolo.errors import DataError, OutputError
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.progress import Progress
from tests.inventory.review.conftest import Record


def test_the_queue_is_sorted_by_doubt_and_leaves_out_what_is_decided(
    catalogue: Catalogue, progress: Progress, record: Record
) -> None:
    everything = catalogue.queue(0, 60)
    doubts = [entry.doubt for entry in everything]
    assert (
        len(everything) == catalogue.total == 60 and doubts == sorted(doubts, reverse=True) and doubts[0] > doubts[-1]
    )
    progress.add(record("accept", 0))
    progress.add(record("reject", 2))
    assert [entry.rank for entry in catalogue.queue(0, 3)] == [1, 3, 4]
    assert [entry.rank for entry in catalogue.queue(4, 2)] == [4, 5]
    assert catalogue.count_reviewed() == 2
    name = everything[0].class_name
    only = catalogue.queue(0, 60, name)
    assert {entry.class_name for entry in only} == {name} and 0 not in [entry.rank for entry in only]


def test_neighbours_are_those_within_metres_and_the_nearest_first(catalogue: Catalogue) -> None:
    entry = next(iter(catalogue.entries()))
    near = catalogue.near(entry, 60.0, 3)
    assert len(near) == 3 and [d for d, _ in near] == sorted(d for d, _ in near) and near[-1][0] <= 60
    track = entry.feature["properties"]["track_m"]
    # Both stand along a road to the east, on one of its sides 16 m apart.
    for distance, other in near:
        along = abs(other.feature["properties"]["track_m"] - track)
        assert distance == pytest.approx(along, abs=0.5) or distance == pytest.approx(
            (along**2 + 16**2) ** 0.5, abs=0.5
        )


def test_a_review_goes_on_where_it_ended(folder: Path, record: Record) -> None:
    path = folder / "decisions.jsonl"
    with Catalogue(folder) as catalogue, Progress(catalogue, path, "somchai") as progress:
        for action, ranks in (("accept", [0]), ("reject", [1]), ("merge", [2, 3]), ("accept", [1])):
            progress.add(record(action, *ranks))
        progress.add(record("undo", undoes="id4"))
        progress.add(record("undo", undoes="id1"))
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"schema":"reg_yo')
    with Catalogue(folder) as catalogue, Progress(catalogue, path, "somchai") as progress:
        states = {entry.rank: entry.state for entry in catalogue.entries(5)}
        assert states == {0: "", 1: "reject", 2: "merge", 3: "merge", 4: ""}
        assert [one.read_from for one in progress.left] == [f"{path}:7"]
        assert [(one.decision.decision_id, one.undone) for one in progress.history(3)] == [
            ("id4", True), ("id3", False), ("id2", False),
        ]  # fmt: skip
        # Sent once more, as after a lost answer: no second line.
        size = path.stat().st_size
        again = json.loads(path.read_text(encoding="utf-8").splitlines()[1])
        progress.add(again)
        assert path.stat().st_size == size
        with pytest.raises(DataError, match="another decision with the id id2"):
            progress.add({**again, "why": "changed"})
        progress.add(record("accept", 5, id="last"))
    decisions, torn = read_decisions([path])
    assert (decisions[-1].decision_id, decisions[-1].who, len(torn)) == ("last", "somchai", 1)


def test_what_is_no_decision_here_is_refused_and_not_written(
    catalogue: Catalogue, progress: Progress, record: Record
) -> None:
    other = record("accept", 0)
    other["observations"] = [{**one, "frame": one["frame"] + 100_000} for one in other["observations"]]
    for wrong, said in (
        (other, "another build"),
        ({**record("accept", 0), "assets": ["x"]}, "another build"),
        ({**record("accept", 0), "action": "praise"}, "action must be one of"),
        (record("undo", undoes="nothing"), "no decision of somchai's"),
        ({}, "not a decision"),
    ):
        with pytest.raises(DataError, match=said):
            progress.add(wrong)
    assert progress.path.read_bytes() == b"" and catalogue.count_reviewed() == 0


def test_another_build_lists_what_no_longer_fits_and_finds_the_rest(folder: Path, record: Record) -> None:
    path = folder / "decisions.jsonl"
    with Catalogue(folder) as catalogue, Progress(catalogue, path, "suda") as progress:
        for rank in range(3):
            progress.add(record("accept", rank))
        ids = [entry.asset_id for entry in catalogue.entries(3)]
    # Built anew: other ids, and one asset is gone.
    for name in ("inventory.geojson", "observations.jsonl"):
        text = (folder / name).read_text(encoding="utf-8").replace('"assets":60', '"assets":59')
        if name == "inventory.geojson":
            content = json.loads(text)
            content["features"] = [one for one in content["features"] if one["id"] != ids[1]]
            text = json.dumps(content, ensure_ascii=False)
        else:
            text = "".join(line for line in text.splitlines(keepends=True) if ids[1] not in line)
        (folder / name).write_text(text.replace(ids[0], "new-1"), encoding="utf-8")
    with Catalogue(folder) as catalogue, Progress(catalogue, path, "suda") as progress:
        assert catalogue.entry("new-1").state == catalogue.entry(ids[2]).state == "accept"  # type: ignore[union-attr]
        assert [(one.read_from, one.reason) for one in progress.left] == [
            (f"{path}:2", "no asset of this inventory has its observations")
        ]
        assert catalogue.count_reviewed() == 2
    moved = path.read_text(encoding="utf-8").replace("/card/drive_00.mp4", "/card/other.mp4")
    path.write_text(moved, encoding="utf-8")
    with Catalogue(folder) as catalogue, pytest.raises(DataError, match="decisions for another drive: it refers to"):
        Progress(catalogue, path, "suda").__enter__()


def test_one_writer_a_file(catalogue: Catalogue, progress: Progress) -> None:
    with pytest.raises(OutputError, match="written by another process; give each reviewer a file of their own"):
        Progress(catalogue, progress.path, "suda").__enter__()


def test_files_of_different_builds_are_refused_in_one_line(folder: Path) -> None:
    observed = folder / "observations.jsonl"
    lines = observed.read_text(encoding="utf-8").splitlines(keepends=True)
    for text, said in (
        ("".join(lines[:-1]), "is cut off: it holds 59 assets of 60"),
        (lines[0].replace("60", "59") + "".join(lines[1:-1]), "is of another build: it lacks"),
        ("[]\n", "is no observations file"),
        (lines[0].replace("observations/1", "observations/9"), "this version of reg_yolo reads"),
    ):
        observed.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=said):
            Catalogue(folder).__enter__()
    observed.write_text("".join(lines), encoding="utf-8")
    (folder / "inventory.geojson").write_text('{"features": [{"type": "Feature"}]}', encoding="utf-8")
    with pytest.raises(DataError, match="is no inventory that `inventory build` wrote"):
        Catalogue(folder).__enter__()
    with pytest.raises(DataError, match="name the folder of `inventory build`"):
        Catalogue(folder / "nowhere").__enter__()
