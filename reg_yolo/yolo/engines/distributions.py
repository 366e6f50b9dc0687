"""Exports that give out the box distributions too, as an output behind those that Ultralytics gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor
from ultralytics.engine.exporter import Exporter
from ultralytics.nn.modules import Detect

from reg_yolo.errors import ConfigError
from reg_yolo.yolo.upstream.engine_kinds import ONNXRUNTIME, EngineKind
from reg_yolo.yolo.weights.export_sidecar import DISTRIBUTIONS


class _HeadWithDistributions(Detect):
    """Mixed into the class of a head: in an export its output is followed by the logits of its box distributions."""

    export: bool

    def forward(self, x: list[Tensor]) -> Any:
        """Return what upstream's head returns, in an export with Tensor[B, 4 R, A] behind it."""
        if self.training or not self.export:
            return super().forward(x)
        # What a head computes is the same either way; outside an export it returns the raw predictions too.
        self.export = False
        try:
            output, raw = super().forward(x)
        finally:
            self.export = True
        return (*(output if isinstance(output, tuple) else (output,)), raw["boxes"])


def give_out_distributions(exporter: Exporter, model: Any) -> None:
    """Let an exporter keep the box distributions of a model, and say so in the description that it writes.

    Args:
        exporter: Ultralytics' exporter, before it is called.
        model: The model that it will be given, with a head of type Detect or Segment; its head gets another class.

    Raises:
        ConfigError: If the head has no distributions.
    """
    head = model.model[-1]
    if not isinstance(head, Detect) or head.reg_max <= 1:
        raise ConfigError("distributions: this network has no box distributions to give out; leave the option out")
    kind = type(head)
    # Upstream writes the name of the class into the export.
    head.__class__ = type(kind.__name__, (_HeadWithDistributions, kind), {})
    exporter.add_callback("on_export_start", lambda running: running.metadata.update({DISTRIBUTIONS: True}))


def name_distributions(exported: Path, kind: EngineKind) -> None:
    """Give the additional output of an ONNX file its name, and its sides those of the first output.

    Upstream names the outputs that it knows of. OpenVINO's outputs go by their order.

    Args:
        exported: What was exported.
        kind: The engine that it is for.
    """
    if kind is not ONNXRUNTIME:
        return
    import onnx

    model = onnx.load(exported)
    first, *_, last = model.graph.output
    name = last.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, known in enumerate(names):
                if known == name:
                    names[place] = DISTRIBUTIONS
    last.name = DISTRIBUTIONS
    own, others = last.type.tensor_type.shape.dim, first.type.tensor_type.shape.dim
    for axis in (0, 2):
        own[axis].CopyFrom(others[axis])
    onnx.save(model, exported)
