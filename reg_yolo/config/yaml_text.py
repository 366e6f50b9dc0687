"""Reads YAML text into plain data and remembers on which line each key stands.

Scalars follow the core schema of YAML 1.2, not the 1.1 rules of PyYAML, because those read `1e-3` as text, `12:30` as
750, `2024-09-07` as a date and the key `on` as true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from reg_yolo.config.problems import KeyPath, show_path
from reg_yolo.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_DEEPEST = 40
MOST_NODES = 50_000

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)


class _CoreLoader(yaml.SafeLoader):
    """Composes nodes whose plain scalars are tagged by the core schema."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  (PyYAML reads it from the class)


class _BothDumper(yaml.SafeDumper):
    """Quotes whatever this reader or one of YAML 1.1 would not read back as text."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML folds the line separators of Unicode into spaces unless they are escaped between double quotes.
    style = '"' if any(separator in text for separator in "\x85\u2028\u2029") else None
    return dumper.represent_scalar(_TAG + "str", text, style=style)


_BothDumper.add_representer(str, _represent_text)
_CoreLoader.add_implicit_resolver(_TAG + "null", _NULL, ["~", "n", "N", ""])
for _resolver in (_CoreLoader, _BothDumper):
    _resolver.add_implicit_resolver(_TAG + "bool", _BOOL, list("tTfF"))
    _resolver.add_implicit_resolver(_TAG + "int", _INT, list("-+0123456789"))
    _resolver.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))


@dataclass(frozen=True)
class YamlText:
    """What a YAML text says, and the line of each key in it, counted from 1."""

    value: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)


def read_yaml(text: str, name: str, *, number_keys: bool = False, most_nodes: int = MOST_NODES) -> YamlText:
    """Reads one YAML document.

    Args:
        text: the document; an empty one reads as None.
        name: what the text is called in errors, a file's name as a rule.
        number_keys: take whole numbers as keys too, as the class names of a data set have them.
        most_nodes: how many values it may hold, with aliases written out.

    Raises:
        ConfigError: a syntax error, a key given twice, a tag or merge key, or nesting without end.
    """
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "; indent with spaces" if "'\\t'" in str(error.problem) else ""
        raise ConfigError(f"{_at(name, mark)}: not valid YAML: {error.problem or error.context}{hint}.") from None
    except yaml.YAMLError as error:
        reason = str(getattr(error, "reason", error)).splitlines()[0]
        raise ConfigError(f"{name}: not valid YAML: {reason}.") from None
    except (RecursionError, ValueError):
        # PyYAML's scanner converts escapes such as \UFFFFFFFF unchecked.
        raise ConfigError(f"{name}: not valid YAML: nested too deeply, or an escape that is no character.") from None
    if node is None:
        return YamlText(None)
    reader = _Reader(name, number_keys, most_nodes)
    return YamlText(reader.read(node, ()), reader.lines)


def dump_yaml(value: Any) -> str:
    """Returns plain data as YAML that `read_yaml`, and any reader of YAML 1.1 or 1.2, reads back to the same data.

    Raises:
        ConfigError: something in it is not plain data.
    """
    try:
        return yaml.dump(value, Dumper=_BothDumper, sort_keys=False, allow_unicode=True, width=120)
    except yaml.representer.RepresenterError as error:
        kind = type(error.args[1]).__name__ if len(error.args) > 1 else "an object"
        raise ConfigError(f"{kind} cannot be written to YAML; expected numbers, text, lists and mappings.") from None


class _Reader:
    """Converts composed nodes, with limits that keep aliases of aliases from exploding."""

    def __init__(self, name: str, number_keys: bool = False, most_nodes: int = MOST_NODES) -> None:
        self.name = name
        self.number_keys, self.most_nodes = number_keys, most_nodes
        self.lines: dict[KeyPath, int] = {}
        self.nodes = 0

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        self.nodes += 1
        if len(path) > _DEEPEST or self.nodes > self.most_nodes:
            raise ConfigError(f"{self._place(node)}: nested too deeply or too large for a configuration.")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return {key: self.read(child, (*path, key)) for key, child in self._entries(node, path)}
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        raise ConfigError(f"{self._place(node)}: the tag {node.tag} is not taken; write plain values.")

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[Any, yaml.Node]]:
        seen: set[str] = set()
        for key_node, child in node.value:
            if self.number_keys and isinstance(key_node, yaml.ScalarNode) and key_node.tag == _TAG + "int":
                yield self._scalar(key_node), child
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
                raise ConfigError(f"{self._place(key_node)}: a key must be a word.")
            key = key_node.value
            full = show_path((*path, key))
            if key == "<<" and key_node.style is None:
                raise ConfigError(f"{self._place(key_node)}: merge keys (<<) are not taken; use extends: FILE.")
            if key in seen:
                first = self.lines[(*path, key)]
                raise ConfigError(f"{self._place(key_node)}: {full} is given twice (first on line {first}).")
            seen.add(key)
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            yield key, child

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text, tag = node.value, node.tag.removeprefix(_TAG)
        try:
            if tag == "str":
                return text
            if tag == "null" and _NULL.match(text):
                return None
            if tag == "bool" and _BOOL.match(text):
                return text.lower() == "true"
            if tag == "int" and _INT.match(text):
                base = {"0o": 8, "0x": 16}.get(text[:2], 10)
                return int(text[2:] if base != 10 else text, base)
            if tag == "float" and _FLOAT.match(text):
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            raise ConfigError(f"{self._place(node)}: a number of {len(text)} digits is too long.") from None
        raise ConfigError(f"{self._place(node)}: the tag {node.tag} is not taken here; write plain values.")

    def _place(self, node: yaml.Node) -> str:
        return _at(self.name, node.start_mark)


def _at(name: str, mark: yaml.Mark | None) -> str:
    return f"{name}:{mark.line + 1}" if mark is not None else name
