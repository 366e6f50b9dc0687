"""Small videos and images for the tests of this folder, and the real highway video where it is at hand."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.real_data import REAL_DATA

MakeVideo = Callable[..., Path]


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Return a function that writes an mp4 whose frames differ: frame n is n times 8 bright."""

    def make(name: str = "drive.mp4", frames: int = 12, size: tuple[int, int] = (64, 48), fps: float = 25.0) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
        for index in range(frames):
            writer.write(np.full((size[1], size[0], 3), index * 8, np.uint8))
        writer.release()
        return path

    return make


@pytest.fixture
def highway_video() -> Path:
    """Return the real highway video: 960x540, 25 frames/s, 221 frames."""
    path = REAL_DATA / "video" / "highway_960x540.mp4"
    if not path.is_file():
        pytest.skip("the real highway video is not here")
    return path
