"""A network of task semantic run over images or video: the class of each pixel, as an overlay and as a PNG."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from ultralytics.models.yolo.semantic import SemanticSegmentationPredictor
from ultralytics.utils import LOGGER

from reg_yolo.drawing.class_map import ClassMapPainter
from reg_yolo.errors import MediaError
from reg_yolo.files import make_folder, replace_bytes, replace_text, replacing
from reg_yolo.progress import counted_line
from reg_yolo.text_tables import csv_text
from reg_yolo.video.privacy import ReleasedPicture, release
from reg_yolo.video.reading import SourceFrame, Unreadable, read_source
from reg_yolo.video.sources import Source
from reg_yolo.video.writer import AnnotatedVideoWriter, encode_jpeg
from reg_yolo.yolo.prediction.blurring import PrivateFinder, find_all
from reg_yolo.yolo.prediction.images import read_image
from reg_yolo.yolo.prediction.networks import prepare, set_up
from reg_yolo.yolo.prediction.settings import PredictSettings
from reg_yolo.yolo.weights.detector import Detector

CLASS_FOLDER, TABLE = "classes", "pixels.csv"


@dataclass
class PixelSummary:
    """What a run over pixels left.

    Attributes:
        folder: Where everything lies.
        frames: Images and frames that were looked at.
        shares: By class name, its share of all pixels.
        overlays: Images and videos with the classes over them.
        class_maps: PNGs whose values are the classes.
        seconds: How long it took.
        failed: Files that gave nothing, and why.
    """

    folder: Path
    frames: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    overlays: list[Path] = field(default_factory=list)
    class_maps: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    failed: dict[Path, str] = field(default_factory=dict)


class PixelNetwork:
    """Upstream's predictor with its network open; called with one image it returns the class of each pixel."""

    def __init__(self, detector: Detector, arguments: dict[str, Any]) -> None:
        self._predictor = SemanticSegmentationPredictor(overrides={**arguments, "save_dir": "unused"})
        self._predictor.setup_model(str(detector.path), verbose=False)
        set_up(self._predictor)

    @torch.inference_mode()
    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 [H, W], classes; 255 where `classes` leaves a pixel's class out.

        Args:
            image: BGR, shape (H, W, 3), uint8.
        """
        batch = prepare(self._predictor, [image])
        raw = self._predictor.inference(batch)
        self._predictor.batch = (["image"], None, None)
        result = self._predictor.postprocess(raw, batch, [image])[0]
        return np.asarray(result.semantic_mask.data.cpu().numpy(), dtype=np.uint8)


def run_pixels(
    media: Source,
    folder: Path,
    detector: Detector,
    network: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    settings: PredictSettings,
    background: int | None,
    *,
    finders: Sequence[PrivateFinder] = (),
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> PixelSummary:
    """Run a network over a source and write overlays, class maps and the table of shares.

    Args:
        media: What to run over.
        folder: Where the results go; it is made.
        detector: The weights.
        network: Gives an image's classes.
        settings: How the source is looked at, and whether overlays are stored.
        background: Index of the class that overlays leave as it is.
        finders: What finds faces and plates.
        asked_to_stop: Asked after every frame.

    Raises:
        MediaError: If no file of the source could be read.
        KeyboardInterrupt: If asked to stop.
    """
    names = detector.class_names
    painter = ClassMapPainter(names, background)
    summary = PixelSummary(folder)
    counts = np.zeros(256, dtype=np.int64)
    rows: list[Sequence[object]] = [("source", "frame", "time_s", *names)]
    make_folder(folder / CLASS_FOLDER)
    stems = _Stems(media, folder)
    started = time.perf_counter()
    # How many frames thinning leaves of a video nobody knows before.
    total = media.frame_count if settings.thinning is None or not media.videos else None
    overlays = _Overlays(folder, settings)
    try:
        with counted_line("predict", "frames") as progress, overlays:
            for item in read_source(media, read_image, settings.thinning):
                if isinstance(item, Unreadable):
                    summary.failed[item.path] = item.reason
                if not isinstance(item, SourceFrame):
                    LOGGER.warning(item.reason if isinstance(item, Unreadable) else f"{type(item).__name__} in {item}")
                    continue
                classes = network(item.picture)
                of_frame = np.bincount(classes.reshape(-1), minlength=256)
                counts += of_frame
                shares = of_frame[: len(names)] / classes.size
                rows.append((item.path, item.index, item.time_s, *(f"{share:.6f}" for share in shares)))
                stem = stems.of(item.path)
                name = f"{stem}.png" if item.video is None else f"{stem}/{item.index:06d}.png"
                summary.class_maps.append(_write_map(folder / CLASS_FOLDER / name, classes, painter))
                if settings.draw is not False:
                    shown = release(item.picture, find_all(finders, item.picture))
                    overlays.write(release(painter.paint(shown.pixels, classes), in_place=True), item, stem)
                summary.frames += 1
                progress(summary.frames, total)
                if asked_to_stop():
                    raise KeyboardInterrupt
    finally:
        if summary.frames:
            replace_text(folder / TABLE, csv_text(rows))
    if not summary.frames and summary.failed:
        raise MediaError("; ".join(list(summary.failed.values())[:3]))
    summary.overlays = overlays.files
    summary.shares = {name: int(counts[index]) / max(int(counts.sum()), 1) for index, name in enumerate(names)}
    summary.seconds = time.perf_counter() - started
    return summary


class _Stems:
    """The name of each source's results: no source is written over, and no two of one name share a file."""

    def __init__(self, media: Source, folder: Path) -> None:
        here = folder.resolve()
        self._taken = {file.path.stem for file in media.files if file.path.parent.resolve() == here}
        self._of: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """Return the name for a source."""
        if path not in self._of:
            name, number = path.stem, 1
            while name in self._taken:
                number += 1
                name = f"{path.stem}-{number}"
            self._taken.add(name)
            self._of[path] = name
        return self._of[path]


class _Overlays:
    """Context manager that stores overlays: a JPEG for an image, an mp4 for each video.

    Attributes:
        files: What has been written.
    """

    def __init__(self, folder: Path, settings: PredictSettings) -> None:
        self.files: list[Path] = []
        self._folder, self._settings = folder, settings
        self._stack = ExitStack()
        self._video: AnnotatedVideoWriter | None = None
        self._stem = ""

    def __enter__(self) -> _Overlays:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def write(self, picture: ReleasedPicture, frame: SourceFrame, stem: str) -> None:
        """Store one overlay; where a video's frames change their size, a new file begins."""
        if frame.video is None:
            self.files.append(self._folder / f"{stem}.jpg")
            replace_bytes(self.files[-1], encode_jpeg(picture))
            return
        height, width = picture.pixels.shape[:2]
        is_new = stem != self._stem
        if is_new or self._video is None or (self._video.width, self._video.height) != (width, height):
            self._stack.close()
            self._stem = stem
            fps = 1 / self._settings.step_s(frame.video.fps) if frame.video.fps else None
            target = self._folder / (f"{stem}.mp4" if is_new else f"{stem}-from-{frame.index:06d}.mp4")
            self._video = self._stack.enter_context(AnnotatedVideoWriter(target, width, height, fps))
            self.files.append(target)
        self._video.write(picture, frame.time_s)


def _write_map(path: Path, classes: NDArray[np.uint8], painter: ClassMapPainter) -> Path:
    """Write a PNG whose values are the classes, with their colours as its palette, and return its path."""
    make_folder(path.parent)
    image = Image.fromarray(classes)
    image.putpalette(painter.palette())
    with replacing(path) as partial:
        image.save(partial, format="PNG")
    return path
