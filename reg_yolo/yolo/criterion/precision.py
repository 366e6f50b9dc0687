"""Losses in float32, whatever precision the network was run in.

Under bfloat16, whose step at 40 strides is a quarter of a stride, decoding boxes alone would cost about 0.05 of IoU.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def in_float32(value: Any) -> Any:
    """Return tensors in dictionaries, lists and tuples with those of bfloat16 as float32; all others untouched."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if isinstance(value, dict):
        return {key: in_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(in_float32(item) for item in value)
    return value


def without_bfloat16(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which nothing is computed in bfloat16 on `device`; other autocasts stay as they are."""
    if torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16:
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
