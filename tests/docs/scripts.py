"""Scripts of the repository as modules."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.docs.commands import ROOT


def script(name: str) -> ModuleType:
    """Return a script as a module; it may import its neighbours, as Python and mkdocs let it."""
    folder = str(ROOT / "scripts")
    spec = importlib.util.spec_from_file_location(name, f"{folder}/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up the module that they stand in.
    sys.modules[name] = module
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module
