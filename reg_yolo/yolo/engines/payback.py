"""Whether a job is long enough to repay an export: what it costs against what it gains with every frame."""

from __future__ import annotations

import platform
import statistics
from pathlib import Path

from reg_yolo.yolo.engines.agreement import time_side_by_side
from reg_yolo.yolo.engines.backend import open_backend
from reg_yolo.yolo.engines.cache import cache_folder, find_entry, recorded_facts
from reg_yolo.yolo.engines.request import EngineRequest
from reg_yolo.yolo.upstream.engine_kinds import TENSORRT, EngineKind, precisions_of

# Until an export on this machine has been timed: seconds to export, check and time it, and its time a frame as a
# share of PyTorch's.
FIRST_BUILD_S = 3.5
FIRST_TENSORRT_BUILD_S = 240.0
FIRST_SHARE = 0.6
# Importing a second library and compiling what it runs.
LOADING_S = 1.0
# So few are done before anything could be measured.
FEWEST_FRAMES = 50


def too_short(request: EngineRequest, kind: EngineKind, precision: str | None, expected_frames: int | None) -> str:
    """Return why a job stays on PyTorch, or an empty string where another engine repays its export.

    Args:
        request: What is asked for.
        kind: The likeliest engine.
        precision: As asked for.
        expected_frames: Length of the job; None if unknown, which counts as long.
    """
    if expected_frames is None:
        return ""
    if expected_frames < FEWEST_FRAMES:
        return f"{expected_frames} frames are too few to repay another engine"
    folder = cache_folder(request.detector.path)
    found = find_entry(folder, request.key(kind, precision or precisions_of(kind, request.device)[0]))
    if found is not None:
        gain_ms, cost_s = found.facts["pytorch_ms"] - found.facts["engine_ms"], LOADING_S
    else:
        recorded = _agreeing(folder, kind)
        cost_s = LOADING_S + expected_build_s(kind, recorded)
        share = statistics.median([f["engine_ms"] / f["pytorch_ms"] for f in recorded]) if recorded else FIRST_SHARE
        gain_ms = pytorch_ms(request) * (1.0 - share)
    gain_s = expected_frames * gain_ms / 1000.0
    if gain_s > cost_s:
        return ""
    return (
        f"{kind.title} would gain about {max(gain_s, 0.0):.1f} s over {expected_frames} frames and cost {cost_s:.1f} s"
    )


def usual_build_s(weights: Path, kind: EngineKind) -> float:
    """Return the seconds that exporting weights takes, as far as that is known."""
    return expected_build_s(kind, _agreeing(cache_folder(weights), kind))


def _agreeing(folder: Path, kind: EngineKind) -> list[dict[str, float]]:
    """Return what was recorded of exports that agree with their weights."""
    return [facts for facts in recorded_facts(folder, kind.name) if facts.get("agrees")]


def expected_build_s(kind: EngineKind, recorded: list[dict[str, float]]) -> float:
    """Return the seconds that exporting takes: as recorded on this machine, or what it takes elsewhere."""
    if recorded:
        return statistics.median([facts["build_s"] for facts in recorded])
    return FIRST_TENSORRT_BUILD_S if kind is TENSORRT else FIRST_BUILD_S


def pytorch_ms(request: EngineRequest) -> float:
    """Return PyTorch's milliseconds a frame of the source."""
    inputs = request.inputs()
    if not inputs:
        return 0.0
    network = open_backend(request.detector.path, request.device)
    return time_side_by_side({"pytorch": network}, inputs, budget_s=0.3)["pytorch"] / request.batch


def order_is_known() -> bool:
    """Return whether the order of the candidates needs no measurement: on x86 processors OpenVINO leads."""
    return platform.machine().lower() in {"x86_64", "amd64"}
