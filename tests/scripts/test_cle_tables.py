"""scripts/cle_tables.py: stored checkpoints of a plan under every suppression, and the tables in the paper's layout."""

from __future__ import annotations

import csv
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from reg_yolo.config.plan import load_plan
from reg_yolo.yolo.commands.compare import run_plan
from tests.yolo.runs import TINY_MODEL

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def tables() -> Iterator[ModuleType]:
    """The script as a module."""
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("cle_tables")
    sys.path.remove(str(SCRIPTS))
    del sys.modules["cle_tables"]


class Silent:
    """Watches a comparison without a word."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


def evaluated(tables: ModuleType, arm: str, seed: int, iac: bool, ap: float, balanced: float) -> Any:
    """A run whose only live columns are NMS and balanced NMS."""
    scores = {name: {"AP": 0.0, "AP50": 1.0} for name, _, _ in tables.COLUMNS}
    scores["NMS"], scores["balanced NMS"] = {"AP": ap, "AP50": 50.0}, {"AP": balanced, "AP50": 51.0}
    return tables.Evaluated("roads", arm, seed, iac, False, scores)


def test_rows_are_paired_by_seed(tables: ModuleType, tmp_path: Path) -> None:
    found = [
        evaluated(tables, "stock", 0, False, 10.0, 11.0), evaluated(tables, "stock", 1, False, 20.0, 22.0),
        evaluated(tables, "iac", 0, True, 13.0, 14.0), evaluated(tables, "iac", 1, True, 21.0, 24.0),
        evaluated(tables, "iac", 2, True, 99.0, 99.0),
    ]  # fmt: skip
    files = tables.write_tables(found, {"roads": "7 images"}, tmp_path)
    rows = list(csv.DictReader((tmp_path / "cle_ablation.csv").read_text().splitlines()))
    assert [(row["IAC"], row["DC"], row["Balanced NMS"]) for row in rows] == [
        ("", "", ""), ("", "", "yes"), ("yes", "", ""), ("yes", "", "yes"),
    ]  # fmt: skip
    # The seed that the first row lacks does not count.
    assert [row["Seeds"] for row in rows] == ["2"] * 4
    assert [row["AP"] for row in rows] == ["15.00 ± 7.07", "16.50 ± 7.78", "17.00 ± 5.66", "19.00 ± 7.07"]
    assert [row["AP to first row"] for row in rows] == ["", "1.50 ± 0.71", "2.00 ± 1.41", "4.00 ± 0.00"]
    assert "AP75" not in rows[0]
    rows = list(csv.DictReader((tmp_path / "cle_suppression.csv").read_text().splitlines()))
    assert [row["Suppression"] for row in rows[:5]] == [name for name, _, _ in tables.COLUMNS]
    own = next(row for row in rows if (row["Arm"], row["Suppression"]) == ("iac", "balanced NMS"))
    assert (own["Seeds"], own["AP to first row"]) == ("3", "1.33 ± 1.53")
    page = (tmp_path / "cle_suppression.md").read_text()
    assert page.startswith("**roads**: 7 images.\n\n| Arm") and len(files) == 4


def test_from_a_plan_to_the_tables(
    tables: ModuleType, rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    plan = {
        "base": "detect/yolov8n", "data": {"roads": str(rectangles)}, "seeds": [0], "reference": "stock",
        "settings": {"model": TINY_MODEL},
        "train": {"epochs": 1, "imgsz": 64, "batch": 8, "device": "cpu", "workers": 0},
        "arms": {"stock": {"reg": "stock"}, "iac": {"reg": {"preset": "stock", "assign": "iac"}}},
    }  # fmt: skip
    file, out = tmp_path / "plan.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(plan))
    words = ["cle_tables.py", str(file), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="no run of the plan"):
        tables.main()
    assert not run_plan(load_plan(file), out, Silent()).failed
    tables.main()
    rows = list(csv.DictReader((out / "cle_ablation.csv").read_text().splitlines()))
    assert [(row["IAC"], row["Balanced NMS"]) for row in rows] == [("", ""), ("", "yes"), ("yes", ""), ("yes", "yes")]
    labels = [line for label in (rectangles.parent / "labels/val").glob("*.txt") for line in label.open()]
    assert f"**roads**: 8 images, {len(labels)} objects (" in (out / "cle_ablation.md").read_text()
    kept = sorted((out / "cle/roads").rglob("*.json"))
    assert len(kept) == 2 * len(tables.COLUMNS)
    # Nothing lies next to the weights, and what was evaluated is not evaluated again.
    assert not list((out / "weights").rglob("*.json"))
    kept[0].write_text('{"AP": 42.0}')
    capsys.readouterr()
    tables.main()
    assert "AP 42.00" in capsys.readouterr().out
    next((out / "weights").rglob("*.pt")).unlink()
    with pytest.raises(SystemExit, match="without --discard-weights"):
        tables.main()


def test_scores_are_cocos(tables: ModuleType, rectangles: Path, tmp_path: Path) -> None:
    truth = tables.truth_of(str(rectangles), "val", tmp_path / "coco")
    labels = truth.loadAnns(truth.getAnnIds())
    right = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9} for a in labels
    ]
    assert tables.scores_of(truth, right)["AP"] == pytest.approx(100.0)
    # Half as wide: IoU 0.5 at most.
    narrow = [{**row, "bbox": [*row["bbox"][:2], row["bbox"][2] * 0.6, row["bbox"][3]]} for row in right]
    scores = tables.scores_of(truth, narrow)
    assert scores["AP50"] == pytest.approx(100.0) and scores["AP75"] == 0.0
    assert tables.scores_of(truth, [])["AP"] == 0.0
    with pytest.raises(SystemExit, match="does not have"):
        tables.scores_of(truth, [{**right[0], "image_id": 10**9}])
