"""YAML files of a user of the inventory: read with the limits of any other, and refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.camera import read_camera
from reg_yolo.inventory.classes import read_shapes
from reg_yolo.inventory.diff.columns import read_columns
from reg_yolo.inventory.outputs.fields import read_fields
from reg_yolo.inventory.settings_files import LARGEST, read_settings_file

READERS = (read_camera, read_shapes, read_columns, read_fields)
# Each list holds the one before nine times: 9^9 values once its aliases are written out.
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


def test_keys_may_be_codes_of_classes_and_a_byte_order_mark_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("7: เสา\nwidth: 640\n", encoding="utf-8-sig")
    assert read_settings_file(tmp_path / "a.yaml") == {7: "เสา", "width": 640}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB.encode(), "too large for a configuration"),
        (b"width: {\n", "not valid YAML"),
        (b"\xff\xfe", "is not YAML"),
        (b"#" * (LARGEST + 1), "larger than 1 MB"),
    ],
    ids=["aliases", "syntax", "no text", "size"],
)
def test_what_is_no_settings_file_is_refused_in_one_line(
    reader: type, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refused:
        reader(tmp_path / "a.yaml")
    assert str(refused.value).startswith(str(tmp_path / "a.yaml")) and "\n" not in str(refused.value)


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_and_a_missing_file_are_refused(reader: type, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("pipe.yaml", "missing.yaml"):
        with pytest.raises(ConfigError, match=f"{name} cannot be read"):
            reader(tmp_path / name)
