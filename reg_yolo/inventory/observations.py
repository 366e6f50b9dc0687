"""What an asset was seen by: boxes in frames of the sources, and the one that shows it best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.looks import DriveLooks

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Observations:
    """Boxes of one object, N of them, in the order of the frames.

    Attributes:
        sources: File of each, shape (N,).
        frame: Index of the frame as the detections file counts it, shape (N,).
        file_time_s: Its time in its own file, shape (N,); NaN for an image.
        xyxy: Pixels, shape (N, 4).
        confidence: Shape (N,).
        class_names: What the detector called each, shape (N,).
        sizes: Width and height of the frame of each in pixels, shape (N, 2).
    """

    sources: tuple[str, ...]
    frame: NDArray[np.int32]
    file_time_s: NDArray[np.float64]
    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_names: tuple[str, ...]
    sizes: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))

    def __len__(self) -> int:
        return len(self.sources)

    @classmethod
    def none(cls) -> Observations:
        """Return those of an object that nothing is known of."""
        empty = np.zeros(0, np.float32)
        return cls((), np.zeros(0, np.int32), np.zeros(0), empty.reshape(0, 4), empty, ())

    @classmethod
    def of_looks(cls, looks: DriveLooks, rows: IntArray) -> Observations:
        """Return the chosen looks of a drive."""
        frames = looks.of_frame[rows]
        return cls(
            tuple(looks.sources[frame] for frame in frames),
            looks.frame[frames].astype(np.int32),
            looks.file_time_s[frames],
            looks.xyxy[rows].astype(np.float32),
            looks.confidence[rows].astype(np.float32),
            tuple(looks.classes[class_id] for class_id in looks.class_id[rows]),
            np.full((len(rows), 2), (looks.width, looks.height), np.int32),
        )

    @classmethod
    def joined(cls, some: Sequence[Observations]) -> Observations:
        """Return those of several sightings of one object."""
        if not some:
            return cls.none()
        if len(some) == 1:
            return some[0]
        return cls(
            tuple(source for one in some for source in one.sources),
            np.concatenate([one.frame for one in some]),
            np.concatenate([one.file_time_s for one in some]),
            np.concatenate([one.xyxy for one in some]),
            np.concatenate([one.confidence for one in some]),
            tuple(name for one in some for name in one.class_names),
            np.concatenate([one.sizes for one in some]),
        )

    def records(self) -> list[dict[str, Any]]:
        """Return one JSON object each; the size of its frame is in it where the frames have several."""
        several = len(np.unique(self.sizes, axis=0)) > 1
        return [
            {
                "source": self.sources[n],
                "frame": int(self.frame[n]),
                "time_s": round(float(self.file_time_s[n]), 6) if np.isfinite(self.file_time_s[n]) else None,
                "xyxy": [round(float(side), 2) for side in self.xyxy[n]],
                "confidence": round(float(self.confidence[n]), 5),
                "class": self.class_names[n],
                **({"size": self.sizes[n].tolist()} if several else {}),
            }
            for n in range(len(self))
        ]


@dataclass(frozen=True, slots=True)
class View:
    """The frame that shows an asset best.

    Attributes:
        source: Its file, as the detections file names it.
        frame: Index of the frame as the detections file counts it.
        file_frame: Index of the frame within its own file; differs where several files are one drive.
        file_time_s: Its time in that file; None for an image.
        xyxy: The asset's box in pixels.
        size: Width and height of the frame in pixels.
    """

    source: str
    frame: int
    file_frame: int
    file_time_s: float | None
    xyxy: tuple[float, float, float, float]
    size: tuple[int, int]

    @classmethod
    def of_look(cls, looks: DriveLooks, row: int) -> View:
        """Return the view of one look of a drive."""
        frame = int(looks.of_frame[row])
        x1, y1, x2, y2 = looks.xyxy[row].tolist()
        time_s = float(looks.file_time_s[frame])
        return cls(
            looks.sources[frame],
            int(looks.frame[frame]),
            int(looks.file_frame[frame]),
            time_s if np.isfinite(time_s) else None,
            (x1, y1, x2, y2),
            (looks.width, looks.height),
        )


@dataclass(frozen=True, slots=True)
class SeenAtHand:
    """What an object was seen by.

    Attributes:
        observations: Its boxes.
        view: The frame that shows it best.
    """

    observations: Observations = field(default_factory=Observations.none)
    view: View | None = None


class SeenBy(Protocol):
    """The same, at hand or read when it is asked for."""

    @property
    def observations(self) -> Observations: ...
    @property
    def view(self) -> View | None: ...
