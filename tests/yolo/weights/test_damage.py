"""Weights with flipped bits, bombs, and stored settings of a wrong form: refused in one line, never loaded."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from reg_yolo.errors import WeightsError
from reg_yolo.yolo.weights.archive import require_whole_archive
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, read_thresholds
from reg_yolo.yolo.weights.stored_metadata import metadata_fault


@pytest.fixture
def weights(detector: Path, tmp_path: Path) -> Path:
    """A copy of a checkpoint, to be damaged."""
    path = tmp_path / "weights.pt"
    path.write_bytes(detector.read_bytes())
    return path


def content_of(path: Path, member: zipfile.ZipInfo) -> int:
    """Return where the content of a stored member begins."""
    with path.open("rb") as stream:
        stream.seek(member.header_offset + 26)
        name, extra = (int.from_bytes(stream.read(2), "little") for _ in range(2))
    return member.header_offset + 30 + name + extra


def flip(path: Path, member: zipfile.ZipInfo, offset: int = 0) -> None:
    """Flip the lowest bit of a byte of a member."""
    place = content_of(path, member) + offset
    with path.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([byte ^ 1]))


def test_a_flipped_bit_in_any_tensor_is_refused(weights: Path) -> None:
    members = [member for member in zipfile.ZipFile(weights).infolist() if "/data/" in member.filename]
    assert len(members) > 50
    for member in (members[0], members[len(members) // 2], members[-1]):
        flip(weights, member, member.file_size // 2)
        # Torch takes it without a word.
        torch.load(weights, weights_only=False)
        with pytest.raises(WeightsError, match=rf"weights\.pt: damaged, 1 of its \d+ parts .*{member.filename}"):
            load_checkpoint_file(weights)
        flip(weights, member, member.file_size // 2)
    load_checkpoint_file(weights)


def test_weights_without_check_sums_are_taken(weights: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(weights, weights_only=False)
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(checkpoint, tmp_path / "without.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    load_checkpoint_file(tmp_path / "without.pt")


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(50_000_000))
    with pytest.raises(WeightsError, match=r"0\.0 MB that unpack to 50 MB"):
        require_whole_archive(path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    with pytest.raises(WeightsError, match=r"pipe\.pt"):
        load_checkpoint_file(tmp_path / "pipe.pt")


def joint(**values: Any) -> dict[str, Any]:
    return {"task": "joint", "mask_classes": ["a"], **values}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, ""),
        ({"task": "detect", "scale": None, "dual": None, "later": object}, ""),
        (joint(), ""),
        ({"task": "joint"}, "mask_classes: missing"),
        (joint(mask_classes="ab"), "mask_classes: expected a list of names, got 'ab'"),
        ({"task": "pose"}, "task: expected detect, segment, joint or semantic, got 'pose'"),
        ({"scale": float("nan")}, "scale: expected a number, got nan"),
        ({"deviations": [1.0, None]}, "deviations: expected a list of numbers"),
        ({"reg": "reg"}, "reg: expected keys and values"),
        ({"class_counts": "x" * 200}, "..."),
    ],
)
def test_faults_of_stored_metadata(metadata: dict[str, Any], said: str) -> None:
    fault = metadata_fault(metadata)
    assert (said in fault) if said else fault == ""
    assert len(fault) < 150


@pytest.mark.parametrize("change", [{"task": 3}, {"class_counts": {"a": 1}}, {"thresholds": "0.5"}])
def test_damaged_metadata_names_the_file(weights: Path, change: dict[str, Any]) -> None:
    checkpoint = torch.load(weights, weights_only=False)
    checkpoint["reg_yolo"] = {"task": "detect", **change}
    torch.save(checkpoint, weights)
    with pytest.raises(
        WeightsError, match=rf"weights\.pt: what reg_yolo stored in it is damaged \({next(iter(change))}"
    ):
        load_checkpoint_file(weights)


def test_stored_thresholds_without_values_name_the_file(weights: Path) -> None:
    with pytest.raises(WeightsError, match=r"weights\.pt: not weights with whole thresholds"):
        read_thresholds(weights, {"thresholds": {"criterion": "best_f1"}})


@pytest.mark.parametrize("offset", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_ends_early_is_refused(weights: Path, offset: float) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * offset)])
    with pytest.raises(WeightsError, match=r"weights\.pt"):
        load_checkpoint_file(weights)


def test_an_apostrophe_in_the_path_is_said(weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "somchai's"
    folder.mkdir()
    with pytest.raises(WeightsError, match="no path with an apostrophe"):
        load_checkpoint_file(weights.rename(folder / "weights.pt"))


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf")])
def test_thresholds_out_of_range_name_the_file(weights: Path, value: float) -> None:
    stored = {"thresholds": {"criterion": "best_f1", "values": {"red": value}}}
    with pytest.raises(WeightsError, match=r"weights\.pt: .*threshold of red: .* is not from 0 to 1"):
        read_thresholds(weights, stored)
