"""The manifest: appended by several processes, torn by a kill, compacted, read."""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.errors import DataError, MediaError
from reg_yolo.jobs.claims import Claims
from reg_yolo.jobs.manifest import Manifest, SourceHashes, SourceRecord, read_manifest

HASHES = SourceHashes("quick", "content", "weights", "settings")
HOLE = {"from_s": 1.5, "to_s": 2.25}
DONE = SourceRecord(
    "a/road.mp4", "done", HASHES, seconds=1.25, frames=30, holes=(HOLE,), engine="openvino", precision="bf16",
    detections="detections/a/road.mp4.jsonl", worker="machine:1",
)  # fmt: skip
FAILED = SourceRecord("b.mp4", "failed", HASHES, error="b.mp4 is empty.", attempts=2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.jsonl")
    for record in (FAILED, DONE, replace(FAILED, attempts=3, state="set_aside")):
        manifest.append(record)
    for read in (manifest, read_manifest(tmp_path), read_manifest(tmp_path / "manifest.jsonl")):
        assert read.records == {"a/road.mp4": DONE, "b.mp4": replace(FAILED, attempts=3, state="set_aside")}
        assert read.torn == 0 and not read.begun
    lines = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["record"] for line in lines] == ["manifest", "source", "source", "source"]
    assert lines[0]["schema"] == "reg_yolo.manifest/1" and lines[2]["holes"] == [HOLE]
    assert lines[2]["hashes"] == {
        "quick": "quick", "content": "content", "weights": "weights", "settings": "settings",
    }  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(name=st.text(st.characters(exclude_categories=[]), min_size=1, max_size=20), error=st.text(max_size=30))
def test_any_name_and_error_survive(tmp_path_factory: pytest.TempPathFactory, name: str, error: str) -> None:
    path = tmp_path_factory.mktemp("any") / "manifest.jsonl"
    record = replace(FAILED, source=name, error=error)
    Manifest(path).append(record)
    assert read_manifest(path).records == {name: record}


def test_one_that_follows_sees_what_another_appends(tmp_path: Path) -> None:
    first, second = (Manifest(tmp_path / "manifest.jsonl") for _ in range(2))
    first.begin("b.mp4", HASHES, "machine:1")
    assert not second.begun
    second.refresh()
    assert second.begun["b.mp4"]["hashes"]["quick"] == "quick"
    second.append(FAILED)
    first.refresh()
    assert first.records == {"b.mp4": FAILED} and not first.begun
    first.begin("b.mp4", HASHES, "machine:1")
    first.give_back("b.mp4")
    assert not first.begun and first.records == {"b.mp4": FAILED}


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "manifest.jsonl"
    Manifest(path).append(FAILED)
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[1].replace(b"b.mp4", b"c.mp4")
    path.write_bytes(whole + line[:kept])
    assert set(read_manifest(path).records) == {"b.mp4"}
    Manifest(path).append(DONE)
    read = read_manifest(path)
    # A record that lacks its line break only is whole as soon as the next one ends it.
    assert set(read.records) == {"b.mp4", "a/road.mp4"} | ({"c.mp4"} if kept == -1 else set())
    assert read.torn == (kept != -1)


