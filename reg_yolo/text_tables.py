"""Tables of text cells, aligned for a terminal or as Markdown. The first column is left-aligned, all others right."""

import unicodedata
from collections.abc import Sequence


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
    lines = [headings, *rows]
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
    r"""Escape what would end a cell or start emphasis, as class names with underscores do.

    Example:
        >>> escape_markdown("bus_stop")
        'bus\\_stop'
    """
    for character in "\\|*_`":
        text = text.replace(character, f"\\{character}")
    return text
