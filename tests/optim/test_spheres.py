"""Filters stay on their spheres, and go where Riemannian AdamW and SGD written out go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from reg_yolo.optim.spheres import SphereConstraint, filter_norms, retraction, tangent_projection
from tests.optim import reference

Build = Callable[[list[nn.Parameter]], Optimizer]
ADAMW: Build = lambda weights: AdamW(weights, lr=0.02, betas=(0.9, 0.999), weight_decay=0.0)  # noqa: E731
NESTEROV: Build = lambda weights: SGD(weights, lr=0.05, momentum=0.9, nesterov=True)  # noqa: E731


def invariant_loss(weight: Tensor, wanted: Tensor) -> Tensor:
    """Return a loss of the filters' directions alone: c w gives what w gives."""
    rows = weight.flatten(1)
    directions = rows / rows.norm(dim=1, keepdim=True)
    return (directions @ wanted.T).sub(0.7).square().sum() + (directions**3).sum()


def filters(dtype: torch.dtype = torch.float64, count: int = 4) -> nn.Parameter:
    generator = torch.Generator().manual_seed(3)
    scales = torch.logspace(-1, 1, count).view(-1, 1, 1, 1)
    return nn.Parameter((torch.randn(count, 2, 3, 3, generator=generator) * scales).to(dtype))


