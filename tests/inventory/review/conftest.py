"""A synthetic inventory along a road, close enough together that assets have neighbours."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.cli.app import main
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.details import details
from reg_yolo.inventory.review.progress import Progress
from scripts.review_inventory import write_synthetic


@dataclass(frozen=True)
class Outcome:
    """What a command ended with."""

    code: int
    out: str
    err: str


Record = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an inventory of 60 assets; nobody changes it."""
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic(folder, 60, spacing_m=12.0)
    return folder


@pytest.fixture
def folder(synthetic: Path, tmp_path: Path) -> Path:
    """Return a copy of the inventory."""
    return Path(shutil.copytree(synthetic, tmp_path / "inventory"))


@pytest.fixture
def catalogue(folder: Path) -> Iterator[Catalogue]:
    """Return the inventory, open."""
    with Catalogue(folder) as opened:
        yield opened


@pytest.fixture
def progress(catalogue: Catalogue, folder: Path) -> Iterator[Progress]:
    """Return decisions of somchai's, open."""
    with ExitStack() as stack:
        yield stack.enter_context(Progress(catalogue, folder / "decisions_somchai.jsonl", "somchai"))


@pytest.fixture
def record(catalogue: Catalogue) -> Record:
    """Return a function that makes a decision as the page sends it, on assets by rank."""

    def made(action: str, *ranks: int, **more: Any) -> dict[str, Any]:
        some = [details(catalogue, entry) for entry in catalogue.entries() if entry.rank in ranks]
        seen = [one["seen"] for one in some]
        named = {"parts": seen} if action in ("merge", "split") else {"observations": seen[0]} if seen else {}
        number = made.count = getattr(made, "count", 0) + 1  # type: ignore[attr-defined]
        known = {"schema": "reg_yolo.decisions/1", "id": f"id{number}", "when": f"2026-01-01T00:00:{number:02d}.000Z"}
        return {**known, "who": "page", "action": action, **named, "assets": [one["id"] for one in some], **more}

    return made


@pytest.fixture
def run_review(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Return a function that runs `reg-yolo inventory` with the given words."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["inventory", *map(str, words)])
        return Outcome(int(ended.value.code or 0), *capsys.readouterr())

    return run
