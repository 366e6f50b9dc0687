"""A folder that replaces an older one: whole, or the older one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.outputs.folders import new_folder


def build(folder: Path, text: str) -> None:
    """Make a folder with a file."""
    with new_folder(folder) as part:
        part.mkdir(exist_ok=True)
        (part / "a.txt").write_text(text)


@pytest.mark.parametrize("name", ["thumbnails", "inventory.gdb"])
def test_the_old_folder_stays_where_the_new_one_cannot_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, rename = tmp_path / name, Path.rename
    build(folder, "old")

    def refused(path: Path, target: Path) -> Path:
        if target == folder and (path / "a.txt").read_text() == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(DataError, match=rf"{name} cannot be written: No space left on device"):
            build(folder, "new")
    assert [path.name for path in tmp_path.iterdir()] == [name] and (folder / "a.txt").read_text() == "old"
    build(folder, "new")
    assert (folder / "a.txt").read_text() == "new"


def test_what_a_killed_build_left_goes_with_the_next(tmp_path: Path) -> None:
    left = [".thumbnails.0a1b2c3d", ".thumbnails.4d3c2b1a.old"]
    others = [".thumbnails.0a1b2c3d.gdb", ".thumbnails.backup", "thumbnails.0a1b2c3d", ".inventory.0a1b2c3d"]
    for name in (*left, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("left")
    with pytest.raises(DataError), new_folder(tmp_path / "thumbnails"):
        raise OSError(28, "No space left on device")
    # Until another one is in place they may hold the only copy.
    assert {path.name for path in tmp_path.iterdir()} == {*left, *others}
    build(tmp_path / "thumbnails", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"thumbnails", *others}
