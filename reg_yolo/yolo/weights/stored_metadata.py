"""Whether what reg_yolo stored beside weights has the form that its readers count on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _all(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (list, tuple)) and all(test(item) for item in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _or_none(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


_FORMS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "task": ("detect, segment, joint or semantic", lambda value: value in ("detect", "segment", "joint", "semantic")),
    "reg": ("keys and values", _is_mapping),
    "suppression": ("stock, soft or balanced", lambda value: value in ("stock", "soft", "balanced")),
    "rescore": ("none, dfl or spread", lambda value: value in ("none", "dfl", "spread")),
    "class_counts": ("a list of numbers", _all(_is_number)),
    "scale": ("a number", _or_none(_is_number)),
    "mask_scale": ("a number", _or_none(_is_number)),
    "dual": ("keys and values", _or_none(_is_mapping)),
    "mask_dual": ("keys and values", _or_none(_is_mapping)),
    "deviations": ("a list of numbers", _or_none(_all(_is_number))),
    "mask_classes": ("a list of names", _all(_is_text)),
    "lambda_seg": ("a number", _is_number),
    "thresholds": ("keys and values", _or_none(_is_mapping)),
    "calibration": ("keys and values", _or_none(_is_mapping)),
    "data_state": ("keys and values", _is_mapping),
    "radii": (
        "lists of numbers by name",
        lambda value: _is_mapping(value) and all(map(_all(_is_number), value.values())),
    ),
    "model": ("a name", _is_text),
}


def metadata_fault(metadata: Mapping[str, Any]) -> str:
    """Return what is wrong with the form of stored metadata, empty where nothing is.

    Example:
        >>> metadata_fault({"task": "detect", "class_counts": [1, "2"]})
        "class_counts: expected a list of numbers, got [1, '2']"
    """
    if metadata and metadata.get("task") == "joint" and "mask_classes" not in metadata:
        return "mask_classes: missing, which a joint network needs"
    for key, (expected, test) in _FORMS.items():
        if key in metadata and not test(metadata[key]):
            shown = repr(metadata[key])
            return f"{key}: expected {expected}, got {shown if len(shown) <= 60 else shown[:57] + '...'}"
    return ""
