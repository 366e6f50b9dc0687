"""Loading a configuration: inheritance, paths, and what is said when something is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.config.loader import dump_config, load_config, write_yaml_atomic
from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError, OutputError

Write = Callable[[str, str], Path]

MINIMAL = "model: yolov8n.yaml\ndata: roads.yaml\n"


def refusal(source: object, *overrides: str, cwd: Path, train_keys: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(str(source), overrides, cwd=cwd, train_keys=train_keys)
    assert not str(caught.value).endswith(".")
    return str(caught.value)


def test_the_least_configuration_loads_with_defaults(write: Write, tmp_path: Path) -> None:
    config = load_config(write("a.yaml", MINIMAL))
    assert config.task == "detect"
    assert config.model == "yolov8n.yaml"
    assert config.data == str(tmp_path / "roads.yaml")
    assert config.reg == RegSettings.from_mapping("reg")
    assert config.albumentations.is_stock
    assert config.train == {}


def test_a_byte_order_mark_and_windows_line_ends_are_taken(write: Write) -> None:
    path = write("a.yaml", "")
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load_config(path).model == "yolov8n.yaml"


def test_an_heir_covers_its_base_key_by_key(write: Write) -> None:
    write("base.yaml", MINIMAL + "train: {epochs: 5, imgsz: 320, classes: [0, 1]}\nreg: {focal: {gamma: 2}}\n")
    config = load_config(
        write("sub/heir.yaml", "extends: ../base.yaml\ntrain: {epochs: 7, classes: [2]}\nreg: {spatial: {beta: 1}}\n")
    )
    assert config.train == {"epochs": 7, "imgsz": 320, "classes": [2]}
    assert config.reg.focal.gamma == 2
    assert config.reg.spatial.beta == 1


def test_an_heir_may_build_on_a_shipped_configuration(write: Write, tmp_path: Path) -> None:
    config = load_config(write("mine.yaml", "extends: detect/yolov8s\ndata: roads.yaml\n"))
    assert config.model == "yolov8s.yaml"
    assert config.data == str(tmp_path / "roads.yaml")
    assert config.train["optimizer"] == "AdamW"


def test_naming_a_preset_starts_the_loss_afresh(write: Write) -> None:
    write("base.yaml", MINIMAL + "reg: {preset: reg_v1, focal: {gamma: 3}, alpha: {temper: 0.2}}\n")
    assert load_config(write("b.yaml", "extends: base.yaml\nreg: gfl\n")).reg == RegSettings.from_mapping("gfl")
    again = load_config(write("c.yaml", "extends: base.yaml\nreg: {preset: reg_v1, alpha: {temper: 1}}\n")).reg
    assert (again.focal.gamma, again.alpha.temper) == (1.5, 1.0)


def test_later_weights_replace_an_earlier_scheme_and_the_reverse(write: Write) -> None:
    write("weights.yaml", MINIMAL + "reg: {alpha: {weights: [1, 2]}}\n")
    heir = load_config(write("scheme.yaml", "extends: weights.yaml\nreg: {alpha: {scheme: dual}}\n")).reg.alpha
    assert (heir.scheme, heir.weights) == ("dual", None)
    write("balanced.yaml", MINIMAL + "reg: {alpha: {scheme: balanced}}\n")
    heir = load_config(write("given.yaml", "extends: balanced.yaml\nreg: {alpha: {weights: [3]}}\n")).reg.alpha
    assert (heir.scheme, heir.weights) == ("none", [3.0])


def test_sections_with_every_line_commented_out_say_nothing(write: Write) -> None:
    write("base.yaml", MINIMAL + "train: {epochs: 5}\nreg: {preset: cle}\nalbumentations: highway\n")
    config = load_config(write("a.yaml", "extends: base.yaml\ntrain:\nreg:\nalbumentations:\n"))
    assert config.train == {"epochs": 5}
    assert config.reg.preset == "cle"
    assert config.albumentations.preset == "highway"


def test_paths_are_relative_to_the_file_that_says_them(write: Write, tmp_path: Path) -> None:
    write("sets/city.yaml", "names: [a]\n")
    write("weights/start.pt", "")
    write("configs/base.yaml", "data: ../sets/city.yaml\nmodel: ../weights/start.pt\ntrain: {pretrained: base.yaml}\n")
    config = load_config(write("other/heir.yaml", "extends: ../configs/base.yaml\n"))
    assert config.data == str(tmp_path / "sets/city.yaml")
    assert config.model == str(tmp_path / "weights/start.pt")
    assert config.train["pretrained"] == str(tmp_path / "configs/base.yaml")


def test_paths_on_the_command_line_are_relative_to_the_working_directory(write: Write, tmp_path: Path) -> None:
    path = write("deep/down/a.yaml", MINIMAL.replace("roads", "nowhere"))
    config = load_config(path, ["data=roads.yaml"], cwd=tmp_path)
    assert config.data == str(tmp_path / "roads.yaml")


def test_a_stock_model_name_is_left_alone_though_a_file_of_that_name_lies_there(write: Write) -> None:
    assert load_config(write("yolov8n.yaml", MINIMAL)).model == "yolov8n.yaml"


def test_weights_beside_the_file_are_found_and_stock_weights_need_not_be_there(write: Write, tmp_path: Path) -> None:
    path = write("a.yaml", MINIMAL.replace(".yaml\nd", ".pt\nd"))
    assert load_config(path).model == "yolov8n.pt"
    write("yolov8n.pt", "")
    assert load_config(path).model == str(tmp_path / "yolov8n.pt")


def test_a_shipped_data_set_goes_by_name(write: Write) -> None:
    config = load_config(write("a.yaml", MINIMAL.replace("roads.yaml", "highway_segment")))
    assert Path(str(config.data)).name == "highway_segment.yaml"
    assert Path(str(config.data)).is_file()


def test_joint_takes_two_data_sets(write: Write, tmp_path: Path) -> None:
    text = "task: joint\nmodel: yolov8n-seg.yaml\ndata: {detect: roads.yaml, segment: highway_segment}\n"
    config = load_config(write("a.yaml", text + "mask_classes: [no, sign]\nlambda_seg: 0.5\n"))
    assert not isinstance(config.data, str)
    assert config.data.detect == str(tmp_path / "roads.yaml")
    assert config.mask_classes == ["no", "sign"]
    assert load_config("again.yaml", cwd=write("again.yaml", dump_config(config)).parent) == config


def test_words_for_truth_become_booleans_where_the_default_is_one(write: Write, train_keys: dict[str, Any]) -> None:
    path = write("a.yaml", MINIMAL + "train: {plots: off, amp: bf16, cache: ram, name: no}\n")
    assert load_config(path, train_keys=train_keys).train == {
        "plots": False,
        "amp": "bf16",
        "cache": "ram",
        "name": "no",
    }


ERRORS_IN_FILE = [
    ("reg:\n  focal: {gamma: -1}\n", "reg.focal.gamma: got -1, expected a number from 0 to 10 (a.yaml:4)"),
    ("reg:\n  focal:\n    gama: 1\n", "reg.focal.gama: unknown key (a.yaml:5). Did you mean reg.focal.gamma?"),
    ("epochs: 3\n", "epochs: unknown key (a.yaml:3). Did you mean train.epochs?"),
    ("regs: {}\n", "regs: unknown key (a.yaml:3). Did you mean reg?"),
    ("train: {epoch: 3}\n", "train.epoch: not an argument of Ultralytics (a.yaml:3). Did you mean train.epochs?"),
    (
        "train: {lambda_seg: 3}\n",
        "train.lambda_seg: not an argument of Ultralytics; write lambda_seg: at",
    ),
    ("train: {epochs: ten}\n", 'train.epochs: got "ten", expected a number such as 100 (a.yaml:3)'),
    ("train: {lr0: true}\n", "train.lr0: got true, expected a number such as 0.01 (a.yaml:3)"),
    ("train: {lr0: .nan}\n", "train.lr0: got .nan, expected a finite number (a.yaml:3)"),
    ("train: [1]\n", "train: got [1], expected a mapping of keys (a.yaml:3)"),
    ("train: {model: x.pt}\n", "train.model: not taken here; write model: at the top level (a.yaml:3)"),
    ("train: {mode: val}\n", "train.mode: not taken here; the command decides it"),
    ("train: {resume: true}\n", "train.resume: not taken here; use reg-yolo train --resume RUN (a.yaml:3)"),
    ("train: {save_dir: x}\n", "train.save_dir: not taken here; use project and name"),
    ("train: {trainer: x}\n", "train.trainer: not taken here; task: at the top level chooses the trainer (a.yaml:3)"),
    ("train: {augmentations: []}\n", "train.augmentations: not taken here; write albumentations: at the top level"),
    ("train: {cls_pw: 0.5}\n", "train.cls_pw: Ultralytics' class weights and ours (reg.alpha) are both on"),
    ("task: detct\n", 'task: got "detct", expected one of detect, segment, joint, semantic (a.yaml:3). Did you mean'),
    ("task: segment\n", "model: yolov8n.yaml does not fit task segment; expected yolov8n-seg.yaml (a.yaml:1)"),
    ("mask_classes: [sign]\n", "mask_classes: belongs to task joint, and task is detect; leave it out (a.yaml:3)"),
    ("lambda_seg: 2\n", "lambda_seg: belongs to task joint, and task is detect; leave it out (a.yaml:3)"),
    ("lambda_seg: -2\n", "lambda_seg: got -2, expected a number from 0 to 1000 (a.yaml:3)"),
    ("albumentations: rain\n", 'albumentations.preset: got "rain", expected one of none, highway (a.yaml:3)'),
    ("albumentations:\n  transforms: [Blur, 3]\n", "albumentations.transforms[1]: got 3, expected text or a mapping"),
    ("albumentations:\n  transforms: [{A: {}, B: {}}]\n", "albumentations.transforms[0]: got 2 names in one entry"),
    ("albumentations: {mode: add}\n", 'albumentations.mode: got "add", expected one of extend, replace (a.yaml:3)'),
    ("model: x\n", "a.yaml:3: model is given twice (first on line 1)"),
    ("train: {a: [}\n", "a.yaml:3: not valid YAML"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS_IN_FILE, ids=[text.strip()[:40] for text, _ in ERRORS_IN_FILE])
def test_errors_name_key_file_and_line(
    write: Write, tmp_path: Path, train_keys: dict[str, Any], text: str, message: str
) -> None:
    write("a.yaml", MINIMAL + text)
    assert message in refusal("a.yaml", cwd=tmp_path, train_keys=train_keys)


def test_class_weights_of_ultralytics_are_taken_when_ours_are_off(write: Write, train_keys: dict[str, Any]) -> None:
    path = write("a.yaml", MINIMAL + "train: {cls_pw: 0.5}\nreg: focal_eiou\n")
    assert load_config(path, train_keys=train_keys).train["cls_pw"] == 0.5
    path = write("b.yaml", MINIMAL + "train: {cls_pw: 0.0}\n")
    assert load_config(path, train_keys=train_keys).train["cls_pw"] == 0.0


def test_an_error_in_a_base_names_the_base(write: Write, tmp_path: Path) -> None:
    write("base.yaml", MINIMAL + "reg: {scale: 0}\n")
    write("heir.yaml", "extends: base.yaml\ntrain: {epochs: 3}\n")
    assert "(base.yaml:3)" in refusal("heir.yaml", cwd=tmp_path)


def test_what_is_missing_is_said_to_be(write: Write, tmp_path: Path) -> None:
    write("a.yaml", "task: detect\n")
    message = refusal("a.yaml", cwd=tmp_path)
    assert "model: missing (a.yaml). Expected: A YOLOv8 model YAML (from scratch), or a .pt (fine-tuning)" in message
    assert "data: missing (a.yaml). Expected: A data YAML" in message


def test_files_that_are_not_there_are_named_with_the_folder_they_were_looked_for_in(
    write: Write, tmp_path: Path
) -> None:
    write("a.yaml", MINIMAL.replace("roads", "raods"))
    assert f"data: no file raods.yaml in {tmp_path}, and no shipped data set" in refusal("a.yaml", cwd=tmp_path)
    assert "(a.yaml:2)" in refusal("a.yaml", cwd=tmp_path)
    write("b.yaml", MINIMAL.replace("yolov8n.yaml", "runs/best.pt"))
    message = refusal("b.yaml", cwd=tmp_path)
    assert message.startswith(f"model: no file runs/best.pt in {tmp_path} (b.yaml:1)")
    write("c.yaml", MINIMAL.replace("yolov8n", "yolo8n"))
    assert "Did you mean yolov8n.yaml?" in refusal("c.yaml", cwd=tmp_path)
    message = refusal("a.yaml", "data=highway_detec", cwd=tmp_path)
    assert message.endswith("(command line). Did you mean highway_detect?")
    joint = "task: joint\nmodel: yolov8n-seg.pt\ndata: {detect: roads.yaml, segment: nowhere.yaml}\n"
    write("d.yaml", joint)
    assert refusal("d.yaml", cwd=tmp_path).startswith("data.segment: no file nowhere.yaml")


def test_a_missing_file_of_a_base_is_no_matter_once_replaced(write: Write, tmp_path: Path) -> None:
    write("a.yaml", MINIMAL.replace("roads", "raods"))
    assert load_config("a.yaml", ["data=roads.yaml"], cwd=tmp_path).data == str(tmp_path / "roads.yaml")
    write("b.yaml", "model: yolov8n.yaml\ndata: {detect: raods.yaml, segment: raods.yaml}\n")
    assert load_config("b.yaml", ["data=roads.yaml"], cwd=tmp_path).data == str(tmp_path / "roads.yaml")


def test_sources_that_are_no_configuration(write: Write, tmp_path: Path) -> None:
    assert "Did you mean detect/yolov8n?" in refusal("detect/yolo8n", cwd=tmp_path)
    message = refusal("qqqq", cwd=tmp_path)
    assert message.startswith(f"No configuration qqqq: no such file in {tmp_path}, and no shipped one of that name")
    assert "detect/yolov8n" in message
    assert "Shipped are" in message
    write("sub/a.yaml", "")
    assert refusal("sub", cwd=tmp_path) == "sub is a folder; expected a configuration, a YAML file"
    assert "sub/a.yaml is empty" in refusal("sub/a.yaml", cwd=tmp_path)
    write("comment.yaml", "# nothing here\n")
    assert "comment.yaml is empty" in refusal("comment.yaml", cwd=tmp_path)
    write("list.yaml", "- 1\n")
    assert refusal("list.yaml", cwd=tmp_path) == "list.yaml: expected keys (task:, model:, data: ...), got list"
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert refusal("bytes.yaml", cwd=tmp_path).startswith("bytes.yaml is not UTF-8 text")
    (tmp_path / "big.yaml").write_text("a: 1\n" + "#" * 1_000_001)
    assert refusal("big.yaml", cwd=tmp_path).startswith("big.yaml is larger than 1 MB")
    assert refusal("roads.yaml", cwd=tmp_path) == (
        "roads.yaml is a data-set YAML, not a configuration; give it as data=roads.yaml"
    )
    assert "No configuration '\\x00'" in refusal("\0", cwd=tmp_path)
    assert "No configuration ''" in refusal("", cwd=tmp_path)


def test_a_file_of_the_users_comes_before_a_shipped_one(write: Write, tmp_path: Path) -> None:
    write("detect/yolov8n.yaml", "model: yolov8x.yaml\ndata: ../roads.yaml\n")
    assert load_config("detect/yolov8n.yaml", cwd=tmp_path).model == "yolov8x.yaml"
    assert load_config("detect/yolov8n", ["data=roads.yaml"], cwd=tmp_path).model == "yolov8n.yaml"


def test_inheritance_that_goes_wrong_shows_the_chain(write: Write, tmp_path: Path) -> None:
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: c.yaml\n")
    write("c.yaml", "extends: a.yaml\n")
    expected = "extends: goes round in a circle: a.yaml -> b.yaml -> c.yaml -> a.yaml"
    assert refusal("a.yaml", cwd=tmp_path) == expected
    write("own.yaml", "extends: own.yaml\n")
    assert "own.yaml -> own.yaml" in refusal("own.yaml", cwd=tmp_path)
    write("c.yaml", "\nextends: gone.yaml\n")
    message = refusal("a.yaml", cwd=tmp_path)
    assert f"no file gone.yaml in {tmp_path} (c.yaml:2; chain: a.yaml -> b.yaml -> c.yaml -> gone.yaml)" in message
    write("c.yaml", "extends: detect/yolo8n\n")
    assert message != refusal("a.yaml", cwd=tmp_path)
    assert refusal("a.yaml", cwd=tmp_path).endswith("Did you mean detect/yolov8n?")
    write("d.yaml", "extends: [a.yaml]\n")
    assert "extends: got ['a.yaml'], expected one path or shipped name (d.yaml:1)" in refusal("d.yaml", cwd=tmp_path)


def test_what_is_dumped_loads_to_the_same_settings(write: Write, tmp_path: Path) -> None:
    text = MINIMAL + "train: {lr0: 1e-5, name: '1e-3', classes: [1], device: '0,1'}\n"
    text += "reg: {preset: reg_u, alpha: {weights: [1, 2]}, uncertainty: {deviation: 0.5}}\n"
    text += "albumentations: {preset: highway, transforms: [Blur, {GaussNoise: {p: 0.1}}, {CLAHE: }], mode: replace}\n"
    config = load_config(write("a.yaml", text))
    assert config.albumentations.transforms == ["Blur", {"GaussNoise": {"p": 0.1}}, {"CLAHE": {}}]
    write_yaml_atomic(tmp_path / "b.yaml", config, comment="Settings of a run\nof two lines")
    assert load_config("b.yaml", cwd=tmp_path) == config
    assert (tmp_path / "b.yaml").read_text().startswith("# Settings of a run\n# of two lines\ntask: detect\n")
    assert "mask_classes" not in dump_config(config)


def test_writing_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    target = run / "reg.yaml"
    target.write_text("old")
    with pytest.raises(ConfigError, match="cannot be written to YAML"):
        write_yaml_atomic(target, {"a": object()})
    assert target.read_text() == "old"
    with pytest.raises(OutputError, match=r"cannot be written: No such file"):
        write_yaml_atomic(run / "gone" / "reg.yaml", {"a": 1})
    folder = run / "folder.yaml"
    folder.mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_yaml_atomic(folder, {"a": 1})
    assert sorted(path.name for path in run.iterdir()) == ["folder.yaml", "reg.yaml"]


def test_two_data_sets_do_not_inherit_the_mask_classes_of_one(tmp_path: Path) -> None:
    for name in ("boxes", "masks"):
        (tmp_path / f"{name}.yaml").write_text("names: [a]\ntrain: .\nval: .\n")
    pair = f"data={{detect: {tmp_path / 'boxes.yaml'}, segment: {tmp_path / 'masks.yaml'}}}"
    assert load_config("joint/yolov8n", [pair]).mask_classes is None
    assert load_config("joint/yolov8n", [pair, "mask_classes=[a]"]).mask_classes == ["a"]
    assert load_config("joint/yolov8n", [f"data={tmp_path / 'masks.yaml'}"]).mask_classes is not None
