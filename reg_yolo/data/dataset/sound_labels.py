"""The rows of many label files, or one error that names what cannot be read in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.data.dataset.label_rows import LabelRow, read_label_file
from reg_yolo.errors import DataError

_SHOWN = 5


def read_sound_labels(images: Iterable[Path], classes: int) -> Iterator[tuple[Path, list[LabelRow]]]:
    """Yield every image with the rows of its label file; an image without one has none.

    Args:
        images: Image files.
        classes: Number of classes.

    Raises:
        DataError: After the last image, if any row cannot be read: with their number and the first of them.
    """
    faults: list[str] = []
    count = 0
    for image in images:
        path = label_path_for(image)
        labels = read_label_file(path, classes)
        count += len(labels.faults)
        faults += [
            f"  {path}{f':{fault.line}' if fault.line else ''}: {fault.message}"
            for fault in labels.faults[: _SHOWN - len(faults)]
        ]
        yield image, labels.rows
    if faults:
        more = [f"  ... and {count - len(faults)} more"] if count > len(faults) else []
        noun = "1 bad label row" if count == 1 else f"{count} bad label rows"
        head = f"{noun}, to be corrected or deleted first (`reg-yolo data check` lists every fault of a set):"
        raise DataError("\n".join([head, *faults, *more]))
