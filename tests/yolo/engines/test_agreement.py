"""The comparison of an export with PyTorch: what passes, and every way to fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reg_yolo.yolo.engines.agreement import compare, time_side_by_side

CLASSES, ANCHORS = 3, 400
INPUTS = [torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64)]


def raw_output(frame: Tensor) -> Tensor:
    """Stand for a network: boxes apart from each other, every fourth with a high score of one class."""
    generator = torch.Generator().manual_seed(int(frame.sum()) % 97)
    index = torch.arange(ANCHORS)
    centers = torch.stack((index % 20 * 32.0 + 16, index // 20 * 32.0 + 16))
    sides = 8 + 16 * torch.rand(2, ANCHORS, generator=generator)
    scores = 0.05 * torch.rand(CLASSES, ANCHORS, generator=generator)
    scores[index % CLASSES, index] += torch.where(index % 4 == 0, 0.6, 0.0)
    return torch.cat((centers, sides, scores))[None]


def changed(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the same network with a change of its output."""
    return lambda frame: change(raw_output(frame).clone())


def shift_scores(by: float) -> Callable[[Tensor], Tensor]:
    """Move all scores."""
    return changed(lambda out: torch.cat((out[:, :4], (out[:, 4:] + by).clamp(0, 1)), 1))


def shift_boxes(by: float) -> Callable[[Tensor], Tensor]:
    """Move all boxes to the right."""
    return changed(lambda out: out + by * torch.eye(4 + CLASSES)[0][None, :, None])


def test_equal_outputs_agree_and_their_boxes_are_counted() -> None:
    found = compare(lambda frame: (raw_output(frame), {}), lambda frame: [raw_output(frame)], INPUTS, CLASSES, "f32")
    assert found.agrees and found.score == found.box_px == 0.0
    assert found.boxes == 200 and found.unmatched == 0 and "200 of 200 final boxes" in found.reason


@pytest.mark.parametrize(
    ("engine", "precision", "agrees", "said"),
    [
        (changed(lambda out: out * 1.000002), "f32", True, "scores within"),
        (shift_scores(0.004), "f32", False, "scores differ"),
        (shift_scores(0.03), "bf16", True, "scores within"),
        (shift_scores(0.08), "bf16", False, "class scores differ by up to 0.08"),
        (shift_scores(0.08), "int8", True, "scores within"),
        (shift_boxes(0.005), "f32", True, "boxes within"),
        (shift_boxes(0.5), "f32", False, "boxes differ by up to 0.5 px"),
        (shift_boxes(0.5), "bf16", True, "boxes within"),
        (shift_boxes(6.0), "f16", False, "boxes differ by up to 6.0 px"),
        (changed(lambda out: out[:, :, :300]), "bf16", False, "outputs have the shapes"),
        (changed(lambda out: out * float("nan")), "int8", False, "not all finite"),
        (changed(lambda out: out[:, [0, 1, 2, 3, 5, 6, 4]]), "bf16", False, "class scores differ"),
        (changed(lambda out: out[:, [0, 1, 2, 3, 5, 6, 4]]), "int8", False, "differ"),
        (changed(lambda out: out.index_fill(1, torch.tensor([6]), 0.0)), "int8", False, "differ"),
    ],
)
def test_tolerance_depends_on_the_precision(
    engine: Callable[[Tensor], Tensor], precision: str, agrees: bool, said: str
) -> None:
    found = compare(raw_output, engine, INPUTS, CLASSES, precision)
    assert found.agrees is agrees and said in found.reason, found


def test_lost_final_boxes_count_although_scores_are_within_tolerance() -> None:
    # Scores of 0.8 become 0.4 in two of three classes, where another class takes over with 0.6.
    def sure(frame: Tensor) -> Tensor:
        out = raw_output(frame).clone()
        out[:, 4:] = torch.where(out[:, 4:] > 0.5, 0.8, 0.2)
        return out

    def torn(frame: Tensor) -> Tensor:
        out = sure(frame)
        out[:, 4:6] = torch.where(out[:, 4:6] > 0.5, 0.4, 0.6)
        return out

    found = compare(sure, torn, INPUTS, CLASSES, "int8")
    assert not found.agrees and "have no partner" in found.reason and found.unmatched > 60


