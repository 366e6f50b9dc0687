"""What the commands have in common: help in panels, and the words on the command line that parameters stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand


class PanelledCommand(TyperCommand):
    """A command whose help shows its options under the headings that `rich_help_panel` names, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, panel by panel in the order in which these first come."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                general = "Arguments" if parameter.param_type_name == "argument" else "Other"
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or general, []).append(row)
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def option_words(app: typer.Typer, words: Sequence[str]) -> dict[str, str]:
    """Return the words that the parameters of a command are typed as, by the parameters' names.

    Args:
        app: The command line.
        words: What the user typed, from the command's name on.

    Returns:
        Such as {"every": "--every", "near_bits": "--near-bits", "source": "SOURCE"}; empty where there is no command.
    """
    command: Any = typer.main.get_command(app)
    for word in words:
        if word in getattr(command, "commands", {}):
            command = command.commands[word]
        elif not word.startswith("-"):
            break
    found = {}
    for parameter in command.params:
        if parameter.name and not getattr(parameter, "hidden", False):
            is_argument = parameter.param_type_name == "argument"
            found[parameter.name] = parameter.name.upper() if is_argument else max(parameter.opts, key=len)
    return found
