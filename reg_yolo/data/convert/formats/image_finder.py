"""Finding the image that an export names: its paths are often those of another machine."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from reg_yolo.data.convert.formats.reading import split_of
from reg_yolo.data.dataset.dataset_yaml import IMAGE_SUFFIXES
from reg_yolo.data.objects.annotations import ImageSource


class ImageFinder:
    """All images below some folders, found by the end of their path.

    Args:
        folders: Folders that are walked, hidden ones left out.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.paths: list[Path] = []
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[Path]] = defaultdict(list)
        for path in sorted({path for folder in folders for path in walk_files(folder)}):
            if path.suffix[1:].lower() in IMAGE_SUFFIXES:
                self.paths.append(path)
                self._by_name[_folded(path.name)].append(path)
                self._by_stem[_folded(path.stem)].append(path)

    def find(self, name: str, near: Path, split: str | None = None) -> tuple[ImageSource | None, str]:
        """Return the image that `name` means, or None and why there is none.

        Args:
            name: As the export has it: a bare name, a relative path or one of another machine, with either slash.
            near: Folder of the file that names it; its images go first.
            split: `train`, `val` or `test`: of several such images, the one in a folder of that split.
        """
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return None, "the export gives the picture no name"
        try:
            direct = near / PurePosixPath(name.replace("\\", "/"))
            if direct.is_file():
                if direct.suffix[1:].lower() in IMAGE_SUFFIXES:
                    return ImageSource(direct), ""
                return None, f"Ultralytics reads no {direct.suffix or 'files without suffix'} pictures"
        except (OSError, ValueError):
            # A name that no file can have: too long, or with a zero byte.
            pass
        return self._best(self._by_name.get(_folded(parts[-1]), []), parts[:-1], near, split)

    def find_stem(self, stem: str, near: Path) -> tuple[ImageSource | None, str]:
        """Return the image whose name without suffix is `stem`, or None and why there is none."""
        return self._best(self._by_stem.get(_folded(stem), []), [], near, None)

    def _best(
        self, candidates: list[Path], folders: list[str], near: Path, split: str | None
    ) -> tuple[ImageSource | None, str]:
        if not candidates:
            return None, "picture not found"
        ranked = sorted(
            (
                -_common_tail(path.parent, folders),
                split is None or split_of(str(path.parent)) != split,
                -_common_head(path, near),
                str(path),
            )
            for path in candidates
        )
        if len(ranked) > 1 and ranked[0][:3] == ranked[1][:3]:
            return None, "several pictures of that name, none nearer than the others"
        return ImageSource(Path(ranked[0][3])), ""


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder in sorted order, hidden files and folders left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root) / name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _common_tail(folder: Path, wanted: list[str]) -> int:
    count = 0
    for have, want in zip(reversed(folder.parts), reversed(wanted), strict=False):
        if _folded(have) != _folded(want):
            break
        count += 1
    return count


def _common_head(path: Path, near: Path) -> int:
    count = 0
    for have, want in zip(path.parts, near.parts, strict=False):
        if have != want:
            break
        count += 1
    return count
