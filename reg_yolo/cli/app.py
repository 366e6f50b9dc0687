"""The command `reg-yolo`: thin commands over the Python functions, and one place that turns errors into exit codes.

Exit codes: 0 done, 1 our fault (with a log), 2 the input's fault, 3 partly done, 130 interrupted. Whatever takes time
to import is imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Annotated, Any

import typer

from reg_yolo.cli import (
    compare,
    configuration,
    data,
    diagnosing,
    exporting,
    inventory,
    prediction,
    reports,
    scenes,
    survey,
    training,
)
from reg_yolo.cli.command import PanelledCommand, option_words
from reg_yolo.cli.failures import INTERRUPTED, report_failure
from reg_yolo.cli.speech import print_every_letter, watch_log
from reg_yolo.errors import RankLostError
from reg_yolo.signals import terminated_like_interrupted

app = typer.Typer(
    name="reg-yolo",
    help="Train YOLOv8 with the Refined Generalized Focal Loss, measure it class by class, run it over road video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(requested: bool) -> None:
    """Print the version and leave."""
    if requested:
        from reg_yolo import __version__

        typer.echo(f"reg-yolo {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    _debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; stands anywhere on the line.")] = False,
) -> None:
    """Options of every command."""


for command in (
    configuration.init,
    configuration.config,
    training.train,
    training.val,
    diagnosing.diagnose,
    compare.compare,
    reports.report,
    exporting.export,
    scenes.scenes,
    scenes.demo,
):
    app.command()(command)
app.command(cls=PanelledCommand)(prediction.predict)
app.command(cls=PanelledCommand)(survey.survey)
app.add_typer(data.app, name="data")
app.add_typer(inventory.app, name="inventory")


@cache
def command_line() -> Any:
    """Return the command with all that stand below it; to build it from the signatures takes a fifth of a second."""
    return typer.main.get_command(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    print_every_letter()
    watch_log()
    try:
        with terminated_like_interrupted():
            code = command_line()(args=words, prog_name="reg-yolo", standalone_mode=False)
        if code == INTERRUPTED:
            # Typer turns Ctrl-C into this code without a word.
            report_failure(KeyboardInterrupt())
    except BaseException as error:
        code = report_failure(error, debug=debug, options=option_words(command_line(), words))
        if isinstance(error, RankLostError):
            # Threads of the broken process group hold up an end in order, for half a minute or more.
            sys.stdout.flush()
            os._exit(code)
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
