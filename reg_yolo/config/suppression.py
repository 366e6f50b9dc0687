"""How a network's raw boxes become detections: which suppression, and what ranks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import ConfigError

SuppressionKind = Literal["stock", "soft", "balanced"]
RescoreKind = Literal["none", "dfl", "spread"]


@dataclass(frozen=True)
class SuppressionSettings:
    """Which suppression, what ranks the boxes, and whether the deviation of their sides is kept.

    Attributes:
        kind: `stock` (Ultralytics' greedy NMS), `soft` (Gaussian soft-NMS) or `balanced` (CLE eq. 8-9).
        rescore: `none`; `dfl`: the expected probability under the spread of the anchor's box distribution (REG §2.5);
            `spread`: the probability times 1 - spread.
        sigma: Keep the standard deviation of each side of a box.

    Raises:
        ConfigError: If a word is unknown.

    Example:
        >>> SuppressionSettings("balanced").is_stock
        False
        >>> SuppressionSettings("balancd")
        Traceback (most recent call last):
        reg_yolo.errors.ConfigError: `suppression`: got 'balancd', expected one of stock, soft, balanced. Did you mean \
balanced?
    """

    kind: SuppressionKind = "stock"
    rescore: RescoreKind = "none"
    sigma: bool = False

    def __post_init__(self) -> None:
        checked_word("suppression", self.kind, SuppressionKind)
        checked_word("rescore", self.rescore, RescoreKind)

    @property
    def is_stock(self) -> bool:
        """Whether detections are those of plain Ultralytics."""
        return self == SuppressionSettings()

    @property
    def reads_distributions(self) -> bool:
        """Whether the box distributions are needed, which a head keeps in PyTorch only."""
        return self.sigma or self.rescore != "none"

    def to_dict(self) -> dict[str, Any]:
        """Return what ranks and suppresses, as plain data: two settings with the same have the same confidences."""
        return {"suppression": self.kind, "rescore": self.rescore}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SuppressionSettings:
        """Read `to_dict`'s data; a missing key is the stock one.

        Raises:
            ConfigError: If a word is unknown.
        """
        return cls(data.get("suppression") or "stock", data.get("rescore") or "none")


def checked_word(name: str, value: Any, kind: Any) -> Any:
    """Return one of a Literal's words.

    Raises:
        ConfigError: If `value` is none of them, with the nearest.
    """
    known = get_args(kind)
    if value not in known:
        message = f"`{name}`: got {value!r}, expected one of {', '.join(known)}"
        raise ConfigError(with_hint(message, did_you_mean(str(value), known)))
    return value
