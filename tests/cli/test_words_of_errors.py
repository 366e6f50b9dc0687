"""Errors of the library name parameters; the command line says them as they are typed. Help in panels, old names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reg_yolo.cli.app import command_line
from reg_yolo.cli.command import option_words
from reg_yolo.cli.failures import as_typed
from tests.cli.conftest import Refused, Run


def test_parameters_are_said_as_they_are_typed() -> None:
    options = {"every": "--every", "near_bits": "--near-bits", "int8": "--int8", "source": "SOURCE"}
    assert as_typed("`every`: got 'x'; write `every=2m`", options) == "--every: got 'x'; write --every 2m"
    assert as_typed("leave `int8=True` and `near_bits` out of `source`", options) == (
        "leave --int8 and --near-bits out of SOURCE"
    )
    for kept in ("run `ray start --head`", "set `model` to its file", "lines of `key: value`", "every: 5"):
        assert as_typed(kept, options) == kept


def test_the_words_are_those_of_the_command() -> None:
    words = option_words(command_line(), ["predict", "a.pt", "b.mp4", "--every", "x"])
    assert (words["every"], words["drive"], words["drives"], words["cpus"], words["source"]) == (
        "--every", "--as-one-drive", "--drive-per-folder", "--cluster-cpus", "SOURCE",
    )  # fmt: skip
    assert "old_drive" not in words
    below = option_words(command_line(), ["data", "check", "x.yaml"])
    assert below["near_bits"] == "--near-bits" and "every" not in below
    assert option_words(command_line(), ["nonsense"]) == option_words(command_line(), [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--every", "often"], "--every: got 'often', expected"),
        (["--every", "2m"], "--every 2m: metres need either --speed KM/H or --gnss FILE"),
        (["--roi", "1,1,0,0"], "--roi: got '1,1,0,0'"),
        (["--precision", "f32", "--int8"], "--precision: got f32 next to --int8"),
        (["--shard", "9"], "--shard: got '9'"),
        (["--cluster", "local", "--cluster-cpus", "0"], "--cluster-cpus and --cluster-gpus: got 0 and 0"),
        (["--drive", "--drives"], "--as-one-drive: makes one source of all videos; leave out --drive-per-folder, "),
    ],
)
def test_refusals_of_the_command_have_dashes(
    words: list[str], message: str, detector: Path, even_rectangles: Path, refused: Refused
) -> None:
    assert f"error: {message}" in refused("predict", detector, even_rectangles.parent / "images/val", *words)


def test_help_comes_in_panels_and_without_old_names(run_cli: Run) -> None:
    text = run_cli("predict", "--help").out
    panels = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    assert panels == ["Arguments", "Input", "Looking", "Output", "Engine", "Many files", "Printing", "Other"]
    looking = text[text.index("Looking:") : text.index("Output:")]
    assert "--every" in looking and "--tiles" in looking and "--out" not in looking
    assert "--as-one-drive" in text and not re.search(r"--drives?\s", text)
