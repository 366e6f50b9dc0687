"""The pages of a report: tables, chart and panel as one Markdown file and as one HTML file with its pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

from reg_yolo.evaluation.comparability import NOT_COMPARABLE
from reg_yolo.evaluation.paper_tables import PaperTable
from reg_yolo.text_tables import escape_markdown

_STYLE = """
body { font-family: system-ui, "Noto Sans Thai", sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; margin: 0.5rem 0; }
th, td { padding: 0.2rem 0.8rem; text-align: right; }
th { border-bottom: 1px solid; }
.words { text-align: left; }
.note { color: #555; font-size: 0.9rem; margin: 0.2rem 0; }
.doubt { color: #a00; }
img { max-width: 100%; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes:
        title: Stands above it.
        file_name: Where it lies beside the Markdown page.
        content: The file's bytes for the HTML page.
        media_type: Such as ``image/png``.
        text: Sentences that say what it shows.
    """

    title: str
    file_name: str
    content: bytes
    media_type: str
    text: Sequence[str] = ()


def markdown_page(
    title: str, tables: Sequence[PaperTable], by_class: Sequence[PaperTable], pictures: Sequence[Picture]
) -> str:
    """Return the report as Markdown; the pictures are named, not part of it."""
    parts = [f"# {escape_markdown(title)}", *(table.as_markdown().rstrip() for table in tables)]
    for picture in pictures:
        heading = escape_markdown(picture.title)
        parts += [f"## {heading}", *(escape_markdown(text) for text in picture.text)]
        parts.append(f"![{heading}]({picture.file_name})")
    parts += ["## By class", *(table.as_markdown().rstrip() for table in by_class)]
    return "\n\n".join(parts) + "\n"


def html_page(
    title: str, tables: Sequence[PaperTable], by_class: Sequence[PaperTable], pictures: Sequence[Picture]
) -> str:
    """Return the report as one HTML file that needs no other."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(_html_table(table) for table in tables)]
    for picture in pictures:
        data = base64.b64encode(picture.content).decode("ascii")
        parts.append(f"<h2>{html.escape(picture.title)}</h2>")
        parts += [f'<p class="note">{html.escape(text)}</p>' for text in picture.text]
        parts.append(f'<img alt="{html.escape(picture.title)}" src="data:{picture.media_type};base64,{data}">')
    parts += ["<h2>By class</h2>", *(_html_table(table) for table in by_class)]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _html_table(table: PaperTable) -> str:
    words = table.text_columns
    rows = table.styled(html.escape, lambda text: f"<b>{html.escape(text)}</b>")
    headings = [html.escape(heading) for heading in table.all_headings]
    lines = [f"<h3>{html.escape(table.title)}</h3>", "<table>", _html_row("th", headings, words)]
    lines += [_html_row("td", row, words) for row in rows]
    lines.append("</table>")
    for note in table.notes:
        kind = "note doubt" if note.startswith(NOT_COMPARABLE) else "note"
        lines.append(f'<p class="{kind}">{html.escape(note)}</p>')
    return "\n".join(lines)


def _html_row(element: str, cells: Sequence[str], words: int) -> str:
    marks = [f'<{element} class="words">'] * words + [f"<{element}>"] * (len(cells) - words)
    return "<tr>" + "".join(f"{mark}{cell}</{element}>" for mark, cell in zip(marks, cells, strict=True)) + "</tr>"
