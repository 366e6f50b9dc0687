"""Small data sets for tests of checks and statistics: smooth random images that look like nothing else."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = ("ป้ายจราจร", "pole", "wall")
WIDTH, HEIGHT = 320, 192
ROWS = ("0 0.2 0.3 0.2 0.2", "1 0.5 0.5 0.1 0.6", "2 0.8 0.7 0.3 0.1")


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """An image whose perceptual hash is far from that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (18, 18, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write an image under any name, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def write_labels(path: Path, text: str | bytes) -> Path:
    """Write a label file as it is given, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_clean_set(root: Path, splits: tuple[str, ...] = ("train", "val"), images: int = 4) -> Path:
    """Write a set without a fault: `images` images a split, each with one box of every class; return its YAML."""
    for number, split in enumerate(splits):
        for index in range(images):
            write_picture(root / f"images/{split}/ภาพ_{index:02d}.jpg", picture(1000 * number + index))
            write_labels(root / f"labels/{split}/ภาพ_{index:02d}.txt", "".join(f"{row}\n" for row in ROWS))
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(NAMES))
    yaml = root / "data.yaml"
    yaml.write_text("".join(f"{split}: images/{split}\n" for split in splits) + f"names:\n{names}", encoding="utf-8")
    return yaml
