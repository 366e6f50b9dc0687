"""Threads on a CPU: all allowed cores, upstream's number where a run is to equal upstream's, and it stays so."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.utils import NUM_THREADS

from reg_yolo.yolo.training import threads
from reg_yolo.yolo.training.threads import choose_threads
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from tests.yolo.runs import FAST

CORES = NUM_THREADS + 1


@pytest.fixture(autouse=True)
def more_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which upstream takes another number of threads than we do."""
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "available_cores", lambda: CORES)
    monkeypatch.setattr(threads, "openmp_limit", lambda: "")
    yield
    torch.set_num_threads(before)


def trainer_of(data: Path, folder: Path, reg: str, **settings: Any) -> Any:
    return RegDetectionTrainer.with_settings(reg, **settings)(
        overrides={**FAST, "data": str(data), "save_dir": str(folder)}
    )


@pytest.mark.parametrize(
    ("setting", "stock", "expected"),
    [
        ("auto", False, CORES),
        ("auto", True, NUM_THREADS),
        ("upstream", False, NUM_THREADS),
        (3, True, 3),
        (7, False, 7),
    ],
)
def test_choice_of_threads(setting: str | int, stock: bool, expected: int) -> None:
    assert choose_threads(setting, stock=stock)[0] == expected


@pytest.mark.parametrize(
    ("variable", "expected"), [("1", 1), ("1,4", 1), ("99", CORES), ("0", CORES), ("", CORES), ("many", CORES)]
)
def test_the_variable_that_limits_openmp_limits_us(
    variable: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "openmp_limit", lambda: variable)
    assert choose_threads("auto", stock=False)[0] == expected
    assert choose_threads("auto", stock=True)[0] == NUM_THREADS
    assert choose_threads(4, stock=False)[0] == 4


@pytest.mark.parametrize("first", ["reg_yolo.yolo.upstream.environment", "ultralytics"])
@pytest.mark.parametrize("variable", [None, "1"])
def test_the_limit_is_the_users_and_not_the_one_that_ultralytics_sets(first: str, variable: str | None) -> None:
    script = (
        f"import os, {first}\nfrom reg_yolo.parallel import available_cores\n"
        "from reg_yolo.yolo.training.threads import choose_threads\n"
        "print(os.environ['OMP_NUM_THREADS'], available_cores(), choose_threads('auto', stock=False)[0])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if variable is not None:
        environment["OMP_NUM_THREADS"] = variable
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    upstreams, cores, chosen = (int(value) for value in done.stdout.split())
    # That Ultralytics sets it is what this rests on.
    assert upstreams == 1
    assert chosen == (cores if variable is None else 1)


@pytest.mark.parametrize(
    ("reg", "settings", "expected"),
    [
        ("reg", {}, CORES),
        ("stock", {}, NUM_THREADS),
        ("focal_eiou", {}, CORES),
        ("stock", {"sampling": "repeat_factor"}, CORES),
        ("stock", {"threads": 3}, 3),
        ("reg", {"threads": "upstream"}, NUM_THREADS),
    ],
)
def test_a_trainer_takes_them(
    reg: str, settings: dict[str, Any], expected: int, rectangles: Path, tmp_path: Path
) -> None:
    trainer_of(rectangles, tmp_path / "run", reg, **settings)
    assert torch.get_num_threads() == expected


@pytest.mark.slow
def test_the_final_validation_keeps_them(rectangles: Path, tmp_path: Path) -> None:
    settings = {**FAST, "imgsz": 32, "batch": 24, "data": str(rectangles), "save_dir": str(tmp_path / "run")}
    trainer = RegDetectionTrainer.with_settings("reg_v1")(overrides=settings)
    seen: dict[str, set[int]] = {"train": set(), "validation": set()}
    trainer.add_callback("on_train_batch_end", lambda _: seen["train"].add(torch.get_num_threads()))
    trainer.add_callback("on_val_batch_end", lambda _: seen["validation"].add(torch.get_num_threads()))
    trainer.train()
    assert seen == {"train": {CORES}, "validation": {CORES}}
