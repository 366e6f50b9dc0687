"""A drive and its inventory, which many tests read and none changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.inventory.simulated import build_of, write_true_drive


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a drive of 300 m with true boxes as detections.jsonl and a calibration as camera.yaml."""
    root = tmp_path_factory.mktemp("drive")
    calibration = write_true_drive(root, 0.3)
    values = {key: calibration[key] for key in ("width", "height", "focal_px", "cx", "cy")} | calibration["mount"]
    (root / "camera.yaml").write_text(yaml.safe_dump(values))
    return root


@pytest.fixture(scope="session")
def built(drive: Path) -> Path:
    """Return the folder of an inventory of the drive."""
    out = drive / "out"
    assert build_of(drive, out, "--route", str(drive / "route.geojson"), "--crs", "EPSG:32647") == 0
    return out
