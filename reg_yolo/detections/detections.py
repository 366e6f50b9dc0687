"""Detections as the common currency between prediction, drawing and files, and their records in JSONL.

The schema is documented in docs/detections_jsonl.md. Everything is checked on construction, so that what a writer
accepts every reader can rely on. The file's first record is in `header`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from reg_yolo.detections.masks import decode_mask
from reg_yolo.errors import DataError

if TYPE_CHECKING:
    import supervision as sv

Box = tuple[float, float, float, float]
Motion = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Detection:
    """One detected object.

    Attributes:
        class_name: Name of its class.
        class_id: Index of its class, from 0.
        confidence: In [0, 1].
        box_xyxy: Left, top, right, bottom in pixels of the full frame.
        mask: None, or COCO run-length encoding ``{"size": [height, width], "counts": text}`` of the full frame, with
            ``polygons`` (lists of x1, y1, x2, y2 ... in pixels) beside or instead of it.
        track: Identity over frames, from 0; None without tracking.
        sigma_xyxy: Standard deviation of each side in pixels, in the order of `box_xyxy`; None where nobody states it.
    """

    class_name: str
    class_id: int
    confidence: float
    box_xyxy: Box
    mask: Mapping[str, Any] | None = None
    track: int | None = None
    sigma_xyxy: Box | None = None

    def __post_init__(self) -> None:
        if not self.class_name:
            raise ValueError("class_name must not be empty")
        if self.class_id < 0:
            raise ValueError(f"class_id must be 0 or more, got {self.class_id}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence must be in [0, 1], got {self.confidence}")
        if len(self.box_xyxy) != 4:
            raise ValueError(f"box_xyxy must have 4 elements, got {len(self.box_xyxy)}")
        left, top, right, bottom = self.box_xyxy
        if not (math.isfinite(left + top + right + bottom) and left <= right and top <= bottom):
            raise ValueError(f"box_xyxy must be finite with x1 <= x2 and y1 <= y2, got {tuple(self.box_xyxy)}")
        if self.track is not None and not (isinstance(self.track, Integral) and self.track >= 0):
            raise ValueError(f"track must be a whole number from 0, got {self.track!r}")
        if self.sigma_xyxy is not None and not (
            len(self.sigma_xyxy) == 4 and all(math.isfinite(value) and value >= 0 for value in self.sigma_xyxy)
        ):
            raise ValueError(f"sigma_xyxy must be 4 finite numbers of 0 or more, got {tuple(self.sigma_xyxy)}")
        if self.mask is not None:
            _check_mask(self.mask)

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the detection: pixels to 2 decimals, confidence to 5."""
        record = {
            "class": self.class_name,
            "class_id": int(self.class_id),
            "confidence": round(float(self.confidence), 5),
            # Adding zero turns -0.0 into 0.0.
            "xyxy": [round(float(value), 2) + 0.0 for value in self.box_xyxy],
            "mask": None if self.mask is None else dict(self.mask),
            "track": None if self.track is None else int(self.track),
        }
        if self.sigma_xyxy is not None:
            record["sigma_xyxy"] = [round(float(value), 2) for value in self.sigma_xyxy]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Detection":
        """Read `to_record`'s object; keys of later minor versions are skipped."""
        left, top, right, bottom = record["xyxy"]
        sigma = record.get("sigma_xyxy")
        return cls(
            str(record["class"]),
            int(record["class_id"]),
            float(record["confidence"]),
            (float(left), float(top), float(right), float(bottom)),
            record.get("mask"),
            record.get("track"),
            None if sigma is None else tuple(float(value) for value in sigma),  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True)