def test_untrained_network_is_told_from_another_by_its_logits() -> None:
    # Scores of 1e-5 leave no box and are all within any absolute tolerance.
    def untrained(seed: int) -> Callable[[Tensor], Tensor]:
        def network(frame: Tensor) -> Tensor:
            out = raw_output(frame).clone()
            noise = torch.randn(CLASSES, ANCHORS, generator=torch.Generator().manual_seed(seed))
            out[:, 4:] = torch.sigmoid(noise - 11.0)
            return out

        return network

    assert compare(untrained(1), untrained(1), INPUTS, CLASSES, "f32").agrees
    found = compare(untrained(1), untrained(2), INPUTS, CLASSES, "f32")
    assert not found.agrees and "logits" in found.reason and found.boxes == 0


@pytest.mark.parametrize("part", [0, 1])
def test_masks_are_compared_where_there_are_some(part: int) -> None:
    def network(spoilt: int | None) -> Callable[[Tensor], list[Tensor]]:
        def run(frame: Tensor) -> list[Tensor]:
            generator = torch.Generator().manual_seed(5)
            coefficients = torch.randn(1, 4, ANCHORS, generator=generator)
            prototypes = torch.randn(1, 4, 16, 16, generator=generator)
            factors = [1.3 if spoilt == index else 1.0 for index in range(2)]
            return [torch.cat((raw_output(frame), factors[0] * coefficients), 1), factors[1] * prototypes]

        return run

    # PyTorch's segmentation model gives both in a tuple, beside what its loss needs.
    assert compare(lambda frame: (tuple(network(None)(frame)), {}), network(None), INPUTS, CLASSES, "f32").agrees
    found = compare(network(None), network(part), INPUTS, CLASSES, "bf16")
    assert not found.agrees and "mask coefficients or prototypes differ" in found.reason


def test_times_are_medians_of_calls_that_take_turns() -> None:
    order: list[str] = []

    def network(name: str) -> Callable[[Tensor], None]:
        return lambda _frame: order.append(name)

    times = time_side_by_side({"a": network("a"), "b": network("b")}, INPUTS, budget_s=0.0)
    assert set(times) == {"a", "b"} and all(0 <= value < 5 for value in times.values())
    assert order[:7] == ["a"] * 7 and order[7:14] == ["b"] * 7 and order[14] == "a"


@pytest.mark.parametrize("precision", ["f32", "bf16", "f16", "int8"])
def test_an_engine_that_finds_nothing_where_pytorch_does_disagrees(precision: str) -> None:
    # Scores that no tolerance of INT8 tells from nothing.
    def faint(frame: Tensor) -> Tensor:
        return torch.cat((raw_output(frame)[:, :4], raw_output(frame)[:, 4:] * 0.6), 1)

    def blind(frame: Tensor) -> Tensor:
        return torch.cat((raw_output(frame)[:, :4], raw_output(frame)[:, 4:] * 0.1), 1)

    found = compare(faint, blind, INPUTS, CLASSES, precision)
    assert not found.agrees
    if precision == "int8":
        assert "finds nothing where PyTorch finds something (100 anchor points over 0.25)" in found.reason


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_an_engine_that_says_the_same_everywhere_disagrees_on_empty_frames(precision: str) -> None:
    def empty(frame: Tensor) -> Tensor:
        return torch.cat((raw_output(frame)[:, :4], 0.04 * raw_output(frame)[:, 4:]), 1)

    def dead(frame: Tensor) -> Tensor:
        return torch.cat((raw_output(frame)[:, :4], torch.full((1, CLASSES, ANCHORS), 1e-3)), 1)

    assert compare(empty, empty, INPUTS, CLASSES, precision).agrees
    found = compare(empty, dead, INPUTS, CLASSES, precision)
    assert not found.agrees and "the same of every place" in found.reason