def wanted_directions(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(5, 18, generator=torch.Generator().manual_seed(4)).to(dtype)


@pytest.mark.parametrize(
    ("build", "path_of"),
    [
        (ADAMW, lambda start, gradient: reference.riemannian_adam(start, gradient, 60, lr=0.02)),
        (NESTEROV, lambda start, gradient: reference.riemannian_sgd(start, gradient, 60, lr=0.05)),
    ],
    ids=["RiemannianAdamW", "RiemannianSGD"],
)
def test_the_path_is_that_of_projection_and_retraction_written_out(build: Build, path_of) -> None:
    weight, wanted = filters(), wanted_directions()
    starts = weight.detach().flatten(1).numpy().copy()
    optimizer = build([weight])
    SphereConstraint(optimizer, [weight])
    found = []
    for _ in range(60):
        optimizer.zero_grad()
        invariant_loss(weight, wanted).backward()
        optimizer.step()
        found.append(weight.detach().flatten(1).numpy().copy())

    def gradient(point: np.ndarray) -> np.ndarray:
        # Of the unit direction u: 2 (u a - 0.7) a + 3 u^2, projected on the tangent space and over the norm.
        norm = np.linalg.norm(point)
        unit, rows = point / norm, wanted.numpy()
        outer = 2 * rows.T @ (rows @ unit - 0.7) + 3 * unit**2
        return (outer - np.dot(unit, outer) * unit) / norm

    for row, start in enumerate(starts):
        expected = path_of(start, gradient)
        assert np.abs(expected[-1] - start).max() > 0.01 * np.abs(start).max()
        for ours, theirs in zip(found, expected, strict=True):
            assert ours[row] == pytest.approx(theirs, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("build", [ADAMW, NESTEROV], ids=["AdamW", "SGD"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_norms_are_constant_over_100_steps_where_the_loss_pulls_radially_too(build: Build, layout) -> None:
    weight = nn.Parameter(filters(torch.float32).detach().to(memory_format=layout))
    norms = filter_norms(weight.detach()).double()
    start = weight.detach().clone()
    optimizer = build([weight])
    SphereConstraint(optimizer, [weight])
    largest = torch.zeros(len(weight))
    for _ in range(100):
        optimizer.zero_grad()
        (invariant_loss(weight, wanted_directions(torch.float32)) + (weight * 0.5 - 1).square().sum()).backward()
        optimizer.step()
        now = filter_norms(weight.detach().double())
        assert (now / norms - 1).abs().max() < 1e-6
        momentum = optimizer.state[weight].get("exp_avg", optimizer.state[weight].get("momentum_buffer"))
        radial = (momentum * weight.detach()).sum((1, 2, 3)) / filter_norms(weight.detach())
        largest = torch.maximum(largest, filter_norms(momentum))
        assert (radial.abs() < 1e-5 * largest + 1e-7).all()
    assert (weight - start).abs().amax() > 0.1


@pytest.mark.parametrize("build", [ADAMW, NESTEROV], ids=["AdamW", "SGD"])
def test_at_learning_rate_0_every_bit_stays(build: Build) -> None:
    weight = filters(torch.float32)
    optimizer = build([weight])
    SphereConstraint(optimizer, [weight])
    invariant_loss(weight, wanted_directions(torch.float32)).backward()
    optimizer.step()
    before = weight.detach().clone()
    optimizer.param_groups[0]["lr"] = 0.0
    for _ in range(5):
        optimizer.step()
    assert torch.equal(weight, before)


def test_other_parameters_move_as_without_the_constraint() -> None:
    moved = []
    for constrained in (False, True):
        weight, other = filters(), nn.Parameter(torch.ones(3, dtype=torch.float64))
        optimizer = AdamW([{"params": [weight], "weight_decay": 0.0}, {"params": [other], "weight_decay": 0.1}], lr=0.1)
        if constrained:
            SphereConstraint(optimizer, [weight])
        for _ in range(3):
            optimizer.zero_grad()
            (invariant_loss(weight, wanted_directions()) + other.square().sum()).backward()
            optimizer.step()
        moved.append(other.detach().clone())
    assert torch.equal(*moved)


def test_a_parameter_without_gradient_rests() -> None:
    weight, frozen = filters(), nn.Parameter(filters().detach() * 3, requires_grad=False)
    optimizer = ADAMW([weight, frozen])
    SphereConstraint(optimizer, [weight, frozen])
    before = frozen.detach().clone()
    invariant_loss(weight, wanted_directions()).backward()
    optimizer.step()
    assert torch.equal(frozen, before)


def test_a_filter_of_zeros_is_left_to_the_optimizer() -> None:
    weight = nn.Parameter(torch.cat((torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3))))
    optimizer = ADAMW([weight])
    SphereConstraint(optimizer, [weight])
    for _ in range(2):
        optimizer.zero_grad()
        (weight * torch.linspace(1, 2, 18).view(2, 3, 3)).sum().backward()
        optimizer.step()
    assert weight.isfinite().all()
    # Adam's first two steps by a constant gradient are lr each.
    assert weight[0].detach().flatten().tolist() == pytest.approx([-0.04] * 18, rel=1e-3)
    assert filter_norms(weight.detach())[1].item() == pytest.approx(18**0.5, rel=1e-6)


def test_given_radii_are_taken_up_at_once_and_again_after_weights_from_elsewhere() -> None:
    weight = filters(torch.float32)
    directions = weight.detach() / filter_norms(weight.detach()).view(-1, 1, 1, 1)
    radii = torch.tensor([1.0, 2.0, 3.0, 4.0])
    optimizer = ADAMW([weight])
    constraint = SphereConstraint(optimizer, [weight], [radii])
    assert torch.allclose(weight, directions * radii.view(-1, 1, 1, 1), rtol=1e-6)
    invariant_loss(weight, wanted_directions(torch.float32)).backward()
    optimizer.step()
    with torch.no_grad():
        weight.mul_(0.9).add_(0.01)
    constraint.place()
    assert torch.allclose(filter_norms(weight.detach()), radii, rtol=1e-6)
    radial = (optimizer.state[weight]["exp_avg"] * weight).sum((1, 2, 3))
    assert radial.abs().max() < 1e-6


def test_momentum_of_half_precision_as_a_checkpoint_has_it_is_projected() -> None:
    weight = filters(torch.float32)
    optimizer = NESTEROV([weight])
    constraint = SphereConstraint(optimizer, [weight])
    invariant_loss(weight, wanted_directions(torch.float32)).backward()
    optimizer.step()
    optimizer.state[weight]["momentum_buffer"] = torch.ones_like(weight).half()
    constraint.place()
    momentum = optimizer.state[weight]["momentum_buffer"]
    assert momentum.dtype == torch.float16
    assert torch.allclose(momentum.float(), tangent_projection(weight.detach(), torch.ones_like(weight)), atol=2e-3)


def test_weight_decay_on_spheres_is_refused() -> None:
    weight = filters()
    with pytest.raises(ValueError, match=r"weight_decay of filters on spheres must be 0, got 0\.01"):
        SphereConstraint(AdamW([weight], weight_decay=0.01), [weight])


def test_radii_of_another_shape_are_refused() -> None:
    weight = filters()
    with pytest.raises(ValueError, match=r"radii must have shape \(4,\), got \(3,\)"):
        SphereConstraint(ADAMW([weight]), [weight], [torch.ones(3)])


def test_projection_and_retraction_by_hand() -> None:
    points, vectors = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[3.0, 4.0], [1.0, 1.0]])
    assert tangent_projection(points, vectors).tolist() == [[0.0, 4.0], [1.0, 1.0]]
    moved = retraction(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]]), torch.tensor([10.0]))
    assert moved.tolist() == [[6.0, 8.0]]
