"""Files and folders are whole or not there, and places that cannot be written to are named in one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from reg_yolo import files as whole_files
from reg_yolo.data.dataset import output_paths as output_places
from reg_yolo.data.dataset.output_paths import refuse_unwritable
from reg_yolo.errors import DataError, OutputError
from reg_yolo.files import (
    file_sha256,
    is_regular,
    make_folder,
    open_regular,
    replace_bytes,
    replace_text,
    replacing,
    whole_folder,
)


def test_places_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"The folder .*file/a cannot be made: Not a directory"):
        make_folder(tmp_path / "file/a")
    with pytest.raises(OutputError, match=r"The folder .*file/a/b cannot be made"), whole_folder(tmp_path / "file/a/b"):
        pass
    with pytest.raises(OutputError, match=r"file/a\.json cannot be written: Not a directory"):
        replace_text(tmp_path / "file/a.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_the_place_of_a_file_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "stats.json/x").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"stats\.json cannot be written: Is a directory"):
        replace_bytes(tmp_path / "stats.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["stats.json"]


def test_a_read_only_disk_is_named_and_a_full_one_is_left_to_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> None:
        def mkdir(*_: object, **__: object) -> None:
            raise OSError(number, "Read-only file system" if number == errno.EROFS else "No space left on device")

        monkeypatch.setattr(whole_files.Path, "mkdir", mkdir)

    refuse(errno.EROFS)
    with pytest.raises(OutputError, match="cannot be made: Read-only file system"), whole_folder(tmp_path / "out"):
        pass
    refuse(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        make_folder(tmp_path / "out")


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_unwritable("--out", tmp_path / "a/b")
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(output_places.os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(DataError, match=f"--out: nothing can be written to {tmp_path};"):
        refuse_unwritable("--out", tmp_path / "a/b")


def test_a_link_in_the_way_of_the_temporary_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["00", "01"])
    monkeypatch.setattr(whole_files.secrets, "token_hex", lambda _: next(names))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".a.json.00.part").symlink_to(victim)
    replace_text(tmp_path / "a.json", "{}")
    assert victim.read_text() == "mine"
    assert (tmp_path / "a.json").read_text() == "{}"


def test_the_old_file_stays_when_the_work_fails(tmp_path: Path) -> None:
    target = tmp_path / "best.pt"
    target.write_bytes(b"old")
    with pytest.raises(ValueError, match="broken"), replacing(target) as partial:
        partial.write_bytes(b"half")
        raise ValueError("broken")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["best.pt"]


def test_a_name_as_long_as_the_file_system_allows_is_written(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250 + ".json")
    replace_text(target, "{}")
    assert target.read_text() == "{}"


def test_a_new_file_has_the_mode_of_an_ordinary_one(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    replace_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_digest_of_a_folder_is_that_of_its_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export/b").write_bytes(b"2")
    (tmp_path / "export/a").write_bytes(b"1")
    (tmp_path / "one").write_bytes(b"12")
    assert file_sha256(tmp_path / "export") == file_sha256(tmp_path / "one")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    os.mkfifo(pipe)
    file.write_bytes(b"abc")
    link.symlink_to(file)
    for path in (file, link):
        assert is_regular(path)
        with open_regular(path) as stream:
            assert stream.read() == b"abc"
    for path in (pipe, tmp_path, tmp_path / "none", Path("/dev/null")):
        assert not is_regular(path)
        with pytest.raises(OSError):
            open_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    assert not is_regular("a\0b")
