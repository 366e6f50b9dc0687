"""`diagnosis.html`: errors, groups, the worst images and label hints in one file that works offline."""

from __future__ import annotations

import base64
import html
import math
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from reg_yolo.diagnosis.conditions import Condition
from reg_yolo.diagnosis.images import FOUND, NOT_FOUND, WRONG, Colour, crop_of
from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.evaluation.error_kinds import KINDS
from reg_yolo.evaluation.label_hints import HINT_KINDS, LabelHint
from reg_yolo.files import replace_text
from reg_yolo.text_tables import visible

MOST_CROPS = 60
_BAR_REM = 14
_MEANING = {
    "classification": "right place (IoU from 0.5), wrong class",
    "localisation": "right class, but the box is off (IoU 0.1 to 0.5)",
    "both": "wrong class and the box is off",
    "duplicate": "the object is already found by a more confident detection",
    "background": "nothing labelled there (IoU up to 0.1)",
    "missed": "no detection is about the object",
}
_HINTS = {
    "missing": "found, but not labelled",
    "unfound": "labelled, but hardly found",
    "box": "the boxes disagree",
    "class": "another class is found",
}


def write_page(path: Path, diagnosis: Diagnosis, hints: Sequence[LabelHint], sheet: Path | None) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        diagnosis: What is shown.
        hints: Those in the files next to the page; the first 60 are shown with a cut-out each.
        sheet: Contact sheet of the worst images, which becomes part of the page.
    """
    parts = [*_head(diagnosis), *_kinds(diagnosis)]
    parts.append("<h2>Where it happens</h2>")
    parts.append(
        '<p class="note">Found and wrong are counted at the thresholds of the best F1. The columns of kinds say how '
        "many points of mAP50 over all images that kind of error costs in that group; darker costs more.</p>"
    )
    costs = [cost for condition in diagnosis.conditions for row in condition.rows for cost in row.costs]
    dearest = max(filter(math.isfinite, costs), default=0.0)
    parts += [_condition(condition, dearest) for condition in diagnosis.conditions]
    if sheet is not None:
        parts += _worst(sheet)
    parts += _label_hints(diagnosis, hints)
    template = resources.files("reg_yolo.diagnosis").joinpath("page.html").read_text(encoding="utf-8")
    title = _escaped(f"What {diagnosis.title} gets wrong")
    # The body last: names in it may look like a mark of the template.
    replace_text(path, template.replace("/*TITLE*/", title).replace("/*BODY*/", "\n".join(parts)))


def _head(diagnosis: Diagnosis) -> list[str]:
    analysis = diagnosis.analysis
    objects, found = len(analysis.object_class), int(analysis.found_when_shown.sum())
    wrong = int(analysis.wrong_when_shown.sum())
    return [
        f"<p>Split {_escaped(diagnosis.split)} of {_escaped(diagnosis.data)}: {len(analysis.results)} images, "
        f"{objects} objects. mAP50 {analysis.map50:.1f} %. At the thresholds of the best F1 {found} objects are found, "
        f"{objects - found} are not, and {wrong} detections are wrong.</p>",
        *(f'<p class="note">{_escaped(note)}.</p>' for note in diagnosis.notes),
    ]


def _kinds(diagnosis: Diagnosis) -> list[str]:
    rows = diagnosis.summary_rows()
    dearest = max(cost for *_, cost in rows) or 1.0
    lines = [
        _row(
            [
                _escaped(name),
                _MEANING[name],
                str(shown),
                str(every),
                f'<span class="bar" style="width:{_BAR_REM * cost / dearest:.2f}rem"></span>',
                _points(cost),
            ],
            words=(0, 1, 4),
        )
        for name, shown, every, cost in rows
    ]
    head = _row(["Error", "", "At thresholds", "In all", "", "Costs mAP50"], words=(0, 1, 4), element="th")
    return [
        "<h2>Kinds of error</h2>",
        f'<div class="wide"><table id="errors">{head}{"".join(lines)}</table></div>',
        '<p class="note">The six kinds of TIDE (Bolya et al., 2020). A cost is how much mAP50 rises when only errors '
        "of that kind are corrected; the costs do not add up. In all: every detection that counts for mAP50, "
        "however weak.</p>",
    ]


def _condition(condition: Condition, dearest: float) -> str:
    head = _row([condition.name.capitalize(), "Objects", "Found", "Wrong", *KINDS], words=(0,), element="th")
    lines = []
    for row in condition.rows:
        share = f"{100 * row.found / row.objects:.0f} %" if row.objects else "–"
        cells = [_escaped(row.name), str(row.objects), share, str(row.wrong), *map(_points, row.costs)]
        shades = [0.0] * 4 + [cost / dearest if dearest and math.isfinite(cost) else 0.0 for cost in row.costs]
        lines.append(_row(cells, words=(0,), shades=shades))
    text = condition.text[:1].upper() + condition.text[1:]
    return (
        f'<h3>By {_escaped(condition.name)}</h3><p class="note">{_escaped(text)}.</p>'
        f'<div class="wide"><table>{head}{"".join(lines)}</table></div>'
    )


def _worst(sheet: Path) -> list[str]:
    return [
        "<h2>The worst images</h2>",
        f'<p class="note">{_swatch(FOUND)}found {_swatch(NOT_FOUND)}labelled and not found {_swatch(WRONG)}wrong '
        "detection, at the thresholds.</p>",
        f'<img class="sheet" alt="The worst images" src="{_embedded(sheet.read_bytes())}">',
    ]


def _label_hints(diagnosis: Diagnosis, hints: Sequence[LabelHint]) -> list[str]:
    counts = Counter(hint.kind for hint in diagnosis.hints)
    choices = "".join(
        f'<label><input type="checkbox" checked value="{kind}"> {_HINTS[kind]} ({counts[kind]})</label>'
        for kind in HINT_KINDS
    )
    cards = [_card(diagnosis, rank, hint) for rank, hint in enumerate(hints[:MOST_CROPS], start=1)]
    return [
        "<h2>Labels to review</h2>",
        f'<p class="note">{_swatch(NOT_FOUND)}labelled {_swatch(WRONG)}found. The most doubtful first; the files '
        "label_hints.csv (all), label_hints.jsonl and label_hints.coco.json next to this page hold more. A hint is not "
        "proof: the network may be wrong, and it judges labels badly that it was trained on.</p>",
        f'<p id="kinds">{choices}<span id="count"></span></p>',
        f'<div class="hints">{"".join(cards)}</div>',
    ]


def _card(diagnosis: Diagnosis, rank: int, hint: LabelHint) -> str:
    path = diagnosis.analysis.results[hint.image].path
    picture = crop_of(path, hint)
    image = "" if picture is None else f'<img alt="" loading="lazy" src="{_embedded(picture)}">'
    place = Path(diagnosis.place_of(hint)).name
    return (
        f'<div class="hint" data-kind="{hint.kind}">{image}<b>{rank}. {_HINTS[hint.kind]}</b>'
        f'{_escaped(diagnosis.reason_of(hint))}<div class="place">{_escaped(place)}</div></div>'
    )


def _row(cells: Sequence[str], words: Sequence[int], element: str = "td", shades: Sequence[float] | None = None) -> str:
    marked = []
    for number, cell in enumerate(cells):
        kind = ' class="words"' if number in words else ""
        shade = 0.0 if shades is None else shades[number]
        style = f' style="background:rgba(213,94,0,{0.6 * shade:.2f})"' if shade >= 0.02 else ""
        marked.append(f"<{element}{kind}{style}>{cell}</{element}>")
    return f"<tr>{''.join(marked)}</tr>"


def _swatch(colour: Colour) -> str:
    blue, green, red = colour
    return f'<span class="swatch" style="border-color:rgb({red},{green},{blue})"></span>'


def _embedded(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"


def _points(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"


def _escaped(text: str) -> str:
    return html.escape(visible(text))
