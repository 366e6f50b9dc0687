"""Every configuration and data-set YAML that ships, and the copies `reg-yolo init` makes of them."""

from pathlib import Path

import pytest
import yaml

from reg_yolo.config import shipped
from reg_yolo.config.loader import load_config
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.shipped import (
    config_for_model,
    replace_text,
    shipped_file,
    shipped_folder,
    shipped_model,
    shipped_names,
    write_shipped,
)
from reg_yolo.errors import ConfigError, OutputError

DETECT = ["pavilion", "pedestrian_bridge", "information_sign", "single_arm_pole", "bus_stop", "warning_sign"]
DETECT += ["concrete_guardrail"]
SEGMENT = ["pavilion", "pedestrian_bridge", "information_sign", "warning_sign", "concrete_guardrail"]


def test_there_are_configurations_for_every_size() -> None:
    assert {f"detect/yolov8{size}" for size in "nsmlx"} | {"detect/base"} <= set(shipped_names())
    assert {"highway_detect", "highway_segment", "highway_joint"} <= set(shipped_names("datasets"))


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_configuration_loads(name: str, tmp_path: Path) -> None:
    config = load_config(name, cwd=tmp_path)
    assert load_config(f"{name}.yaml", cwd=tmp_path) == config
    assert load_config(shipped_folder("configs") / f"{name}.yaml", cwd=tmp_path) == config


@pytest.mark.parametrize("size", list("nsmlx"))
def test_detection_configurations_differ_in_the_model_only(size: str, tmp_path: Path) -> None:
    config = load_config(f"detect/yolov8{size}", cwd=tmp_path)
    base = load_config("detect/base", cwd=tmp_path)
    assert config.model == f"yolov8{size}.yaml"
    assert config.model_copy(update={"model": base.model}) == base
    lines = (shipped_folder("configs") / f"detect/yolov8{size}.yaml").read_text().splitlines()
    assert len(lines) <= 5


def test_the_base_writes_out_preset_reg_and_trains_with_adamw(tmp_path: Path) -> None:
    base = load_config("detect/base", cwd=tmp_path)
    assert base.task == "detect"
    assert base.reg == RegSettings.from_mapping("reg")
    assert base.train["optimizer"] == "AdamW"
    assert base.albumentations.preset == "highway"
    assert Path(str(base.data)) == shipped_file("highway_detect", "datasets")
    written = yaml.safe_load((shipped_folder("configs") / "detect/base.yaml").read_text())["reg"]
    shown = {key for key in written if key != "preset"}
    assert shown == set(RegSettings.model_fields) - {"preset"}


@pytest.mark.parametrize(
    ("name", "classes"), [("highway_detect", DETECT), ("highway_segment", SEGMENT), ("highway_joint", DETECT)]
)
def test_data_sets_have_the_papers_classes_and_relative_paths(name: str, classes: list[str]) -> None:
    path = shipped_file(name, "datasets")
    assert path is not None
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [values["names"][index] for index in range(len(classes))] == classes
    assert len(values["names"]) == len(classes)
    for key in ("path", "train", "val"):
        assert not Path(values[key]).is_absolute()


def test_copies_load_by_themselves(tmp_path: Path) -> None:
    written = write_shipped(tmp_path / "mine")
    assert len(written) == sum(len(shipped_names(kind)) for kind in ("configs", "datasets", "plans"))
    config = load_config("mine/configs/detect/yolov8s.yaml", cwd=tmp_path)
    assert config.data == str(tmp_path / "mine/datasets/highway_detect.yaml")
    assert config.model == "yolov8s.yaml"


def test_copies_never_overwrite(tmp_path: Path) -> None:
    mine = tmp_path / "configs/detect/yolov8n.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ConfigError, match=r"Not overwritten: .*configs/detect/yolov8n.yaml. Choose another folder"):
        write_shipped(tmp_path)
    assert mine.read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


def test_a_failed_copy_takes_back_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = replace_text, []

    def full_disk(path: Path, text: str) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(path, text)

    monkeypatch.setattr(shipped, "replace_text", full_disk)
    with pytest.raises(OSError, match="No space left on device"):
        write_shipped(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_copy_to_where_a_file_stands_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"The folder .*file/configs/detect cannot be made: Not a directory"):
        write_shipped(tmp_path / "file")


def test_an_installed_package_uses_its_own_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages/reg_yolo"
    for kind in ("configs", "datasets"):
        (tmp_path / "site-packages" / kind).mkdir(parents=True)
        (package / "shipped" / kind).mkdir(parents=True)
    monkeypatch.setattr(shipped, "__file__", str(package / "config/shipped.py"))
    assert shipped_folder("configs") == package / "shipped/configs"


def test_a_broken_installation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "reg_yolo/config/shipped.py"))
    with pytest.raises(ConfigError, match=r"The shipped configs are missing next to .*; install reg-yolo again"):
        shipped_folder("configs")


@pytest.mark.parametrize(
    ("model", "task", "name"),
    [
        ("yolov8n.pt", None, "detect/yolov8n"),
        ("/weights/yolov8x-seg.pt", None, "segment/yolov8x"),
        ("yolov8s.yaml", "joint", "joint/yolov8s"),
        ("best.pt", None, "detect/yolov8n"),
        ("best.pt", "segment", "segment/yolov8n"),
    ],
)
def test_the_configuration_of_a_model_is_task_and_scale(model: str, task: str | None, name: str) -> None:
    assert config_for_model(model, task) == name
    assert shipped_file(name) is not None


def test_a_model_of_ours_is_known_by_its_name_and_scale_letter(tmp_path: Path) -> None:
    for scale in "nsmlx":
        assert shipped_model(f"yolov8{scale}-leaky.yaml") == (shipped_folder("models") / "yolov8-leaky.yaml", scale)
    assert shipped_model("yolov8n.yaml") is None and shipped_model("yolov8n-leeky.yaml") is None
    (tmp_path / "mine.yaml").write_text("model: yolov8s-leaky.yaml\ndata: highway_detect\n")
    assert load_config("mine.yaml", cwd=tmp_path).model == "yolov8s-leaky.yaml"
