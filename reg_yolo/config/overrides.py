"""Settings from the command line, `key=value`: ours dotted, the arguments of Ultralytics under their own names."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from reg_yolo.config.layers import Layer
from reg_yolo.config.merging import SHORT_FORMS, deep_merge
from reg_yolo.config.problems import did_you_mean, schema_keys
from reg_yolo.config.schema import RunConfig
from reg_yolo.config.train_arguments import REFUSED
from reg_yolo.config.yaml_text import read_yaml
from reg_yolo.errors import ConfigError

COMMAND_LINE = "command line"

_KEY = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def read_overrides(overrides: Sequence[str], train_keys: Collection[str] | None = None) -> Layer:
    """Reads `key=value` words into one layer; values are YAML, and of a key given twice the later one counts.

    Args:
        overrides: words such as `epochs=3`, `reg.focal.gamma=1.5`, `reg=gfl`, `mask_classes=[sign, wall]`.
        train_keys: every argument of Ultralytics; without them, any key that is not ours passes as one.

    Raises:
        ConfigError: a word is no `key=value`, a value is no YAML, or a key is unknown.
    """
    values: dict[str, Any] = {}
    for word in overrides:
        key, value = _split(word)
        *above, last = _full_path(key, train_keys)
        if value is not None and not above and last in SHORT_FORMS and isinstance(value, str):
            above, last = [last], SHORT_FORMS[last]
        nested: Any = {last: value}
        for part in reversed(above):
            nested = {part: nested}
        values = deep_merge(values, nested)
    return Layer(values, COMMAND_LINE)


def _split(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    key = key.strip().removeprefix("--")
    if not equals or not _KEY.fullmatch(key):
        raise ConfigError(
            f"{word[:80]!r} ({COMMAND_LINE}): expected KEY=VALUE, such as epochs=3 or reg.focal.gamma=1.5."
        )
    if not text.strip():
        raise ConfigError(f"{key}: no value after = ({COMMAND_LINE}); write {key}=null to unset it.")
    try:
        return key, read_yaml(text, COMMAND_LINE).value
    except ConfigError as error:
        message = str(error).partition(": ")[2]
        raise ConfigError(f"{key}={text[:80]} ({COMMAND_LINE}): {message} Quote text like {key}='\"...\"'.") from None


def _full_path(key: str, train_keys: Collection[str] | None) -> list[str]:
    parts = key.split(".")
    if parts[0] in RunConfig.model_fields:
        return parts
    if key == "extends":
        raise ConfigError(f"extends: belongs in a file, not on the {COMMAND_LINE}; give that file as CONFIG instead.")
    if len(parts) == 1 and (train_keys is None or key in train_keys or key in REFUSED):
        return ["train", key]
    candidates = [*schema_keys(RunConfig.model_json_schema()), *(train_keys or ())]
    raise ConfigError(f"{key}: unknown key ({COMMAND_LINE}).{did_you_mean(key, candidates)}")
