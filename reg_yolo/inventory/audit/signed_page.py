"""report.pdf: the audit on pages to be signed, set by matplotlib, which comes with the package anyway."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from reg_yolo.drawing.text_tiles import FONT_PATH
from reg_yolo.files import replace_bytes
from reg_yolo.inventory.audit.estimates import FAIL, NOT_ENOUGH, PASS
from reg_yolo.inventory.audit.judging import Judgement
from reg_yolo.inventory.audit.report import HEADINGS, METHOD, facts, reasons, shown
from reg_yolo.text_tables import display_width, visible

_WIDTH, _HEIGHT = 8.27, 11.69
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.08, 0.92, 0.94, 0.075
_LINE = 0.0165
_COLOURS = {PASS: "#1a7f37", FAIL: "#b42318", NOT_ENOUGH: "#9a6700"}
# Left edges of the columns of limits, as shares of the text's width; numbers end where the next column begins.
_COLUMNS = (0.0, 0.115, 0.335, 0.395, 0.475, 0.545, 0.615, 0.755, 0.885)
_LONGEST_CLASS = 24
_FONT = "reg_yolo"
_SIGNERS = {
    1: (("Auditor",), ("For the contractor", "For the agency")),
    2: (("Auditor A", "Auditor B"), ("For the contractor", "For the agency")),
}
"""Who signs, in rows, by how many people check."""


def write_pdf(path: Path, judgement: Judgement) -> None:
    """Write the report as PDF, A4, with places to sign on its first page."""
    with matplotlib.rc_context(_fonts()):
        replace_bytes(path, set_pages(judgement).content())


def set_pages(judgement: Judgement) -> _Pages:
    """Set the report's pages."""
    pages = _Pages(f"Acceptance audit {judgement.plan.audit}")
    _first_page(pages, judgement)
    _details(pages, judgement)
    return pages


def _fonts() -> dict[Any, Any]:
    """Settings under which all is set in the font that ships with the package, Thai and Latin alike; letters that it
    lacks are matplotlib's own font's.
    """
    if not any(font.name == _FONT for font in font_manager.fontManager.ttflist):
        for weight in (400, 700):
            # One weight serves as both; a name of its own keeps it apart from fonts of the machine.
            entry = font_manager.FontEntry(fname=str(FONT_PATH), name=_FONT, weight=weight, size="scalable")
            font_manager.fontManager.ttflist.append(entry)
    # Type 42 keeps letters as letters. Thai ones with marks above or below are copied twice and more: matplotlib 3.11,
    # which sets the marks where they belong, leads each part of such a group back to all of its letters.
    return {"font.family": [_FONT, "DejaVu Sans"], "pdf.fonttype": 42, "text.usetex": False}


class _Pages:
    """Text that flows over pages from top to bottom."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.figures: list[Figure] = []
        self.y = 0.0
        self.new_page()

    def new_page(self) -> None:
        figure = Figure(figsize=(_WIDTH, _HEIGHT))
        FigureCanvasPdf(figure)
        self.figures.append(figure)
        self.y = _TOP

    def room(self, lines: float) -> bool:
        """Whether so many lines fit; a new page is begun where they do not."""
        if self.y - lines * _LINE >= _BOTTOM:
            return True
        self.new_page()
        return False

    def put(self, x: float, text: str, *, size: float = 8.5, weight: str = "normal", colour: str = "black") -> None:
        """Put text on the line; x is a share of the text's width."""
        self.figures[-1].text(
            _LEFT + x * (_RIGHT - _LEFT), self.y, visible(text), fontsize=size, fontweight=weight, color=colour,
            va="top", parse_math=False,
        )  # fmt: skip

    def step(self, lines: float = 1.0) -> None:
        self.y -= lines * _LINE

    def rule(self, colour: str = "#999999") -> None:
        self.figures[-1].add_artist(Line2D([_LEFT, _RIGHT], [self.y, self.y], linewidth=0.6, color=colour))

    def heading(self, text: str) -> None:
        self.step(0.6)
        self.room(3)
        self.put(0, text, size=11, weight="bold")
        self.step(1.5)

    def paragraph(self, text: str, *, x: float = 0.0, size: float = 8.5, letters: int = 124) -> None:
        for line in textwrap.wrap(text, letters) or [""]:
            self.room(1)
            self.put(x, line, size=size)
            self.step()

    def content(self) -> bytes:
        """Return the file, pages numbered."""
        stream = io.BytesIO()
        with PdfPages(stream, metadata={"Title": self.title, "Creator": "reg-yolo"}) as pdf:
            for number, figure in enumerate(self.figures, start=1):
                figure.text(_LEFT, 0.04, self.title, fontsize=7.5, color="#555555", parse_math=False)
                figure.text(_RIGHT, 0.04, f"{number} of {len(self.figures)}", fontsize=7.5, color="#555555", ha="right")
                pdf.savefig(figure)
        return stream.getvalue()


