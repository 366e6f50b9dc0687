"""Small images of text for drawing on frames, rendered once and kept.

OpenCV's own fonts have no Thai letters, and Pillow is too slow to be asked for every label of every frame, so each
piece of text is rendered once as coverage (how much of a pixel a letter covers) and pasted from then on.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

# Sarabun SemiBold, SIL Open Font License 1.1 (fonts/OFL.txt): Thai, Latin with its extensions, Vietnamese.
FONT_PATH = Path(__file__).parent / "fonts" / "Sarabun-SemiBold.ttf"

_THAI_TONES = frozenset("\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4d\u0e4e")
_THAI_UPPER_VOWELS = frozenset("\u0e31\u0e34\u0e35\u0e36\u0e37\u0e47\u0e4d")
_THAI_SARA_AM = "\u0e33"
_RAISE_EM = 0.24
_MOST_KEPT = 1024


class TextTiles:
    """Text of one size as arrays of coverage, all of the same height and on the same baseline.

    Args:
        size_px: Font size in pixels.
        samples: Texts to make room for, such as all class names: Thai stacks marks over a letter, and a line that is
            high enough for them fits every piece.
        font_path: A TrueType or OpenType font; by default the one that is shipped.
        complex_layout: Whether to let the Raqm library place marks; by default where Pillow has it.
    """

    def __init__(
        self,
        size_px: int,
        samples: Sequence[str] = (),
        font_path: Path | None = None,
        complex_layout: bool | None = None,
    ) -> None:
        self.size_px = size_px
        self._complex = features.check("raqm") if complex_layout is None else complex_layout
        engine = ImageFont.Layout.RAQM if self._complex else ImageFont.Layout.BASIC
        self._font = ImageFont.truetype(str(font_path or FONT_PATH), size_px, layout_engine=engine)
        boxes = [self._font.getbbox(text) for text in (*samples, "Ag0#")]
        raised = 0 if self._complex else round(_RAISE_EM * size_px)
        stacked = any(_split_stacked_tones(text)[1] for text in samples)
        padding = max(1, size_px // 8)
        self._top = int(min(box[1] for box in boxes)) - padding - (raised if stacked else 0)
        self.height_px = int(max(box[3] for box in boxes)) - self._top + padding
        self._rendered: dict[str, NDArray[np.uint8]] = {}

    def render(self, text: str) -> NDArray[np.uint8]:
        """Return the coverage of `text`, shape (height_px, width), 0 to 255. Kept: do not write to it."""
        if text not in self._rendered:
            if len(self._rendered) == _MOST_KEPT:
                self._rendered.clear()
            self._rendered[text] = self._drawn(text)
        return self._rendered[text]

    def _drawn(self, text: str) -> NDArray[np.uint8]:
        base, tones = (text, []) if self._complex else _split_stacked_tones(text)
        # Kerning and hinting let the last letter reach beyond the advance, so both are asked.
        box = self._font.getbbox(base)
        left = min(0, math.floor(box[0]))
        width = max(1, math.ceil(max(box[2], self._font.getlength(base))) - left)
        picture = Image.new("L", (width, self.height_px), 0)
        pen = ImageDraw.Draw(picture)
        pen.text((-left, -self._top), base, font=self._font, fill=255)
        for before, tone in tones:
            # Without Raqm a tone mark falls on the vowel sign under it and hides; one step higher both can be read.
            place = (-left + self._font.getlength(before), -self._top - _RAISE_EM * self.size_px)
            pen.text(place, tone, font=self._font, fill=255)
        coverage = np.asarray(picture)
        coverage.flags.writeable = False
        return coverage


def _split_stacked_tones(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Take out Thai tone marks that stand over a vowel sign; return the rest and (rest before it, mark) for each."""
    base = ""
    stacked: list[tuple[str, str]] = []
    for index, character in enumerate(text):
        over_vowel = index > 0 and text[index - 1] in _THAI_UPPER_VOWELS
        before_am = index + 1 < len(text) and text[index + 1] == _THAI_SARA_AM
        if character in _THAI_TONES and (over_vowel or before_am):
            stacked.append((base, character))
        else:
            base += character
    return base, stacked
