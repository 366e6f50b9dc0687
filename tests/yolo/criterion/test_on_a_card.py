"""The criteria on a card, pretended where there is none: the same values, nothing left on the processor, few waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.config.presets import PRESETS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What the criteria did there, in a process of its own."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "tests.yolo.criterion.pretend_card"],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_preset_gives_the_values_of_the_processor(found: dict[str, Any]) -> None:
    detect = {f"detect, {preset}, {title}" for preset in PRESETS for title in ("labelled", "empty")}
    segment = {f"segment, {preset}, {title}" for preset in ("reg_v1", "reg_printed") for title in ("once", "tripled")}
    assert set(found["apart"]) == detect | segment
    assert max(found["apart"].values()) <= 1e-4


def test_the_mask_loss_does_not_wait_for_the_card_at_every_image(found: dict[str, Any]) -> None:
    for preset in ("reg_v1", "reg_printed"):
        once, tripled = (found["waits"][f"segment, {preset}, {title}"] for title in ("once", "tripled"))
        assert 0 < tripled <= once
