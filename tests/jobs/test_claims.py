"""Claims: one holder at a time, taken over from the dead, released by the living."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from reg_yolo.errors import MediaError
from reg_yolo.jobs.claims import Claims

LEASE_S = 1.0
SPAWN = multiprocessing.get_context("spawn")


def hold(folder: Path, ready: object) -> None:
    """Take a claim, leave something half-written, and hold it."""
    claim = Claims(folder, LEASE_S).take("road.mp4")
    assert claim is not None
    with claim:
        (claim.folder / "half").write_text("written")
        ready.set()  # type: ignore[attr-defined]
        time.sleep(60)


@pytest.fixture
def holder(tmp_path: Path) -> object:
    """Another process that holds the claim on road.mp4."""
    ready = SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    yield process
    process.kill()
    process.join()


def test_what_the_killed_left_is_removed_and_what_is_held_stays(tmp_path: Path, holder: object) -> None:
    claims = Claims(tmp_path, LEASE_S)
    (gone := tmp_path / "0123456789abcdef01234567.89abcdef.work").mkdir()
    (gone / "half").write_text("written")
    (mine,) = (folder for folder in tmp_path.glob("*.work") if folder != gone)
    claims.discard_leftovers()
    assert (mine / "half").is_file() and not gone.exists()
    holder.kill()  # type: ignore[attr-defined]
    holder.join()  # type: ignore[attr-defined]
    claims.discard_leftovers()
    assert not list(tmp_path.iterdir())


def test_one_source_has_one_holder(tmp_path: Path) -> None:
    first, second = Claims(tmp_path), Claims(tmp_path)
    claim = first.take("a/ถนน.mp4")
    assert claim is not None
    with claim:
        assert list(claim.folder.iterdir()) == [] and not claim.lost
        assert second.take("a/ถนน.mp4") is None
        other = second.take("b.mp4")
        assert other is not None
        with other:
            assert other.folder != claim.folder
        (claim.folder / "written").write_text("x")
    assert not claim.folder.exists()
    again = second.take("a/ถนน.mp4")
    assert again is not None
    with again:
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("holder")
def test_a_living_holder_keeps_its_claim_beyond_the_limit(tmp_path: Path) -> None:
    claims, end = Claims(tmp_path, LEASE_S), time.monotonic() + 2.5 * LEASE_S
    while time.monotonic() < end:
        assert claims.take("road.mp4") is None
        time.sleep(0.1)


def test_the_claim_of_a_killed_process_is_taken_over_at_once(tmp_path: Path, holder: SPAWN.Process) -> None:
    claims = Claims(tmp_path, LEASE_S)
    assert claims.take("road.mp4") is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    claim = claims.take("road.mp4") or claims.take("road.mp4")
    assert claim is not None
    with claim:
        assert len(list(tmp_path.glob("*.work"))) == 1 and not list(tmp_path.glob("*/half"))


def test_a_missing_heartbeat_is_taken_over_after_the_limit_and_the_sleeper_is_told(tmp_path: Path) -> None:
    ready, woken = SPAWN.Event(), SPAWN.Event()
    result = SPAWN.Queue()
    sleeper = SPAWN.Process(target=hold_and_tell, args=(tmp_path, ready, woken, result))
    sleeper.start()
    assert ready.wait(30)
    # As a machine that lost its network: alive, but without a heartbeat that others see.
    os.kill(sleeper.pid, signal.SIGSTOP)
    claims, started, claim = Claims(tmp_path, LEASE_S), time.monotonic(), None
    while claim is None:
        claim = claims.take("road.mp4")
        assert time.monotonic() - started < 20
        time.sleep(0.05)
    assert time.monotonic() - started >= LEASE_S
    with claim:
        os.kill(sleeper.pid, signal.SIGCONT)
        woken.set()
        assert result.get(timeout=20) is True
        sleeper.join()
        # The sleeper's end does not take the claim from its new holder.
        assert not claim.lost and claim.folder.is_dir()
        assert Claims(tmp_path, LEASE_S).take("road.mp4") is None


def hold_and_tell(folder: Path, ready: object, woken: object, result: object) -> None:
    """Hold a claim, and say after being woken whether it is lost."""
    claim = Claims(folder, LEASE_S).take("road.mp4")
    assert claim is not None
    with claim:
        ready.set()  # type: ignore[attr-defined]
        woken.wait(60)  # type: ignore[attr-defined]
        result.put(claim.lost)  # type: ignore[attr-defined]


def test_the_manifests_lock_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reg_yolo.jobs.claims._MANIFEST_WAIT_S", 0.2)
    first, second = Claims(tmp_path, 0.1), Claims(tmp_path, 0.1)
    with first.manifest(), pytest.raises(MediaError, match="held by another process"), second.manifest():
        raise AssertionError
    with second.manifest():
        assert list(tmp_path.glob("manifest.lock"))
    assert not list(tmp_path.glob("*.lock"))


def test_another_time_limit_is_named(tmp_path: Path) -> None:
    claim = Claims(tmp_path, 5.0).take("a")
    assert claim is not None
    with claim, pytest.raises(MediaError, match="another time limit"):
        Claims(tmp_path, 6.0).take("a")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MediaError, match="cannot be made"):
        Claims(tmp_path / "file" / ".work")
