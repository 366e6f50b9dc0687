"""Plans of comparisons: what they may say, what an arm resolves to, and one clear line where one is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.config.plan import FIXED_TRAIN, Family, PlanSettings, load_plan
from reg_yolo.config.shipped import shipped_file, shipped_folder, shipped_names
from reg_yolo.errors import ConfigError

TRAIN_KEYS: dict[str, object] = {
    "epochs": 100, "imgsz": 640, "batch": 16, "cls": 0.5, "cls_pw": 0.0, "val": True, "plots": True, "save": True,
    "verbose": True, "seed": 0, "nbs": 64, "optimizer": "auto", "lr0": 0.01, "warmup_epochs": 3.0, "close_mosaic": 10,
    "cos_lr": False, "pretrained": True, "time": None, "amp": True, "cache": False, "workers": 8,
}  # fmt: skip

PLAN = """\
base: detect/yolov8n
data: roads.yaml
seeds: [0, 1]
reference: stock
train: {epochs: 3}
arms:
  stock: {reg: stock}
  sharp:
    reg: {preset: stock, focal: {gamma: 2.0}}
    train: {cls: 1.0}
  base_as_it_is:
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return a function that writes a plan, with a text replaced, beside two data YAMLs."""
    for name in ("roads.yaml", "bridges.yaml"):
        (tmp_path / name).write_text("names: [a, b]\n")
    (tmp_path / "warm.pt").write_bytes(b"")

    def written(old: str = "", new: str = "") -> Path:
        assert old in PLAN
        (tmp_path / "plan.yaml").write_text(PLAN.replace(old, new) if old else PLAN)
        return tmp_path / "plan.yaml"

    return written


def test_an_arm_is_the_base_covered_by_what_the_plan_says(write: Any, tmp_path: Path) -> None:
    plan = load_plan(write())
    assert list(plan.sets) == ["roads"] and list(plan.settings.arms) == ["stock", "sharp", "base_as_it_is"]
    sharp, base = (plan.resolve("roads", arm, TRAIN_KEYS) for arm in ("sharp", "base_as_it_is"))
    assert sharp.data == str(tmp_path / "roads.yaml")
    assert (sharp.reg.focal.gamma, sharp.reg.spatial.enabled, sharp.train["cls"]) == (2.0, False, 1.0)
    assert base.reg.preset == "reg" and "cls" not in base.train
    for config in (sharp, base):
        assert config.train["epochs"] == 3 and config.train["optimizer"] == "AdamW"
        assert {key: config.train[key] for key in FIXED_TRAIN} == FIXED_TRAIN


def test_sets_have_names_and_settings_of_their_own(write: Any, tmp_path: Path) -> None:
    text = """
  scenes: roads.yaml
  warm: {data: bridges.yaml, model: warm.pt, train: {epochs: 9}, rare: [b]}"""
    plan = load_plan(write("data: roads.yaml", f"rare: [a]\ndata:{text}"))
    assert {name: own.rare for name, own in plan.sets.items()} == {"scenes": ("a",), "warm": ("b",)}
    scenes, warm = (plan.resolve(name, "stock", TRAIN_KEYS) for name in plan.sets)
    assert (scenes.model, scenes.train["epochs"]) == ("yolov8n.yaml", 3)
    assert (warm.model, warm.train["epochs"]) == (str(tmp_path / "warm.pt"), 9)
    assert warm.data == str(tmp_path / "bridges.yaml")


def test_a_list_of_sets_is_named_by_files_or_their_folders(write: Any, tmp_path: Path) -> None:
    (tmp_path / "night roads").mkdir()
    (tmp_path / "night roads/data.yaml").write_text("names: [a, b]\n")
    plan = load_plan(write("data: roads.yaml", "data: [roads.yaml, night roads/data.yaml]"))
    assert list(plan.sets) == ["roads", "night_roads"]
    with pytest.raises(ConfigError, match="two sets would have one name"):
        load_plan(write("data: roads.yaml", "data: [roads.yaml, ./roads.yaml]"))


def test_data_given_beside_the_plan_replaces_its_sets(write: Any, tmp_path: Path) -> None:
    plan = load_plan(write(), tmp_path / "bridges.yaml")
    assert plan.resolve("bridges", "stock", TRAIN_KEYS).data == str(tmp_path / "bridges.yaml")


REFUSED = {
    "seeds: [0, 1]": {
        "seeds: [0, 1]\nendpoinst: [map50]": r"endpoinst: unknown key \(plan.yaml:4\). Did you mean endpoints\?",
        "seeds: [0, 0]": r"seeds: a seed is given twice.*\(plan.yaml:3\)",
        "seeds: []": "seeds: ",
        "seeds: [0, 1]\nfamily: {arms: [blunt]}": r"arms: blunt is not an arm, or is the reference \(plan.yaml:4\)",
        "seeds: [0, 1]\nfamily: {sets: [night]}": r"family.sets: there is no set night",
        "seeds: [0, 1]\nendpoints: [map50]\nfamily: {endpoints: [rare_ap]}": "family.endpoints: rare_ap is not among",
        "seeds: [0, 1]\nendpoints: [map60]": r"map60.*one of map50_95.*Did you mean map50\?",
    },
    "reference: stock": {"reference: stcok": r"reference: there is no arm stcok; the arms are stock, sharp"},
    "train: {epochs: 3}": {
        "train: {epochs: 3, val: true}": r"train.val: not taken in a plan; the last epoch's EMA is evaluated once",
        "settings: {train: {plots: true}}": "settings.train.plots: not taken in a plan; the last epoch's weights",
        "train: {epochs: 3, seed: 4}": "train.seed: not taken in a plan; write seeds:",
    },
    "train: {cls: 1.0}": {"train: {time: 1.0}": "arms.sharp.train.time: not taken in a plan; arms must take equally"},
    "data: roads.yaml": {
        "data: {night: {model: x.pt}}": "data.night: missing data",
        "data: {night: {data: roads.yaml, rare: b}}": "data.night.rare: expected a list of class names",
        "data: {night: {data: roads.yaml, train: {save: true}}}": "data.night.train.save: not taken in a plan",
    },
}


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, every in REFUSED.items() for new in every])
def test_a_wrong_plan_is_refused_in_one_line(write: Any, old: str, new: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[old][new]) as caught:
        load_plan(write(old, new))
    assert "\n" not in str(caught.value)


def test_a_time_limit_in_the_base_is_refused(write: Any, tmp_path: Path) -> None:
    (tmp_path / "timed.yaml").write_text("extends: detect/yolov8n\ntrain: {time: 0.5}\n")
    plan = load_plan(write("base: detect/yolov8n", "base: timed.yaml"))
    with pytest.raises(
        ConfigError, match=r"arm stock on roads: train\.time: not taken in a comparison; arms must take"
    ):
        plan.resolve("roads", "stock", TRAIN_KEYS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "gamma: 2.0",
            "gama: 2.0",
            r"arm sharp on roads: reg.focal.gama: unknown key \(plan.yaml:9\).*reg.focal.gamma",
        ),
        ("train: {cls: 1.0}", "train: {clss: 1.0}", r"arm sharp on roads: train.clss: .*\(plan.yaml:10\)"),
        ("train: {cls: 1.0}", "samplingg: x", r"arm sharp on roads: samplingg: unknown key \(plan.yaml:10\)"),
        ("data: roads.yaml", "data: raods.yaml", "arm sharp on raods: data: no file raods.yaml"),
    ],
)
def test_a_wrong_arm_is_refused_with_its_line(write: Any, old: str, new: str, message: str) -> None:
    plan = load_plan(write(old, new))
    with pytest.raises(ConfigError, match=message):
        plan.resolve(next(iter(plan.sets)), "sharp", TRAIN_KEYS)


def test_a_plan_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no plan losess: no such file"):
        load_plan("losess")


@pytest.mark.parametrize("name", shipped_names("plans"))
def test_every_shipped_plan_resolves_beside_its_data(name: str, tmp_path: Path) -> None:
    source = shipped_file(name, "plans")
    assert source is not None
    folder = tmp_path / "configs/compare"
    folder.mkdir(parents=True)
    (folder / source.name).write_text(source.read_text())
    for data in ("boxes", "mixed"):
        (tmp_path / data).mkdir()
        (tmp_path / data / "data.yaml").write_text("names: [a]\n")
    (folder / "data").mkdir()
    (folder / "data/screen.yaml").write_text("names: [a]\n")
    plan = load_plan(folder / source.name)
    for set_name in plan.sets:
        for arm in plan.settings.arms:
            assert plan.resolve(set_name, arm, TRAIN_KEYS).data


def test_the_plan_of_the_documentation_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/compare.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    for name in ("scenes", "roadsign4"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.yaml").write_text("names: [a]\n")
    (tmp_path / "warm.pt").write_bytes(b"")
    (tmp_path / "plan.yaml").write_text(example[1])
    plan = load_plan(tmp_path / "plan.yaml")
    assert plan.settings.family == Family() and "effect" in plan.settings.model_fields_set
    assert plan.settings.endpoints == PlanSettings.model_fields["endpoints"].default
    for set_name in plan.sets:
        for arm in plan.settings.arms:
            plan.resolve(set_name, arm, TRAIN_KEYS)


def test_plans_are_shipped_and_are_no_configurations() -> None:
    assert {"losses", "joint", "own_data"} <= set(shipped_names("plans"))
    assert not [name for name in shipped_names() if name.startswith("compare")]
    assert shipped_folder("plans").parent == shipped_folder("configs")
    assert load_plan("losses").settings.reference == "stock"
