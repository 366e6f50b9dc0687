"""What every reader gives and every writer takes: images with their objects, in pixels and by class name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Corners `[N, 2]` of a ring in pixels; the first corner is not repeated at the end.
Ring = NDArray[np.float64]
Box = tuple[float, float, float, float]


@dataclass(slots=True)
class ObjectAnnotation:
    """One object of an image.

    Attributes:
        class_name: Its class, by name.
        place: Where in the annotation file it stands, for messages: `annotations[12]`, `line 3`.
        box: Left, top, right, bottom in pixels; None where only the outline is given.
        parts: Outer rings; several where something hides the middle of the object. Empty for an object that has a box
            only.
        holes: Rings inside the parts that do not belong to the object.
        crowd: COCO's `iscrowd`: a region of many objects.
        difficult: Pascal VOC's flag.
        simplified: Whether the outline was thinned on the way from a mask (see `outlines.mask_rings`).
        score: Confidence in [0, 1] of a predicted object; None of one that a person has drawn.
        note: What the annotator should know of it; labelling tools show it next to the object.
    """

    class_name: str
    place: str
    box: Box | None = None
    parts: Sequence[Ring] = ()
    holes: Sequence[Ring] = ()
    crowd: bool = False
    difficult: bool = False
    simplified: bool = False
    score: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where the pixels of an image are.

    Attributes:
        path: The image, a Labelme file that embeds it, or a video.
        embedded: Whether `path` is a Labelme file with the image in its `imageData`.
        frame: Index of the frame where `path` is a video.
    """

    path: Path
    embedded: bool = False
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that did not come through, or not as it stood.

    Attributes:
        kind: `dropped` (not written), `asked` (left out because the caller said so) or `changed` (written differently).
        file: The file, as a path or as the export names it.
        place: The object in it and details of its own, or "" for the whole image or file.
        class_name: Its class, or "".
        reason: Why, the same words for the same cause, so that causes can be counted.
    """

    kind: str
    file: str
    place: str
    class_name: str
    reason: str


@dataclass(slots=True)
class AnnotatedImage:
    """One image and its objects.

    Attributes:
        name: The name that the export gives the image, with `/` between folders.
        annotation_file: The file that describes it.
        source: Where its pixels are, or None if they were not found.
        size: Width and height that the export states, if it does.
        split: `train`, `val` or `test`; None where the export does not say.
        objects: Its objects.
        normalized: Whether coordinates are fractions of the upright image instead of pixels (YOLO).
        missing: Why `source` is None.
        left_out: What is labelled in it but is not among `objects`: a line, a row that cannot be read; and what was
            changed on the way.
        detail: Details of `missing`.
        unread: The image whose file of objects cannot be read; it is not one without objects.
        agreeing: How many parts of `name` are those of the place where the image was found.
    """

    name: str
    annotation_file: Path
    source: ImageSource | None
    size: tuple[float, float] | None = None
    split: str | None = None
    objects: list[ObjectAnnotation] = field(default_factory=list)
    normalized: bool = False
    missing: str = ""
    left_out: list[Remark] = field(default_factory=list)
    detail: str = ""
    unread: Path | None = None
    agreeing: int = 0


@dataclass(slots=True)
class AnnotatedSet:
    """All images of an export.

    Attributes:
        format_name: The format it was read from.
        class_names: Classes in the order that the export declares, or sorted where it declares none.
        images: The images, those without objects included.
        remarks: What the reader left out that hides nothing in an image.
        notes: Sentences about how the export was understood.
        empty_roots: Classes that only stand above others and have no object, which are not among `class_names`.
        images_lost: Images that the export names only by a file that cannot be read.
    """

    format_name: str
    class_names: list[str]
    images: list[AnnotatedImage]
    remarks: list[Remark] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty_roots: list[str] = field(default_factory=list)
    images_lost: int = 0
