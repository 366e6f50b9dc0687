"""Files and folders are whole or not there, and places that cannot be written to are named in one line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from reg_yolo import files as whole_files
from reg_yolo.data.dataset import output_paths as output_places
from reg_yolo.data.dataset.output_paths import refuse_unwritable
from reg_yolo.errors import DataError
from reg_yolo.files import make_folder, replace_bytes, replace_text, whole_folder


def test_places_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"The folder .*file/a cannot be made: Not a directory\."):
        make_folder(tmp_path / "file/a")
    with pytest.raises(DataError, match=r"The folder .*file/a/b cannot be made"), whole_folder(tmp_path / "file/a/b"):
        pass
    with pytest.raises(DataError, match=r"file/a\.json cannot be written: Not a directory\."):
        replace_text(tmp_path / "file/a.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_in_the_place_of_a_file_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "stats.json/x").mkdir(parents=True)
    with pytest.raises(DataError, match=r"stats\.json cannot be written: Is a directory\."):
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
    with pytest.raises(DataError, match="cannot be made: Read-only file system"), whole_folder(tmp_path / "out"):
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
