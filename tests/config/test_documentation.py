"""docs/configuration.md names every key of the loss with its default, and its examples load."""

import re
from pathlib import Path

import yaml

from reg_yolo.config.problems import schema_keys, show_value
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.schema import AlbumentationsSettings
from reg_yolo.config.train_arguments import REFUSED
from reg_yolo.data.augmentation import SPATIAL_TRANSFORMS, build_transforms

TEXT = (Path(__file__).parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
STOCK = RegSettings.from_mapping("stock").to_dict()


def test_every_key_of_the_loss_is_in_the_table_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| ([^|]*?) ?\|", TEXT, flags=re.MULTILINE))
    sections = {"alpha", "alpha.dual", "focal", "spatial", "uncertainty", "uncertainty.prior", "box"}
    sections |= {"dynamic_coefficient", "assign", "mask", "mask.spatial", "proximal", "semantic", "semantic.spatial"}
    for key in schema_keys(RegSettings.model_json_schema()):
        if key in sections:
            continue
        assert key in rows, f"{key} is not documented"
        value = STOCK
        for part in key.split("."):
            value = value[part]
        if key not in ("preset", "alpha.weights"):
            assert rows[key].strip("`") == show_value(value).strip('"'), key


def test_what_is_refused_and_what_is_allowed_is_listed() -> None:
    for name in set(REFUSED) - {"callbacks"}:
        assert f"`{name}`" in TEXT
    for name in SPATIAL_TRANSFORMS:
        assert f"`{name}`" in TEXT


def test_the_yaml_examples_are_valid() -> None:
    examples = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)]
    assert len(examples) == 2
    RegSettings.from_mapping(examples[0]["reg"])
    settings = AlbumentationsSettings.from_mapping(examples[1]["albumentations"])
    assert len(build_transforms(settings)) == 8
