"""YAML files in which a user describes a camera, classes or columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reg_yolo.config.yaml_text import read_yaml
from reg_yolo.errors import ConfigError
from reg_yolo.stored import read_stored_text

LARGEST = 1 << 20


def read_settings_file(path: Path) -> Any:
    """Return what a YAML file says, as plain data; keys may be whole numbers, as the codes of classes are.

    Raises:
        ConfigError: If it cannot be read, is larger than 1 MiB, or is not YAML.
    """
    try:
        text = read_stored_text(path, LARGEST)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    return read_yaml(text, str(path), number_keys=True).value
