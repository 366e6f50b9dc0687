"""`reg-yolo export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.speech import answer, say
from reg_yolo.cli.words import train_arguments


def export(
    weights: Annotated[
        Path,
        typer.Argument(help="A checkpoint such as runs/detect/train/weights/best.pt, or `demo` for the shipped one."),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="format=onnx|openvino|engine, imgsz=[384,640], batch=, dynamic=, quantize=16"
        ),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to INT8 and say what it costs in mAP.")] = False,
    distributions: Annotated[
        bool, typer.Option("--distributions", help="Give out the box distributions too, for --sigma and --rescore.")
    ] = False,
    data: Annotated[str | None, typer.Option("--data", help="Data-set YAML that INT8 is calibrated on.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the export; by default that of the weights.")] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Export weights for ONNX Runtime, OpenVINO or TensorRT; `predict` and `val` take the result as weights."""
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment([str(weights), str(data)], trust=trust)
    arguments = train_arguments(words or [])
    named = data or arguments.pop("data", None)
    from reg_yolo.yolo.commands.export import export as run

    result = run(weights, named, int8=int8, distributions=distributions, out=out, trust=trust, **arguments)
    say(f"Exported: {result.path} ({result.engine}, {result.precision})\nSidecar:  {result.sidecar}")
    if result.map_change is not None:
        say(f"INT8:     {result.map_change.sentence()}")
    answer("export", vars(result))
