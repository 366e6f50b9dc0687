"""Work on many sources: what is missing, changed or failed, by several processes of which one is killed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.jobs.claims import Claim, Claims
from reg_yolo.jobs.manifest import Manifest, read_manifest
from reg_yolo.jobs.work_list import CLAIMS_FOLDER, Shard, WorkSource, list_sources, parse_shard
from reg_yolo.jobs.work_loop import remove_stale_images
from reg_yolo.video.sources import resolve_source
from tests.jobs.fake_processing import WANTED, FakeProcess, Notes, make_sources, work

SPAWN = multiprocessing.get_context("spawn")


def states(out: Path) -> dict[str, str]:
    """The final state of every source."""
    return {name: record.state for name, record in read_manifest(out).records.items()}


def assert_whole(out: Path, sources: list[WorkSource]) -> None:
    """Every source has exactly one complete detections file, and nothing else lies about."""
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    names = [source.name for source in sources]
    expected = [f"detections/{name}.{suffix}" for name in names for suffix in ("jsonl", "csv")]
    assert files == sorted([*expected, "manifest.jsonl"])
    for source in sources:
        reader = read_detections(out / f"detections/{source.name}.jsonl")
        frames = list(reader)
        assert reader.is_complete and [frame.frame for frame in frames] == list(range(len(frames)))
        assert len(frames) == len(source.files[0].read_text()) == read_manifest(out).records[source.name].frames


def test_every_source_gets_one_file_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in", b="12", a="123", c="")
    loop = work(sources, tmp_path / "out")
    assert_whole(tmp_path / "out", sources)
    record = loop.manifest.records["a.mp4"]
    assert (record.state, record.frames, record.seconds, record.engine) == ("done", 3, 0.5, "pytorch")
    assert record.detections == "detections/a.mp4.jsonl" and record.worker.endswith(f":{os.getpid()}")
    assert record.hashes.weights == "weights" and len(record.hashes.content) == 64
    again = work(sources, tmp_path / "out")
    assert again.process.calls == [] and {reason for _, reason in again.report.verdicts} == {"done"}


def test_only_what_is_missing_changed_or_gone_is_done_again(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22", c="333", d="4444")
    work(sources, out)
    time.sleep(0.01)
    (tmp_path / "in/b.mp4").write_text("23")
    os.utime(tmp_path / "in/c.mp4")
    (out / "detections/d.mp4.jsonl").unlink()
    sources += make_sources(tmp_path / "in", e="5")
    loop = work(sources, out)
    assert loop.process.calls == ["b.mp4", "d.mp4", "e.mp4"]
    assert dict(loop.report.verdicts) == {"a.mp4": "done", "c.mp4": "changed"}
    assert_whole(out, sources)
    # The same content under a new time of change was noted, so that it is not read a third time.
    assert dict(work(sources, out).report.verdicts)["c.mp4"] == "done"


@pytest.mark.parametrize("key", ["weights", "settings"])
def test_other_weights_or_settings_do_all_again(tmp_path: Path, key: str) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22")
    work(sources, out)
    assert work(sources, out, wanted=replace(WANTED, **{key: "other"})).process.calls == ["a.mp4", "b.mp4"]
    assert_whole(out, sources)


def test_annotated_video_is_added_when_wanted_and_goes_when_its_detections_change(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22")
    work(sources, out)
    wanted = replace(WANTED, annotated=True)
    loop = work(sources, out, FakeProcess(draw=True), wanted=wanted)
    assert (
        loop.process.calls == ["a.mp4", "b.mp4"] and loop.manifest.records["a.mp4"].annotated == "annotated/a.mp4.mp4"
    )
    assert (out / "annotated/b.mp4.mp4").read_text() == "22"
    assert work(sources, out, wanted=wanted).process.calls == [] == work(sources, out).process.calls
    (out / "annotated/b.mp4.mp4").unlink()
    assert work(sources, out, FakeProcess(draw=True), wanted=wanted).process.calls == ["b.mp4"]
    assert work(sources, out, wanted=replace(WANTED, weights="other")).process.calls == ["a.mp4", "b.mp4"]
    assert not list(out.rglob("*.mp4"))


def test_three_failures_set_a_source_aside_until_it_is_to_be_retried(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="bad")
    for attempts, state in ((1, "failed"), (2, "failed"), (3, "set_aside")):
        loop = work(sources, out)
        record = loop.manifest.records["b.mp4"]
        assert (record.state, record.attempts, record.detections) == (state, attempts, None)
        assert record.error == f"{tmp_path}/in/b.mp4 is bad."
        assert loop.process.calls == (["a.mp4", "b.mp4"] if attempts == 1 else ["b.mp4"])
    assert work(sources, out).process.calls == []
    os.utime(tmp_path / "in/b.mp4")
    assert work(sources, out).process.calls == []
    retried = work(sources, out, wanted=replace(WANTED, retry=True))
    assert retried.process.calls == ["b.mp4"] and retried.manifest.records["b.mp4"].attempts == 4
    (tmp_path / "in/b.mp4").write_text("good")
    assert work(sources, out).process.calls == ["b.mp4"] and set(states(out).values()) == {"done"}
    assert_whole(out, sources)


def test_a_new_content_has_three_tries_of_its_own(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", b="bad")
    work(sources, out)
    work(sources, out)
    (tmp_path / "in/b.mp4").write_text("bad too")
    assert work(sources, out).manifest.records["b.mp4"].attempts == 1
    assert work(sources, out, wanted=replace(WANTED, weights="w")).manifest.records["b.mp4"].attempts == 1
    (tmp_path / "in/b.mp4").unlink()
    for attempts in (1, 2, 3):
        record = work(sources, out, wanted=replace(WANTED, weights="w")).manifest.records["b.mp4"]
        assert "cannot be read: No such file" in (record.error or "") and record.attempts == attempts


def test_a_source_that_changes_while_it_is_read_has_failed(tmp_path: Path) -> None:
    class Growing(FakeProcess):
        def __call__(self, source: WorkSource, out: Path) -> object:
            processed = super().__call__(source, out)
            with source.files[0].open("a") as stream:
                stream.write("more")
            return processed

    sources = make_sources(tmp_path / "in", a="1")
    record = work(sources, tmp_path / "out", Growing()).manifest.records["a.mp4"]
    assert record.state == "failed" and "changed while it was read" in (record.error or "")
    assert not list((tmp_path / "out").rglob("*.jsonl*"))[1:]
    work(sources, tmp_path / "out")
    assert_whole(tmp_path / "out", sources)


def test_a_stop_gives_the_source_back_and_keeps_what_is_finished(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="2" * 200, c="3")
    process = FakeProcess(frame_s=0.01)
    threading.Timer(0.5, process.stop.set).start()
    with pytest.raises(KeyboardInterrupt):
        work(sources, out, process)
    read = read_manifest(out)
    assert states(out) == {"a.mp4": "done"} and not read.begun
    assert [path.name for path in out.rglob("*.jsonl*")].count("a.mp4.jsonl") == 1
    assert not list(out.rglob("*.part")) and not list((out / ".work").iterdir())
    loop = work(sources, out)
    assert loop.process.calls == ["b.mp4", "c.mp4"] and loop.manifest.records["b.mp4"].attempts == 0
    assert_whole(out, sources)


def test_a_full_disk_ends_the_run_without_counting_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="bad", c="1")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(MediaError, match="the disk is full"):
        work(sources, out)
    assert states(out) == {"a.mp4": "done"} and not read_manifest(out).begun


def in_process(
    sources: list[WorkSource], out: Path, kill_on: str | None = None, frame_s: float = 0.004, lease_s: float = 2.0
) -> None:
    """Work as one of several processes."""
    work(sources, out, FakeProcess(frame_s, out.parent / "log", kill_on), lease_s=lease_s)


def test_two_processes_of_which_one_is_killed_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    texts = {f"s{number:02d}": "x" * (10 + 7 * (number % 5)) for number in range(24)}
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", **texts)
    processes = [SPAWN.Process(target=in_process, args=(sources, out)) for _ in range(2)]
    for process in processes:
        process.start()
    log = tmp_path / "log"
    while not log.exists() or len(log.read_text().splitlines()) < 8 or len({*log.read_text().split()[::2]}) < 2:
        time.sleep(0.01)
    os.kill(processes[0].pid, signal.SIGKILL)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [-signal.SIGKILL, 0]
    assert set(states(out).values()) == {"done"} and len(states(out)) == 24
    assert_whole(out, sources)
    begun = Counter(line.split()[1] for line in log.read_text().splitlines())
    assert set(begun) == {source.name for source in sources}
    # Only what the killed one was at work on is begun a second time.
    assert sum(begun.values()) <= 25
    assert len({line.split()[0] for line in log.read_text().splitlines()}) == 2
    work(sources, out)
    records = [line for line in (out / "manifest.jsonl").read_text().splitlines() if '"source"' in line]
    assert len(records) == 25 - 1


def test_a_source_that_kills_its_process_is_set_aside(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22222", c="3")
    for _ in range(3):
        process = SPAWN.Process(target=in_process, args=(sources, out, "b.mp4"))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    loop = work(sources, out)
    record = loop.manifest.records["b.mp4"]
    assert (record.state, record.attempts) == ("set_aside", 3) and "ended without a word" in (record.error or "")
    assert loop.process.calls == ["c.mp4"]
    assert work(sources, out, wanted=replace(WANTED, retry=True)).process.calls == ["b.mp4"]
    assert_whole(out, sources)


def test_a_suspended_process_publishes_nothing_after_another_took_over(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="x" * 60)
    sleeper = SPAWN.Process(target=in_process, args=(sources, out, None, 0.02, 0.5))
    sleeper.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    os.kill(sleeper.pid, signal.SIGSTOP)
    loop = work(sources, out, lease_s=0.5)
    assert loop.process.calls == ["a.mp4"] and len(loop.report.waits) > 3
    content = (out / "detections/a.mp4.jsonl").read_bytes()
    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join()
    assert sleeper.exitcode == 0
    assert (out / "detections/a.mp4.jsonl").read_bytes() == content
    assert states(out) == {"a.mp4": "done"}
    assert_whole(out, sources)


def test_what_was_made_under_a_lost_claim_is_not_published(tmp_path: Path) -> None:
    class Robbed(FakeProcess):
        def __call__(self, source: WorkSource, out: Path) -> object:
            processed = super().__call__(source, out)
            if len(self.calls) == 1:
                for lock in out.parent.glob("*.lock"):
                    lock.unlink()
                (out / "detections.jsonl").write_text("of a lost claim")
            return processed

    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1")
    loop = work(sources, out, Robbed())
    assert loop.process.calls == ["a.mp4", "a.mp4"]
    assert_whole(out, sources)


def test_a_source_that_another_process_finishes_before_the_claim_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1")
    take = Claims.take

    def late(self: Claims, source: str) -> Claim | None:
        monkeypatch.setattr(Claims, "take", take)
        work(sources, out)
        return take(self, source)

    monkeypatch.setattr(Claims, "take", late)
    assert work(sources, out).process.calls == []


def test_a_failure_in_one_process_is_not_tried_again_by_another_in_the_same_run(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="bad", b="1")
    before = dict(Manifest(out / "manifest.jsonl").records)
    work(sources, out)
    loop = work(sources, out, before=before)
    assert loop.process.calls == [] and dict(loop.report.verdicts) == {"a.mp4": "failed", "b.mp4": "done"}


def test_shards_share_all_sources_by_name_alone() -> None:
    names = [f"{number}/ถนน {number}.mp4" for number in range(300)]
    shards = [parse_shard(f"{index}/4") for index in range(1, 5)]
    owners = [[shard.index for shard in shards if shard.has(name)] for name in names]
    assert all(len(owner) == 1 for owner in owners)
    assert min(Counter(owner[0] for owner in owners).values()) > 50
    assert [shards[1].has(name) for name in names[::7]] == [owner == [2] for owner in owners[::7]]
    assert parse_shard(None) == Shard(1, 1) and all(Shard().has(name) for name in names)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "1/4/2", "-1/4", ""])
def test_wrong_shards_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"`shard`: got .* expected i/n"):
        parse_shard(text)


def names(given: str | Path, out: Path) -> list[tuple[str, str, int]]:
    return [(source.name, source.kind, len(source.files)) for source in list_sources(resolve_source(given), out)]


def test_sources_are_named_by_their_place_below_what_was_named(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.avi", "1.jpg", "2.jpg", "in/b.mp4", "notes.txt"):
        (tmp_path / "drives" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "drives" / name).write_text("x")
    drives, out = tmp_path / "drives", tmp_path / "out"
    expected = [("a.avi", "video", 1), ("b.mp4", "video", 1), ("images", "images", 2)]
    assert names(drives, out) == names(drives / "in/..", out) == expected
    assert names(f"{drives}/**/*.mp4", out) == [("b.mp4", "video", 1), ("in/b.mp4", "video", 1)]
    (drives / "list.txt").write_text("b.mp4\nin/../in/b.mp4\n")
    assert names(drives / "list.txt", out) == [("b.mp4", "video", 1), ("in/b.mp4", "video", 1)]
    (tmp_path / "out/list.txt").parent.mkdir()
    (tmp_path / "out/list.txt").write_text("../drives/b.mp4\n")
    (name, _, _) = names(tmp_path / "out/list.txt", out)[0]
    assert name == (drives / "b.mp4").as_posix().lstrip("/")


def test_annotated_video_is_no_source(tmp_path: Path) -> None:
    for name in ("drives/c1.mp4", "drives/out/annotated/c1.mp4", "drives/out/c2.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [name for name, _, _ in names(f"{tmp_path}/drives/**/*.mp4", tmp_path / "drives/out")] == [
        "c1.mp4", "out/c2.mp4",
    ]  # fmt: skip


def test_the_chapters_in_a_folder_are_one_drive(tmp_path: Path) -> None:
    for name in ("north/GX010012.MP4", "north/GX020012.MP4", "north/GX010013.MP4", "south/a10.mp4", "south/a9.mp4"):
        (tmp_path / "trips" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "trips" / name).write_text("x")
    out = tmp_path / "out"

    def listed() -> list[WorkSource]:
        return list_sources(resolve_source(f"{tmp_path}/trips/*/*.[mM][pP]4"), out, drives=True)

    found = {source.name: [path.name for path in source.files] for source in listed()}
    assert found == {"north": ["GX010012.MP4", "GX020012.MP4", "GX010013.MP4"], "south": ["a9.mp4", "a10.mp4"]}
    assert {source.kind for source in listed()} == {"drive"}
    assert work(listed(), out).process.calls == ["north", "south"]
    # A later chapter makes the drive another one, under the same name.
    (tmp_path / "trips/south/a11.mp4").write_text("x")
    assert work(listed(), out).process.calls == ["south"]
    (source,) = list_sources(resolve_source(tmp_path / "trips/south"), out, drives=True)
    assert source.name == "south"
    (tmp_path / "trips/south/rear_1.mp4").write_text("x")
    with pytest.raises(MediaError, match="named differently"):
        listed()


def test_waiting_ends_when_the_other_process_is_done(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="x" * 100)
    other = SPAWN.Process(target=in_process, args=(sources, out, None, 0.01))
    other.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    report = Notes()
    loop = work(sources, out, report=report)
    other.join()
    assert loop.process.calls == [] and report.waits and report.verdicts == [("a.mp4", "done")]


@pytest.mark.parametrize("named", ["../victim", "../in", "annotated", "annotated/../../victim", "{absolute}", "."])
def test_a_manifest_cannot_make_a_run_remove_or_write_what_is_not_its_own(tmp_path: Path, named: str) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("precious")
    wanted = replace(WANTED, annotated=True)
    work(sources, out, FakeProcess(draw=True), wanted=wanted)
    named = named.format(absolute=victim)
    text = (out / "manifest.jsonl").read_text()
    text = text.replace('"annotated":"annotated/a.mp4.mp4"', f'"annotated":"{named}"')
    text = text.replace('"detections":"detections/b.mp4.jsonl"', f'"detections":"{named}"')
    (out / "manifest.jsonl").write_text(text)
    for settings in (wanted, replace(wanted, settings="other"), replace(WANTED, weights="other", shown="blurred")):
        remove_stale_images(sources, out, settings, 2.0)
        work(sources, out, FakeProcess(draw=settings.annotated), wanted=settings)
    assert (victim / "file").read_text() == "precious" and (tmp_path / "in/a.mp4").read_text() == "1"
    assert_whole(out, sources)


def test_stored_images_that_show_what_is_to_be_blurred_go_first(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22")
    open_eyes, blurred = replace(WANTED, annotated=True), replace(WANTED, shown="faces")
    work(sources, out, FakeProcess(draw=True), wanted=open_eyes)
    images = [out / "annotated/a.mp4.mp4", out / "annotated/b.mp4.mp4"]
    assert remove_stale_images(sources, out, WANTED) == [] and all(image.exists() for image in images)
    # Without images wanted they only go; the detections stay as they are.
    assert remove_stale_images(sources, out, blurred) == ["a.mp4", "b.mp4"]
    assert not any(image.exists() for image in images)
    assert work(sources, out, wanted=blurred).process.calls == []
    # With images wanted they are made again, blurred, once.
    again = replace(blurred, annotated=True)
    assert work(sources, out, FakeProcess(draw=True), wanted=again).process.calls == ["a.mp4", "b.mp4"]
    assert remove_stale_images(sources, out, again) == [] == work(sources, out, wanted=again).process.calls
    assert read_manifest(out).records["a.mp4"].shown == "faces"
    # A source that fails later does not forget how its images were blurred.
    (tmp_path / "in/b.mp4").write_text("bad")
    work(sources, out, FakeProcess(draw=True), wanted=again)
    assert remove_stale_images(sources, out, again) == []
    assert remove_stale_images(sources, out, replace(again, shown="faces and plates")) == ["a.mp4", "b.mp4"]
    assert not any(image.exists() for image in images)


def test_nothing_half_made_stays_of_a_source_that_was_taken_out_after_a_kill(tmp_path: Path) -> None:
    out, sources = tmp_path / "out", make_sources(tmp_path / "in", a="1", b="22")
    left = out / CLAIMS_FOLDER / f"{'0' * 24}.89abcdef.work"
    left.mkdir(parents=True)
    (left / "detections.jsonl").write_text("half")
    work(sources, out)
    assert not list((out / CLAIMS_FOLDER).iterdir())
