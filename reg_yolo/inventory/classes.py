"""What is known of a class before anything is measured: point, line or span, and where in its box it stands."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.settings_files import read_settings_file

POINT, LINE, SPAN = "point", "line", "span"
CENTRE, OUTER = "centre", "outer"


@dataclass(frozen=True)
class ClassShape:
    """Geometry of a class.

    Attributes:
        geometry: `point`, `line` (guardrails: start and end) or `span` (across the road).
        anchor: Where in the box's width it stands: its `centre`, or the side that is `outer`, away from the road, as
            the shaft of a lamp pole whose arm reaches over the road.
        length_m: Its extent along the road, 0 for what is flat or slim: what is seen of a building is its nearer end.
        loose: Whether only its upper edge is to be trusted: stairs and ramps surround a bridge.
        is_sign: Whether it is named from its front only, so that it faces those who saw it.
        span_from_m: A point whose lower edge is this high above the road spans it.
    """

    geometry: str = POINT
    anchor: str = CENTRE
    length_m: float = 0.0
    loose: bool = False
    is_sign: bool = False
    span_from_m: float = 4.4


_KEYWORDS = (
    (("guardrail", "guard_rail", "barrier", "fence", "kerb", "curb", "rail"), ClassShape(LINE)),
    (("bridge",), ClassShape(SPAN, length_m=2.5, loose=True)),
    (("gantry",), ClassShape(SPAN)),
    (("single_arm_pole", "lamp", "streetlight", "street_light", "lighting_pole"), ClassShape(POINT, OUTER)),
    (("pavilion", "shelter", "building", "bus_stop"), ClassShape(POINT, length_m=4.0)),
    (("sign", "board", "chevron", "speedlimit", "warning"), ClassShape(POINT, is_sign=True)),
)


def shape_of(name: str, stated: dict[str, ClassShape] | None = None) -> ClassShape:
    """Return a class's geometry: as stated, by its name, or a point at the middle of its box.

    Example:
        >>> shape_of("concrete_guardrail").geometry
        'line'
    """
    if stated and name in stated:
        return stated[name]
    plain = name.lower().replace(" ", "_").replace("-", "_")
    return next((shape for words, shape in _KEYWORDS if any(word in plain for word in words)), ClassShape())


def read_shapes(path: Path) -> dict[str, ClassShape]:
    """Read a YAML file of classes: `name: {geometry: line, anchor: centre, length_m: 2}`.

    Raises:
        ConfigError: If it cannot be read or says what is not known.
    """
    content = read_settings_file(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected class names with their geometry")
    choices = {"geometry": (POINT, LINE, SPAN), "anchor": (CENTRE, OUTER)}
    known = {entry.name: entry.type for entry in fields(ClassShape)}
    shapes = {}
    for name, values in content.items():
        if not isinstance(values, dict) or set(values) - set(known):
            raise ConfigError(f"{path}: {name}: expected keys of {', '.join(known)}, got {values!r}")
        for key, value in values.items():
            if key in choices and value not in choices[key]:
                raise ConfigError(f"{path}: {name}: {key} must be one of {', '.join(choices[key])}, got {value!r}")
            if key in ("loose", "is_sign") and not isinstance(value, bool):
                raise ConfigError(f"{path}: {name}: {key} must be true or false, got {value!r}")
        shapes[str(name)] = ClassShape(**values)
    return shapes
