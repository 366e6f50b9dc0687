"""The examples in docstrings run, and give what they say; public functions of the faces have one."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import sys
from pathlib import Path

import pytest

from reg_yolo import losses, nms
from reg_yolo.config import loader
from reg_yolo.detections import read_detections

PACKAGE = Path(loader.__file__).resolve().parents[1]
# Rooms in which every module is tried, whether it has examples yet or not.
WHOLE = ("losses", "nms", "optim", "config", "detections", "files.py", "signals.py", "text_tables.py")
# Its examples name data and weights that only a user has, or it takes the host library with it.
HOST = PACKAGE / "yolo"
OPTIONAL = {"reg_yolo.detections.detections": "supervision"}


def _has_example(path: Path) -> bool:
    return ">>> " in path.read_text(encoding="utf-8")


def _names() -> list[str]:
    inside = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.is_relative_to(HOST)]
    rooms = [PACKAGE / room for room in WHOLE]
    chosen = [path for path in inside if _has_example(path) or any(path.is_relative_to(room) for room in rooms)]
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__") for path in chosen
    ]


def _examples_of(name: str) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]


@pytest.mark.parametrize("name", _names())
def test_examples_give_what_they_say(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    monkeypatch.chdir(tmp_path)
    tests = _examples_of(name)
    path = Path(inspect.getfile(sys.modules[name]))
    assert tests or not _has_example(path), "examples that doctest does not see"
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in tests:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert not list(tmp_path.iterdir()), "an example leaves files behind"


PUBLIC = [
    *(getattr(losses, name) for name in losses.__all__),
    nms.balanced_nms,
    nms.soft_nms,
    loader.load_config,
    loader.dump_config,
    read_detections,
]


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_public_functions_have_an_example(public: object) -> None:
    text = inspect.getdoc(public) or ""
    assert ">>> " in text
    sources = [example.source for example in doctest.DocTestParser().get_examples(text)]
    called = {node.id for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    assert getattr(public, "__name__", "") in called
