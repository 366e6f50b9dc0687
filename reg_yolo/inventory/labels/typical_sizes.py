"""How large things of a class usually are, for those that no file states a size of."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.settings_files import read_settings_file


@dataclass(frozen=True)
class Size:
    """Size of a thing as it is seen from the road.

    Attributes:
        height_m, width_m: Of its box.
        lower_edge_m: Of its box above the road.
    """

    height_m: float
    width_m: float
    lower_edge_m: float


# Rough ones of common roadside objects, the first word found in a name counts; `--sizes` states better ones.
_KEYWORDS = (
    (("bridge",), Size(5.0, 25.0, 5.0)),
    (("gantry", "overhead"), Size(2.5, 8.0, 5.2)),
    (("traffic_light", "signal"), Size(1.0, 0.4, 3.0)),
    (("pole", "lamp", "streetlight", "street_light"), Size(8.0, 2.5, 0.0)),
    (("bus_stop", "shelter", "pavilion", "building"), Size(3.5, 6.0, 0.0)),
    (("warning", "speed", "regulatory", "stop"), Size(1.0, 1.0, 1.6)),
    (("chevron",), Size(0.75, 0.6, 1.0)),
    (("sign", "board"), Size(1.5, 2.0, 1.6)),
    (("kilometre", "kilometer", "km_post", "milestone"), Size(0.8, 0.4, 0.0)),
    (("tree",), Size(6.0, 4.0, 0.0)),
)
_USUAL = Size(1.0, 1.0, 1.0)
_MOST_M = 100.0


def size_of(name: str, stated: dict[str, Size] | None = None) -> tuple[Size, bool]:
    """Return a class's size, and whether it is known at all, by a statement or its name.

    Example:
        >>> size_of("single_arm_pole")[0].height_m, size_of("เสาไฟ")[1]
        (8.0, False)
    """
    if stated and name in stated:
        return stated[name], True
    plain = name.lower().replace(" ", "_").replace("-", "_")
    found = next((size for words, size in _KEYWORDS if any(word in plain for word in words)), None)
    return found or _USUAL, found is not None


def read_sizes(path: Path) -> dict[str, Size]:
    """Read a YAML file of sizes: `name: {height_m: 1.2, width_m: 1.2, lower_edge_m: 1.5}`.

    Raises:
        ConfigError: If it cannot be read, or a value is missing or out of range.
    """
    content = read_settings_file(path)
    keys = [entry.name for entry in fields(Size)]
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{path}: expected class names with {', '.join(keys)}")
    sizes = {}
    for name, values in content.items():
        if not isinstance(values, dict) or set(values) != set(keys):
            raise ConfigError(f"{path}: {name}: expected {', '.join(keys)}, got {values!r}")
        for key, value in values.items():
            least = 0.0 if key == "lower_edge_m" else 0.01
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not least <= value <= _MOST_M:
                raise ConfigError(f"{path}: {name}: {key} must be metres from {least:g} to {_MOST_M:g}, got {value!r}")
        sizes[str(name)] = Size(**{key: float(value) for key, value in values.items()})
    return sizes
