"""Files that are read back: whatever is wrong with one, the error is one line that names it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.stored import damage_named, read_stored_json, read_stored_text


def read(path: Path) -> int:
    with damage_named(path, "a report", "make it again", ConfigError):
        content = read_stored_json(path, 2000)
        return int(content["classes"][0]["images"])


DAMAGE = {
    "empty": (b"", "not a report (Expecting value"),
    "cut off": (b'{"classes": [{"ima', "not a report (Unterminated string"),
    "list": (b"[1]", "expected keys and values, got list"),
    "no key": (b"{}", "no 'classes' in it"),
    "no element": (b'{"classes": []}', "list index out of range"),
    "other type": (b'{"classes": 3}', "not subscriptable"),
    "null": (b'{"classes": [{"images": null}]}', "not 'NoneType'"),
    "infinite": (b'{"classes": [{"images": Infinity}]}', "cannot convert float infinity"),
    "no text": (b"\xff\xfe\x00\x00", "not UTF-8 text"),
    "large": (b'{"classes": "' + b"a" * 2000 + b'"}', "larger than 0 MB"),
}


@pytest.mark.parametrize(("content", "said"), DAMAGE.values(), ids=DAMAGE.keys())
def test_every_kind_of_damage_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: ") and said in message and message.endswith("; make it again")
    assert len(message.splitlines()) == 1


def test_a_good_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for start in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(start + b'{"classes": [{"images": 7}]}')
        assert read(path) == 7


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "report.json"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"report\.json: cannot be read \(it is a pipe"):
        read(pipe)
    zero = tmp_path / "zero"
    zero.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="cannot be read"), damage_named(zero, "a report", "make it again"):
        read_stored_text(zero)


def test_a_missing_file_and_our_own_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere.json")
    with pytest.raises(ConfigError, match=r"^as it was$"), damage_named(tmp_path, "a report", "make it again"):
        raise ConfigError("as it was")
