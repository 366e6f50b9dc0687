"""Text from files in tables: nothing steers a terminal, runs in a spreadsheet or becomes HTML."""

from __future__ import annotations

import csv
import io

import pytest

from reg_yolo.text_tables import csv_cell, csv_text, escape_markdown, markdown_table, text_table, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("wall", "wall"),
        ("ป้ายเตือน", "ป้ายเตือน"),
        ("हिन्दी\u200dक", "हिन्दी\u200dक"),
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("a\nb\tc", r"a\nb\tc"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("a\u2028b\x9b2J", r"a\u2028b\x9b2J"),
        ("a\udcffb", r"a\udcffb"),
    ],
)
def test_characters_that_steer_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert shown in text_table(["name"], [[text]])


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@sum", "'@sum"),
        ("+1+1", "'+1+1"),
        ("-cmd", "'-cmd"),
        ("-0.5", "-0.5"),
        ("+1e-5", "+1e-5"),
        ("-inf", "-inf"),
        (-3, -3),
        (None, None),
        ("a=b", "a=b"),
    ],
)
def test_formulas_are_text(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


def test_rows_come_back() -> None:
    rows = [["name", "count"], ['a "b", c', 3], ["=1", -1.5]]
    assert list(csv.reader(io.StringIO(csv_text(rows)))) == [["name", "count"], ['a "b", c', "3"], ["'=1", "-1.5"]]


def test_markdown_holds_no_html_and_no_links() -> None:
    assert escape_markdown("<script>a&b</script>[x](javascript:y)|_z_") == (
        r"&lt;script&gt;a&amp;b&lt;/script&gt;\[x\](javascript:y)\|\_z\_"
    )
    assert "<" not in markdown_table(["<b>"], [["<img src=x>"]])
