"""Identities of objects over the frames of a drive, by Ultralytics' trackers, as a stage after detection.

A tracker gets the boxes of one frame after the other and says which belong to the same object. Detections stay what
they were: where upstream's `track` replaces boxes by the tracker's smoothed ones and hides what it has not confirmed,
only the field `track` is filled here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.engine.results import Boxes
from ultralytics.utils import LOGGER, ROOT, IterableSimpleNamespace

from reg_yolo.config.problems import did_you_mean
from reg_yolo.config.yaml_text import read_yaml
from reg_yolo.detections.detections import FrameDetections, Motion
from reg_yolo.errors import ConfigError
from reg_yolo.stored import damage_named, read_stored_text
from reg_yolo.yolo.prediction.frames import PredictedFrame, PredictedItem

# Upstream's own default, tracktrack, also wants boxes that suppression dropped; these it is not given here.
DEFAULT_TRACKER = "botsort.yaml"
TRACKERS = ("botsort", "bytetrack", "deepocsort", "fasttrack", "ocsort", "tracktrack")
COMPENSATION = ("sparseOptFlow", "orb", "sift", "ecc", "none")
# Between two frames no camera on a road zooms or turns more than this.
_MOST_ZOOM = 2.0
_SHIPPED = ROOT / "cfg" / "trackers"
_LARGEST_YAML = 1 << 20


@dataclass(frozen=True)
class TrackerSettings:
    """A tracker and all of its settings.

    Attributes:
        name: What the user named.
        values: Upstream's keys of this tracker, every one with a value.
    """

    name: str
    values: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with every setting."""
        return hashlib.sha256(json.dumps(dict(self.values), sort_keys=True).encode()).hexdigest()[:8]


def read_tracker(name: str | Path = DEFAULT_TRACKER) -> TrackerSettings:
    """Read a tracker's YAML: a file, or the name of one that comes with Ultralytics.

    What a file leaves out has upstream's default. Trackers that come with Ultralytics compensate camera motion wherever
    they can, also where upstream's file leaves it off: road video is filmed from a moving car.

    Raises:
        ConfigError: If it is missing or malformed, a key or value is wrong, or the package `lap` is not installed.
    """
    if importlib.util.find_spec("lap") is None:
        # Upstream would try to install it when its trackers are imported.
        raise ConfigError('`track` needs the package lap: pip install "reg-yolo[track]"')
    path, shipped = _find(str(name))
    given = _load(path)
    kind = given.get("tracker_type")
    if kind not in TRACKERS:
        hint = did_you_mean(str(kind), TRACKERS)
        raise ConfigError(f"{path}: tracker_type: got {kind!r}, expected one of {', '.join(TRACKERS)}.{hint}")
    defaults = _load(_SHIPPED / f"{kind}.yaml")
    values = dict(defaults)
    for key, value in given.items():
        if key not in defaults:
            raise ConfigError(f"{path}: {key}: not a setting of {kind}.{did_you_mean(str(key), defaults)}")
        values[key] = _checked(key, value, defaults[key], path)
    if shipped and values.get("gmc_method") == "none":
        values["gmc_method"] = COMPENSATION[0]
    _check_appearance(values, path)
    return TrackerSettings(str(name), values)


class DriveTracker:
    """Gives the objects of a drive their identities, frame after frame in their order.

    Numbers start at 1 and are not used again by a later drive of the same tracker.

    Args:
        settings: From `read_tracker`.
        device: Where a model of appearance runs, if the settings name one.
    """

    def __init__(self, settings: TrackerSettings, device: str = "cpu") -> None:
        from ultralytics.trackers.track import TRACKER_MAP

        self.settings = settings
        self._tracker = TRACKER_MAP[settings.values["tracker_type"]](
            args=IterableSimpleNamespace(**settings.values, device=device)
        )
        self._before, self._highest = 0, 0
        self._motion: Motion | None = None
        self._watch_motion()

    def _watch_motion(self) -> None:
        """Keep what the tracker's own compensation of camera motion estimates; on this tracker alone."""
        compensation = getattr(self._tracker, "gmc", None)
        if compensation is None or compensation.method is None:
            return
        estimate = compensation.apply

        def apply(picture: NDArray[np.uint8], detections: Any = None) -> NDArray[np.float64]:
            affine = estimate(picture, detections)
            # Upstream returns the identity for the first frame and where it estimates nothing, and anything at a cut.
            scale = float(np.hypot(affine[0, 0], affine[1, 0]))
            if not np.array_equal(affine, np.eye(2, 3)) and 1 / _MOST_ZOOM < scale < _MOST_ZOOM and affine[0, 0] > 0:
                self._motion = tuple(float(value) for value in np.asarray(affine).ravel())  # type: ignore[assignment]
            return affine

        compensation.apply = apply

    def track(self, frame: FrameDetections, picture: NDArray[np.uint8]) -> FrameDetections:
        """Return the frame with identities and camera motion; objects that are not confirmed stay without identity.

        Args:
            frame: The next frame of the drive; frames without objects are to be given too.
            picture: BGR, shape (H, W, 3), uint8, without drawings.
        """
        rows = [(*found.box_xyxy, found.confidence, found.class_id) for found in frame.detections]
        boxes = Boxes(np.array(rows, np.float32).reshape(-1, 6), (frame.height, frame.width))
        self._motion = None
        tracked = self._tracker.update(boxes, picture)
        frame = replace(frame, camera_motion=self._motion)
        if not len(tracked):
            return frame
        # Columns: box, identity, score, class, index of the detection.
        identities = {int(row[-1]): self._before + int(row[-4]) for row in tracked}
        self._highest = max(self._highest, *identities.values())
        detections = [
            replace(found, track=identities.get(index, found.track)) for index, found in enumerate(frame.detections)
        ]
        return replace(frame, detections=tuple(detections))

    def start_drive(self) -> None:
        """Forget all objects: the next frame is of another drive. Not to be called between a drive's chapters."""
        self._before = self._highest
        self._tracker.reset()


