"""Turn a rejected value into one sentence: which key, what was given, what was expected, where, what may be meant."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

KeyPath = tuple[str | int, ...]
"""Where a value lies: mapping keys and list indices from the top of the configuration."""

_LONGEST_SHOWN = 60
_MOST_SHOWN = 2


class KeyedError(ValueError):
    """A rule over several keys is broken; `path`, from the top, names the one to point at, `hint` ends the message."""

    def __init__(self, path: KeyPath, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.hint = hint


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` most likely means, or None when nothing is close.

    A dotted candidate also matches by its last part alone, so that `gamma` finds `reg.focal.gamma`.
    """
    word = name.lower()
    last = word.rpartition(".")[2]
    best, best_score = None, 0.6
    for candidate in candidates:
        target = candidate.lower()
        score = _similarity(word, target)
        if "." in target or "." in word:
            score = max(score, 0.9 * _similarity(last, target.rpartition(".")[2]))
        if score > best_score:
            best, best_score = candidate, score
    return best


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return ` Did you mean X?`, or nothing when no candidate is close."""
    found = nearest(name, candidates)
    return f" Did you mean {found}?" if found else ""


def with_hint(message: str, hint: str) -> str:
    """Return the message, and the hint as a sentence of its own if there is one; no full stop at the end."""
    return f"{message}.{hint}" if hint else message


def show_value(value: Any) -> str:
    """Return a value as YAML would spell it, shortened to one readable piece."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def show_path(path: KeyPath) -> str:
    """Return `reg.alpha.weights[2]` for ("reg", "alpha", "weights", 2)."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def schema_keys(schema: Mapping[str, Any]) -> list[str]:
    """Return every dotted key that a JSON schema names, sections and their keys."""
    keys: list[str] = []

    def walk(node: Mapping[str, Any], prefix: str) -> None:
        for name, child in _properties(node, schema).items():
            keys.append(prefix + name)
            walk(child, f"{prefix}{name}.")

    walk(schema, "")
    return keys


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    prefix: KeyPath = (),
    where: Callable[[KeyPath], str] = lambda _path: "",
    other_keys: Iterable[str] = (),
) -> str:
    """Return the sentences for the first problems of a failed validation, one a line.

    Args:
        error: What pydantic raised.
        model: The model that was validated; its JSON schema tells what was expected.
        prefix: Where the model lies in the whole configuration.
        where: Gives ` (file:line)` or nothing for a key path.
        other_keys: Further valid names that an unknown key may have meant.
    """
    schema = model.model_json_schema()
    own_keys = [show_path((*prefix, key)) for key in schema_keys(schema)]
    sentences: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        path, node = _locate(problem["loc"], schema)
        cause = problem.get("ctx", {}).get("error")
        full_path = cause.path if isinstance(cause, KeyedError) else (*prefix, *path)
        key = show_path(full_path) or "the configuration"
        if problem["type"] == "extra_forbidden":
            unknown = show_path((*prefix, *problem["loc"]))
            hint = did_you_mean(unknown, [*own_keys, *other_keys])
            sentence = with_hint(f"{unknown}: unknown key{where((*prefix, *problem['loc']))}", hint)
        elif problem["type"] == "missing":
            meaning = str(node.get("description") or expected_values(node, schema)).rstrip(".")
            sentence = f"{key}: missing{where(full_path[:-1])}. Expected: {meaning}"
        elif isinstance(cause, ValueError):
            hint = cause.hint if isinstance(cause, KeyedError) else ""
            sentence = with_hint(f"{key}: {cause}{where(full_path)}", hint)
        else:
            given = problem["input"]
            hint = _hint(given, _choices(node, schema))
            expected = expected_values(node, schema)
            sentence = with_hint(f"{key}: got {show_value(given)}, expected {expected}{where(full_path)}", hint)
        sentences.setdefault(key if problem["type"] != "extra_forbidden" else sentence, sentence)
    lines = list(sentences.values())
    if len(lines) > _MOST_SHOWN:
        lines[_MOST_SHOWN - 1] += f" ({len(lines) - _MOST_SHOWN} more)"
    return "\n".join(lines[:_MOST_SHOWN])


def _similarity(left: str, right: str) -> float:
    return difflib.SequenceMatcher(None, left, right).ratio()


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else node


def _properties(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for option in node.get("anyOf", [node]):
        found.update(_resolve(option, schema).get("properties", {}))
    return found


def _locate(location: tuple[int | str, ...], schema: Mapping[str, Any]) -> tuple[KeyPath, Mapping[str, Any]]:
    """Follow an error's location as far as it names keys; pydantic appends the names of union members to it."""
    path: list[str | int] = []
    node: Mapping[str, Any] = schema
    for part in location:
        options = [_resolve(option, schema) for option in node.get("anyOf", [node])]
        child = _properties(node, schema).get(part) if isinstance(part, str) else None
        if isinstance(part, int):
            child = next((option["items"] for option in options if "items" in option), None)
        if child is None:
            continue
        path.append(part)
        node = child
    return tuple(path), node


def _choices(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for option in node.get("anyOf", [node]):
        resolved = _resolve(option, schema)
        found += [value for value in [*resolved.get("enum", []), resolved.get("const")] if isinstance(value, str)]
    return found


def _hint(given: Any, choices: list[str]) -> str:
    if "none" in choices and (given is False or given in ("off", "no")):
        return " Did you mean none?"
    return did_you_mean(given, choices) if isinstance(given, str) else ""


def expected_values(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say in words which values a schema node takes."""
    node = _resolve(node, schema)
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(expected_values(option, schema) for option in node["anyOf"]))
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(str(value) for value in node["enum"])
    kind = node.get("type")
    if kind == "array":
        return "a list, each entry " + expected_values(node.get("items", {}), schema)
    words = {
        "boolean": "true or false",
        "number": "a number",
        "integer": "a whole number",
        "string": "text",
        "object": "a mapping of keys",
        "null": "null",
    }
    return words.get(str(kind), "a value") + _range(node)


def _range(node: Mapping[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    lower = f"at least {low:g}" if low is not None else f"above {above:g}" if above is not None else ""
    upper = f"at most {high:g}" if high is not None else f"below {below:g}" if below is not None else ""
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    return " " + " and ".join(part for part in (lower, upper) if part) if lower or upper else ""
