"""The first record of a detections file: what made it. Schema: docs/detections_jsonl.md."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SCHEMA = "reg_yolo.detections/1"

_KEYS = frozenset(
    {"record", "schema", "created", "reg_yolo_version", "source", "weights", "engine", "precision", "imgsz", "device"}
    | {"classes", "thresholds", "width", "height", "fps", "frame_count"}
)


@dataclass(frozen=True)
class DetectionsHeader:
    """What made a detections file: the first record of it.

    Attributes:
        source: What the user named: a file, a folder, a pattern or a list.
        classes: Class names in the order of their indices.
        weights_name: File name of the weights.
        weights_sha256: SHA-256 of the weights file, 64 hexadecimal digits.
        engine: What ran the network: ``pytorch``, ``onnxruntime``, ``openvino``, ``tensorrt``.
        precision: Number format of the network: ``f32``, ``f16``, ``bf16``, ``int8``.
        imgsz: Height and width of the network's input in pixels.
        device: ``cpu``, ``cuda:0`` ...
        thresholds: Confidence threshold by class name.
        reg_yolo_version: Version of this package.
        created: Time of creation, ISO 8601 with offset.
        width: Width of the frames in pixels; None where the source's frames differ.
        height: Height, likewise.
        fps: Nominal frames per second of a video; None for images.
        frame_count: Frames that the container announces; None where unknown.
        extra: Further plain data, kept as further keys of the record.
    """

    source: str
    classes: tuple[str, ...]
    weights_name: str
    weights_sha256: str
    engine: str
    precision: str
    imgsz: tuple[int, int]
    device: str
    thresholds: Mapping[str, float]
    reg_yolo_version: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frame_count: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must be different names, at least one, got {list(self.classes)}")
        digest = self.weights_sha256
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError(f"weights_sha256 must be 64 lower-case hexadecimal digits, got {digest!r}")
        if len(self.imgsz) != 2 or min(self.imgsz) < 1:
            raise ValueError(f"imgsz must be height and width in pixels, got {self.imgsz}")
        for name, threshold in self.thresholds.items():
            if name not in self.classes:
                raise ValueError(f"thresholds must name classes of the file, got {name!r}")
            if not 0 <= threshold <= 1:
                raise ValueError(f"threshold of {name!r} must be in [0, 1], got {threshold}")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be positive or None, got {self.fps}")
        datetime.fromisoformat(self.created)
        taken = set(self.extra) & _KEYS
        if taken:
            raise ValueError(f"extra must not repeat keys of the header, got {', '.join(sorted(taken))}")

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the header."""
        return {
            "record": "header",
            "schema": SCHEMA,
            "created": self.created,
            "reg_yolo_version": self.reg_yolo_version,
            "source": self.source,
            "weights": {"name": self.weights_name, "sha256": self.weights_sha256},
            "engine": self.engine,
            "precision": self.precision,
            "imgsz": list(self.imgsz),
            "device": self.device,
            "classes": list(self.classes),
            "thresholds": dict(self.thresholds),
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "frame_count": self.frame_count,
            **self.extra,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "DetectionsHeader":
        """Read `to_record`'s object; unknown keys go to `extra`."""
        height, width = record["imgsz"]
        return cls(
            source=str(record["source"]),
            classes=tuple(str(name) for name in record["classes"]),
            weights_name=str(record["weights"]["name"]),
            weights_sha256=str(record["weights"]["sha256"]),
            engine=str(record["engine"]),
            precision=str(record["precision"]),
            imgsz=(int(height), int(width)),
            device=str(record["device"]),
            thresholds={str(name): float(value) for name, value in record["thresholds"].items()},
            reg_yolo_version=str(record["reg_yolo_version"]),
            created=str(record["created"]),
            **{key: record.get(key) for key in ("width", "height", "fps", "frame_count")},
            extra={key: value for key, value in record.items() if key not in _KEYS},
        )
