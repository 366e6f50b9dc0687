"""Telling the format of an export by what is in its files, and reading it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from reg_yolo.config.problems import did_you_mean
from reg_yolo.data.convert.formats.coco import read_coco
from reg_yolo.data.convert.formats.createml import read_createml
from reg_yolo.data.convert.formats.cvat import read_cvat
from reg_yolo.data.convert.formats.datumaro import read_datumaro
from reg_yolo.data.convert.formats.label_studio import read_label_studio
from reg_yolo.data.convert.formats.labelme import read_labelme
from reg_yolo.data.convert.formats.masks import LABELMAP, mask_files, read_masks
from reg_yolo.data.convert.formats.via import read_via
from reg_yolo.data.convert.formats.voc import read_voc
from reg_yolo.data.convert.formats.yolo import NAME_FILES, read_yolo
from reg_yolo.data.dataset.image_finder import ImageFinder, walk_files
from reg_yolo.data.dataset.yaml_files import read_yaml_mapping
from reg_yolo.data.objects.annotations import AnnotatedSet
from reg_yolo.errors import DataError
from reg_yolo.files import open_regular

_READERS: dict[str, Callable[[Sequence[Path], Path, ImageFinder], AnnotatedSet]] = {
    "coco": read_coco,
    "cvat": read_cvat,
    "labelme": read_labelme,
    "voc": read_voc,
    "yolo": read_yolo,
    "label-studio": read_label_studio,
    "via": read_via,
    "datumaro": read_datumaro,
    "createml": read_createml,
    "masks": read_masks,
}
# What is recognised to be refused in words that help.
_FOREIGN = {
    "cvat-backup": "a CVAT backup, which is for CVAT alone; export the task as 'CVAT for images 1.1' (or 'for video')",
    "coco-panoptic": "COCO panoptic, which keeps its masks elsewhere; export COCO instances",
    "supervisely": "Supervisely's own format; export COCO or Pascal VOC there",
}
FORMATS = tuple(_READERS)
_SNIFFED_BYTES = 65_536
_LARGEST_YAML = 1_000_000


def read_annotations(source: Path, source_format: str | None = None, images: Path | None = None) -> AnnotatedSet:
    """Read an export of any known format.

    Args:
        source: A folder, or one file of it.
        source_format: `coco`, `cvat`, `labelme`, `voc` or `yolo`; None recognises it.
        images: A further folder in which images are looked for.

    Raises:
        DataError: If nothing is recognised, several formats are, or a file is malformed.
    """
    if source_format is not None and source_format not in _READERS:
        hint = did_you_mean(source_format, FORMATS)
        raise DataError(f"source_format: got {source_format!r}, expected {', '.join(FORMATS)}.{hint}")
    if not source.exists():
        raise DataError(f"{source} does not exist.")
    if images is not None and not images.is_dir():
        raise DataError(f"images: {images} is not a folder")
    root = source if source.is_dir() else _folder_of(source)
    found = {source_format: [source]} if source_format and source.is_file() else recognise(source)
    if source_format == "masks":
        found = {"masks": mask_files(source)}
    chosen = source_format or _only(found, source)
    if not found.get(chosen):
        raise DataError(f"{source} holds nothing of the format {chosen!r}; it holds {_listed(found) or 'none known'}.")
    finder = ImageFinder([root, *([images] if images is not None else [])])
    if source.is_dir() and chosen in ("labelme", "voc"):
        found[chosen] = sorted({*found[chosen], *_cut_off(source, finder, found)})
    result = _READERS[chosen](found[chosen], root, finder)
    if source.is_file() and chosen in ("labelme", "voc"):
        # The other images of the folder have files of their own, which were not asked for.
        result.images = [image for image in result.images if image.annotation_file == source]
    return result


def recognise(source: Path) -> dict[str, list[Path]]:
    """Return the annotation files of a folder, or the one file, by format.

    Of several files that describe a YOLO set, `data.yaml` is preferred, then other YAMLs, then names beside labels.
    """
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in walk_files(source) if source.is_dir() else [source]:
        kind = _kind(path)
        if kind is not None:
            found[kind].append(path)
    if len(found["yolo"]) > 1:
        for wanted in (lambda p: p.name in ("data.yaml", "data.yml"), lambda p: p.suffix in (".yaml", ".yml")):
            preferred = [path for path in found["yolo"] if wanted(path)]
            if preferred:
                found["yolo"] = preferred
                break
    # A labelmap.txt, or names beside masks where no label file is.
    named = found["yolo"] and all(path.name in NAME_FILES for path in found["yolo"])
    if source.is_dir() and (not any(found.values()) or (named and not _has_labels(source))):
        masks = mask_files(source)
        if masks and (masks[0].name == LABELMAP or named):
            return {"masks": masks}
    return {kind: paths for kind, paths in found.items() if paths}


def _cut_off(source: Path, finder: ImageFinder, found: dict[str, list[Path]]) -> list[Path]:
    """Files beside an image of their name that are of no format: what is in it is not known, but it is not nothing."""
    suffix = ".json" if "labelme" in found else ".xml"
    known = {path for paths in found.values() for path in paths}
    stems = {path.with_suffix("") for path in finder.paths}
    files = (path for path in walk_files(source) if path.suffix.lower() == suffix and path not in known)
    return [path for path in files if path.with_suffix("") in stems]


def _has_labels(source: Path) -> bool:
    return any(path.suffix == ".txt" and path.name not in NAME_FILES for path in walk_files(source))


def _folder_of(source: Path) -> Path:
    """The folder to look for images in: COCO and VOC keep their annotations in a folder beside them."""
    parent = source.parent
    return parent.parent if parent.name.casefold() == "annotations" and source.suffix != ".yaml" else parent


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _json_kind(path)
    if suffix == ".xml":
        text = _sniffed(path)
        root = re.search(
            r"<\s*([A-Za-z_][\w.-]*)", re.sub(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>", "", text, flags=re.S)
        )
        return {"annotations": "cvat", "annotation": "voc"}.get(root.group(1)) if root else None
    if suffix in (".yaml", ".yml") and path.stat().st_size < _LARGEST_YAML:
        try:
            content = read_yaml_mapping(path)
        except DataError:
            # Broken, but the only file that was named: its reader says what is wrong.
            return "yolo" if path.stem == "data" else None
        splits = ("train", "val", "validation", "test")
        return "yolo" if "names" in content and any(split in content for split in splits) else None
    return "yolo" if path.name in NAME_FILES else None


def _json_kind(path: Path) -> str | None:
    text = _sniffed(path)

    def has(*keys: str) -> bool:
        return any(re.search(rf'"{key}"\s*:', text) for key in keys)

    if text.lstrip("\ufeff \t\r\n").startswith("["):
        if has("shapes", "tracks") and has("version", "frame"):
            return "cvat-backup"
        if has("coordinates") and not has("result"):
            return "createml"
        regions = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels")
        return "label-studio" if has("result", "completions", "file_upload", *regions) else None
    if has("_via_img_metadata") or (has("regions") and has("shape_attributes", "file_attributes")):
        return "via"
    if has("shapes"):
        return "labelme"
    if has("items") and has("categories") and not has("images"):
        return "datumaro"
    if has("segments_info"):
        return "coco-panoptic"
    if has("classTitle") and has("objects"):
        return "supervisely"
    # Label Studio's notes.json beside classes.txt has categories and nothing else.
    whole = path.stat().st_size <= 2 * _SNIFFED_BYTES
    return "coco" if has("annotations", "images") or (has("categories") and not whole) else None


def _sniffed(path: Path) -> str:
    """Beginning and end of a file as text; the keys that tell a format are in one of them."""
    try:
        with open_regular(path) as stream:
            content = stream.read(_SNIFFED_BYTES)
            end = stream.seek(0, 2)
            stream.seek(max(len(content), end - _SNIFFED_BYTES))
            content += stream.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")


def _only(found: dict[str, list[Path]], source: Path) -> str:
    if not found:
        raise DataError(
            f"{source} holds no annotations that are recognised; expected COCO JSON, CVAT XML, Labelme JSON, "
            "Pascal VOC XML, the JSON of Label Studio, VIA, Datumaro or CreateML, mask images with a labelmap.txt, or "
            "YOLO labels with a data.yaml, obj.names or classes.txt."
        )
    known = {kind: paths for kind, paths in found.items() if kind not in _FOREIGN}
    if not known:
        kind, paths = next(iter(found.items()))
        raise DataError(f"{paths[0]} is {_FOREIGN[kind]}")
    found = known
    if len(found) > 1:
        raise DataError(f"{source} holds more than one format: {_listed(found)}; choose one as source_format")
    return next(iter(found))


def _listed(found: dict[str, list[Path]]) -> str:
    return ", ".join(
        f"{kind} ({paths[0].name}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''})"
        for kind, paths in found.items()
    )