def _first_page(pages: _Pages, judgement: Judgement) -> None:
    pages.put(0, "Acceptance audit of a road asset inventory", size=16, weight="bold")
    pages.step(2.2)
    pages.put(0, f"Audit {judgement.plan.audit}", size=10, colour="#555555")
    pages.step(1.6)
    colour = _COLOURS[judgement.verdict]
    height = 2.6 * _LINE
    pages.figures[-1].add_artist(
        Rectangle((_LEFT, pages.y - height), _RIGHT - _LEFT, height, facecolor=colour, edgecolor="none", alpha=0.12)
    )
    pages.step(0.55)
    pages.put(0.02, f"Verdict: {judgement.verdict.upper()}", size=15, weight="bold", colour=colour)
    pages.step(3.0)
    _table(pages, judgement, judgement.over_all())
    for line in reasons(judgement):
        pages.paragraph(line, size=8)
    pages.step(0.4)
    pages.paragraph(METHOD, size=7.5, letters=145)
    pages.heading("What was audited, by whom")
    for name, text in facts(judgement):
        lines = textwrap.wrap(text, 98) or [""]
        pages.room(len(lines))
        pages.put(0, name, size=8.5, colour="#555555")
        for line in lines:
            pages.put(0.23, line)
            pages.step()
    _signatures(pages, judgement.plan.terms.checkers)


def _signatures(pages: _Pages, checkers: int) -> None:
    """Places for names, dates and signatures, in two columns."""
    pages.heading("Signatures")
    pages.room(12)
    for row in _SIGNERS[checkers]:
        for column, who in enumerate(row):
            pages.put(column * 0.53, who, weight="bold")
        pages.step(2.0)
        for field in ("Name", "Date and signature"):
            for column in range(len(row)):
                start = _LEFT + (column * 0.53) * (_RIGHT - _LEFT)
                end = start + 0.47 * (_RIGHT - _LEFT)
                line = Line2D([start, end], [pages.y, pages.y], linewidth=0.6, color="black")
                pages.figures[-1].add_artist(line)
            pages.step(0.25)
            for column in range(len(row)):
                pages.put(column * 0.53, field, size=7, colour="#555555")
            pages.step(1.85)


def _details(pages: _Pages, judgement: Judgement) -> None:
    pages.new_page()
    if judgement.by_class():
        pages.put(0, "By class", size=11, weight="bold")
        pages.step(1.5)
        _table(pages, judgement, judgement.by_class())
    if judgement.notes:
        pages.heading("Notes")
        for note in judgement.notes:
            lines = textwrap.wrap(visible(note), 124)
            pages.room(len(lines))
            pages.put(0, "–")
            for line in lines:
                pages.put(0.02, line)
                pages.step()


def _table(pages: _Pages, judgement: Judgement, rows: Sequence[object]) -> None:
    _head(pages)
    for row in judgement.rows:
        if row not in rows:
            continue
        if not pages.room(1.2):
            _head(pages)
        cells = shown(row, judgement)
        cells[1] = _cut(visible(cells[1]))
        for number, (x, cell) in enumerate(zip(_COLUMNS, cells, strict=True)):
            last = number == len(cells) - 1
            pages.put(
                x, cell, size=8, weight="bold" if last else "normal",
                colour=_COLOURS[row.verdict] if last else "black",
            )  # fmt: skip
        pages.step(1.15)
    pages.rule()
    pages.step(0.6)


def _head(pages: _Pages) -> None:
    for x, title in zip(_COLUMNS, HEADINGS, strict=True):
        pages.put(x, title, size=7.5, colour="#555555")
    pages.step(1.1)
    pages.rule()
    pages.step(0.35)


def _cut(name: str) -> str:
    """A class's name as far as its column reaches."""
    while display_width(name) > _LONGEST_CLASS:
        name = name.removesuffix("…")[:-1] + "…"
    return name
