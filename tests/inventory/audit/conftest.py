"""One planned audit for all tests that do not change it, and copies for those that do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reg_yolo.inventory.audit.command import plan_into
from reg_yolo.inventory.audit.plan import Terms
from tests.inventory.audit.worlds import write_world


@pytest.fixture(scope="session")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an inventory. Do not write to it."""
    return write_world(tmp_path_factory.mktemp("world") / "คลัง")


@pytest.fixture(scope="session")
def planned(inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an audit of it. Do not write to it."""
    out = tmp_path_factory.mktemp("planned") / "audit"
    plan_into(inventory, out, Terms(precision=0.8, expected_precision=0.95, recall=0.8, expected_recall=0.98))
    return out


@pytest.fixture
def audit(planned: Path, tmp_path: Path) -> Path:
    """An audit of the test's own."""
    return Path(shutil.copytree(planned, tmp_path / "audit"))
