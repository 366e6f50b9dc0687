"""What frames of videos and images are called in a data set or a labelling tool."""

from __future__ import annotations

from pathlib import Path


class FrameNames:
    """File names in a labelling tool: the own ones, with the folder in front where two would be the same.

    Attributes:
        video_stems: By video, what the names of its frames begin with.
    """

    def __init__(self) -> None:
        self.video_stems: dict[Path, str] = {}
        self._taken: set[str] = set()
        self._prefixes: set[str] = set()

    def of(self, source: Path, frame: int | None) -> str:
        """Return the name of an image, or of a frame: the video's name and six digits, as CVAT counts frames."""
        if frame is None:
            stem, suffix = self._free(source, source.stem, self._taken), source.suffix
        else:
            if source not in self.video_stems:
                self.video_stems[source] = self._free(source, source.stem, self._prefixes)
            numbered = f"{self.video_stems[source]}_{frame:06d}"
            stem, suffix = self._free(source, numbered, self._taken), ".jpg"
        return f"{stem}{suffix}"

    @staticmethod
    def _free(source: Path, stem: str, taken: set[str]) -> str:
        """Return a stem that is not taken, and take it."""
        if stem.casefold() in taken and source.parent.name:
            stem = f"{source.parent.name}__{stem}"
        base, number = stem, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{base}_{number}"
        taken.add(stem.casefold())
        return stem
