"""What an asset was seen by: boxes in frames of the sources, and the one that shows it best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.looks import DriveLooks

IntArray = NDArray[np.int64]


_ROW = np.dtype(
    [("source", "<i4"), ("called", "<i4"), ("frame", "<i4"), ("file_time_s", "<f8"), ("xyxy", "<f4", (4,)),
     ("confidence", "<f4"), ("size", "<i4", (2,))]
)  # fmt: skip


class Observations:
    """Boxes of one object, N of them, in the order of the frames.

    A month has millions of them, so they are one array, and the names that they share are stored once.

    Args:
        sources: File of each, N of them.
        frame: Index of the frame as the detections file counts it, shape (N,).
        file_time_s: Its time in its own file, shape (N,); NaN for an image.
        xyxy: Pixels, shape (N, 4).
        confidence: Shape (N,).
        class_names: What the detector called each, N of them.
        sizes: Width and height of the frame of each in pixels, shape (N, 2), or (0, 2) where they are not known.

    Example:
        >>> once = np.ones(1)
        >>> seen = Observations(("a.mp4",), once, once, np.ones((1, 4)), once, ("pole",))
        >>> len(Observations.joined([seen, seen])), seen.sources, seen.sizes.shape
        (2, ('a.mp4',), (0, 2))
    """

    __slots__ = ("_names", "_rows", "_sized")

    def __init__(
        self,
        sources: Sequence[str],
        frame: NDArray[Any],
        file_time_s: NDArray[Any],
        xyxy: NDArray[Any],
        confidence: NDArray[Any],
        class_names: Sequence[str],
        sizes: NDArray[Any] | None = None,
    ) -> None:
        numbers: dict[str, int] = {}
        rows = np.zeros(len(sources), _ROW)
        rows["source"] = [numbers.setdefault(name, len(numbers)) for name in sources]
        rows["called"] = [numbers.setdefault(name, len(numbers)) for name in class_names]
        rows["frame"], rows["file_time_s"], rows["xyxy"], rows["confidence"] = frame, file_time_s, xyxy, confidence
        self._sized = sizes is not None and len(sizes) == len(rows)
        if self._sized:
            rows["size"] = sizes
        self._names, self._rows = tuple(numbers), rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def sources(self) -> tuple[str, ...]:
        """File of each."""
        return tuple(self._names[number] for number in self._rows["source"].tolist())

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the detector called each."""
        return tuple(self._names[number] for number in self._rows["called"].tolist())

    @property
    def frame(self) -> NDArray[np.int32]:
        """Index of the frame of each as the detections file counts it, shape (N,)."""
        return np.asarray(self._rows["frame"])

    @property
    def file_time_s(self) -> NDArray[np.float64]:
        """Time of each in its own file, shape (N,); NaN for an image."""
        return np.asarray(self._rows["file_time_s"])

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """Pixels, shape (N, 4)."""
        return np.asarray(self._rows["xyxy"])

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Confidence of each, shape (N,)."""
        return np.asarray(self._rows["confidence"])

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Width and height of the frame of each in pixels, shape (N, 2); (0, 2) where they are not known."""
        return np.asarray(self._rows["size"][: len(self) if self._sized else 0])

    @classmethod
    def none(cls) -> Observations:
        """Return those of an object that nothing is known of."""
        empty = np.zeros(0)
        return cls((), empty, empty, empty.reshape(0, 4), empty, ())

    @classmethod
    def of_looks(cls, looks: DriveLooks, rows: IntArray) -> Observations:
        """Return the chosen looks of a drive."""
        frames = looks.of_frame[rows]
        return cls(
            [looks.sources[frame] for frame in frames],
            looks.frame[frames],
            looks.file_time_s[frames],
            looks.xyxy[rows],
            looks.confidence[rows],
            [looks.classes[class_id] for class_id in looks.class_id[rows]],
            np.full((len(rows), 2), (looks.width, looks.height)),
        )

    @classmethod
    def joined(cls, some: Sequence[Observations]) -> Observations:
        """Return those of several sightings of one object."""
        if len(some) == 1:
            return some[0]
        parts = [one for one in some if len(one)]
        if not parts:
            return cls.none()
        return cls(
            [source for one in parts for source in one.sources],
            np.concatenate([one.frame for one in parts]),
            np.concatenate([one.file_time_s for one in parts]),
            np.concatenate([one.xyxy for one in parts]),
            np.concatenate([one.confidence for one in parts]),
            [name for one in parts for name in one.class_names],
            np.concatenate([one.sizes for one in parts]),
        )

    def columns(self) -> dict[str, Any]:
        """Return what `Observations(**columns)` makes the same of."""
        return {
            "sources": self.sources,
            "frame": self.frame,
            "file_time_s": self.file_time_s,
            "xyxy": self.xyxy,
            "confidence": self.confidence,
            "class_names": self.class_names,
            "sizes": self.sizes,
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one JSON object each; the size of its frame is in it where the frames have several."""
        sizes, frame, time_s = self.sizes, self.frame, self.file_time_s
        several = len(np.unique(sizes, axis=0)) > 1
        called, xyxy, confidence = self.class_names, self.xyxy, self.confidence
        return [
            {
                "source": source,
                "frame": int(frame[n]),
                "time_s": round(float(time_s[n]), 6) if np.isfinite(time_s[n]) else None,
                "xyxy": [round(float(side), 2) for side in xyxy[n]],
                "confidence": round(float(confidence[n]), 5),
                "class": called[n],
                **({"size": sizes[n].tolist()} if several else {}),
            }
            for n, source in enumerate(self.sources)
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
