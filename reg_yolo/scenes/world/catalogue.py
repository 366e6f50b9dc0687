"""The seven asset classes, which of them have masks, and how often each one occurs."""

from __future__ import annotations

CLASS_NAMES: tuple[str, ...] = (
    "pavilion",
    "pedestrian_bridge",
    "information_sign",
    "single_arm_pole",
    "bus_stop",
    "warning_sign",
    "concrete_guardrail",
)

PAVILION, PEDESTRIAN_BRIDGE, INFORMATION_SIGN, SINGLE_ARM_POLE, BUS_STOP, WARNING_SIGN, CONCRETE_GUARDRAIL = range(7)

MASK_CLASSES: frozenset[int] = frozenset(
    {PAVILION, PEDESTRIAN_BRIDGE, INFORMATION_SIGN, WARNING_SIGN, CONCRETE_GUARDRAIL}
)
"""Classes whose label rows are polygons; the others (single-arm pole, bus stop) are box-only rows."""

DEFAULT_MIX: tuple[int, ...] = (200, 100, 700, 1500, 50, 800, 300)
"""Counts by class in the paper's detection set (REG section 3), of 3,650 objects."""

SPAN_CLASSES: frozenset[int] = frozenset({PEDESTRIAN_BRIDGE})
"""Classes whose geometry is a span across the road; an overhead information sign is a span as well."""

NO_CLASS = -1
"""Class of everything in the world that is not an asset: trees, cars, unlabelled street furniture."""
