"""Drives processed one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reg_yolo.inventory.decisions.applying import Decisions
from reg_yolo.inventory.drive.driving import DriveResult, run_drive
from reg_yolo.inventory.opening import Drives
from reg_yolo.inventory.work.outcome import DriveOutcome, outcome_of


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

    def tell(line: str) -> None:
        lines.append(line)
        say(line)

    for task in drives.tasks(tell):
        result = run_drive(task, decisions.regrouping.of_rays, decisions.confirming.of_rays)
        tell(f"{task.name}: {_estimates(result)}")
        yield outcome_of(task, result, lines.copy())
        lines.clear()


def _estimates(result: DriveResult) -> str:
    camera = result.camera
    if "focal_px" not in camera:
        return "nothing to refine the camera by"
    clock = f"clock {camera['clock_s']:+.2f} s +- {camera['clock_sigma_s']:.2f}"
    if not camera["clock_observed"]:
        clock += " (offset not observable: no surer than the stated time)"
    angles = f"yaw {camera['yaw_deg']:.2f}, pitch {camera['pitch_deg']:.2f} degrees"
    return f"focal {camera['focal_px']:.0f} px, {angles}, {clock}"
