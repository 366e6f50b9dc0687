"""scripts/campaign.py: its trials find losses that are there, and a short form of it finds none."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="forks and asks Linux for processes")


@pytest.fixture(scope="module")
def runner() -> Iterator[ModuleType]:
    """The module that judges how a process has ended."""
    sys.path.insert(0, str(SCRIPTS))
    threads = {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}
    yield importlib.import_module("campaign_runner")
    sys.path.remove(str(SCRIPTS))
    for name in [name for name in sys.modules if name.startswith("campaign")]:
        del sys.modules[name]
    for name in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        del os.environ[name]
    os.environ |= threads


@pytest.mark.parametrize(
    ("code", "text", "rss_mb", "hung", "losses"),
    [
        (0, "done", 900.0, False, set()),
        (2, "error: a.yaml: wrong", 900.0, False, set()),
        (1, "error: KeyError: 'a'", 900.0, False, {"our fault"}),
        (-11, "", 900.0, False, {"our fault"}),
        (2, "Traceback (most recent call last):", 900.0, False, {"traceback"}),
        (-9, "", 900.0, True, {"hung"}),
        (0, "", 5000.0, False, {"memory"}),
        (0, "names: \x1b[2J", 900.0, False, {"escaped"}),
    ],
)
def test_losses_are_seen(runner: ModuleType, code: int, text: str, rss_mb: float, hung: bool, losses: set[str]) -> None:
    assert runner.Ended(code, text, 1.0, rss_mb, hung).losses().keys() == losses


def test_a_tally_counts_and_names(runner: ModuleType) -> None:
    tally, trial = runner.Tally(), runner.Trial("weights", "--seed 3 number 8", lambda _: None)
    for code in (0, 2, 3, 130, -9):
        tally.add(trial, runner.Outcome(code))
    tally.add(trial, runner.Outcome(0, {"silent": "other results"}))
    assert (tally.trials, tally.done, tally.refused, tally.stopped) == (6, 2, 2, 2)
    assert tally.losses["silent"] == 1 and tally.lost == ["--seed 3 number 8: silent: other results"]


def test_mutations_repeat_with_their_seed(runner: ModuleType) -> None:
    mutate = importlib.import_module("campaign_inputs").mutate
    content = b"names: [a, b]\nvalue: 12.5\n" * 20
    made = [mutate(content, runner.stream(seed, "mutated", "x", 3)) for seed in range(40)]
    assert made == [mutate(content, runner.stream(seed, "mutated", "x", 3)) for seed in range(40)]
    assert len(set(made)) == 40 and all(one != content for one in made)
    assert mutate(b"", runner.stream(0, "empty")) is not None


@pytest.mark.slow
def test_hostile_inputs_lose_nothing(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPTS / "campaign.py"), "--only", "hostile", "--out", str(tmp_path / "table.txt")]
    ended = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=500)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = (tmp_path / "table.txt").read_text()
    assert "Lost:" not in table and int(table.splitlines()[-1].split()[1]) >= 19
