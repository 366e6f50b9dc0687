"""`reg-yolo init` and `reg-yolo config`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.speech import answer, say
from reg_yolo.cli.words import config_and_overrides
from reg_yolo.errors import ConfigError


def init(
    directory: Annotated[Path, typer.Argument(help="Folder for the copies; created if it is not there.")],
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write editable copies of the shipped configurations and data-set YAMLs."""
    from reg_yolo.config.shipped import write_shipped

    written = write_shipped(directory)
    say(f"{len(written)} files written to {directory}; start with {directory}/configs/detect/yolov8n.yaml")
    answer("init", {"folder": directory, "files": written})


def config(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="CONFIG [KEY=VALUE]...", help="A YAML or a shipped name, then overrides."),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a configuration file.")] = False,
    losses: Annotated[bool, typer.Option("--losses", help="Print each preset with its terms and equations.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Show the settings that a run would use, each one resolved."""
    if schema:
        from reg_yolo.config.schema import json_schema

        say(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        answer("config_schema", {"json_schema": json_schema()})
        return
    if losses:
        from reg_yolo.config.descriptions import describe_losses, preset_terms

        say(describe_losses())
        answer("config_losses", {"presets": preset_terms()})
        return
    name, overrides = config_and_overrides(words or [])
    if not words:
        from reg_yolo.config.shipped import shipped_names

        raise ConfigError(f"config: no configuration named; shipped are {', '.join(shipped_names())}")
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment()
    from reg_yolo.config.loader import dump_config
    from reg_yolo.yolo.commands.train import resolve_config

    resolved = resolve_config(name, overrides)
    say(dump_config(resolved).rstrip("\n"))
    answer("config", {"config": resolved.to_dict()})
