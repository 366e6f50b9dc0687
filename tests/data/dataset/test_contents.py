"""The fingerprint of a split: what it sees, and what it does not care about."""

from __future__ import annotations

import shutil
from pathlib import Path

from reg_yolo.data.dataset.contents import fingerprint_changes, split_fingerprint
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml


def fingerprint(yaml: Path) -> dict:
    return split_fingerprint([read_dataset_yaml(yaml)], "train")


def test_a_moved_data_set_is_the_same(own_rectangles: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(own_rectangles.parent, tmp_path / "elsewhere")) / own_rectangles.name
    assert fingerprint(moved) == fingerprint(own_rectangles)


def test_every_change_is_seen(own_rectangles: Path) -> None:
    before = fingerprint(own_rectangles)
    folder = own_rectangles.parent
    image = sorted((folder / "images/train").iterdir())[0]
    label = sorted((folder / "labels/train").glob("*.txt"))[0]

    content = image.read_bytes()
    image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert fingerprint_changes(before, fingerprint(own_rectangles)) == ["other content in its images"]
    image.write_bytes(content)
    assert fingerprint_changes(before, fingerprint(own_rectangles)) == []

    renamed = image.rename(image.with_name(f"renamed{image.suffix}"))
    assert "other content in its images" in fingerprint_changes(before, fingerprint(own_rectangles))
    renamed.rename(image)

    text = label.read_text()
    label.write_text(text + "\n")
    assert fingerprint_changes(before, fingerprint(own_rectangles)) == ["other content in its labels"]
    label.unlink()
    files = before["label_files"]
    assert fingerprint_changes(before, fingerprint(own_rectangles)) == [f"{files - 1} label files, {files} before"]
    label.write_text(text)
    assert fingerprint(own_rectangles) == before
