"""Where the sources of detections lie now."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from reg_yolo.errors import MediaError


class SourceFiles:
    """Finds the files that detections were made from.

    Args:
        folders: Where they may lie, folders in them included. A source that is not there is taken where its own path
            says.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._by_name: dict[str, list[Path]] = {}
        known: set[str] = set()
        for folder in folders:
            for place, inner, names in os.walk(folder, followlinks=True):
                # Folders that are named twice, and links that lead back, hold the same files once more.
                real = os.path.realpath(place)
                if real in known:
                    inner.clear()
                    continue
                known.add(real)
                for name in names:
                    self._by_name.setdefault(name, []).append(Path(place) / name)

    def find(self, source: str) -> Path:
        """Return the file of a source; of several of its name, the one whose folders are named like the source's.

        Raises:
            MediaError: If there is none, or several that are alike.
        """
        parts = re.split(r"[\\/]", source)
        alike = self._by_name.get(parts[-1], [])
        ends = [_common_end(parts, path) for path in alike]
        best = sorted(path for path, length in zip(alike, ends, strict=True) if length == max(ends))
        if len(best) > 1:
            raise MediaError(f"{source}: {best[0]} and {best[1]} may both be meant")
        if best:
            return best[0]
        # Unlike Path.is_file, this is False too where a folder is closed to us or no name can be so long.
        if not os.path.isfile(source):  # noqa: PTH113
            raise MediaError(f"{source} is not there")
        return Path(source)


def _common_end(parts: Sequence[str], path: Path) -> int:
    pairs = list(zip(reversed(parts), reversed(path.parts), strict=False))
    return next((n for n, (one, other) in enumerate(pairs) if one != other), len(pairs))
