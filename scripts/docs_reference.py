"""Pages of the documentation site that are made from the code when it is built: commands, keys of a settings file."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from reg_yolo.config.merging import flattened
from reg_yolo.config.presets import PRESETS
from reg_yolo.config.problems import expected_values, show_value
from reg_yolo.config.schema import RunConfig


def command_line() -> str:
    """Return a page with the help of every command, as it prints it."""
    from reg_yolo.cli.app import command_line

    lines = ["# The command line", "", "What `reg-yolo COMMAND -h` prints.", ""]
    os.environ["COLUMNS"] = "100"
    for words, _ in commands(command_line()):
        printed = StringIO()
        with redirect_stdout(printed):
            command_line()(args=[*words, "-h"], prog_name="reg-yolo", standalone_mode=False)
        lines.extend([f"## reg-yolo {' '.join(words)}", "", "```text", printed.getvalue().strip(), "```", ""])
    return "\n".join(lines)


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command of a click group with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def settings_keys() -> str:
    """Return a page with every key of a settings file: default, values, meaning; and what each loss preset sets."""
    lines = [
        "# Every key of a settings file", "",
        "The schema that checks a file, as a table; [Configuration](configuration.md) explains it, and",
        "`reg-yolo config --schema` prints it as a JSON schema. Defaults under `reg` are those of the preset `stock`, "
        "whose loss equals Ultralytics'; a file without `reg` has the preset `reg`.", "",
        *_sections(RunConfig, ()),
        "## What each preset sets", "",
        "Keys that are not named keep the default above.", "",
        "| preset | sets |", "|---|---|",
    ]  # fmt: skip
    for name, values in PRESETS.items():
        pairs = ", ".join(f"`{key}: {show_value(value).strip(chr(34))}`" for key, value in flattened(values).items())
        lines.append(f"| `{name}` | {pairs or 'nothing'} |")
    return "\n".join([*lines, ""])


def _sections(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    """Return the table of a section's own keys, and the sections in it."""
    schema = model.model_json_schema()
    dotted = ".".join(path)
    lines = [f"## `{dotted}`" if path else "## The file", "", inspect.getdoc(model) or "", ""]
    lines += ["| key | default | values | meaning |", "|---|---|---|---|"]
    inner: list[str] = []
    for name, field in model.model_fields.items():
        key = ".".join((*path, name))
        meaning = _cell(field.description or "")
        annotation = field.annotation
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            lines.append(f"| `{key}` | | section, below | {meaning} |")
            inner += _sections(annotation, (*path, name))
            continue
        if field.is_required():
            default = "required"
        else:
            value = field.get_default(call_default_factory=True)
            default = "" if value is PydanticUndefined else f"`{show_value(value).strip(chr(34))}`"
        values = _cell(expected_values(schema["properties"][name], schema))
        lines.append(f"| `{key}` | {default} | {values} | {meaning} |")
    return [*lines, "", *inner]


def _cell(text: str) -> str:
    """Return a text that stays in its table cell, with nothing in it taken for markup."""
    for letter in ("\\", "|", "*", "_", "<"):
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())
