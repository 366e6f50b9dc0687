"""From an annotation tool's export to one data set: `reg-yolo data convert`.

Every object keeps its class by name and its geometry: an outline becomes a polygon row, a box a box row. What cannot
be trained on is left out, counted and named in `conversion.csv`; nothing is replaced by something that only looks like
a label, such as the rectangle that other converters write for an object without an outline.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reg_yolo.config.problems import did_you_mean
from reg_yolo.data.convert.classes import ClassPlan, plan_classes
from reg_yolo.data.convert.cleaning import ROW_CHOICES, CleaningRules, hides_objects, place_objects, select_objects
from reg_yolo.data.convert.formats.recognise import read_annotations
from reg_yolo.data.convert.image_files import ImageReader
from reg_yolo.data.convert.image_names import image_stems
from reg_yolo.data.convert.report import ASKED, DROPPED, REPORT_NAME, ConversionSummary
from reg_yolo.data.dataset.image_finder import NOT_FOUND
from reg_yolo.data.export.formats import EXPORT_FORMATS, dataset_writer
from reg_yolo.data.export.writer import LabelledImage
from reg_yolo.data.images.opened import OpenedImage
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ObjectAnnotation, Remark
from reg_yolo.data.objects.orientation import EXIF_CHOICES, upright_size
from reg_yolo.errors import DataError, MediaError
from reg_yolo.files import whole_folder

# Images hardly shrink in a zip, labels by ten times.
_ALWAYS_UNPACKED, _MOST_TIMES = 2_000_000_000, 100
EMPTIED = "none of its objects can be used"


def convert_dataset(
    source: str | Path,
    out: str | Path,
    *,
    source_format: str | None = None,
    to: str = "yolo",
    rows: str = "mixed",
    images: str | Path | None = None,
    rename: Mapping[str, str] | None = None,
    drop: Iterable[str] = (),
    classes: Sequence[str] | None = None,
    background: bool = False,
    drop_difficult: bool = False,
    keep_crowd: bool = False,
    exif: str = "auto",
    link: bool = False,
    strict: bool = False,
    max_unpacked_gb: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ConversionSummary:
    """Convert an export of an annotation tool into one set.

    Args:
        source: A folder, a zip of one, or one JSON, XML or YAML file.
        out: The folder to be made; it appears when it is complete.
        source_format: One of `formats.recognise.FORMATS`, such as `coco` or `cvat`; None recognises it.
        to: `yolo` for images/, labels/ and data.yaml, or what a labelling tool imports: `coco`, `cvat`,
            `label-studio`, `labelme`.
        rows: `mixed` writes outlines and boxes as they are, for joint training; `boxes` the box around every outline,
            for detection; `polygons` leaves out what has a box only, for segmentation.
        images: A further folder in which images are looked for.
        rename: New class name by old one; several may become one.
        drop: Classes to leave out, by their old names.
        classes: All classes of the result in their order; None keeps the source's order.
        background: Keep images without objects. An image whose objects were all found unusable is not background.
        drop_difficult: Leave out what Pascal VOC calls difficult; such objects are real, and are kept otherwise.
        keep_crowd: Take COCO's crowd regions as objects; CVAT exports brush masks as such.
        exif: What labels of EXIF-rotated images refer to: `auto`, `upright` or `raw` (see `orientation`).
        link: Hard-link images that need no change instead of copying them.
        strict: Raise if anything would be left out that the arguments do not ask for.
        max_unpacked_gb: Gigabytes that a zip may unpack to; None allows 2 GB, or 100 times the zip where that is more.
        progress: Called with the images done and to do.

    Raises:
        DataError: If the source is not understood, an argument names what there is not, or nothing is left to write.
    """
    source, out = Path(source), Path(out)
    for parameter, value, known in (
        ("to", to, EXPORT_FORMATS),
        ("rows", rows, ROW_CHOICES),
        ("exif", exif, EXIF_CHOICES),
    ):
        if value not in known:
            raise DataError(f"{parameter}: got {value!r}, expected {', '.join(known)}.{did_you_mean(value, known)}")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{out} lies inside {source}; name a folder outside of it.")
    with whole_folder(out) as folder, _unpacked(source, folder, max_unpacked_gb) as unpacked:
        annotated = read_annotations(unpacked, source_format, Path(images) if images is not None else None)
        lost = [*annotated.remarks, *(remark for image in annotated.images for remark in image.left_out)]
        if not annotated.class_names and classes is None and any(remark.kind == DROPPED for remark in lost):
            # Nothing but objects that cannot be read: say which.
            _refuse_losses(ConversionSummary(out, "", [], remarks=lost), source, strict)
        plan = plan_classes(annotated.class_names, rename or {}, drop, classes, annotated.empty_roots)
        summary = ConversionSummary(out, annotated.format_name, plan.names)
        summary.remarks, summary.notes = annotated.remarks, annotated.notes
        summary.images_lost = annotated.images_lost
        rules = CleaningRules(keep_crowd, drop_difficult, rows, exif)
        writer = dataset_writer(to, folder, plan.names, link=link)
        try:
            for image, stem, picture, objects in _usable(
                annotated, plan, rules, summary, background=background, progress=progress
            ):
                split = image.split or "train"
                size = upright_size(*picture.size, picture.orientation)
                writer.add(LabelledImage(f"{stem}{picture.suffix}", size, objects, split, picture))
                summary.count(split, objects, [(item.class_name, bool(item.parts)) for item in objects])
            _refuse_losses(summary, source, strict)
            summary.result = out / writer.finish().relative_to(folder)
        finally:
            writer.close()
        (folder / REPORT_NAME).write_text(summary.as_csv(), encoding="utf-8")
    return summary


def _usable(
    annotated: AnnotatedSet,
    plan: ClassPlan,
    rules: CleaningRules,
    summary: ConversionSummary,
    *,
    background: bool,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[AnnotatedImage, str, OpenedImage, list[ObjectAnnotation]]]:
    """Yield every image that is to be written, with its new name and its objects in pixels."""
    reader = ImageReader()
    stems = image_stems(annotated.images)
    try:
        for done, (image, stem) in enumerate(zip(annotated.images, stems, strict=True), start=1):
            objects, remarks = select_objects(image, plan, rules)
            picture, fault = None, ""
            if image.source is None:
                # With or without objects: nobody asked for it to be left out.
                fault = image.missing or NOT_FOUND
            elif objects or (background and not hides_objects(remarks)):
                picture, fault = reader.read(image)
                if picture is not None:
                    objects, more, fault = place_objects(image, objects, picture, rules)
                    remarks += more
            hidden = hides_objects(remarks)
            if fault:
                summary.images_lost += 1
                remarks.append(Remark(DROPPED, image.name, image.detail, "", fault))
            elif picture is not None and (objects or (background and not hidden)):
                yield image, stem, picture, objects
            elif hidden:
                kind = DROPPED if any(remark.kind == DROPPED for remark in remarks) else ASKED
                remarks.append(Remark(kind, image.name, "", "", EMPTIED))
            else:
                summary.unlabelled += 1
            summary.remarks += remarks
            if progress is not None:
                progress(done, len(annotated.images))
    finally:
        reader.close()


def _refuse_losses(summary: ConversionSummary, source: Path, strict: bool) -> None:
    losses = [remark for remark in summary.remarks if remark.kind == DROPPED]
    shown = [f"  {r.file} {r.place}".rstrip() + f": {r.reason}" for r in losses[:5]]
    shown += [f"  ... and {len(losses) - 5} more"] if len(losses) > 5 else []
    if not summary.images:
        hint = "" if losses else " No image has an object; background keeps images without."
        raise DataError("\n".join([f"{source}: nothing is left to write.{hint}", *shown]))
    if strict and losses:
        raise DataError("\n".join([f"{source}: strict, and {len(losses)} things would be left out:", *shown]))


@contextmanager
def _unpacked(source: Path, beside: Path, max_unpacked_gb: float | None) -> Iterator[Path]:
    """Yield the source itself, or the folder that a zip was unpacked into for the time being."""
    if source.suffix.lower() != ".zip" or not source.is_file():
        yield source
        return
    automatic = max(_ALWAYS_UNPACKED, _MOST_TIMES * source.stat().st_size)
    most_bytes = automatic if max_unpacked_gb is None else int(max_unpacked_gb * 1e9)
    folder = Path(tempfile.mkdtemp(prefix=f"{beside.name}.zip.", dir=beside.parent))
    try:
        try:
            with _opened_zip(source) as archive:
                _unpack(archive, source, folder, most_bytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
            raise DataError(f"{source} cannot be unpacked: {error}.") from None
        try:
            yield folder
        except (DataError, MediaError) as error:
            raise type(error)(str(error).replace(str(folder), str(source))) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: zipfile.ZipFile, source: Path, folder: Path, most_bytes: int) -> None:
    """Unpack an archive whose folders may be parted by backslashes, after a look at the sizes that it declares."""
    entries = archive.infolist()
    size = sum(entry.file_size for entry in entries)
    free = shutil.disk_usage(folder).free
    if size > most_bytes:
        raise DataError(
            f"{source} unpacks to {size / 1e9:.1f} GB, more than the {most_bytes / 1e9:.1f} GB that are allowed for "
            "it; max_unpacked_gb allows more"
        )
    if size > free:
        raise DataError(f"{source} unpacks to {size / 1e9:.1f} GB, and {folder.parent} has {free / 1e9:.1f} GB left")
    for entry in entries:
        # zipfile takes out what leads out of the folder; a backslash it takes for a letter.
        entry.filename = entry.filename.replace("\\", "/")
        archive.extract(entry, folder)


def _opened_zip(source: Path) -> zipfile.ZipFile:
    """Open a zip whose names may be marked as UTF-8, or be UTF-8 (macOS) or Thai Windows' code page without a mark."""
    for encoding in ("utf-8", "cp874"):
        try:
            return zipfile.ZipFile(source, metadata_encoding=encoding)
        except UnicodeDecodeError:
            continue
    return zipfile.ZipFile(source)
