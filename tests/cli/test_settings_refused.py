"""Keys, values and configurations that are refused: the message names what, where, and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Refused, Run

MISTAKES = {
    "misspelt key of Ultralytics": ("epocs=3", ["epocs", "command line", "Did you mean epochs?"]),
    "misspelt key of ours": ("reg.focal.gama=2", ["reg.focal.gama", "Did you mean", "reg.focal.gamma"]),
    "unknown section": ("regg.focal.gamma=2", ["regg.focal.gamma", "reg.focal.gamma"]),
    "ours out of range": ("reg.focal.gamma=-1", ["reg.focal.gamma", "-1", "0"]),
    "ours of another type": ("reg.spatial.beta=wide", ["reg.spatial.beta", "wide", "number"]),
    "unknown choice of ours": ("reg.box.loss=ciuo", ["reg.box.loss", "ciuo", "ciou"]),
    "unknown preset": ("reg=regg", ["regg", "reg"]),
    "image size below zero": ("imgsz=-5", ["imgsz", "-5", "32"]),
    "image size that is not a number": ("imgsz=large", ["imgsz", "large", "number"]),
    "no epoch": ("epochs=0", ["epochs", "0", ">= 1"]),
    "epochs below zero": ("epochs=-3", ["epochs", "-3"]),
    "share above one": ("lr0=2", ["lr0", "2", "between 0.0 and 1.0"]),
    "batch of none": ("batch=0", ["batch", "0", "1"]),
    "broken batch": ("batch=2.5", ["batch", "2.5", "1"]),
    "workers below zero": ("workers=-1", ["workers", "-1", "0 or more"]),
    "gain below zero": ("box=-1", ["box", "-1", "0 or more"]),
    "absent device": ("device=99", ["device", "99", "cpu"]),
    "misspelt optimizer": ("optimizer=AdmaW", ["optimizer", "AdmaW", "Did you mean AdamW?"]),
    "unknown split": ("split=vall", ["split", "vall", "val"]),
    "truth that is none": ("plots=maybe", ["plots", "maybe"]),
    "mode": ("mode=val", ["mode", "the command decides it"]),
    "save_dir": ("save_dir=x", ["save_dir", "project and name"]),
    "unknown transform": ("albumentations.transforms=[RandomRian]", ["RandomRian", "RandomRain"]),
    "missing data": ("data=nowhere.yaml", ["data", "nowhere.yaml", "no file"]),
    "missing model": ("model=nowhere.yaml", ["model", "nowhere.yaml"]),
    "missing weights": ("model=nowhere.pt", ["nowhere.pt", "no"]),
    "stock weights that would be fetched": ("model=yolov8n.pt", ["yolov8n.pt", "stays offline", "YOLO_OFFLINE"]),
    "missing weights to start from": ("pretrained=nowhere.pt", ["nowhere.pt", "no such file"]),
    "class that is not there": ("classes=[0,7]", ["classes", "7", "0 red, 1 green, 2 blue"]),
    "class by name": ("classes=red", ["classes", "red", "0 red"]),
    "no value": ("epochs=", ["epochs", "no value"]),
    "two configurations": ("detect/yolov8s", ["detect/yolov8s", "KEY=VALUE"]),
}


@pytest.mark.parametrize("word, fragments", MISTAKES.values(), ids=MISTAKES.keys())
def test_wrong_setting_is_refused(word: str, fragments: list[str], own_rectangles: Path, refused: Refused) -> None:
    message = refused("train", "detect/yolov8n", f"data={own_rectangles}", "device=cpu", "workers=0", word)
    for fragment in fragments:
        assert fragment in message


def test_bfloat16_is_refused_where_the_processor_has_none(
    own_rectangles: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.training import precision

    monkeypatch.setattr(precision, "cpu_computes_bfloat16", lambda: False)
    words = ("train", "detect/yolov8n", f"data={own_rectangles}", "device=cpu", "workers=0", "amp=bf16")
    message = refused(*words)
    assert "amp=bf16" in message and "leave amp out" in message


def test_head_that_the_loss_does_not_fit_is_refused(own_rectangles: Path, tmp_path: Path, refused: Refused) -> None:
    model = tmp_path / "tiny.yaml"
    strides = "".join(f"  - [-1, 1, Conv, [16, 3, {stride}]]\n" for stride in (2, 2, 2, 2, 2))
    model.write_text(f"nc: 3\nbackbone:\n{strides}head:\n  - [[2, 3, 4], 1, v10Detect, [nc]]\n")
    message = refused("train", "detect/yolov8n", f"data={own_rectangles}", "device=cpu", f"model={model}")
    assert str(model) in message and "v10Detect" in message and "yolov8n" in message


def test_task_that_is_not_trained_yet_is_refused(own_rectangles: Path, refused: Refused) -> None:
    # The name of a task that no version trains; others are taken over as they come.
    message = refused("train", "detect/yolov8n", f"data={own_rectangles}", "task=pose")
    assert "task" in message and "pose" in message and "detect" in message


def test_task_without_a_trainer_is_refused(
    own_rectangles: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.commands import train as train_run

    monkeypatch.setattr(train_run, "TRAINERS", {})
    message = refused("train", "detect/yolov8n", f"data={own_rectangles}", "device=cpu")
    assert "detect is not trained by this version" in message


CONFIGURATIONS = {
    "missing": (None, ["config.yaml", "no such file"]),
    "empty": ("", ["config.yaml", "empty"]),
    "broken YAML": ("task: [detect\nmodel: yolov8n.yaml\n", ["config.yaml:", "expected"]),
    "a list": ("- detect\n- yolov8n\n", ["config.yaml", "list"]),
    "unknown key": ("extends: detect/yolov8n\nreg:\n  focus: 2\n", ["config.yaml:3", "reg.focus"]),
    "missing base": ("extends: nowhere.yaml\n", ["config.yaml:1", "nowhere.yaml"]),
    "circle": ("extends: config.yaml\n", ["circle", "config.yaml"]),
    "a data set": ("train: images\nval: images\nnames: [a]\n", ["config.yaml", "data="]),
}


@pytest.mark.parametrize("text, fragments", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_wrong_configuration_is_refused(
    text: str | None, fragments: list[str], working_directory: Path, refused: Refused
) -> None:
    if text is not None:
        (working_directory / "config.yaml").write_text(text)
    message = refused("train", "config.yaml")
    for fragment in fragments:
        assert fragment in message


def test_unknown_shipped_name_lists_the_nearest(refused: Refused) -> None:
    assert "Did you mean detect/yolov8n?" in refused("train", "detect/yolo8n")


def test_train_without_a_configuration_says_what_is_missing(refused: Refused) -> None:
    assert "detect/yolov8n" in refused("train")


@pytest.mark.parametrize("command", ["val", "predict"])
@pytest.mark.parametrize(
    "word, fragments",
    [
        ("cnf=0.3", ["cnf", "Did you mean conf?"]),
        ("conf=often", ["conf", "often"]),
        ("conf=1.5", ["conf", "1.5"]),
        ("iou=-1", ["iou", "-1"]),
        ("imgsz=3", ["imgsz", "3", "32"]),
        ("max_det=0", ["max_det", "0"]),
        ("device=99", ["device", "99", "cpu"]),
        ("batch=-1", ["batch", "-1", "from 1"]),
        ("batch=0.5", ["batch", "0.5", "from 1"]),
        ("classes=9", ["classes", "9", "2 blue"]),
        ("mode=train", ["mode", "leave it out"]),
        ("reg.focal.gamma=2", ["reg", "belongs to training"]),
        ("task=detect", ["task", "belongs to training"]),
    ],
)
def test_wrong_argument_of_val_and_predict_is_refused(
    command: str, word: str, fragments: list[str], own_rectangles: Path, detector: Path, refused: Refused
) -> None:
    where = ["--data", own_rectangles] if command == "val" else [own_rectangles.parent / "images/val"]
    message = refused(command, detector, *where, word)
    for fragment in fragments:
        assert fragment in message


def test_argument_that_gives_no_detections_is_refused(detector: Path, own_rectangles: Path, refused: Refused) -> None:
    images = own_rectangles.parent / "images/val"
    for word in ("embed=[10]", "source=road.mp4"):
        message = refused("predict", detector, images, word)
        assert word.partition("=")[0] in message and "leave it out" in message


@pytest.mark.parametrize("text", ["nc: [", "nc: 3\nbackbone: [[-1, 1, Konv, [16, 3, 2]]]\nhead: []\n", ""])
def test_model_yaml_that_gives_no_model_is_refused(
    text: str, own_rectangles: Path, tmp_path: Path, refused: Refused
) -> None:
    model = tmp_path / "own.yaml"
    model.write_text(text)
    message = refused("train", "detect/yolov8n", f"data={own_rectangles}", "device=cpu", f"model={model}")
    assert str(model) in message and "no model can be built" in message


@pytest.mark.parametrize("precision", ["0", "1.5", "-1"])
def test_minimum_precision_out_of_range_is_refused(
    precision: str, own_rectangles: Path, detector: Path, refused: Refused
) -> None:
    message = refused("val", detector, "--data", own_rectangles, "--min-precision", precision)
    assert "--min-precision" in message and precision in message


def test_wrong_words_show_the_usage(run_cli: Run) -> None:
    for words in (["predict"], ["train", "--nonsense"], ["nonsense"], ["val", "x.pt", "--min-precision", "much"]):
        outcome = run_cli(*words)
        assert outcome.code == 2
        assert "Traceback" not in outcome.err
        assert "Usage: reg-yolo" in outcome.err and "Error: " in outcome.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("epochs: -1", "'epochs' must be >= 1"),
        ("imgsz: 0", "imgsz: got 0"),
        ("lr0: -1", "between 0.0 and 1.0"),
        ("optimizer: Foo", "optimizer: got 'Foo'"),
        ("split: nope", "split: got 'nope'"),
        ("cos_lr: maybe", "must be a bool"),
    ],
)
def test_what_upstream_refuses_names_the_file_and_line(
    line: str, said: str, own_rectangles: Path, tmp_path: Path, refused: Refused
) -> None:
    config = tmp_path / "own.yaml"
    config.write_text(f"task: detect\nmodel: yolov8n.yaml\ndata: {own_rectangles}\ntrain:\n  device: cpu\n  {line}\n")
    message = refused("train", config)
    assert said in message and f"({config}:6)" in message
    key = line.partition(":")[0]
    config.write_text(f"task: detect\nmodel: yolov8n.yaml\ndata: {own_rectangles}\n")
    message = refused("train", config, "device=cpu", line.replace(": ", "="))
    assert said in message and "(command line)" in message and key in message
