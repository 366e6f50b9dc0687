"""Drives that may be of one camera, and whose focal lengths cannot all be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.decisions.applying import Decisions
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.work import working


def said(monkeypatch: pytest.MonkeyPatch, focals: list[float], options: BuildOptions, width: int = 640) -> list[str]:
    """Return the warnings of a build of drives with these focal lengths, of which the last has frames of a width."""
    camera = Camera.from_field_of_view(640, 384, 70.0)
    tasks = [SimpleNamespace(name=f"{number}.jsonl", camera=camera) for number in range(len(focals))]
    tasks[-1].camera = replace(camera, width=width)
    left = iter(focals)

    def run(*_: Any) -> Any:
        angles = {"yaw_deg": 0.0, "pitch_deg": 0.0, "clock_s": 0.0, "clock_sigma_s": 0.1, "clock_observed": 1.0}
        return SimpleNamespace(camera={"focal_px": next(left), **angles})

    monkeypatch.setattr(working, "run_drive", run)
    monkeypatch.setattr(working, "outcome_of", lambda *_: None)
    lines: list[str] = []
    drives = SimpleNamespace(options=options, tasks=lambda _tell: iter(tasks))
    assert len(list(working.worked(drives, Decisions.of_files(()), lines.append))) == len(focals)  # type: ignore[arg-type]
    return [line for line in lines if line.startswith("warning: ")]


def test_focal_lengths_of_one_camera_that_differ_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assumed = BuildOptions((), ())
    [line] = said(monkeypatch, [500.0, 588.0, 457.0], assumed)
    assert line.startswith("warning: the focal length is 457 px by 2.jsonl and 588 px by 1.jsonl; if one camera")
    assert line.endswith("and give --camera")
    assert said(monkeypatch, [500.0, 545.0], assumed) == []
    # Frames of another size are of another camera; a stated one needs no advice.
    assert said(monkeypatch, [457.0, 588.0], assumed, width=1280) == []
    assert said(monkeypatch, [457.0, 588.0], replace(assumed, cameras=(Path("camera.yaml"),))) == []
