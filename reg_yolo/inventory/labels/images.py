"""The images of chosen frames, which all pass the function for privacy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.thumbnails.cutting import Picture, PrivateBoxes
from reg_yolo.video.privacy import not_blurred, release
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
