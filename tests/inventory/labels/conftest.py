"""An inventory of a drive that was filmed with faces all over the road."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from reg_yolo.detections.files import DetectionsWriter, read_detections
from reg_yolo.inventory.command import Outputs, build_into
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.thumbnails.making import ThumbnailOptions
from tests.inventory.simulated import START

SKIN = np.array([120, 160, 220])
"""Blue, green, red of a face."""
FACES = [(x, y, x + 48, y + 48) for x in range(16, 592, 80) for y in range(16, 336, 80)]


def crowded() -> np.ndarray:
    """Return a frame with a striped face in every place of `FACES`."""
    picture = np.random.default_rng(1).integers(90, 110, (384, 640, 3)).astype(np.uint8)
    for x1, y1, x2, y2 in FACES:
        picture[y1:y2, x1:x2] = SKIN
        picture[y1:y2:4, x1:x2] = picture[y1 + 1 : y2 : 4, x1:x2] = 20
    return picture


def find_faces(_picture: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Find what is private, as weights would."""
    return FACES


@pytest.fixture(scope="session")
def filmed(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with drive.mp4, filmed.jsonl and inv/, an inventory with blurred thumbnails."""
    root = tmp_path_factory.mktemp("filmed")
    reader = read_detections(drive / "detections.jsonl")
    frames = list(reader)
    clip = root / "drive.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "threads": "1", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 640, 384, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        picture = av.VideoFrame.from_ndarray(crowded(), format="bgr24")
        for frame in frames:
            picture.pts, picture.time_base = round(1000 * (frame.time_s or 0.0)), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with DetectionsWriter(
        root / "filmed.jsonl", replace(reader.header, source=str(clip), frame_count=len(frames))
    ) as writer:
        for frame in frames:
            writer.write(replace(frame, source=str(clip)))
    options = BuildOptions(
        (root / "filmed.jsonl",), (drive / "forward" / "track_clean.gpx",), (drive / "camera.yaml",), (START,)
    )
    cutting = ThumbnailOptions(private=find_faces, blurred_by=("faces.pt:face",))
    build_into(options, root / "inv", outputs=Outputs(thumbnails=cutting))
    yield root
