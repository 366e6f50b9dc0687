"""Drives processed one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reg_yolo.inventory.decisions.applying import Decisions
from reg_yolo.inventory.drive.driving import DriveResult, run_drive
from reg_yolo.inventory.opening import Drives
from reg_yolo.inventory.work.outcome import DriveOutcome, outcome_of

_ONE_CAMERA = 1.1
"""Focal lengths of drives that differ by more than this factor are not of one camera, or are estimated badly."""


def worked(
    drives: Drives, decisions: Decisions, say: Callable[[str], None] = lambda _line: None
) -> Iterator[DriveOutcome]:
    """Yield the outcome of each drive.

    Args:
        drives: Opened.
        decisions: Of reviewers.
        say: Called with each line that the user should read.

    Raises:
        ConfigError: If a drive does not fit its camera.
        DataError: If a file is malformed, or nothing overlaps.
    """
    lines: list[str] = []
    assumed = not (drives.options.cameras or drives.options.named_cameras)
    focals: dict[tuple[int, int], list[tuple[float, str]]] = {}

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    for task in drives.tasks(tell):
        result = run_drive(task, decisions.regrouping.of_rays, decisions.confirming.of_rays)
        tell(f"{task.name}: {_estimates(result)}")
        if assumed and "focal_px" in result.camera:
            size = task.camera.width, task.camera.height
            focals.setdefault(size, []).append((result.camera["focal_px"], task.name))
        yield outcome_of(task, result, lines.copy())
        lines.clear()
    for some in focals.values():
        doubt = differing(some)
        if doubt:
            say(doubt)


def differing(focals: Sequence[tuple[float, str]]) -> str:
    """Say that drives that may be of one camera have focal lengths that cannot all be right; empty where they may.

    Args:
        focals: In pixels, each with the name of its drive; at least one.

    Example:
        >>> differing([(500.0, "there.jsonl"), (540.0, "back.jsonl")])
        ''
    """
    (least, one), (most, other) = min(focals), max(focals)
    if most <= _ONE_CAMERA * least:
        return ""
    return (
        f"warning: the focal length is {least:.0f} px by {one} and {most:.0f} px by {other}; if one camera filmed "
        "both, calibrate it (inventory calibrate) and give --camera"
    )


def _estimates(result: DriveResult) -> str:
    camera = result.camera
    if "focal_px" not in camera:
        return "nothing to refine the camera by"
    clock = f"clock {camera['clock_s']:+.2f} s +- {camera['clock_sigma_s']:.2f}"
    if not camera["clock_observed"]:
        clock += " (offset not observable: no surer than the stated time)"
    angles = f"yaw {camera['yaw_deg']:.2f}, pitch {camera['pitch_deg']:.2f} degrees"
    return f"focal {camera['focal_px']:.0f} px, {angles}, {clock}"
