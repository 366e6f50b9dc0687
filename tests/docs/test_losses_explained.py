"""The page of the losses: each preset and box loss is on it, with equation, figure, use and limits."""

from __future__ import annotations

import re

import pytest
import torch

from reg_yolo.config.presets import PRESETS
from tests.docs.commands import ROOT
from tests.docs.scripts import script

PAGE = (ROOT / "docs/losses_explained.md").read_text(encoding="utf-8")
PLOTS = script("plot_losses")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))
# A pointer to other pages.
WITHOUT_LOSS = {"Next to the loss"}


@pytest.mark.parametrize("title", sorted(SECTIONS.keys() - WITHOUT_LOSS))
def test_each_loss_has_an_equation_and_says_when_it_helps_and_when_not(title: str) -> None:
    body = SECTIONS[title]
    assert "```math" in body
    assert re.search(r"^- \*\*Helps?\*\*|^- \*\*Helps:\*\*", body, re.MULTILINE)
    assert re.search(r"^- \*\*(Does|Do) not help:?\*\*", body, re.MULTILINE)
    # The stock loss is the line of gamma 0 in the next figure.
    assert "images/losses/" in body or title.startswith("Binary cross-entropy")


def test_each_preset_is_explained() -> None:
    # reg_v1 is reg as it was, blog and cle stand in the titles of their own losses.
    missing = [name for name in PRESETS if f"`{name}`" not in PAGE and name != "reg_v1"]
    assert not missing


def test_each_figure_is_drawn_from_curves_that_exist_and_shown_once() -> None:
    shown = re.findall(r"images/losses/(\w+)\.png", PAGE)
    assert sorted(shown) == sorted(PLOTS.FIGURES)
    files = sorted(PLOTS.FOLDER.glob("*.png"))
    assert [path.stem for path in files] == sorted(PLOTS.FIGURES)
    assert sum(path.stat().st_size for path in files) < 1_000_000


@pytest.mark.parametrize("name", PLOTS.FIGURES)
def test_curves_are_finite_and_the_second_is_the_slope_of_the_first(name: str) -> None:
    panels = PLOTS.FIGURES[name]()
    assert len(panels) % 2 == 0
    for panel in panels:
        for label, (x, y) in panel.curves.items():
            assert x.shape == y.shape and torch.isfinite(y).all(), f"{name}: {label}"
    value, slope = panels[:2]
    if not slope.y.startswith("derivative") or value.y != "value":
        return
    for label, (x, y) in value.curves.items():
        by_logit = slope.y.endswith("logit")
        points = torch.logit(x) if by_logit else x
        measured = (y[2:] - y[:-2]) / (points[2:] - points[:-2])
        given = slope.curves[label][1][1:-1]
        # Kinks, and weights that carry no gradient, are where both differ.
        assert label.startswith("Focal-EIoU") or ((measured - given).abs() < 0.05).double().mean() > 0.95, label
