"""Finding the image that an export or a list names: its paths are often those of another machine.

One rule for every format and for the lists of a data-set YAML: a path is taken apart at either slash, drive letter,
server and leading `..` fall away, and the image is found by the end of what is left, whatever the case of its letters
and whether or not it was URL-encoded. Only files below the given folders are found: a path cannot lead out of them.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.files import is_regular

# Upstream lists files by these suffixes (lower-cased) and passes over all others without a word.
IMAGE_SUFFIXES = frozenset(
    {"avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"}
)
NOT_FOUND = "image not found"
LEADS_OUT = "image not found: its path leads out of the export; name its folder as images"
SEVERAL = "several images of that name, none nearer than the others"
_SERVER = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/\\]*")
_DRIVE = re.compile(r"^[A-Za-z]:(?=[/\\]|$)")
# Label Studio serves local files as /data/local-files/?d=FOLDER/NAME.
_QUERY = re.compile(r"^.*/local-files/\?d=")
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")


@dataclass(frozen=True, slots=True)
class FoundImage:
    """Where an image is.

    Attributes:
        path: The file with its name as the file system has it, or None.
        missing: Why it is None.
        agreeing: How many parts of the given path, the file's name included, are those of `path`; 0 where a name was
            given with a suffix and only the rest of it is.
    """

    path: Path | None
    missing: str = ""
    agreeing: int = 0


class ImageFinder:
    """All images below some folders, found by the end of their path.

    Args:
        folders: Folders that are walked, hidden ones left out.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.paths: list[Path] = []
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[Path]] = defaultdict(list)
        self._others: set[str] = set()
        folders = list(folders)
        self._roots = [str(folder.absolute()) for folder in folders]
        # By absolute path: one folder may lie in the other, written differently.
        found = {path.absolute(): path for folder in reversed(folders) for path in walk_files(folder)}
        for path in sorted(found.values()):
            self.add(path)

    def add(self, path: Path) -> None:
        """Add one file; one that is not an image is remembered by its name."""
        if path.suffix[1:].lower() in IMAGE_SUFFIXES:
            self.paths.append(path)
            self._by_name[_key(path.name)].append(path)
            self._by_stem[_key(path.stem)].append(path)
        else:
            self._others.add(_folded(path.name))

    def find(self, name: str, near: Path, split: str | None = None) -> FoundImage:
        """Return the image that `name` means, or why there is none.

        Args:
            name: As the export has it: a bare name, a relative path or one of another machine, with either slash.
            near: Folder of the file that names it; its images go first.
            split: `train`, `val` or `test`: of several such images, the one in a folder of that split.
        """
        parts = path_parts(name)
        if not parts:
            return FoundImage(None, "the export gives the image no name")
        candidates = _alike(self._by_name.get(_key(parts[-1]), []), parts[-1])
        if candidates:
            return self._best(candidates, parts, near, split)
        if _folded(parts[-1]) in self._others:
            suffix = _SUFFIX.search(parts[-1])
            return FoundImage(None, f"Ultralytics reads no {suffix[0] if suffix else 'files without suffix'} images")
        # Written without its suffix (CVAT for the images of a video), or encoded in another format since.
        stem = self._by_stem.get(_key(parts[-1])) or self._by_stem.get(_key(_SUFFIX.sub("", parts[-1])), [])
        if stem:
            found = self._best(stem, parts, near, split)
            return replace(found, agreeing=found.agreeing if _key(parts[-1]) in self._by_stem else 0)
        return FoundImage(None, LEADS_OUT if self._leads_out(name, near) else NOT_FOUND)

    def find_stem(self, stem: str, near: Path, split: str | None = None) -> FoundImage:
        """Return the image whose name without suffix is `stem`, or why there is none."""
        parts = path_parts(stem)
        candidates = self._by_stem.get(_key(parts[-1]), []) if parts else []
        if not candidates:
            return FoundImage(None, NOT_FOUND)
        return self._best(candidates, parts, near, split)

    def _best(self, candidates: Sequence[Path], parts: list[str], near: Path, split: str | None) -> FoundImage:
        tails = [_common_tail(path.parent.parts, parts[:-1]) for path in candidates]
        agreeing = max(tails)
        candidates = [path for path, tail in zip(candidates, tails, strict=True) if tail == agreeing]
        if len(candidates) == 1:
            return FoundImage(candidates[0], agreeing=1 + agreeing)
        written = _folded("/".join(parts))
        ranked = sorted(
            (
                # What stands where the path says, seen from the file that says so.
                _folded(os.path.relpath(path, near)).replace(os.sep, "/") != written,
                split is None or split_of(str(path.parent)) != split,
                # Annotations/day1/0001.xml means JPEGImages/day1/0001.jpg.
                -_common_tail(path.parent.parts, near.parts),
                -_common_head(path.parts, near.parts),
                str(path),
            )
            for path in candidates
        )
        if ranked[0][:4] == ranked[1][:4]:
            return FoundImage(None, SEVERAL)
        return FoundImage(Path(ranked[0][4]), agreeing=1 + agreeing)

    def _leads_out(self, name: str, near: Path) -> bool:
        if ".." not in re.split(r"[/\\]", name):
            return False
        place = os.path.normpath(near.absolute() / name.replace("\\", "/"))
        return not any(place.startswith(root + os.sep) for root in self._roots)


