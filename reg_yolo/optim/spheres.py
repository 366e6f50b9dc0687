"""Steps of an optimizer on spheres: Riemannian AdamW and Riemannian SGD (REG §2.6.1).

The filters of a convolution that feeds a batch norm are scale-invariant: c w gives the loss that w gives, so the
gradient is orthogonal to w and only the direction of w is learned. The manifold M, which the paper does not name, is
here the sphere on which each of these filters starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

# What torch's optimizers call the running mean of the gradient: Adam and its kin, SGD.
MOMENTA = ("exp_avg", "momentum_buffer")


def filter_norms(weight: Tensor) -> Tensor:
    """Return the Euclidean norm of each filter.

    Args:
        weight: Tensor[O, ...], a filter a row.

    Returns:
        Tensor[O].

    Example:
        >>> filter_norms(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([5., 0.])
    """
    return _inner(weight, weight).sqrt().flatten()


def tangent_projection(points: Tensor, vectors: Tensor) -> Tensor:
    """Return the part of each row of `vectors` that is tangent to the sphere at that row of `points`.

    v - (<w, v> / <w, w>) w; at w = 0 it is v itself.

    Args:
        points: Tensor[O, ...], a filter a row.
        vectors: Same shape.

    Example:
        >>> tangent_projection(torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
        tensor([[0., 4.]])
    """
    squared = _inner(points, points)
    share = torch.where(squared > 0, _inner(points, vectors) / squared, 0.0)
    return vectors - share * points


def retraction(points: Tensor, moves: Tensor, radii: Tensor) -> Tensor:
    """Return each row of `points` after its move, renormalised to its radius; a row that does not move keeps its bits.

    R_w(v) = r (w + v) / |w + v|.

    Args:
        points: Tensor[O, ...], a filter a row.
        moves: Same shape, tangent at `points`.
        radii: Tensor[O] >= 0; a row of radius 0 is not renormalised.

    Example:
        >>> retraction(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]]), torch.tensor([5.0]))
        tensor([[3., 4.]])
    """
    moved = points + moves
    norms = _inner(moved, moved).sqrt()
    radii = radii.to(moved).view_as(norms)
    rests = _inner(moves, moves) == 0
    return torch.where(rests | (norms == 0) | (radii == 0), moved, moved * (radii / norms))


class SphereConstraint:
    """Keeps filters on spheres through the steps of any of torch's optimizers.

    The optimizer proposes a move, elementwise as it always does: Adam's direction, or SGD's with momentum. The part of
    it that is tangent at the old point is taken and retracted onto the sphere, and the momentum is projected onto the
    new tangent space. Weight decay would only pull radially, so these filters belong into a group without it.

    It lives in hooks before and after `optimizer.step`: parameters, state and groups are the optimizer's own.

    Attributes:
        weights: The parameters, a filter a row.
        radii: Tensor[O] for each of them. A filter of radius 0 has no direction and is left to the optimizer.
    """

    def __init__(
        self, optimizer: Optimizer, weights: Sequence[nn.Parameter], radii: Sequence[Tensor] | None = None
    ) -> None:
        """Take hold of the parameters' filters.

        Args:
            optimizer: Holds these parameters in groups whose `weight_decay` is 0.
            weights: Parameters of shape [O, ...].
            radii: Tensor[O] for each; None takes the norms that the filters have now. Filters are moved to given ones.

        Raises:
            ValueError: If a radius is missing or too many, or a group of these parameters decays.
        """
        self.optimizer = optimizer
        self.weights = list(weights)
        held = {id(weight) for weight in self.weights}
        for group in optimizer.param_groups:
            if group.get("weight_decay") and any(id(each) in held for each in group["params"]):
                raise ValueError(f"weight_decay of filters on spheres must be 0, got {group['weight_decay']}")
        self.radii = [filter_norms(weight.detach()) for weight in self.weights] if radii is None else list(radii)
        for weight, radius in zip(self.weights, self.radii, strict=True):
            if radius.shape != weight.shape[:1]:
                raise ValueError(f"radii must have shape ({len(weight)},), got {tuple(radius.shape)}")
        self._before: list[Tensor] = []
        if radii is not None:
            self.place()
        optimizer.register_step_pre_hook(self._remember)
        optimizer.register_step_post_hook(self._retract)

    @torch.no_grad()
    def place(self) -> None:
        """Move every filter along its ray onto its sphere, and the momenta into the tangent space there.

        For weights from elsewhere: an average of points of a sphere lies inside it.
        """
        for weight, radius in zip(self.weights, self.radii, strict=True):
            norms = filter_norms(weight)
            scale = torch.where((norms > 0) & (radius > 0), radius.to(norms) / norms, 1.0)
            weight.mul_(_as_rows(scale, weight))
            self._project_momenta(weight, radius)

    @torch.no_grad()
    def _remember(self, *_: Any) -> None:
        self._before = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def _retract(self, *_: Any) -> None:
        for weight, radius, before in zip(self.weights, self.radii, self._before, strict=True):
            move = weight - before
            free = _as_rows(radius == 0, weight)
            tangent = torch.where(free, move, tangent_projection(before, move))
            weight.copy_(retraction(before, tangent, radius))
            self._project_momenta(weight, radius)
        self._before = []

    def _project_momenta(self, weight: nn.Parameter, radius: Tensor) -> None:
        state = self.optimizer.state.get(weight, {})
        for momentum in (state[name] for name in MOMENTA if state.get(name) is not None):
            free = _as_rows(radius == 0, weight)
            momentum.copy_(torch.where(free, momentum, tangent_projection(weight, momentum.to(weight.dtype))))


def _inner(left: Tensor, right: Tensor) -> Tensor:
    """Return the inner product of each pair of rows, shaped to broadcast over them: [O, 1, ...]."""
    return (left * right).sum(tuple(range(1, left.ndim)), keepdim=True)


def _as_rows(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device).view(-1, *[1] * (like.ndim - 1))
