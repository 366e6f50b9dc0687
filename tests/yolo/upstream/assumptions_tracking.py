"""Assumptions about Ultralytics' trackers, each a function that fails when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ultralytics.engine.results import Boxes
from ultralytics.trackers.track import TRACKER_MAP
from ultralytics.trackers.utils.gmc import GMC
from ultralytics.utils import ROOT, YAML, IterableSimpleNamespace

COMPENSATING = ("botsort", "deepocsort", "tracktrack")


def _picture(shift: int) -> Any:
    texture = np.random.default_rng(0).integers(0, 255, (60, 100, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    return np.ascontiguousarray(texture[:, 40 - shift : 360 - shift])


def camera_motion_is_an_affine_from_the_frame_before_in_pixels_of_the_frame() -> None:
    """`GMC.apply` returns the identity first, then 2x3 in full-frame pixels from the last frame to this one."""
    motion = GMC("sparseOptFlow")
    assert np.array_equal(motion.apply(_picture(0)), np.eye(2, 3))
    assert np.allclose(motion.apply(_picture(12)), [[1, 0, 12], [0, 1, 0]], atol=0.2)


def trackers_ask_their_own_gmc_once_a_frame() -> None:
    """Trackers with compensation call `self.gmc.apply(picture, ...)` once in every `update`, objects or not."""
    for name in COMPENSATING:
        values = {**YAML.load(ROOT / "cfg" / "trackers" / f"{name}.yaml"), "gmc_method": "sparseOptFlow"}
        tracker = TRACKER_MAP[name](args=IterableSimpleNamespace(**values, device="cpu"))
        calls, estimate = [], tracker.gmc.apply
        tracker.gmc.apply = lambda *given, estimate=estimate, calls=calls: (calls.append(1), estimate(*given))[1]
        for number, rows in enumerate(([[10, 10, 40, 40, 0.9, 0]], [], [[12, 10, 42, 40, 0.9, 0]])):
            tracker.update(Boxes(np.array(rows, np.float32).reshape(-1, 6), (240, 320)), _picture(number))
            assert len(calls) == number + 1, name
    for name in sorted(set(TRACKER_MAP) - set(COMPENSATING)):
        values = YAML.load(ROOT / "cfg" / "trackers" / f"{name}.yaml")
        tracker = TRACKER_MAP[name](args=IterableSimpleNamespace(**values, device="cpu"))
        assert getattr(tracker, "gmc", None) is None, name


ASSUMPTIONS: tuple[Callable[[], None], ...] = (
    camera_motion_is_an_affine_from_the_frame_before_in_pixels_of_the_frame,
    trackers_ask_their_own_gmc_once_a_frame,
)
