"""The images of chosen frames: each source is opened once, and every image passes the function for privacy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.errors import ConfigError, MediaError
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.thumbnails.cutting import Picture, PrivateBoxes
from reg_yolo.video.picking import FramePlace, pick_frames, read_picture
from reg_yolo.video.privacy import not_blurred, release
from reg_yolo.video.probing import probe_video
from reg_yolo.video.writer import encode_jpeg


@dataclass(frozen=True)
class Privacy:
    """What is private in a frame.

    Attributes:
        private: Finds it; None blurs nothing.
        blurred_by: What `private` looks for, `WEIGHTS:CLASS,CLASS`.
    """

    private: PrivateBoxes | None = None
    blurred_by: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What to tell the user of the images."""
        if self.private is None:
            return "images are whole frames as filmed, people and number plates included; --blur WEIGHTS:CLASS blurs"
        return f"images are whole frames, blurred by {', '.join(self.blurred_by)}"

    def opened(self, picture: Picture, path: Path) -> OpenedImage:
        """Return an image that may be stored, without metadata."""
        private = [] if self.private is None else self.private(picture)
        content = encode_jpeg(release(picture, private, in_place=True))
        return OpenedImage((picture.shape[1], picture.shape[0]), 1, ".jpg", path, content)

    def refuse_less_than(self, stated: Sequence[str]) -> None:
        """Refuse to store what the runs that made the detections would have blurred.

        Raises:
            ConfigError: Naming what is missing.
        """
        name = not_blurred(sorted(stated), self.blurred_by)
        if name is not None:
            raise ConfigError(f"the detections were made with --blur {name}; give --blur {name} here as well")


def frames_of(
    path: Path, source: str, places: Sequence[FramePlace], media: MediaFacts, *, is_image: bool
) -> Iterator[tuple[FramePlace, Picture]]:
    """Yield chosen frames of a source, or an image.

    Raises:
        MediaError: If it cannot be opened, or is not the one that the detections were made from.
    """
    if is_image:
        yield places[0], read_picture(path)
        return
    stated, found = media.frame_counts.get(source), probe_video(path).frame_count
    if None not in (stated, found) and stated != found:
        raise MediaError(f"{path} has {found} frames, the detections are of a video of {stated}")
    yield from pick_frames(path, places, seek=source not in media.disturbed)
