"""Tables of text cells, aligned for a terminal or as Markdown. The first column is left-aligned, all others right."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence


def display_width(text: str) -> int:
    """Return how many columns of a terminal `text` takes: Thai vowel signs take none, Chinese characters two.

    Example:
        >>> display_width("ป้าย"), display_width("道路")
        (3, 4)
    """
    width = 0
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def text_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table with columns padded to their widest cell, without a final line break.

    Example:
        >>> print(text_table(["class", "AP"], [["sign", "0.61"], ["wall", "0.3"]]))
        class    AP
        sign   0.61
        wall    0.3
    """
    lines = [[visible(cell) for cell in line] for line in [headings, *rows]]
    widths = [max(display_width(line[column]) for line in lines) for column in range(len(headings))]
    rendered = []
    for line in lines:
        fills = [" " * (width - display_width(cell)) for cell, width in zip(line, widths, strict=True)]
        cells = [line[0] + fills[0], *(fill + cell for fill, cell in zip(fills[1:], line[1:], strict=True))]
        rendered.append("  ".join(cells).rstrip())
    return "\n".join(rendered)


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return the table as Markdown, without a final line break.

    Example:
        >>> print(markdown_table(["class", "AP"], [["bus_stop", "0.61"]]))
        | class | AP |
        |:---|---:|
        | bus\_stop | 0.61 |
    """
    escaped = [[escape_markdown(cell) for cell in line] for line in [headings, *rows]]
    return markdown_rows(escaped[0], escaped[1:])


def markdown_rows(headings: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Return a table of cells that are Markdown already, without a final line break.

    Args:
        headings: One for each column.
        rows: Cells, with as many columns.
        text_columns: How many columns from the left are aligned left; the others are numbers, aligned right.
    """
    rendered = ["| " + " | ".join(line) + " |" for line in [headings, *rows]]
    rendered.insert(1, "|" + ":---|" * text_columns + "---:|" * (len(headings) - text_columns))
    return "\n".join(rendered)


def escape_markdown(text: str) -> str:
    r"""Escape what would end a cell, start emphasis, a link or HTML, as class names with underscores do.

    Example:
        >>> escape_markdown("bus_stop")
        'bus\\_stop'
    """
    text = visible(text)
    for character in "\\|*_`[]":
        text = text.replace(character, f"\\{character}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def visible(text: str, keep: str = "") -> str:
    r"""Return a text with characters that steer a terminal or turn the order of writing as codes that can be read.

    Names of files and classes come from others, and may hold escape sequences that set a terminal's title, move its
    cursor or turn the direction of writing.

    Args:
        text: Whatever is to be shown.
        keep: Characters that stay as they are, such as line breaks and tabs.

    Example:
        >>> visible("sign\x1b[2J")
        'sign\\x1b[2J'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if character not in keep and _steers(character) else character
        for character in text
    )


def _steers(character: str) -> bool:
    # Cf holds the joiners of Thai and Indian scripts too; of it only those count that turn the order of writing.
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING


_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# What a spreadsheet takes for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(value: object) -> object:
    """Return a value for a cell of CSV: text that a spreadsheet would run as a formula gets an apostrophe before it.

    Numbers stay as they are, also where they are text. Characters that steer a terminal become codes.

    Example:
        >>> [csv_cell(value) for value in ("=1+1", "-0.5", -0.5, "@sign", "wall")]
        ["'=1+1", '-0.5', -0.5, "'@sign", 'wall']
    """
    if not isinstance(value, str):
        return value
    formula = value.startswith(_FORMULA) and not _is_number(value)
    return ("'" if formula else "") + visible(value)


def how_many(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun, `many` where it is not 1; without it with an s.

    Example:
        >>> how_many(1, "drive"), how_many(2, "drive"), how_many(0, "stretch", "stretches")
        ('1 drive', '2 drives', '0 stretches')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with Unix line ends, their cells made safe by `csv_cell`."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([csv_cell(cell) for cell in row] for row in rows)
    return stream.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
