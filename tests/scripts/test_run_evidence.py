"""The sets and plans of the evidence's final."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import yaml

from scripts import run_evidence

NAMES = {0: "speedlimit", 1: "crosswalk", 2: "trafficlight", 3: "stop"}


def write_signs(data: Path, images: int = 700) -> None:
    """Write a set of the road signs' classes, mostly speed limits."""
    rng, root = random.Random(1), data / "roadsign4"
    for folder in (root / "images" / "train", root / "labels" / "train"):
        folder.mkdir(parents=True)
    for n in range(images):
        (root / "images" / "train" / f"{n:03d}.jpg").touch()
        classes = rng.choices(range(4), (5, 2, 2, 1), k=rng.choice((1, 1, 2)))
        text = "".join(f"{number} 0.5 0.5 0.1 0.1\n" for number in classes)
        (root / "labels" / "train" / f"{n:03d}.txt").write_text(text)
    content = {"train": "images/train", "val": "images/val", "names": NAMES}
    (root / "data.yaml").write_text(yaml.safe_dump(content))


def test_the_long_tail_falls_by_one_factor_and_leaves_no_more_out_than_it_must(tmp_path: Path) -> None:
    write_signs(tmp_path)
    run_evidence.write_long_tail(tmp_path)
    entry = yaml.safe_load((tmp_path / "roadsign4_lt.yaml").read_text())
    assert entry == {"train": "roadsign4_lt.txt", "val": "roadsign4/images/val", "names": NAMES}
    listed = (tmp_path / entry["train"]).read_text().splitlines()
    assert len(set(listed)) == len(listed)
    labels = tmp_path / "roadsign4" / "labels" / "train"

    def classes_of(name: str) -> list[int]:
        rows = (labels / f"{Path(name).stem}.txt").read_text().splitlines()
        return [int(row.split()[0]) for row in rows]

    counts = Counter(number for name in listed for number in classes_of(name))
    assert [counts[number] for number in (1, 2, 3)] == [170, 46, 12]
    # Images without a limited class are all there, and in an order by chance.
    free = [path.stem for path in labels.iterdir() if set(classes_of(path.name)) == {0}]
    assert {Path(name).stem for name in listed} >= set(free)
    assert listed != sorted(listed) and all((tmp_path / name).is_file() for name in listed)


def test_each_set_of_the_final_gets_a_plan_that_names_what_is_rare(tmp_path: Path) -> None:
    write_signs(tmp_path / "data", images=40)
    run_evidence.write_long_tail(tmp_path / "data")
    screen = yaml.safe_load((run_evidence.PLANS / "evidence_screen.yaml").read_text(encoding="utf-8"))
    arms = ["stock", "alpha_rf_copy_paste"]
    paths = run_evidence.final_plans(tmp_path, screen, arms, range(100, 103), tmp_path / "warm.pt")
    plans = {path.stem: yaml.safe_load(path.read_text()) for path in paths}
    assert set(plans) == {"final_scenes", "final_roadsign4", "final_roadsign4_lt"}
    tail = plans["final_roadsign4_lt"]
    assert tail["seeds"] == [100, 101, 102] and set(tail["arms"]) == set(arms)
    own = tail["data"]["roadsign4_lt"]
    assert own["data"] == "data/roadsign4_lt.yaml" and own["model"] == "warm.pt" and own["train"]["epochs"] == 8
    pasted = tail["arms"]["alpha_rf_copy_paste"]["sampling"]["copy_paste"]["classes"]
    assert own["rare"] == pasted == ["trafficlight", "stop"]
    assert "classes" not in plans["final_scenes"]["arms"]["alpha_rf_copy_paste"]["sampling"]["copy_paste"]
