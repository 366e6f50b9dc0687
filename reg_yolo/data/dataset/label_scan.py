"""Read the label files of a split, count what is in them and name every bad row.

Ultralytics stops at the first fault of a file, drops the file's image from training and says so in a line of its log.
Here nothing is dropped: all faults of all files are collected, and the caller raises them as one error. A row that
upstream accepts is accepted, with two exceptions: every vertex of a polygon must lie in the image (upstream checks the
box around it only), and a polygon needs three points (upstream takes one).
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for
from reg_yolo.data.dataset.label_rows import LabelRow, read_label_file
from reg_yolo.data.dataset.row_faults import (
    BOX_COLUMNS,
    box_columns,
    class_fault,
    columns_fault,
    coordinates_fault,
    encoding_fault,
    number_fault,
)
from reg_yolo.errors import DataError
from reg_yolo.files import open_regular

_SHOWN = 5


@dataclass(frozen=True)
class LabelProblem:
    """One bad row, or one bad file where `line` is None."""

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{self.path}" if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.message}"


@dataclass
class LabelScan:
    """What the label files of one split hold. Duplicate rows are counted once, as upstream trains on them once.

    Attributes:
        split: Name of the split.
        class_names: Class names in the order of their indices.
        images: Images in the split.
        label_files: Images that have a label file.
        background_images: Images without a label file or with an empty one.
        box_counts: By class, rows that give a box only.
        polygon_counts: By class, rows that give a polygon (upstream makes a box of it as well).
        image_counts: By class, images that hold the class.
        duplicates: Repeated rows that were left out of the counts.
        problems: Every bad row and unreadable file, in file order. Rows of a bad file are counted where they are good.
        example_label_path: Where the label file of the first image is looked for.
    """

    split: str
    class_names: list[str]
    images: int = 0
    label_files: int = 0
    background_images: int = 0
    box_counts: list[int] = field(default_factory=list)
    polygon_counts: list[int] = field(default_factory=list)
    image_counts: list[int] = field(default_factory=list)
    duplicates: int = 0
    problems: list[LabelProblem] = field(default_factory=list)
    example_label_path: Path | None = None

    @property
    def instance_counts(self) -> list[int]:
        """By class, all objects: boxes and polygons together."""
        return [boxes + polygons for boxes, polygons in zip(self.box_counts, self.polygon_counts, strict=True)]

    @property
    def absent_classes(self) -> list[str]:
        """Names of the classes without a single object in the split."""
        return [name for name, count in zip(self.class_names, self.instance_counts, strict=True) if count == 0]

    def raise_for_problems(self, shown: int = 5) -> None:
        """Raise one DataError that counts all bad rows and shows the first `shown` of them; return where none is."""
        if not self.problems:
            return
        files = len({problem.path for problem in self.problems})
        rows = len(self.problems)
        lines = [
            f"{rows} bad label {'row' if rows == 1 else 'rows'} in {files} {'file' if files == 1 else 'files'} of the "
            f"'{self.split}' split; correct or delete {'it' if rows == 1 else 'them'}:"
        ]
        lines += [f"  {problem}" for problem in self.problems[:shown]]
        if rows > shown:
            lines.append(f"  ... and {rows - shown} more")
        raise DataError("\n".join(lines))

    def raise_if_unlabelled(self) -> None:
        """Raise a DataError if the split holds no object at all; upstream cannot train on such a split."""
        if sum(self.instance_counts) or self.problems:
            return
        reason = "all its label files are empty" if self.label_files else "it has no label file"
        raise DataError(
            f"The '{self.split}' split has {self.images} images but no labelled object: {reason}. Labels are looked "
            f"for as {self.example_label_path} (the folder 'images' becomes 'labels')."
        )


def scan_labels(
    description: DatasetDescription,
    split: str,
    *,
    allow_boxes: bool = True,
    allow_polygons: bool = True,
    allow_mixed: bool = False,
    images: Sequence[Path] | None = None,
) -> LabelScan:
    """Read every label file of a split.

    A row is ``class x_center y_center width height`` (a box) or ``class x1 y1 x2 y2 x3 y3 ...`` (a polygon), all
    coordinates as fractions of the image.

    Args:
        description: The data set.
        split: Name of one of its splits.
        allow_boxes: False for segmentation, where a row without a polygon is an error.
        allow_polygons: True for detection too: upstream takes the box around the polygon.
        allow_mixed: Whether boxes and polygons may stand in one file (the joint task). Upstream drops such a file.
        images: The split's images where the caller has already listed them.

    Raises:
        DataError: If the split is not there. Bad rows are collected in `LabelScan.problems`, not raised.
    """
    image_paths = description.images(split) if images is None else images
    classes = len(description.names)
    scan = LabelScan(split, description.class_names, images=len(image_paths))
    scan.box_counts, scan.polygon_counts, scan.image_counts = [0] * classes, [0] * classes, [0] * classes
    if image_paths:
        scan.example_label_path = label_path_for(image_paths[0])
    for image in image_paths:
        _scan_file(label_path_for(image), scan, allow_boxes, allow_polygons, allow_mixed, description.keypoint_columns)
    return scan


def _scan_file(
    path: Path, scan: LabelScan, allow_boxes: bool, allow_polygons: bool, allow_mixed: bool, keypoints: int
) -> None:
    try:
        with open_regular(path) as stream:
            content = stream.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        scan.background_images += 1
        return
    except OSError as error:
        scan.problems.append(LabelProblem(path, None, f"cannot be read: {error.strerror}"))
        return
    scan.label_files += 1
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        scan.problems.append(LabelProblem(path, None, encoding_fault(content)))
        return

    seen: set[bytes] = set()
    present: set[int] = set()
    first_kind: tuple[bool, int] | None = None
    rows = 0
    for number, line in enumerate(lines, start=1):
        tokens = box_columns(line.split(), keypoints)
        if not tokens:
            continue
        rows += 1
        is_polygon = len(tokens) > BOX_COLUMNS
        fault = columns_fault(len(tokens), allow_boxes, allow_polygons)
        if fault is None and not allow_mixed:
            if first_kind is None:
                first_kind = (is_polygon, number)
            elif first_kind[0] is not is_polygon:
                this, other = ("polygon", "box") if is_polygon else ("box", "polygon")
                fault = f"a {this} row in a file whose line {first_kind[1]} is a {other} row; the task needs one kind"
                # One fault for the file, however the rest of its rows alternate.
                allow_mixed = True
        if fault is None:
            try:
                values = list(map(float, tokens))
            except ValueError:
                fault = number_fault(tokens)
            else:
                fault = class_fault(values, tokens, len(scan.class_names)) or coordinates_fault(
                    values, tokens, is_polygon
                )
        if fault is not None:
            scan.problems.append(LabelProblem(path, number, fault))
            continue
        key = array("f", values).tobytes()  # upstream compares float32 rows
        if key in seen:
            scan.duplicates += 1
            continue
        seen.add(key)
        class_index = int(values[0])
        present.add(class_index)
        (scan.polygon_counts if is_polygon else scan.box_counts)[class_index] += 1
    for class_index in present:
        scan.image_counts[class_index] += 1
    if rows == 0:
        scan.background_images += 1


def read_sound_labels(
    images: Iterable[Path], classes: int, keypoints: int = 0
) -> Iterator[tuple[Path, list[LabelRow]]]:
    """Yield every image with the rows of its label file; an image without one has none.

    Args:
        images: Image files.
        classes: Number of classes.
        keypoints: Columns of keypoints behind a box, which are left out.

    Raises:
        DataError: After the last image, if any row cannot be read: with their number and the first of them.
    """
    faults: list[str] = []
    count = 0
    for image in images:
        path = label_path_for(image)
        labels = read_label_file(path, classes, keypoints)
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
