"""Small worlds that several tests look at; also puts this folder on the path for `import zbuffer`."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.scenes import write_stills
from reg_yolo.scenes.assets.barrier import BarrierStyle
from reg_yolo.scenes.assets.pole import PoleStyle
from reg_yolo.scenes.places.setting import LEFT, Setting
from reg_yolo.scenes.rendering.lighting import Lighting
from reg_yolo.scenes.stills.writing import StillsSummary
from reg_yolo.scenes.world.cross_section import CrossSection
from reg_yolo.scenes.world.road import straight_road

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def flat_section() -> CrossSection:
    grey = (100.0, 100.0, 100.0)
    return CrossSection(2, 3.5, 2.0, 0.0, "none", 3.0, 0.0, "field", grey, grey, (60.0, 120.0, 80.0), grey, grey)


@pytest.fixture(scope="session")
def flat_setting(flat_section: CrossSection) -> Setting:
    """A level, straight road that runs north from the origin."""
    pole = PoleStyle(height=9.0, arm=2.0, rise=0.5, curved=False, shade=1.0)
    barrier = BarrierStyle(height=0.9, shade=1.0, paint=0, warm=1.0)
    return Setting(straight_road(600.0), flat_section, LEFT, 5, pole, barrier, 10)


@pytest.fixture(scope="session")
def plain_day() -> Lighting:
    """Even light and clear air."""
    return Lighting(
        "day", "overcast", False, 0.0, math.radians(60), (0.3, 0.3, 0.3), (0.7, 0.7, 0.7), 1e-5, (200.0, 200.0, 200.0),
        (220.0, 200.0, 180.0), (220.0, 210.0, 200.0), 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 90, 0.0,
    )  # fmt: skip


@pytest.fixture(scope="session")
def still_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StillsSummary]:
    """Forty images with polygons and masks."""
    out = tmp_path_factory.mktemp("stills") / "set"
    return out, write_stills(out, 40, (640, 384), seed=3, masks=True)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
