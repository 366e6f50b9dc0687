"""What the commands have in common: help in panels, `--json` and `--quiet`, and the words that parameters stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from reg_yolo.cli.speech import printing


def _print_json(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.with_resource(printing(as_json=True))


def _print_little(context: typer.Context, wanted: bool) -> None:
    if wanted:
        context.with_resource(printing(quiet=True))


def _json_option(callback: Any = None) -> Any:
    return typer.Option(
        "--json", callback=callback, help="Print the result as one JSON object.", rich_help_panel="Printing"
    )


# The last two parameters of every command that prints a result, named `_json` and `_quiet`: they act by themselves.
Json = Annotated[bool, _json_option(_print_json)]
# Acts where the command itself says so.
JsonHere = Annotated[bool, _json_option()]
# Eager: taken before `--json` wherever it stands.
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=_print_little, is_eager=True, help="Print errors only (and what --json asks for).",
        rich_help_panel="Printing",
    ),
]  # fmt: skip


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


def option_words(command: Any, words: Sequence[str]) -> dict[str, str]:
    """Return the words that the parameters of a command are typed as, by the parameters' names.

    Args:
        command: The whole command line, as Typer builds it.
        words: What the user typed, from the command's name on.

    Returns:
        Such as {"every": "--every", "near_bits": "--near-bits", "source": "SOURCE"}; empty where there is no command.
    """
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
