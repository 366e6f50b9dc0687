"""The page for those who come from Ultralytics has every argument, and what the code does with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.errors import ConfigError
from reg_yolo.yolo.upstream.arguments import NOT_FOR_PREDICT, check_own_keys

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "coming_from_ultralytics.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coming_from_ultralytics", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_argument_is_on_the_page_once(script: ModuleType) -> None:
    listed = [key for keys in script.SECTIONS.values() for key in keys]
    assert sorted(listed) == sorted(DEFAULT_CFG_DICT)
    assert set(script.NOTES) | set(script.OTHER_TASKS) <= set(DEFAULT_CFG_DICT)


def test_the_page_is_what_the_script_writes(script: ModuleType) -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    assert text == script.page(), "run scripts/coming_from_ultralytics.py"


def test_what_the_page_calls_the_same_is_taken(script: ModuleType) -> None:
    same = {key for key in DEFAULT_CFG_DICT if script.here(key).startswith("the same")}
    assert len(same) > 60
    # Our own word for the data set is not among Ultralytics' arguments of these commands.
    for key in same - {"data"}:
        for command in ("val", "predict"):
            assert key in check_own_keys({key: DEFAULT_CFG_DICT[key]}, command)


@pytest.mark.parametrize("key", [*NOT_FOR_PREDICT, "mode", "cfg", "resume"])
def test_what_the_page_refuses_is_refused(script: ModuleType, key: str) -> None:
    assert not script.here(key).startswith("the same")
    with pytest.raises(ConfigError, match=rf"^{key}: not taken"):
        check_own_keys({key: DEFAULT_CFG_DICT[key]}, "predict")
