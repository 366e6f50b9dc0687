"""Reading run folders: what they say, and one clear error for what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.evaluation.run_results import of_classes, read_run, read_runs, without_seed
from tests.evaluation.runs import FIVE, SEVEN, report_of, write_run


def test_a_run_says_what_was_trained(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "reg", epochs=7, imgsz=320)
    (folder / "weights").mkdir()
    (folder / "weights" / "best.pt").write_bytes(b"x" * 2_500_000)
    (run,) = read_runs([folder])
    assert (run.label, run.task, run.model, run.epochs, run.imgsz, run.size_mb) == (
        "reg",
        "detect",
        "yolov8n",
        7,
        320,
        2.5,
    )
    assert run.boxes == report_of(SEVEN)
    assert run.masks is None and run.mask_classes == ()
    assert run.data["val"] == "/road/images/val"


def test_weights_stand_for_their_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "reg")
    (folder / "weights").mkdir()
    (folder / "weights" / "best.pt").touch()
    assert read_runs([folder / "weights" / "best.pt"])[0].folder == folder


def test_masks_of_segmentation_and_joint_runs(tmp_path: Path) -> None:
    segment, joint = read_runs([write_run(tmp_path / "s", "segment"), write_run(tmp_path / "j", "joint")])
    assert segment.mask_classes == joint.mask_classes == FIVE
    assert segment.masks == joint.masks == report_of(FIVE, 0.4, "mask")
    assert len(joint.boxes.classes) == 7


def test_a_mask_report_over_all_classes_is_cut_to_the_mask_classes(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "j", "joint", masks=report_of(SEVEN, 0.4, "mask")), "j")
    assert run.masks is not None and [result.name for result in run.masks.classes] == list(FIVE)


def test_the_mean_of_some_classes_is_theirs() -> None:
    part = of_classes(report_of(SEVEN), ["bridge", "pole"])
    assert part.mean.ap50 == pytest.approx((0.52 + 0.56) / 2)
    assert part.mean.instances == 45 + 55


def test_labels(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a" / "train"), write_run(tmp_path / "b" / "train"), write_run(tmp_path / "a" / "reg")]
    assert [run.label for run in read_runs(runs)] == ["a/train", "b/train", "a/reg"]
    assert [run.label for run in read_runs([runs[0], runs[2]], ["ก", " B "])] == ["ก", "B"]
    for labels, message in (
        (["A"], "got 1 for 3 runs"),
        (["A", "A", "B"], "label of its own"),
        (["A", "", "B"], "label"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_runs(runs, labels)
    with pytest.raises(ConfigError, match="is given twice"):
        read_runs([runs[0], f"{runs[0]}/"])
    with pytest.raises(ConfigError, match="no run named"):
        read_runs([])


def test_the_method_is_the_same_whatever_the_seed(tmp_path: Path) -> None:
    one = read_run(write_run(tmp_path / "1", seed=1), "1")
    two = read_run(write_run(tmp_path / "2", seed=2), "2")
    other = read_run(write_run(tmp_path / "3", settings={"train": {"seed": 1, "lr0": 0.1}}), "3")
    assert one.method == two.method != other.method


@pytest.mark.parametrize(
    ("label", "stem"),
    [("reg-seed0", "reg"), ("reg_seed12", "reg"), ("reg-2", "reg"), ("train3", "train"), ("reg", "reg"), ("7", "7")],
)
def test_seeds_leave_the_label(label: str, stem: str) -> None:
    assert without_seed(label) == stem


def test_no_folder_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_runs([tmp_path / "gone"])
    with pytest.raises(DataError, match=r"reg\.yaml is missing or empty"):
        read_runs([tmp_path])
    folder = write_run(tmp_path / "x", settings={"task": "pose"})
    with pytest.raises(DataError, match="task pose has no table"):
        read_runs([folder])


def test_an_unfinished_run_is_named_with_what_to_do(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "cut", "joint")
    (folder / "per_class_masks.json").unlink()
    with pytest.raises(DataError, match=r"per_class_masks\.json is missing.*no weights either"):
        read_runs([folder])
    (folder / "per_class.json").unlink()
    (folder / "weights").mkdir()
    (folder / "weights" / "last.pt").touch()
    with pytest.raises(DataError, match=r"per_class\.json is missing.*reg-yolo val .*last\.pt --out .*cut.*--resume"):
        read_runs([folder])


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": "other/1"}', '{"schema": "reg_yolo.per_class/1"}'])
def test_a_damaged_report_is_named(tmp_path: Path, content: str) -> None:
    folder = write_run(tmp_path / "bad")
    (folder / "per_class.json").write_text(content)
    with pytest.raises(DataError, match=r"per_class\.json: not a per-class report"):
        read_runs([folder])


def test_damaged_settings_are_named_and_missing_extras_are_unknown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for name in ("args.yaml", "results.csv", "data.yaml"):
        (folder / name).unlink()
    run = read_run(folder, "run")
    assert (run.imgsz, run.epochs, run.data, run.size_mb) == (None, None, {}, None)
    (folder / "reg.yaml").write_text("task: [")
    with pytest.raises(DataError, match=r"reg\.yaml:1: not valid YAML"):
        read_run(folder, "run")
