"""Whether what a contract asks for, and how it is to be checked, fit each other."""

from __future__ import annotations

import math

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.audit.plan import Terms


def check_terms(terms: Terms) -> None:
    """Refuse terms that do not fit each other.

    Raises:
        ConfigError: Naming the option.
    """
    for name in ("recall", "precision", "position_share", "confidence", "power"):
        value = getattr(terms, name)
        if not 0 < value < 1:
            raise ConfigError(f"--{name.replace('_', '-')}: expected a share between 0 and 1, got {value:g}")
    for name in ("recall", "precision"):
        if not getattr(terms, name) < getattr(terms, f"expected_{name}") <= 1:
            raise ConfigError(
                f"--expected-{name}: expected a share above --{name} {getattr(terms, name):g} and at most 1, "
                f"got {getattr(terms, f'expected_{name}'):g}"
            )
    if not terms.position_share < terms.expected_position <= 1:
        raise ConfigError(
            f"--expected-position: expected a share above --position-share {terms.position_share:g} and at most 1, "
            f"got {terms.expected_position:g}"
        )
    for name in ("position_m", "stretch_m", "reach_m", "within_m"):
        if not 0 < getattr(terms, name) < math.inf:
            raise ConfigError(f"--{name[:-2]}: expected metres above 0, got {getattr(terms, name):g}")
    if terms.reach_m * 2 >= terms.stretch_m:
        raise ConfigError(
            f"--reach {terms.reach_m:g}: expected less than half of a stretch of {terms.stretch_m:g} m (--stretch)"
        )
    if not 0 <= terms.clustering < 1:
        raise ConfigError(f"--clustering: expected a correlation from 0 to below 1, got {terms.clustering:g}")
    if terms.each_class < 0:
        raise ConfigError(f"--each-class: expected 0 or more, got {terms.each_class}")
    if terms.checkers not in (1, 2):
        raise ConfigError(f"--checkers: expected 1 or 2, got {terms.checkers}")
    if terms.seed < 0:
        raise ConfigError(f"--seed: expected 0 or more, got {terms.seed}")