class FrameDetections:
    """All detections of one video frame or image, possibly none.

    Attributes:
        source: The file that the frame is from.
        frame: Index of the frame in its file, from 0 in decoding order; 0 for an image.
        time_s: The container's timestamp in seconds; None for an image.
        width: Width of the full frame in pixels.
        height: Height of the full frame in pixels.
        detections: The objects.
        camera_motion: Six floats a, b, c, d, e, f in pixels of the full frame: what lay at (x, y) in the frame that was
            looked at before lies at (a x + b y + c, d x + e y + f) in this one; None where nobody estimated it.
    """

    source: str
    frame: int
    time_s: float | None
    width: int
    height: int
    detections: tuple[Detection, ...] = ()
    camera_motion: Motion | None = None

    def __post_init__(self) -> None:
        if self.camera_motion is not None and not (
            len(self.camera_motion) == 6 and all(math.isfinite(value) for value in self.camera_motion)
        ):
            raise ValueError(f"camera_motion must be 6 finite numbers or None, got {self.camera_motion}")
        if self.frame < 0:
            raise ValueError(f"frame must be 0 or more, got {self.frame}")
        if self.time_s is not None and not math.isfinite(self.time_s):
            raise ValueError(f"time_s must be finite or None, got {self.time_s}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"frame size must be at least 1x1 pixels, got {self.width}x{self.height}")

    @classmethod
    def from_arrays(
        cls,
        source: str,
        frame: int,
        time_s: float | None,
        width: int,
        height: int,
        *,
        boxes_xyxy: ArrayLike,
        confidences: ArrayLike,
        class_ids: ArrayLike,
        class_names: Sequence[str],
        masks: Sequence[Mapping[str, Any] | None] | None = None,
        tracks: Sequence[int | None] | None = None,
        sigmas_xyxy: ArrayLike | None = None,
    ) -> "FrameDetections":
        """Build from arrays as a detector returns them.

        Args:
            source: The file that the frame is from.
            frame: Index of the frame in its file.
            time_s: The container's timestamp in seconds.
            width: Width of the full frame in pixels.
            height: Height of the full frame in pixels.
            boxes_xyxy: Shape (N, 4), pixels of the full frame.
            confidences: Shape (N,), in [0, 1].
            class_ids: Shape (N,), integers.
            class_names: All class names in the order of their indices.
            masks: N masks or None, see `Detection.mask`.
            tracks: N identities or None.
            sigmas_xyxy: Shape (N, 4), standard deviation of each side in pixels, or None.

        Raises:
            ValueError: If shapes or values do not fit.
        """
        ids = np.asarray(class_ids).reshape(-1).astype(int).tolist()
        scores = np.asarray(confidences, dtype=np.float64).reshape(-1).tolist()
        boxes = np.asarray(boxes_xyxy, dtype=np.float64)
        if not ids and boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.shape != (len(ids), 4):
            raise ValueError(f"boxes_xyxy must have shape ({len(ids)}, 4) as class_ids, got {boxes.shape}")
        sigmas: Any = None if sigmas_xyxy is None else np.asarray(sigmas_xyxy, np.float64).reshape(-1, 4).tolist()
        columns = {"confidences": scores, "masks": masks, "tracks": tracks, "sigmas_xyxy": sigmas}
        for name, column in columns.items():
            if column is not None and len(column) != len(ids):
                raise ValueError(f"{name} must have {len(ids)} elements as class_ids, got {len(column)}")
        wrong = [class_id for class_id in ids if not 0 <= class_id < len(class_names)]
        if wrong:
            raise ValueError(f"class_ids must be in 0 to {len(class_names) - 1}, got {wrong[0]}")
        detections = tuple(
            Detection(
                class_names[class_id],
                class_id,
                scores[row],
                tuple(boxes[row].tolist()),
                None if masks is None else masks[row],
                None if tracks is None else tracks[row],
                None if sigmas is None else tuple(sigmas[row]),
            )
            for row, class_id in enumerate(ids)
        )
        return cls(source, frame, time_s, width, height, detections)

    def to_supervision(self) -> "sv.Detections":
        """Return the objects as supervision's `Detections`, in the same order.

        `xyxy` has shape (N, 4) in pixels of the full frame, `confidence` and `class_id` shape (N,), and
        `data["class_name"]` the N names. `mask` has shape (N, height, width), `tracker_id` shape (N,): None where no
        object has one, else an empty mask and -1 for the objects without. `metadata` holds source, frame and time_s.

        Raises:
            DataError: If the package supervision is not installed.

        Example:
            >>> from reg_yolo.detections import Detection, FrameDetections
            >>> pole = Detection("pole", 0, 0.9, (10, 20, 30, 80), track=4)
            >>> found = FrameDetections("a.jpg", 0, None, 640, 384, (pole,)).to_supervision()
            >>> found.xyxy.tolist(), found.tracker_id.tolist(), found.data["class_name"].tolist()
            ([[10.0, 20.0, 30.0, 80.0]], [4], ['pole'])
        """
        try:
            import supervision as sv
        except ImportError:
            raise DataError("to_supervision needs the package supervision: pip install supervision") from None
        found = self.detections
        size = (self.height, self.width)
        masks = [
            np.zeros(size, np.bool_) if one.mask is None else decode_mask(one.mask, size)
            for one in (found if any(one.mask is not None for one in found) else ())
        ]
        tracked = any(one.track is not None for one in found)
        return sv.Detections(
            xyxy=np.array([one.box_xyxy for one in found], np.float32).reshape(-1, 4),
            mask=np.stack(masks) if masks else None,
            confidence=np.array([one.confidence for one in found], np.float32),
            class_id=np.array([one.class_id for one in found], np.int64),
            tracker_id=np.array([-1 if one.track is None else one.track for one in found]) if tracked else None,
            data={"class_name": np.array([one.class_name for one in found], np.str_)},
            metadata={"source": self.source, "frame": self.frame, "time_s": self.time_s},
        )

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the frame; time to microseconds, camera motion to 7 decimals where it is known."""
        motion = self.camera_motion
        return {
            "record": "frame",
            "source": self.source,
            "frame": self.frame,
            "time_s": None if self.time_s is None else round(self.time_s, 6),
            "width": self.width,
            "height": self.height,
            "detections": [detection.to_record() for detection in self.detections],
            **({} if motion is None else {"camera_motion": [round(float(value), 7) for value in motion]}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "FrameDetections":
        """Read `to_record`'s object; keys of later minor versions are skipped."""
        time_s, motion = record["time_s"], record.get("camera_motion")
        return cls(
            str(record["source"]),
            int(record["frame"]),
            None if time_s is None else float(time_s),
            int(record["width"]),
            int(record["height"]),
            tuple(Detection.from_record(detection) for detection in record["detections"]),
            None if motion is None else tuple(float(value) for value in motion),  # type: ignore[arg-type]
        )


def _check_mask(mask: Mapping[str, Any]) -> None:
    has_runs = "size" in mask and "counts" in mask
    if not has_runs and "polygons" not in mask:
        raise ValueError(f"mask must have 'size' and 'counts', or 'polygons', got the keys {sorted(mask)}")
    if has_runs and (len(mask["size"]) != 2 or not isinstance(mask["counts"], str)):
        raise ValueError("mask must have a size of [height, width] and counts as compressed COCO text")
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in mask.get("polygons", ())):
        raise ValueError("a mask's polygons must be lists of x1, y1, x2, y2 ... with at least 3 points")
