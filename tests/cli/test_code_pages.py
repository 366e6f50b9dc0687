"""Commands read and write UTF-8 whatever the machine's encoding is, and say so in one line where it cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import write_rectangles

NAMES = ["ป้ายเตือน", "เสาไฟ"]
# Python's UTF-8 mode and its coercion of the C locale would both hide what a code page does.
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
COMMAND = (sys.executable, "-m", "reg_yolo.cli.app")


@pytest.fixture
def thai_data(tmp_path: Path) -> Path:
    """The YAML of a small data set with Thai class names."""
    data = write_rectangles(tmp_path / "data", {"train": 2, "val": 1})
    text = f"path: .\ntrain: images/train\nval: images/val\nnames: {json.dumps(NAMES, ensure_ascii=False)}\n"
    data.write_text(text, encoding="utf-8")
    return data


def run(folder: Path, *words: object, **variables: str) -> tuple[int, bytes, bytes]:
    """Run `reg-yolo` in a process with an encoding of its own; return its exit code, stdout and stderr."""
    environment = {name: value for name, value in os.environ.items() if name not in {"LANG", "PYTHONIOENCODING"}}
    done = subprocess.run(
        [*COMMAND, *map(str, words)], cwd=folder, env={**environment, **ASCII, **variables}, capture_output=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_locale_of_these_tests_is_not_utf8() -> None:
    code = "import locale, sys; print(locale.getencoding(), sys.getfilesystemencoding(), sys.flags.utf8_mode)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **ASCII}, capture_output=True, text=True, encoding="ascii",
        check=True,
    )  # fmt: skip
    assert "utf" not in done.stdout.lower() and done.stdout.split()[-1] == "0"


def test_a_split_keeps_thai_names_in_an_ascii_locale(thai_data: Path, working_directory: Path) -> None:
    words = ("data", "split", thai_data, "--pattern", "(.+)", "--val", "0.3", "--out", "split.yaml")
    code, _, err = run(working_directory, *words)
    assert code == 0, err
    names = yaml.safe_load((working_directory / "split.yaml").read_text(encoding="utf-8"))["names"]
    assert (list(names.values()) if isinstance(names, dict) else names) == NAMES


def test_statistics_name_thai_classes_in_an_ascii_locale(thai_data: Path, working_directory: Path) -> None:
    code, out, err = run(working_directory, "data", "stats", thai_data, "--json", "stats.json")
    assert code == 0, err
    written = (working_directory / "stats.json").read_text(encoding="utf-8")
    assert all(name in out.decode() for name in NAMES) and json.loads(written)["class_names"] == NAMES


def test_a_code_page_without_the_letter_shows_its_code(working_directory: Path) -> None:
    code, out, err = run(working_directory, "config", "--losses", PYTHONIOENCODING="cp874")
    assert code == 0, err
    assert "(REG \\xa72.6.3)" in out.decode("cp874")


def test_a_file_name_that_the_locale_cannot_hold_is_one_line(thai_data: Path, working_directory: Path) -> None:
    code, _, err = run(working_directory, "data", "check", thai_data, "--out", "findings")
    assert code == 2
    assert b"cannot be written: the locale's encoding for file names (ascii)" in err and b"PYTHONUTF8=1" in err
    assert not list(working_directory.glob("reg-yolo-error-*"))
