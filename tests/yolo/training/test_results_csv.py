"""results.csv in line with a checkpoint: rows too many are cut, missing ones come from the checkpoint."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from reg_yolo.yolo.training.results_csv import cut_results
from tests.yolo.runs import trainer_for

HEADER = "epoch,time,loss\n"
ROWS = ["1,0.5,2.25\n", "2,1.25,1e-05\n", "3,2,0.125\n"]
STORED = {"epoch": [1, 2], "time": [0.5, 1.25], "loss": [2.25, 1e-05]}


@pytest.mark.parametrize(
    ("body", "epochs", "kept", "removed"),
    [
        ("".join(ROWS), 3, ROWS, 0),
        ("".join(ROWS), 2, ROWS[:2], 1),
        ("".join(ROWS) + "3,2,0.5\n", 3, [*ROWS[:2], "3,2,0.5\n"], 1),
        ("".join(ROWS[:2]) + "3,2,0.1", 2, ROWS[:2], 1),
        ("".join(ROWS[:2]) + "3,2\n", 2, ROWS[:2], 1),
        ("text\n" + ROWS[0], 1, ROWS[:1], 1),
    ],
)
def test_rows(tmp_path: Path, body: str, epochs: int, kept: list[str], removed: int) -> None:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + body)
    assert cut_results(path, epochs, {}) == removed
    assert path.read_text() == HEADER + "".join(kept)


def test_no_epoch_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text(HEADER + ROWS[0])
    assert cut_results(path, 0, {}) == 1
    assert not path.exists()
    assert cut_results(path, 0, {}) == 0


@pytest.mark.parametrize("there", [None, "", HEADER, HEADER + ROWS[1]])
def test_missing_rows_come_from_the_checkpoint(tmp_path: Path, there: str | None) -> None:
    path = tmp_path / "results.csv"
    if there is not None:
        path.write_text(there)
    cut_results(path, 2, STORED)
    assert path.read_text() == HEADER + "".join(ROWS[:2])


def test_a_run_without_validation_writes_each_value_under_its_name(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", reg="stock", epochs=3, val=False)
    trainer.train()
    with (tmp_path / "run/results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3
    for row in rows:
        assert 0 < float(row["lr/pg0"]) < 0.1
        assert {float(value) for key, value in row.items() if key.startswith("reg/weight/")} == {1.0}
        assert float(row["reg/class_positive"]) + float(row["reg/class_negative"]) == pytest.approx(
            float(row["train/cls_loss"]), rel=1e-3
        )
