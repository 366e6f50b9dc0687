"""What every writer of an annotation format takes and does: images with their objects into one folder."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.errors import DataError


@dataclass(slots=True)
class LabelledImage:
    """One image as a format writes it.

    Attributes:
        name: File name without folders; its stem is unique within its split, whatever the case of its letters.
        size: Width and height of the upright image in pixels.
        objects: Its objects in pixels of the upright image and within it, each with parts or a box.
        split: `train`, `val` or `test`.
        picture: Its pixels; None where the labelling tool has the image already, so that none is written.
    """

    name: str
    size: tuple[int, int]
    objects: list[ObjectAnnotation] = field(default_factory=list)
    split: str = "train"
    picture: OpenedImage | None = None

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.rpartition(".")[0] or self.name


class DatasetWriter(ABC):
    """Writes images and their objects into a folder: `add` each image, then `finish`; `close` in any case.

    Args:
        folder: An empty folder.
        names: Class names in the order of their indices.
        link: Hard-link images that need no change instead of copying them.
        model: Name of the model where the objects are predictions for a person to correct; None where a person has
            drawn them.

    Raises:
        DataError: If the format cannot hold a class name.
    """

    def __init__(self, folder: Path, names: Sequence[str], *, link: bool = False, model: str | None = None) -> None:
        self.folder, self.names, self.link, self.model = folder, list(names), link, model

    @abstractmethod
    def add(self, image: LabelledImage) -> None:
        """Write one image and its objects."""

    @abstractmethod
    def finish(self) -> Path:
        """Complete the files; return the one that a user continues with, or the folder of several."""

    def close(self) -> None:  # noqa: B027  (most formats leave nothing open between two images)
        """Close what is open after a failure."""

    def write_picture(self, image: LabelledImage, folder: Path) -> None:
        """Write the pixels of an image into a folder, which is made; nothing where it has none."""
        if image.picture is not None:
            folder.mkdir(parents=True, exist_ok=True)
            image.picture.write(folder / image.name, link=self.link)


def refuse_control_characters(texts: Sequence[str], kind: str, what: str = "class") -> None:
    """Raise a DataError for a text that XML cannot hold.

    Args:
        texts: Names of classes, or other texts.
        kind: What is written, for the message.
        what: What they are, likewise.
    """
    for text in texts:
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
            raise DataError(f"the {what} {text!r} holds a character that {kind} cannot; rename it")


def rounded(values: Sequence[float], digits: int) -> list[float]:
    """Return numbers rounded for a text file; no negative zero."""
    return [round(float(value), digits) + 0.0 for value in values]
