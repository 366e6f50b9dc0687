"""What of a loss has no meaning for the classes of pixels."""

from __future__ import annotations

from reg_yolo.config.problems import KeyedError, KeyPath
from reg_yolo.config.reg import RegSettings


def pixel_term_faults(reg: RegSettings) -> list[tuple[KeyPath, str]]:
    """Return the key of every term that has no meaning for a softmax over the classes of a pixel, and why."""
    found: list[tuple[KeyPath, str]] = []
    if reg.uncertainty.mode not in ("none", "printed"):
        message = f"{reg.uncertainty.mode} works on a sigmoid of a box's class, and task semantic has neither"
        found.append((("reg", "uncertainty", "mode"), f"{message}; expected none"))
    if reg.dynamic_coefficient.enabled:
        message = "weighs by how well boxes are placed, and task semantic has none; expected false"
        found.append((("reg", "dynamic_coefficient", "enabled"), message))
    if reg.focal.form == "equalized":
        message = "equalized goes by the gradients of sigmoids, and task semantic has a softmax; expected soft"
        found.append((("reg", "focal", "form"), message))
    if reg.focal.balance is not None:
        message = f"{reg.focal.form} balances the signs of sigmoids, and task semantic has a softmax; expected soft"
        found.append((("reg", "focal", "form"), message))
    if reg.alpha.mitigation:
        message = "weighs negatives of sigmoids, and task semantic has a softmax; expected 0"
        found.append((("reg", "alpha", "mitigation"), message))
    if reg.proximal.enabled:
        message = "steps on the last class convolutions of boxes, and task semantic has none; expected false"
        found.append((("reg", "proximal", "enabled"), message))
    return found


def check_pixel_terms(reg: RegSettings) -> None:
    """Refuse the terms of a loss that have no meaning in task semantic.

    Raises:
        KeyedError: With the first that is switched on.
    """
    for key, message in pixel_term_faults(reg):
        raise KeyedError(key, message)
