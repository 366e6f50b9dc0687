"""How a later layer of settings covers an earlier one: a base file, its heir, the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHORT_FORMS = {"reg": "preset", "albumentations": "preset", "sampling": "method"}
"""Sections that one word may stand for, and the key that it means: `reg: gfl` is `reg: {preset: gfl}`."""


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` covered by `above`: mappings are merged key by key, everything else is replaced, lists too.

    A null above a mapping changes nothing, because `train:` with every line below it commented out reads as null.
    """
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            merged[key] = deep_merge(lower, value)
        elif not (isinstance(lower, Mapping) and value is None):
            merged[key] = value
    return merged


def merge_reg(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one `reg` section covered by another.

    A layer that names a preset starts over: what earlier layers wrote below their own preset was meant for that one.
    Explicit class weights and a weighting scheme exclude each other, so the later one of the two removes the earlier.
    """
    if above.get("preset") is not None:
        return dict(above)
    below, above = ({**layer, **_assign_section(layer)} for layer in (below, above))
    merged = deep_merge(below, above)
    alpha, alpha_above = merged.get("alpha"), above.get("alpha")
    if isinstance(alpha, dict) and isinstance(alpha_above, Mapping):
        if alpha_above.get("weights") is not None and "scheme" not in alpha_above:
            alpha["scheme"] = "none"
        elif alpha_above.get("scheme") not in (None, "none") and "weights" not in alpha_above:
            alpha["weights"] = None
    return merged


def _assign_section(reg: Mapping[str, Any]) -> dict[str, Any]:
    """Return the assigner's section where it is given by its kind alone, so that a later layer adds to it."""
    return {"assign": {"kind": reg["assign"]}} if isinstance(reg.get("assign"), str) else {}


def merge_sampling(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one `sampling` section covered by another; a layer that names a method starts over from it."""
    return dict(above) if above.get("method") is not None else deep_merge(below, above)


def merge_layers(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one whole configuration covered by another.

    Some sections may be given by one word (`SHORT_FORMS`). A layer that names two data sets
    side by side starts without the `mask_classes` of earlier ones: without any, they are those of its segmentation set.
    """
    merged = deep_merge(below, above)
    if isinstance(above.get("data"), Mapping) and "mask_classes" not in above:
        merged.pop("mask_classes", None)
    for key, short in SHORT_FORMS.items():
        lower, upper = (_as_section(layer.get(key), short) for layer in (below, above))
        if isinstance(lower, Mapping) and isinstance(upper, Mapping):
            merged[key] = _MERGES.get(key, deep_merge)(lower, upper)
    return merged


_MERGES = {"reg": merge_reg, "sampling": merge_sampling}


def _as_section(value: Any, short: str) -> Any:
    if value is None:
        return {}
    return {short: value} if isinstance(value, str) else value


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key.

    Example:
        >>> flattened({"focal": {"gamma": 1.5}}, "reg.")
        {'reg.focal.gamma': 1.5}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