def tracked_frames(
    items: Iterable[PredictedItem], tracker: DriveTracker, *, one_drive: bool
) -> Iterator[PredictedItem]:
    """Yield the items of a prediction, its frames with identities.

    Args:
        items: What `predicted_frames` yields, in order; images must not be drawn on yet.
        tracker: Has seen no frame yet.
        one_drive: All videos are chapters of one drive; otherwise each has objects of its own. Images are taken for the
            frames of one drive in their order.
    """
    last: Path | None = None
    for item in items:
        if isinstance(item, PredictedFrame):
            place = item.frame.path if item.frame.video is not None else None
            if place != last and not one_drive:
                tracker.start_drive()
            last = place
            item = replace(item, detections=tracker.track(item.detections, item.frame.picture))
        yield item
        # The image must not stay in memory while the next one is waited for.
        del item


def warn_of_thinning(every: str | int | None) -> None:
    """Say that a tracker on thinned frames loses objects that move far between two of them."""
    if every not in (None, 1, "1"):
        LOGGER.warning(
            f"Tracking on thinned frames ({every}): objects that no longer overlap from frame to frame get new "
            "identities; take all frames where identities matter."
        )


def _find(name: str) -> tuple[Path, bool]:
    path = Path(name).expanduser()
    if path.is_file():
        return path, False
    stem = name.removesuffix(".yaml").removesuffix(".yml")
    if stem in TRACKERS:
        return _SHIPPED / f"{stem}.yaml", True
    shipped = [f"{tracker}.yaml" for tracker in TRACKERS]
    raise ConfigError(
        f"`track`: {name} does not exist; expected a file or one of {', '.join(shipped)}.{did_you_mean(stem, TRACKERS)}"
    )


def _load(path: Path) -> dict[str, Any]:
    with damage_named(path, "a tracker's YAML", "expected lines of `key: value`, tracker_type among them", ConfigError):
        values = read_yaml(read_stored_text(path, _LARGEST_YAML), str(path)).value
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is not a tracker's YAML: expected lines of `key: value`, tracker_type among them.")
    return values


def _checked(key: str, value: Any, default: Any, path: Path) -> Any:
    """Return a value of the default's type, checked against what its key allows."""
    if key == "gmc_method":
        if str(value) not in COMPENSATION:
            hint = did_you_mean(str(value), COMPENSATION)
            raise ConfigError(f"{path}: {key}: got {value!r}, expected one of {', '.join(COMPENSATION)}.{hint}")
        return str(value)
    if isinstance(default, str):
        return str(value)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{path}: {key}: got {value!r}, expected true or false")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{path}: {key}: got {value!r}, expected a number")
    highest = 1.0 if key.endswith(("_thresh", "_thr")) and default <= 1 else float("inf")
    if not 0 <= value <= highest or (isinstance(default, int) and int(value) != value):
        kind = "a whole number from 0" if isinstance(default, int) else "a number from 0"
        raise ConfigError(f"{path}: {key}: got {value}, expected {kind}{' to 1' if highest == 1 else ''}")
    return value


def _check_appearance(values: Mapping[str, Any], path: Path) -> None:
    if not values.get("with_reid"):
        return
    if not Path(str(values["model"])).exists():
        raise ConfigError(
            f"{path}: with_reid: needs a model of appearance of your own: set `model` to its file (got "
            f"{values['model']!r}), or with_reid to false. The detector's features are not at hand in every engine."
        )
