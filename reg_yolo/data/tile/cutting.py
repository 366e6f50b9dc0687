"""How images are cut, and what became of them: shared by label rows and by mask PNGs."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from reg_yolo.errors import ConfigError


@dataclass(frozen=True)
class TileOptions:
    """How images are cut.

    Attributes:
        size: Side of a tile in pixels.
        overlap: Part of `size` that neighbouring tiles share at least.
        min_visible: An object is labelled in a tile if this much of its area is there; what is less is a fragment.
            `reg_yolo.data.tile.geometry.labelled_pieces` says what holds for objects larger than a tile.
        background: Part of the tiles without objects that is kept, 0 to 1.
        blank_fragments: Paint fragments grey, instead of leaving them visible without a label.
        seed: Chooses the background tiles.
    """

    size: int = 1280
    overlap: float = 0.2
    min_visible: float = 0.3
    background: float = 0.1
    blank_fragments: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 32:
            raise ConfigError(f"size must be at least 32 pixels, got {self.size}")
        if not (math.isfinite(self.overlap) and 0 <= self.overlap <= 0.9):
            raise ConfigError(f"overlap must be from 0 to 0.9, got {self.overlap:g}")
        for name, value in (("min_visible", self.min_visible), ("background", self.background)):
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise ConfigError(f"{name} must be from 0 to 1, got {value:g}")


@dataclass
class TileCounts:
    """What became of some images.

    Attributes:
        images: Images read.
        copied: Images that are no larger than a tile, copied as they are.
        tiles: Tiles written, those of `backgrounds` included.
        backgrounds: Tiles without objects that were kept.
        empty: Tiles without objects that were left out.
        fragments: Parts of objects that are in a tile without a label.
        without_area: Rows that enclose nothing.
        objects: By class index, objects before.
        rows: By class index, rows after; an object is in every tile that shows enough of it.
    """

    images: int = 0
    copied: int = 0
    tiles: int = 0
    backgrounds: int = 0
    empty: int = 0
    fragments: int = 0
    without_area: int = 0
    objects: Counter[int] = field(default_factory=Counter)
    rows: Counter[int] = field(default_factory=Counter)

    def add(self, other: TileCounts) -> None:
        """Add what became of other images."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class TileTask:
    """One image to cut: its path, split, and name below `images/SPLIT/`."""

    image: Path
    split: str
    name: PurePosixPath


def keeps_empty_tile(task: TileTask, left: int, top: int, options: TileOptions) -> bool:
    """Draw whether an empty tile is kept, from its name alone: the same for any order and number of workers."""
    name = f"{options.seed}/{task.split}/{task.name}/{left}/{top}"
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    return drawn < options.background
