"""Rendered images of a drive, which many tests spoil and none changes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.scenes import write_drive


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    """Return ten images of a rendered drive, 45 m apart, by day."""
    root = tmp_path_factory.mktemp("rendered") / "drive"
    write_drive(root, km=0.45, every_m=45.0, size=(480, 288), seed=102)
    found = [cv2.imread(str(path)) for path in sorted((root / "forward/frames").glob("*.jpg"))]
    return [picture for picture in found if picture is not None]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Return a card's folder; it is empty."""
    folder = tmp_path / "การ์ด SD"
    folder.mkdir()
    return folder