def path_parts(name: str) -> list[str]:
    """Return the folders and the name of a path as an export writes it, in the form that all exports share.

    Example:
        >>> path_parts("C:\\\\Users\\\\me\\\\road\\\\..\\\\day 1\\\\a.jpg")
        ['Users', 'me', 'day 1', 'a.jpg']
        >>> path_parts("../images/a.jpg"), path_parts("https://host/data/a%20b.jpg?X-Sign=1")
        (['images', 'a.jpg'], ['data', 'a%20b.jpg'])
    """
    text = _QUERY.sub("", name.strip().strip("\"'"))
    if _SERVER.match(text):
        # A signed address has its signature behind the name.
        text = _SERVER.sub("", re.split(r"[?#]", text, maxsplit=1)[0])
    text = _DRIVE.sub("", text)
    parts: list[str] = []
    for part in re.split(r"[/\\]", text):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def ends_below(folder: Path, name: str) -> Iterator[tuple[Path, int]]:
    """Yield what is there below a folder at the ends of a path, the longest first, and how many parts each end has.

    The case of letters does not matter where nothing is written exactly so.
    """
    parts = path_parts(name)
    for start in range(len(parts)):
        place: Path | None = folder
        for part in parts[start:]:
            place = _child(place, part) if place is not None else None
        if place is not None:
            yield place, len(parts) - start


def same_path(one: str, other: str) -> bool:
    """Whether two paths of an export can mean one file: the shorter of them is the end of the other."""
    first, second = (list(map(_key, reversed(path_parts(name)))) for name in (one, other))
    return all(a == b for a, b in zip(first, second, strict=False))


def folded_name(name: str) -> str:
    """Return a name as names are compared: in Unicode's composed form, decoded from a URL, in small letters."""
    return _key(name)


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield every regular file below a folder in sorted order, hidden files and folders left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith(".") and is_regular(path):
                yield path


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@lru_cache(maxsize=1 << 16)
def _key(name: str) -> str:
    return _folded(unquote(name))


def _alike(candidates: list[Path], name: str) -> list[Path]:
    """Of images whose names differ in case or encoding, those that are written most as the export writes them."""
    for form in (str, _folded):
        exact = [path for path in candidates if form(path.name) == form(name)]
        if exact:
            return exact
    return candidates


def _child(folder: Path, name: str) -> Path | None:
    exact = folder / name
    if exact.exists():
        return exact
    try:
        return next((path for path in sorted(folder.iterdir()) if _key(path.name) == _key(name)), None)
    except OSError:
        return None


def _common_tail(have: Sequence[str], wanted: Sequence[str]) -> int:
    count = 0
    for one, other in zip(reversed(have), reversed(wanted), strict=False):
        if _key(one) != _key(other):
            break
        count += 1
    return count


def _common_head(have: Sequence[str], wanted: Sequence[str]) -> int:
    count = 0
    for one, other in zip(have, wanted, strict=False):
        if one != other:
            break
        count += 1
    return count
