"""Reading the YAML of a data set: class names stay text, and aliases of aliases do not explode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reg_yolo.errors import DataError
from reg_yolo.files import open_regular

# A data set of ten thousand classes has twenty thousand.
MOST_NODES = 200_000


def read_yaml_mapping(yaml_path: Path) -> dict[str, Any]:
    """Read a data-set YAML by the rules of YAML 1.1, as Ultralytics does, but for the class names.

    Every class name is what stands there: `no`, `yes`, `1e3` and `007` are names and neither false, true nor numbers.

    Raises:
        DataError: If it cannot be read, is not a YAML mapping, or holds over 200,000 values with aliases written out.
    """
    if yaml_path.is_dir():
        raise DataError(f"{yaml_path} is a folder; name the data-set YAML file in it, such as {yaml_path}/data.yaml.")
    try:
        with open_regular(yaml_path) as stream:
            text = stream.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"The data-set file {yaml_path} does not exist.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{yaml_path} is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except OSError as error:
        raise DataError(f"{yaml_path} cannot be read: {error.strerror}.") from None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            content = None
        else:
            if _expanded(node, {}) > MOST_NODES:
                raise DataError(f"{yaml_path} is not a data-set file: it holds more than {MOST_NODES:,} values.")
            _keep_names(node)
            content = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        raise DataError(f"{yaml_path}{place} is not valid YAML: {reason}.") from None
    except (ValueError, OverflowError, RecursionError) as error:
        # PyYAML lets these through: a date such as 2024-99-99, an escape that is not a character, nesting without end.
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{yaml_path} is not valid YAML: {reason}.") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{yaml_path} is not a data-set file: expected the keys 'train', 'val' and 'names'.")
    return dict(content)


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values below a node as often as aliases repeat them; one inside itself nests without end."""
    if id(node) in known:
        if not known[id(node)]:
            raise RecursionError
        return known[id(node)]
    known[id(node)] = 0
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[id(node)] = 1 + sum(_expanded(child, known) for child in children)
    return known[id(node)]


def _keep_names(node: yaml.Node) -> None:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "names":
            names = [child for _, child in value.value] if isinstance(value, yaml.MappingNode) else value.value
            for name in names if isinstance(value, yaml.CollectionNode) else ():
                if isinstance(name, yaml.ScalarNode) and not name.tag.endswith(":null"):
                    name.tag = "tag:yaml.org,2002:str"
