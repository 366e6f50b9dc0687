"""What a check of a data set finds: one finding a fault, its code, and how findings are listed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.text_tables import csv_text as rows_as_csv

CODES: dict[str, tuple[str, str]] = {
    "split-missing": ("error", "a split that training needs is not named"),
    "split-unreadable": ("error", "a split's folder or list is missing, empty or cannot be read"),
    "split-overlap": ("error", "two splits take the same folder or list, or one inside the other"),
    "split-unlabelled": ("error", "a split without a single object"),
    "image-unreadable": ("error", "an image that is empty, cut off, too small or no image"),
    "image-two-splits": ("error", "one file in two splits"),
    "image-copied": ("error", "the same bytes in two splits"),
    "label-unreadable": ("error", "a label file that is not UTF-8 text"),
    "row-malformed": ("error", "a row with a wrong number of columns, or with words for numbers"),
    "row-class": ("error", "a class id that the YAML does not name"),
    "row-range": ("error", "a coordinate outside the image"),
    "row-kind": ("error", "a box or polygon row that the task does not take"),
    "mask-missing": ("error", "an image without its mask PNG"),
    "mask-wrong": ("error", "a mask PNG that is damaged, of another size, or with a value that is no class"),
    "row-repeated": ("warning", "a row that stands twice in a file"),
    "box-near-duplicate": ("warning", "two objects of one class in nearly the same place"),
    "box-two-classes": ("warning", "two objects of different classes in the same place"),
    "box-subpixel": ("warning", "a box under one pixel once the image is scaled"),
    "polygon-crossing": ("warning", "a polygon whose outline crosses itself"),
    "polygon-no-area": ("warning", "a polygon without area"),
    "image-near-identical": ("warning", "nearly the same image in two splits"),
    "image-repeated": ("warning", "the same image twice in one split"),
    "image-turned": ("warning", "an image whose EXIF orientation is skipped when it is read"),
    "label-orphan": ("warning", "a label file without an image"),
    "class-missing": ("warning", "a class without an object in a split"),
    "class-rare": ("warning", "a class with few objects"),
    "opencv-versions": ("warning", "two packages of OpenCV at different versions"),
    "keypoints-left-out": ("warning", "a set with keypoints, of which the boxes are taken"),
    "image-dark": ("warning", "an image of 16 bits that is nearly black once it is read with 8"),
    "path-elsewhere": ("note", "a path of the YAML that is not there; what it means was found elsewhere"),
    "image-unlabelled": ("note", "images without a label file; they train as background"),
    "image-upright": ("note", "images that EXIF turns upright before they are trained on"),
}
"""Severity and meaning of every code. Errors change or stop a training; warnings need a look; notes are no fault."""

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        code: One of `CODES`.
        split: The split, or both joined by "+", or "".
        path: The file to mend.
        line: Line in it, counted from 1, or None for the whole file.
        message: What is wrong, in a few words.
    """

    code: str
    split: str
    path: Path
    line: int | None
    message: str

    @property
    def severity(self) -> str:
        """error, warning or note."""
        return CODES[self.code][0]

    def place(self, root: Path | None = None) -> str:
        """Return FILE:LINE, relative to `root` where the file is under it."""
        path = self.path.relative_to(root) if root is not None and self.path.is_relative_to(root) else self.path
        return f"{path}" if self.line is None else f"{path}:{self.line}"


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings by code in the order of `CODES`, then by place."""
    rank = {code: index for index, code in enumerate(CODES)}
    return sorted(findings, key=lambda item: (rank[item.code], str(item.path), item.line or 0, item.message))


def findings_text(findings: Sequence[Finding], root: Path, examples: int = 3) -> str:
    """Return the findings as text: a heading for each code, and its first few places below."""
    blocks = []
    ordered = in_order(findings)
    for code, (severity, meaning) in CODES.items():
        same = [item for item in ordered if item.code == code]
        if not same:
            continue
        lines = [f"{severity:<7}  {code}  x{len(same)}: {meaning}"]
        lines += [f"           {item.place(root)}: {item.message}" for item in same[:examples]]
        if len(same) > examples:
            lines.append(f"           ... and {len(same) - examples} more")
        blocks.append("\n".join(lines))
    return printable("\n".join(blocks))


def findings_csv(findings: Sequence[Finding]) -> str:
    """Return all findings as CSV: severity, code, split, place (FILE:LINE), file, line, message."""
    rows = [
        (item.severity, item.code, item.split, item.place(), item.path, item.line, item.message)
        for item in in_order(findings)
    ]
    return csv_text(["severity", "code", "split", "place", "file", "line", "message"], rows)


def csv_text(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV with a byte-order mark, without which Excel reads Thai letters as others."""
    cells = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    return "\ufeff" + rows_as_csv([headings, *cells])


def printable(text: str) -> str:
    """Return a text that can be written as UTF-8: bytes of a file name that are no text become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
