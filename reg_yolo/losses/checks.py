"""Argument checks shared by the losses: one sentence with what was expected and what was given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Counts = Tensor | Sequence[float]


def check_same_shape(name_a: str, a: Tensor, name_b: str, b: Tensor) -> None:
    """Raise ValueError unless `a` and `b` have one shape: a silent broadcast would change the loss without a word."""
    if a.shape != b.shape:
        raise ValueError(
            f"{name_b} must have the shape of {name_a}: expected {tuple(a.shape)}, got {tuple(b.shape)} "
            f"({name_a} is {tuple(a.shape)})"
        )


def check_last_dims(name: str, tensor: Tensor, *expected: int | None, at_least: int = 0) -> None:
    """Raise ValueError unless the last dimensions of `tensor` are `expected`; None stands for any size."""
    shape = tuple(tensor.shape)
    tail = shape[len(shape) - len(expected) :]
    if len(shape) < max(len(expected), at_least) or any(
        e is not None and e != s for e, s in zip(expected, tail, strict=True)
    ):
        wanted = ", ".join("*" if e is None else str(e) for e in expected)
        raise ValueError(f"{name} must have shape (..., {wanted}), got {shape}")


def check_boxes(pred_boxes: Tensor, target_boxes: Tensor) -> None:
    """Raise ValueError unless both are Tensor[N, 4] with the same N."""
    for name, boxes in (("pred_boxes", pred_boxes), ("target_boxes", target_boxes)):
        if boxes.ndim != 2 or boxes.shape[-1] != 4:
            raise ValueError(f"{name} must have shape (N, 4) in xyxy order, got {tuple(boxes.shape)}")
    check_same_shape("pred_boxes", pred_boxes, "target_boxes", target_boxes)


def check_broadcast(name: str, tensor: Tensor, shape: torch.Size) -> None:
    """Raise ValueError unless `tensor` broadcasts to `shape` without adding to it."""
    sizes = zip(reversed(tensor.shape), reversed(shape), strict=False)
    if tensor.ndim > len(shape) or any(have not in (1, want) for have, want in sizes):
        raise ValueError(f"{name} must broadcast to {tuple(shape)}, got {tuple(tensor.shape)}")


def check_range(name: str, value: float, low: float, high: float | None = None) -> None:
    """Raise ValueError unless low <= value (<= high); NaN never passes."""
    if not value >= low or (high is not None and not value <= high):
        wanted = f">= {low:g}" if high is None else f"in [{low:g}, {high:g}]"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return `tensor` in float32 where it is half precision or integer: exp, log and division overflow in half."""
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    return tensor.float()


def checked_counts(counts: Counts) -> tuple[Tensor, torch.dtype]:
    """Return the counts in float64 and the dtype that the weights are to have."""
    given = torch.as_tensor(counts)
    dtype = given.dtype if isinstance(counts, Tensor) and given.is_floating_point() else torch.float32
    values = given.detach().to(torch.float64)
    if values.ndim != 1:
        raise ValueError(f"counts must have shape (C,), got {tuple(values.shape)}")
    if not bool(torch.isfinite(values).all()) or bool((values < 0).any()):
        raise ValueError(f"counts must be finite and >= 0, got {values.tolist()}")
    if not bool((values > 0).any()):
        raise ValueError(f"counts must have at least one class above 0, got {values.tolist()}")
    return values, dtype
