"""Opening annotation files, and taking values out of them with an error that names the place."""

from __future__ import annotations

import base64
import binascii
import json
import math
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.data.objects.annotations import Ring
from reg_yolo.errors import DataError
from reg_yolo.files import open_regular


def read_text(path: Path) -> str:
    """Read a text file as UTF-8, or as what its byte-order mark says.

    Raises:
        DataError: If it cannot be read or is in another encoding.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {encoding.upper().removesuffix('-SIG')} text (byte {error.start}); save it as UTF-8."
        ) from None


def read_json(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Read a JSON file.

    Raises:
        DataError: With line and column where it is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}:{error.colno} is not valid JSON: {error.msg}.") from None
    except (RecursionError, ValueError) as error:
        # Brackets nested thousands deep, or an integer of thousands of digits.
        raise DataError(f"{path} is not valid JSON: {type(error).__name__}, {str(error)[:80]}.") from None


def read_xml(path: Path) -> ElementTree.Element:
    """Read an XML file and return its root.

    Raises:
        DataError: With line and column where it is not XML.
    """
    try:
        with open_regular(path) as stream:
            return ElementTree.parse(stream).getroot()
    except ElementTree.ParseError as error:
        line, column = error.position
        raise DataError(f"{path}:{line}:{column + 1} is not valid XML: {error}.") from None
    except (ValueError, LookupError) as error:
        raise DataError(f"{path} is not valid XML: {error}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def as_mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object, else raise a DataError that names the place."""
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: expected an object in braces, got {_shown(value)}.")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """Return `value` if it is a JSON list, else raise a DataError that names the place."""
    if not isinstance(value, list):
        raise DataError(f"{where}: expected a list, got {_shown(value)}.")
    return value


def as_text(value: Any, where: str) -> str:
    """Return `value` as text in Unicode's composed form; numbers are taken as their digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise DataError(f"{where}: expected a text, got {_shown(value)}.")
    return unicodedata.normalize("NFC", str(value).strip())


def as_number(value: Any, where: str) -> float:
    """Return `value` as a float; infinities and NaN pass, the caller drops what they make."""
    if not isinstance(value, bool) and isinstance(value, str | int | float):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise DataError(f"{where}: expected a number, got {_shown(value)}.")


def as_size(width: Any, height: Any, where: str) -> tuple[float, float] | None:
    """Return width and height in pixels, or None where either is absent or not positive."""
    if width is None or height is None:
        return None
    size = as_number(width, f"{where} width"), as_number(height, f"{where} height")
    return size if all(math.isfinite(side) and side > 0 for side in size) else None


def as_ring(values: Any, where: str) -> Ring:
    """Return `[x, y, x, y, ...]` or `[[x, y], ...]` as corners `[N, 2]`.

    Raises:
        DataError: If a value is not a number or a coordinate has no partner.
    """
    try:
        ring = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: expected the coordinates of a polygon, got {_shown(values)}.") from None
    if ring.ndim == 1 and ring.size % 2 == 0:
        return ring.reshape(-1, 2)
    if ring.ndim == 2 and ring.shape[1] == 2:
        return ring
    raise DataError(f"{where}: expected pairs of x and y, got an array of shape {ring.shape}.")


def decode_base64(text: Any, where: str) -> bytes:
    """Return the bytes that a base64 text stands for."""
    try:
        return base64.b64decode(as_text(text, where), validate=False)
    except (binascii.Error, ValueError):
        raise DataError(f"{where}: expected an image in base64.") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
