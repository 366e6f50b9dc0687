"""The classes of a pixel in task semantic: those of a data set's objects, and the background between them.

A data set has its pixels from polygons, or from mask PNGs where its YAML has `masks_dir:` (Ultralytics' key). Of
polygons, `unlabelled: ignore` (our key) says that a pixel outside of all of them is unknown instead of background.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription
from reg_yolo.errors import DataError

BACKGROUND = "background"
IGNORE = 255
"""Label of a pixel that counts nowhere, in mask PNGs too."""


@dataclass(frozen=True)
class PixelClasses:
    """What the pixels of a data set can be.

    Attributes:
        names: Class names in the order of their indices, the network's channels.
        background: Index of the class background; None where every class is one of objects.
        unlabelled: What a pixel outside of every polygon is: the index of the background, or 255 for unknown.
        masks_dir: Folder that takes the place of `images` in the path of a mask PNG; None for polygons.
    """

    names: tuple[str, ...]
    background: int | None
    unlabelled: int
    masks_dir: str | None = None


def pixel_classes(description: DatasetDescription) -> PixelClasses:
    """Return the classes of a data set's pixels.

    A class that the YAML calls `background` is the background. Without one, polygons get it as the last class; a set of
    mask PNGs with one class is read as 0 background, 1 object, as Ultralytics reads it; with several classes in PNGs,
    there is none.

    Raises:
        DataError: If `unlabelled` or `masks_dir` has another value, or a pixel could be of one class only.
    """
    names = tuple(description.class_names)
    background = next((index for index, name in enumerate(names) if name.lower() == BACKGROUND), None)
    where, masks_dir = description.yaml_path, description.extra.get("masks_dir")
    word = description.extra.get("unlabelled", BACKGROUND)
    if word not in (BACKGROUND, "ignore"):
        raise DataError(f"{where}: 'unlabelled' is {word!r}, expected background or ignore")
    if masks_dir is not None:
        if not isinstance(masks_dir, str) or not masks_dir:
            raise DataError(f"{where}: 'masks_dir' is {masks_dir!r}, expected the name of a folder")
        if "unlabelled" in description.extra:
            raise DataError(
                f"{where}: 'unlabelled' is for polygons, and this set has mask PNGs, where {IGNORE} is an unknown "
                "pixel; leave it out"
            )
        if len(names) == 1 and background is None:
            names, background = (BACKGROUND, *names), 0
        return _at_least_two(PixelClasses(names, background, IGNORE, masks_dir), description)
    if word == "ignore":
        return _at_least_two(PixelClasses(names, background, IGNORE), description)
    if background is None:
        names, background = (*names, BACKGROUND), len(names)
    return _at_least_two(PixelClasses(names, background, background), description)


def _at_least_two(classes: PixelClasses, description: DatasetDescription) -> PixelClasses:
    if len(classes.names) < 2:
        raise DataError(
            f"{description.yaml_path}: a pixel could be {classes.names[0]} only; name a second class, or leave out "
            "'unlabelled: ignore'"
        )
    if len(classes.names) > IGNORE:
        raise DataError(f"{description.yaml_path}: {len(classes.names)} classes of pixels, expected {IGNORE} at most")
    return classes


def described_pixels(description: DatasetDescription) -> DatasetDescription:
    """Return the description that Ultralytics needs for task semantic: the names of the pixels' classes.

    Its own rule for polygons makes a single class a binary problem with one channel. Here the background is a class
    like any other and one class a softmax over two, so the three keys that its rule leaves behind are written for it.
    """
    classes = pixel_classes(description)
    extra = dict(description.extra)
    if classes.masks_dir is None:
        extra |= {"bg_class_idx": classes.unlabelled, "_polygon_bg_added": True}
    return replace(description, names=dict(enumerate(classes.names)), extra=extra)
