"""The proximal step against its closed form."""

from __future__ import annotations

import pytest
import torch

from reg_yolo.optim.proximal import proximal_step


def quadratic(points):
    """G = 1/2 sum of c (theta - a)^2, with c = 1, 3 and a = 5, -1."""
    curvature, centre = torch.tensor([1.0, 3.0]).double(), torch.tensor([5.0, -1.0]).double()
    (point,) = points
    return 0.5 * (curvature * (point - centre).square()).sum(), [curvature * (point - centre)]


START = torch.tensor([2.0, 2.0]).double()


def test_many_steps_reach_the_prox() -> None:
    strength = 0.3
    (found,) = proximal_step([START], quadratic, strength, steps=200, inner_lr=0.5)
    # (theta - start) / strength + c (theta - a) = 0
    expected = [(2 + 0.3 * 1 * 5) / (1 + 0.3 * 1), (2 + 0.3 * 3 * -1) / (1 + 0.3 * 3)]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_one_whole_step_is_a_gradient_step_of_the_strength() -> None:
    (found,) = proximal_step([START], quadratic, 0.1, steps=1, inner_lr=1.0)
    assert found.tolist() == pytest.approx([2 - 0.1 * (2 - 5), 2 - 0.1 * 3 * (2 + 1)])


def test_two_steps_by_hand() -> None:
    (found,) = proximal_step([START], quadratic, 0.1, steps=2, inner_lr=0.5)
    first = 2 - 0.5 * 0.1 * (2 - 5)
    second = first - 0.5 * ((first - 2) + 0.1 * (first - 5))
    assert found[0].item() == pytest.approx(second)


def test_g_falls() -> None:
    (found,) = proximal_step([START], quadratic, 0.05, steps=3, inner_lr=0.5)
    assert quadratic([found])[0] < quadratic([START])[0]


@pytest.mark.parametrize(("strength", "steps"), [(0.0, 3), (0.5, 0)])
def test_at_strength_0_and_without_steps_it_is_the_identity(strength: float, steps: int) -> None:
    (found,) = proximal_step([START], quadratic, strength, steps, inner_lr=0.5)
    assert torch.equal(found, START)


def test_a_step_that_is_not_finite_leaves_every_point() -> None:
    def broken(points):
        return points[0].sum(), [torch.ones_like(points[0]), torch.full_like(points[1], torch.nan)]

    starts = [START, START + 1]
    assert all(map(torch.equal, proximal_step(starts, broken, 0.1, 1, 0.5), starts))


@pytest.mark.parametrize(("strength", "steps", "inner_lr"), [(-1, 1, 0.5), (1, -1, 0.5), (1, 1, 0.0), (1, 1, 1.5)])
def test_numbers_out_of_range_are_refused(strength: float, steps: int, inner_lr: float) -> None:
    with pytest.raises(ValueError, match=r"inner_lr in \(0, 1\]"):
        proximal_step([START], quadratic, strength, steps, inner_lr)
