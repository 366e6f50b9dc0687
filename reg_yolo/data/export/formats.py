"""The formats that can be written, and the one function that writes a whole set in any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from reg_yolo.config.problems import did_you_mean
from reg_yolo.data.export.coco import CocoWriter
from reg_yolo.data.export.cvat import CvatWriter
from reg_yolo.data.export.label_studio import LabelStudioWriter
from reg_yolo.data.export.labelme import LabelmeWriter
from reg_yolo.data.export.writer import DatasetWriter, LabelledImage
from reg_yolo.data.export.yolo import YoloWriter
from reg_yolo.errors import DataError
from reg_yolo.files import whole_folder

_WRITERS: dict[str, Callable[..., DatasetWriter]] = {
    "yolo": YoloWriter,
    "coco": CocoWriter,
    "cvat": CvatWriter,
    "label-studio": LabelStudioWriter,
    "labelme": LabelmeWriter,
}
EXPORT_FORMATS = tuple(_WRITERS)


def check_format(to: str) -> None:
    """Raise a DataError if there is no writer for a format."""
    if to not in _WRITERS:
        hint = did_you_mean(to, EXPORT_FORMATS)
        raise DataError(f"`to`: got {to!r}, expected {', '.join(EXPORT_FORMATS)}{hint and '.' + hint}")


def dataset_writer(
    to: str, folder: Path, names: Sequence[str], *, link: bool = False, model: str | None = None
) -> DatasetWriter:
    """Return the writer of a format; see `DatasetWriter`."""
    check_format(to)
    return _WRITERS[to](folder, names, link=link, model=model)


def _check_name(image: LabelledImage, seen: set[tuple[str, str]]) -> None:
    """Refuse a name that would write elsewhere, or over the labels of another image."""
    if image.name in ("", ".", "..") or any(separator in image.name for separator in "/\\"):
        raise DataError(f"{image.name!r} must be the name of a file, without folders")
    key = (image.split, image.stem.casefold())
    if key in seen:
        raise DataError(f"{image.name}: another image of {image.split} has this name or differs in its suffix alone")
    seen.add(key)


def write_labelled(
    images: Iterable[LabelledImage],
    out: str | Path,
    names: Sequence[str],
    *,
    to: str,
    link: bool = False,
    model: str | None = None,
) -> Path:
    """Write images with their objects in a format that labelling tools import.

    Args:
        images: The images; they are taken one at a time.
        out: The folder to be made; it appears when it is complete.
        names: Class names in the order of their indices.
        to: One of `EXPORT_FORMATS`.
        link: Hard-link images that need no change instead of copying them.
        model: Name of the model where the objects are predictions for a person to correct.

    Returns:
        The file that a user continues with, or the folder of several.

    Raises:
        DataError: If the format is not known, `out` holds something, a class name or note does not fit the format, or
            two images of a split have one name.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from reg_yolo.data.objects.annotations import ObjectAnnotation
        >>> sign = ObjectAnnotation("sign", "", box=(10.0, 20.0, 30.0, 40.0), note="nobody has labelled this")
        >>> with TemporaryDirectory() as folder:
        ...     written = write_labelled(
        ...         [LabelledImage("a.jpg", (640, 384), [sign])], Path(folder) / "hints", ["sign"], to="cvat"
        ...     )
        ...     written.name, sorted(path.name for path in written.iterdir())
        ('hints', ['annotations_train.xml', 'labels.json'])
    """
    out = Path(out)
    check_format(to)
    seen: set[tuple[str, str]] = set()
    with whole_folder(out) as folder:
        writer = dataset_writer(to, folder, names, link=link, model=model)
        try:
            for image in images:
                _check_name(image, seen)
                writer.add(image)
            result = writer.finish()
        finally:
            writer.close()
    return out / result.relative_to(folder)