@pytest.mark.parametrize("kept", [0, 1, 30])
def test_a_header_that_a_kill_cut_off_is_written_again(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "manifest.jsonl"
    Manifest(path).append(FAILED)
    path.write_bytes(path.read_bytes()[:kept])
    follower = Manifest(path)
    assert not follower.records
    Manifest(path).append(DONE)
    follower.refresh()
    assert set(follower.records) == set(read_manifest(path).records) == {"a/road.mp4"}


def test_compaction_keeps_the_last_records_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest, follower = Manifest(path), Manifest(path)
    for attempts in (1, 2):
        manifest.append(replace(FAILED, attempts=attempts))
    manifest.append(DONE)
    manifest.begin("c.mp4", HASHES, "machine:1")
    with path.open("a") as stream:
        stream.write('{"record":"sou')
    follower.refresh()
    Manifest(path).compact()
    assert len(path.read_text().splitlines()) == 4 and path.read_bytes().endswith(b"\n")
    manifest.append(replace(FAILED, attempts=3, state="set_aside"))
    for read in (manifest, follower, read_manifest(path)):
        read.refresh()
        assert set(read.begun) == {"c.mp4"}
        assert read.records == {"a/road.mp4": DONE, "b.mp4": replace(FAILED, attempts=3, state="set_aside")}
    before = path.stat().st_mtime_ns
    compacted = Manifest(path)
    compacted.compact()
    generation = path.read_bytes()
    compacted.compact()
    assert path.read_bytes() == generation and path.stat().st_mtime_ns >= before


def test_processes_append_and_compact_at_once_without_losing_a_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=append_many, args=(tmp_path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    read = read_manifest(tmp_path)
    assert set(read.records) == {f"{number}/{index}" for number in range(3) for index in range(40)}
    assert read.torn == 0


def append_many(folder: Path, number: int) -> None:
    """Append 40 records, and compact after every tenth."""
    manifest = Manifest(folder / "manifest.jsonl", Claims(folder / ".work").manifest)
    for index in range(40):
        manifest.append(replace(FAILED, source=f"{number}/{index}", error="x" * 500))
        if index % 10 == 0:
            manifest.append(replace(FAILED, source=f"{number}/{index}"))
            manifest.compact()


def test_every_write_is_made_under_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depth, seen = [0], []

    @contextmanager
    def lock() -> Iterator[None]:
        depth[0] += 1
        yield
        depth[0] -= 1

    monkeypatch.setattr("os.fsync", lambda _: seen.append(depth[0]))
    manifest = Manifest(tmp_path / "manifest.jsonl", lock)
    for write in (
        lambda: manifest.append(DONE),
        lambda: manifest.append(DONE),
        lambda: manifest.begin("b.mp4", HASHES, "machine:1"),
        lambda: manifest.give_back("b.mp4"),
        manifest.compact,
    ):
        write()
    assert seen == [1] * 5 and depth == [0]


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(DataError, match="does not exist"):
        read_manifest(path)
    path.write_text('{"record":"header","schema":"reg_yolo.detections/1"}\n')
    with pytest.raises(DataError, match=r"manifest.jsonl:1 is not a header of a manifest"):
        read_manifest(path)
    Manifest(tmp_path / "other.jsonl").append(FAILED)
    content = (tmp_path / "other.jsonl").read_text()
    path.write_text(content.replace('"failed"', '"asleep"'))
    with pytest.raises(DataError, match=r"manifest.jsonl:2 is malformed: state must be one of done, failed, set_aside"):
        read_manifest(path)
    path.write_text(content.replace('"state"', '"status"'))
    with pytest.raises(DataError, match=r"manifest.jsonl:2 is malformed"):
        read_manifest(path)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.append(FAILED)
    content = path.read_bytes()

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(MediaError, match="cannot be written: No space left on device"):
        manifest.append(DONE)
    assert path.read_bytes() == content


@pytest.mark.parametrize("wrong", [{"source": ""}, {"state": "asleep"}, {"error": None}])
def test_impossible_records_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(FAILED, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        replace(DONE, error="x")


def test_the_page_on_the_schema_says_what_the_code_does(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "many_files.md").read_text(encoding="utf-8")
    example = page.split("```jsonl\n")[1].split("```")[0]
    path = tmp_path / "manifest.jsonl"
    path.write_text(example, encoding="utf-8")
    (record,) = read_manifest(path).records.values()
    assert set(read_manifest(path).begun) == {"road_2.mp4"}
    assert record.to_record() == json.loads(example.splitlines()[2])
    cells = [line.split("|")[1] for line in page.split("## The manifest")[1].splitlines() if line.startswith("| `")]
    assert {key for cell in cells for key in re.findall(r"`(\w+)`", cell)} == set(record.to_record())


@pytest.mark.parametrize("key", [*DONE.to_record(), "hashes.quick", "begun"])
def test_damaged_records_are_one_line(tmp_path: Path, key: str) -> None:
    begun = {"record": "begun", "source": "a.mp4", "hashes": DONE.to_record()["hashes"], "worker": "w"}
    for odd in (None, True, -1, 1.5, "x", [], [1], {}, {"a": 1}, float("inf"), [[]]):
        record: dict[str, Any] = json.loads(json.dumps(DONE.to_record()))
        if key == "begun":
            record = {**begun, "hashes": odd}
        elif key == "hashes.quick":
            record["hashes"] = {"quick": odd}
        else:
            record[key] = odd
        path = tmp_path / "manifest.jsonl"
        header = {"record": "manifest", "schema": "reg_yolo.manifest/1", "generation": "g"}
        path.write_text(json.dumps(header) + "\n" + json.dumps(record) + "\n")
        try:
            manifest = read_manifest(path)
            manifest.compact()
            for read in manifest.records.values():
                read.to_record()
        except DataError as error:
            assert "\n" not in str(error) and f"{path}:2" in str(error)
