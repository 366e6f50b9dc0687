"""What all readers do with the entries of an export: name an image, skip a bad object, merge entries of one image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reg_yolo.data.dataset.image_finder import FoundImage, ImageFinder, same_path
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ImageSource, Remark
from reg_yolo.errors import DataError

BAD_OBJECT = "object that cannot be read"
BAD_FILE = "annotation file that cannot be read"
OTHER_SUFFIX = "image found under another suffix"
MERGED = "several entries mean this image: their objects are taken together"
LISTED_TWICE = "image that a list names twice: written once"
_TAKEN = "image not found: the one of that name is another entry's"
_CONTRADICTING = "several entries from different folders mean this image"
_OTHER_SIZES = "several entries of different sizes mean this image"


def new_image(
    name: str,
    annotation_file: Path,
    found: FoundImage,
    size: tuple[float, float] | None = None,
    split: str | None = None,
) -> AnnotatedImage:
    """Return the entry of an image as it was found, with a remark where its suffix is another one."""
    image = AnnotatedImage(name, annotation_file, None, size, split, missing=found.missing, agreeing=found.agreeing)
    if found.path is not None:
        image.source = ImageSource(found.path)
        if not found.agreeing:
            image.left_out.append(Remark("changed", name, f"({found.path.name})", "", OTHER_SUFFIX))
    return image


@contextmanager
def bad_object_skipped(
    remarks: list[Remark], file: str, place: str, where: str, class_name: str = "", reason: str = BAD_OBJECT
) -> Iterator[None]:
    """Turn the error of one object into a remark that names it; the others are read.

    Args:
        remarks: Where the remark is added.
        file: The file or image that the remark names.
        place: The object in it.
        where: The full place with which the error begins; it is not repeated.
        class_name: The object's class, where it is known.
        reason: What is counted.
    """
    try:
        yield
    except DataError as error:
        detail = str(error).removeprefix(where).lstrip(": ").rstrip(".")
        remarks.append(Remark("dropped", file, f"{place} ({detail})", class_name, reason))


def files_read_one_by_one(
    files: Sequence[Path], result: AnnotatedSet, finder: ImageFinder, read: Callable[[Path], AnnotatedImage]
) -> None:
    """Read formats of one file an image; a file that cannot be read is named, and its image counts as lost.

    Raises:
        DataError: That of the first file, if none can be read.
    """
    first: DataError | None = None
    for path in files:
        try:
            result.images.append(read(path))
        except DataError as error:
            first = first or error
            found = finder.find_stem(path.stem, path.parent)
            image = AnnotatedImage(path.name, path, None, missing=BAD_FILE, unread=found.path)
            image.detail = f"({str(error).removeprefix(str(path)).lstrip(': ').rstrip('.')})"
            result.images.append(image)
    if first is not None and all(image.missing == BAD_FILE for image in result.images):
        raise first


def described_images(result: AnnotatedSet) -> set[Path]:
    """Return the images that have a file of their own, be it one that cannot be read."""
    paths = {image.source.path for image in result.images if image.source is not None}
    return paths | {image.unread for image in result.images if image.unread is not None}


def merge_entries(result: AnnotatedSet) -> None:
    """Make one image of several entries that mean one file, in place.

    Entries of one path, or of paths of which one is the end of the other, are one image: their objects come together.
    An entry that fits its path less than another one's does, or not by its suffix, is another image that is missing.
    Where folders or sizes contradict each other nobody knows whose objects they are, so that none of them is used.
    """
    groups: defaultdict[tuple[str | None, Path, int | None], list[AnnotatedImage]] = defaultdict(list)
    for image in result.images:
        if image.source is not None:
            groups[(image.split, image.source.path, image.source.frame)].append(image)
    gone: set[int] = set()
    for entries in groups.values():
        if len(entries) > 1:
            gone |= _merge(entries)
    result.images = [image for image in result.images if id(image) not in gone]
    of_path: defaultdict[Path, set[str]] = defaultdict(set)
    for split, path, frame in groups:
        if frame is None:
            of_path[path].add(split or "train")
    shared = [path for path, splits in of_path.items() if len(splits) > 1]
    if shared:
        result.notes.append(f"Images that stand in several splits: {len(shared)}, such as {shared[0].name}.")


def _merge(entries: list[AnnotatedImage]) -> set[int]:
    """Merge entries of one file into the first that fits; return the ids of those that are gone."""
    best = max(entries, key=lambda image: image.agreeing)
    alike = [image for image in entries if image.agreeing and same_path(image.name, best.name)]
    if not best.agreeing:
        alike = [image for image in entries if same_path(image.name, best.name)]
    for image in entries:
        if not any(image is other for other in alike):
            if image.agreeing == best.agreeing == 1:
                return _refuse(entries, _CONTRADICTING)
            if image.agreeing == best.agreeing > 1:
                # Absolute paths of two machines that end in the same folder.
                alike.append(image)
            else:
                _refuse([image], _TAKEN)
    if len({image.size for image in alike if image.size is not None}) > 1:
        return _refuse(alike, _OTHER_SIZES)
    first, *others = [image for image in entries if any(image is other for other in alike)]
    for image in others:
        if image.normalized and image.annotation_file == first.annotation_file:
            # A list that names an image twice: there is one label file.
            first.left_out.append(Remark("changed", first.name, "", "", LISTED_TWICE))
            continue
        own = "" if image.annotation_file == first.annotation_file else f"{image.annotation_file.name}: "
        for item in image.objects:
            item.place = own + item.place
        first.objects += image.objects
        first.left_out += image.left_out
        first.size = first.size or image.size
        if image.objects or image.annotation_file == first.annotation_file:
            place = image.annotation_file.name if own else image.name
            first.left_out.append(Remark("changed", first.name, f"({place})", "", MERGED))
    return {id(image) for image in others}


def _refuse(entries: list[AnnotatedImage], reason: str) -> set[int]:
    for image in entries:
        image.source, image.missing = None, reason
    return set()
