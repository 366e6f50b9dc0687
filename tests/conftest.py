"""What tests share: a data set of coloured rectangles that trains in seconds, and the environment of a quiet run."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.yolo.upstream.environment import prepare_environment
from tests.real_data import REAL_DATA

# Shells start what runs in the background with Ctrl-C ignored, and nohup with SIGHUP; programs that the tests start
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Before any test imports Ultralytics.
prepare_environment(trust=False)

MakeVideo = Callable[..., Path]


def pytest_collection_finish() -> None:
    """Leave what imports and collection made out of garbage collection, which each training asks for three times."""
    gc.freeze()


NAMES = ("red", "green", "blue")
COLOURS = ((0, 0, 255), (0, 255, 0), (255, 0, 0))
HEIGHT, WIDTH = 96, 128


def write_rectangles(
    root: Path,
    counts: dict[str, int],
    shares: tuple[float, ...] = (0.7, 0.25, 0.05),
    row: Callable[[int, float, float, float, float], str] | None = None,
) -> Path:
    """Write a YOLO data set of coloured rectangles on noise, and return its YAML.

    `row` writes a label row for class, x1, y1, x2, y2 (fractions); without it every object is a box.
    """
    row = row or box_row
    rng = np.random.default_rng(0)
    for split, images in counts.items():
        (root / "images" / split).mkdir(parents=True, exist_ok=True)
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            rows = []
            for _ in range(int(rng.integers(1, 4))):
                label = int(rng.choice(3, p=shares))
                w, h = (int(v) for v in rng.integers(20, 48, 2))
                x, y = int(rng.integers(0, WIDTH - w)), int(rng.integers(0, HEIGHT - h))
                cv2.rectangle(image, (x, y), (x + w, y + h), COLOURS[label], -1)
                rows.append(row(label, x / WIDTH, y / HEIGHT, (x + w) / WIDTH, (y + h) / HEIGHT))
            cv2.imwrite(str(root / "images" / split / f"{number:03d}.png"), image)
            (root / "labels" / split / f"{number:03d}.txt").write_text("\n".join(rows) + "\n")
    yaml = root / "data.yaml"
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(NAMES))
    yaml.write_text(f"path: ./\n{''.join(f'{s}: images/{s}' + chr(10) for s in counts)}names:\n{names}")
    return yaml


def box_row(label: int, x1: float, y1: float, x2: float, y2: float) -> str:
    """A label row of a box."""
    return f"{label} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}"


def polygon_row(label: int, x1: float, y1: float, x2: float, y2: float) -> str:
    """A label row of the polygon that a box's corners make."""
    return f"{label} " + " ".join(f"{value:.6f}" for value in (x1, y1, x2, y1, x2, y2, x1, y2))


def mixed_row(label: int, x1: float, y1: float, x2: float, y2: float) -> str:
    """Boxes for class 1; the others have polygons, but for those in the lowest third of the image."""
    return (box_row if label == 1 or y1 > 2 / 3 else polygon_row)(label, x1, y1, x2, y2)


@pytest.fixture(scope="session")
def polygons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`rectangles` with a polygon in every row; its YAML. Do not write to it."""
    return write_rectangles(tmp_path_factory.mktemp("polygons"), {"train": 24, "val": 8}, row=polygon_row)


@pytest.fixture(scope="session")
def mixed_rectangles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rectangles with boxes and polygons in one file (`mixed_row`); its YAML. Do not write to it."""
    shares = (0.4, 0.35, 0.25)
    return write_rectangles(tmp_path_factory.mktemp("mixed"), {"train": 40, "val": 12}, shares, mixed_row)


@pytest.fixture(scope="session")
def rectangles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 24 training and 8 validation images; its YAML. Do not write to it."""
    return write_rectangles(tmp_path_factory.mktemp("rectangles"), {"train": 24, "val": 8})


@pytest.fixture(scope="session")
def even_rectangles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in which every class is common: 40 training and 12 validation images; its YAML. Do not write to it."""
    return write_rectangles(tmp_path_factory.mktemp("even"), {"train": 40, "val": 12}, (0.4, 0.35, 0.25))


@pytest.fixture(scope="session")
def detector(even_rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stock weights that find rectangles at 128 pixels. Do not write beside them; copy them first."""
    from tests.detector import write_detector

    images = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    return write_detector(tmp_path_factory.mktemp("detector") / "rectangles.pt", NAMES, images)


@pytest.fixture(autouse=True)
def everything_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    """NNCF sets the level of every handler of its logger, and pytest's is one of them, for all tests to come."""
    caplog.handler.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def nothing_beside_the_detector(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a file next to the weights that all tests share: thresholds, for instance."""
    yield
    if "detector" in request.fixturenames:
        weights: Path = request.getfixturevalue("detector")
        strays = [path for path in weights.parent.iterdir() if path.is_file() and path != weights]
        for path in strays:
            path.unlink()
        assert not strays


@pytest.fixture
def own_rectangles(tmp_path: Path) -> Path:
    """A small data set of the test's own, to be broken at will; its YAML."""
    return write_rectangles(tmp_path / "own", {"train": 6, "val": 3})


@pytest.fixture(autouse=True)
def working_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty directory, so that what it leaves is its own."""
    folder = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def child_signal() -> Iterator[None]:
    """Start and end without the handler for SIGCHLD that a loader with workers installs for good, also in a fixture."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


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
