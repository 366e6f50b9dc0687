"""Every command in the documents is one that the program takes: its name, its options, its settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.cli.app import app
from reg_yolo.config.loader import load_config
from reg_yolo.config.shipped import shipped_file
from tests.docs.commands import PAGES, ROOT, command_lines, words_of

COMMANDS = typer.main.get_command(app)
# These take settings as KEY=VALUE; the others take Ultralytics' arguments alone.
CONFIGURED = {"train", "config"}
FILES = {"data", "model", "task", "mask_classes", "lambda_seg", "pretrained", "optimizer"}


def parsed(words: list[str]) -> tuple[str, dict]:
    """Return the command that words call and its parameters, without running it."""
    command, rest, context = COMMANDS, words, None
    while True:
        context = command.make_context(command.name, list(rest), parent=context)
        if not hasattr(command, "commands"):
            # `--json` diverts what is printed until its context is closed.
            context.close()
            return str(command.name), context.params
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


def check_settings(command: str, parameters: dict) -> None:
    """Raise where a KEY=VALUE word names a key that the command does not take."""
    words = [word for value in parameters.values() if isinstance(value, (list, tuple)) for word in value]
    given = [word for word in words if isinstance(word, str) and "=" in word]
    if command in CONFIGURED:
        first = next((word for word in words if "=" not in word), "")
        assert not first.startswith("detect/") or shipped_file(first) is not None, f"{first} does not ship"
        # Files of the reader are not here; a word in capitals stands for one of several values.
        kept = [word for word in given if re.split(r"[.=]", word)[0] not in FILES and not word.split("=")[1].isupper()]
        load_config("detect/yolov8n", kept, train_keys=DEFAULT_CFG_DICT)
    elif command in ("val", "diagnose", "predict", "export"):
        for word in given:
            assert word.partition("=")[0] in {*DEFAULT_CFG_DICT, "data"}, f"{word} names no argument"


def check_line(line: str) -> None:
    """Raise AssertionError where the program would not take a line."""
    words = words_of(line)
    if words[0] == "python":
        assert (ROOT / words[1]).is_file(), f"{words[1]} is not there"
        return
    try:
        check_settings(*parsed(words[1:]))
    except typer.Exit:
        # `-h` and `--version` leave at once.
        return
    except Exception as error:
        raise AssertionError(f"{line}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_taken(page: Path) -> None:
    for line in command_lines(page.read_text(encoding="utf-8")):
        check_line(line)


def test_commands_in_pages_are_found() -> None:
    found = [line for page in PAGES for line in command_lines(page.read_text(encoding="utf-8"))]
    assert len(found) > 90 and any("\\" not in line and "--drop bus_stop" in line for line in found)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("reg-yolo trian detect/yolov8n", "trian"),
        ("reg-yolo val best.pt --dta x", "--dta"),
        ("reg-yolo predict best.pt a.mp4 imgz=3", "imgz=3"),
        ("reg-yolo diagnose best.pt imgz=3", "imgz=3"),
        ("reg-yolo train detect/yolov8n reg.focal.gama=2", "reg.focal.gama"),
        ("reg-yolo train detect/yolov8n epocs=2", "epocs"),
        ("reg-yolo train detect/yolov8q", "yolov8q"),
        ("reg-yolo report --out x", "runs"),
        ("python scripts/nothing.py x", "nothing.py"),
    ],
)
def test_a_wrong_command_is_seen(line: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_line(line)
