"""Ten questions of a new reader: the index leads to each answer in one click, and the answer is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import ROOT

INDEX = (ROOT / "docs/index.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+\?) \| \[[^\]]+\]\(([^)]+)\) \|$", INDEX, re.MULTILINE))
# What the page that a question leads to has to say.
ANSWERS = {
    "Can it read what my labelling tool exports?": ("CVAT", "COCO", "Labelme", "Label Studio"),
    "How do I get from labels and a week of video to a list of assets?": (
        "reg-yolo data convert", "reg-yolo train", "reg-yolo predict", "reg-yolo inventory build", "week",
    ),
    "Is this loss better than the stock one on my data?": ("reg-yolo compare", "reference: stock", "inconclusive"),
    "What has it been shown to do, and what not?": ("worse, also after Holm", "inconclusive", "cannot be concluded"),
    "What does this loss compute, and when does it help?": (
        "```math", "**Helps**", "**Does not help**", "images/losses/",
    ),
    "What do mAP, F1, threshold and chainage mean?": ("**mAP50", "**F1.**", "**Threshold.**", "**Chainage.**"),
    "Which key sets this, what values does it take, what is its default?": ("`focal.gamma`", "default", "`stock`"),
    "What is `yolo train`'s argument X here?": ("`epochs`", "`imgsz`", "`resume`"),
    "How do I call it from a notebook?": ("reg_yolo.train(", "reg_yolo.predict(", "reg_yolo.val("),
    "Can faces and number plates be kept out of what is stored?": ("--blur", "## Privacy", "fails closed"),
}  # fmt: skip


@pytest.mark.parametrize("question", ANSWERS)
def test_the_index_leads_to_the_answer(question: str) -> None:
    target, _, anchor = ROWS[question].partition("#")
    page = (ROOT / "docs" / target).read_text(encoding="utf-8")
    assert not [words for words in ANSWERS[question] if words not in page]
    assert not anchor or re.search(rf"^#+ {anchor}$", page, re.IGNORECASE | re.MULTILINE)


def test_all_questions_of_the_index_are_asked() -> None:
    assert set(ROWS) == set(ANSWERS)
