"""Every text file is opened as UTF-8, never in the encoding of the machine: a Thai Windows has code page 874."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "reg_yolo").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])
# Calls that take a text encoding, and the place of `encoding` among their positional arguments.
TAKES_ENCODING = {"read_text": 0, "write_text": 1, "TextIOWrapper": 1}
SUBPROCESSES = {"run", "Popen", "check_output", "check_call", "call"}


def calls_without_encoding(source: str) -> Iterator[ast.Call]:
    """Yield the calls in a module's source, its docstrings' examples included, that leave the encoding to the machine.

    Example:
        >>> [call.lineno for call in calls_without_encoding("open('a', 'rb')\nopen('a')")]
        [2]
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _leaves_it_open(node):
            yield node
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ">>> " in node.value:
            lines = [line.strip() for line in node.value.splitlines()]
            code = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
            for call in (call for line in code for call in _calls_in_line(line.strip())):
                if _leaves_it_open(call):
                    call.lineno += node.lineno - 1
                    yield call


def _calls_in_line(line: str) -> list[ast.Call]:
    try:
        # A `with` or `for` of an example needs a body to be Python.
        tree = ast.parse(f"{line} pass" if line.endswith(":") else line)
    except SyntaxError:
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _leaves_it_open(call: ast.Call) -> bool:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in keywords or None in keywords:
        return False
    method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in TAKES_ENCODING:
        # A function of our own with such a name has no such argument to give.
        return (method or name == "TextIOWrapper") and len(call.args) <= TAKES_ENCODING[name]
    if name == "open" and method:
        return _opens_a_path(call, keywords) and _is_text(call.args[:1], keywords)
    if name in {"open", "fdopen"}:
        return _is_text(call.args[1:2], keywords)
    if name in {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"}:
        mode = keywords.get("mode") or next(iter(call.args), None)
        return mode is not None and _is_text([mode], {})
    if name in SUBPROCESSES:
        return any(_is_true(keywords.get(key)) for key in ("text", "universal_newlines"))
    return name == "FileHandler"


def _opens_a_path(call: ast.Call, keywords: dict[str | None, ast.expr]) -> bool:
    """Whether it is `Path.open`: without words, or with a mode first; `os.open`, `Image.open`... name a file first."""
    first = next(iter(call.args), None)
    if first is None:
        return not keywords or "mode" in keywords or "newline" in keywords
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and set(first.value) <= set("rwaxbt+")


def _is_text(mode: list[ast.expr], keywords: dict[str | None, ast.expr]) -> bool:
    given = keywords.get("mode") or next(iter(mode), None)
    return not (isinstance(given, ast.Constant) and "b" in str(given.value))


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_files_are_opened_as_utf8(path: Path) -> None:
    found = [f"{path.name}:{call.lineno}" for call in calls_without_encoding(path.read_text(encoding="utf-8"))]
    assert not found, f'say encoding="utf-8" at {", ".join(found)}'


OPEN_TO_THE_MACHINE = [
    "open(path)", "open(path, 'w')", "open(path, mode='a')", "path.open()", "path.open('w', newline='')",
    "path.open(mode='r')", "path.read_text()", "path.write_text(text)", "path.write_text(text, newline='')",
    "os.fdopen(number, 'w')", "NamedTemporaryFile('w')", "io.TextIOWrapper(stream)", "logging.FileHandler(path)",
    "subprocess.run(words, text=True)", 'def f():\n    """\n    >>> path.write_text("x")\n    """',
    'def f():\n    """\n    >>> with path.open() as stream:\n    ...     stream.read()\n    """',
]  # fmt: skip
SAID_OR_BYTES = [
    "open(path, 'rb')", "open(path, encoding='utf-8')", "path.open('ab', buffering=0)", "path.read_text('utf-8')",
    "path.read_text(encoding='utf-8')", "path.write_text(text, 'utf-8')", "os.open(path, flags)", "Image.open(path)",
    "av.open(str(path), 'w')", "os.fdopen(number, 'rb')", "NamedTemporaryFile()", "read_text(path)",
    "subprocess.run(words)", "subprocess.run(words, text=True, encoding='utf-8')", "run(folder)",
]  # fmt: skip


@pytest.mark.parametrize("source", OPEN_TO_THE_MACHINE)
def test_a_call_without_encoding_is_found(source: str) -> None:
    assert len(list(calls_without_encoding(source))) == 1


@pytest.mark.parametrize("source", SAID_OR_BYTES)
def test_bytes_and_a_named_encoding_pass(source: str) -> None:
    assert not list(calls_without_encoding(source))
