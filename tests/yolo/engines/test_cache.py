"""The cache of exports: what the key depends on, one build for all who ask, damage found, nothing half-made left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.yolo.engines import cache as engine_cache
from reg_yolo.yolo.engines.cache import CacheKey, cache_folder, entry_for, find_entry, recorded_facts

KEY = CacheKey(
    weights_sha256="ab" * 32, engine="openvino", engine_version="openvino 1", precision="f32", imgsz=(64, 96), batch=1,
    dynamic=False, processor="x86_64 avx2", ultralytics="8.4",
)  # fmt: skip
OTHER_VALUES: dict[str, Any] = {
    "weights_sha256": "cd" * 32,
    "engine": "onnxruntime",
    "engine_version": "openvino 2",
    "precision": "bf16",
    "imgsz": (96, 64),
    "batch": 2,
    "dynamic": True,
    "processor": "x86_64 avx512",
    "ultralytics": "8.5",
    "calibration": "0123",
}


def build(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Stand for an exporter that makes a folder with two files."""
    model = folder / "model_openvino_model"
    model.mkdir()
    (model / "model.xml").write_text("<net/>")
    (model / "model.bin").write_bytes(b"12345678")
    return model, {"engine_ms": 2.0, "build_s": 1.5}


def must_not_build(_folder: Path) -> tuple[Path, dict[str, Any]]:
    """Fail where an entry should have been found."""
    raise AssertionError("built again")


def test_table_of_other_values_is_complete() -> None:
    assert set(OTHER_VALUES) == set(CacheKey.__dataclass_fields__)


@pytest.mark.parametrize("component", OTHER_VALUES)
def test_key_changes_with_each_component(component: str, tmp_path: Path) -> None:
    other = replace(KEY, **{component: OTHER_VALUES[component]})
    assert other.digest() != KEY.digest() and other.entry_name() != KEY.entry_name()
    entry_for(tmp_path, KEY, build)
    assert find_entry(tmp_path, KEY) is not None and find_entry(tmp_path, other) is None


def test_second_call_finds_the_first_ones_export(tmp_path: Path) -> None:
    first = entry_for(tmp_path, KEY, build)
    second = entry_for(tmp_path, KEY, must_not_build)
    assert first.made_now and not second.made_now
    assert second.model == first.model and (second.model / "model.bin").read_bytes() == b"12345678"
    assert second.facts == {"engine_ms": 2.0, "build_s": 1.5} == recorded_facts(tmp_path, "openvino")[0]
    assert recorded_facts(tmp_path, "onnxruntime") == []
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def damage_weights(entry: Path) -> None:
    """Change one byte and keep the size."""
    (entry / "model_openvino_model/model.bin").write_bytes(b"12345679")


def cut_off_graph(entry: Path) -> None:
    """Leave an empty file."""
    (entry / "model_openvino_model/model.xml").write_text("")


def lose_weights(entry: Path) -> None:
    """Remove a file."""
    (entry / "model_openvino_model/model.bin").unlink()


def garble_record(entry: Path) -> None:
    """Cut the record off."""
    (entry / "entry.json").write_text('{"schema": "reg_yolo.engine/1", "key"')


def empty_record(entry: Path) -> None:
    """Name no files at all."""
    content = json.loads((entry / "entry.json").read_text())
    (entry / "entry.json").write_text(json.dumps({**content, "files": {}}))


@pytest.mark.parametrize("damage", [damage_weights, cut_off_graph, lose_weights, garble_record, empty_record])
def test_damaged_entry_is_built_again(damage: Any, tmp_path: Path) -> None:
    entry_for(tmp_path, KEY, build)
    damage(tmp_path / KEY.entry_name())
    assert find_entry(tmp_path, KEY) is None
    again = entry_for(tmp_path, KEY, build)
    assert again.made_now and (again.model / "model.bin").read_bytes() == b"12345678"
    assert find_entry(tmp_path, KEY) is not None


def test_failing_export_leaves_nothing_but_its_lock(tmp_path: Path) -> None:
    def fail(folder: Path) -> tuple[Path, dict[str, Any]]:
        build(folder)
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        entry_for(tmp_path, KEY, fail)
    assert {path.name for path in tmp_path.iterdir()} <= {".gitignore", f"{KEY.entry_name()}.lock"}
    assert entry_for(tmp_path, KEY, build).made_now


def test_leftovers_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    left = tmp_path / f".{KEY.entry_name()}.abc123.part"
    left.mkdir()
    (left / "half").write_text("half")
    entry_for(tmp_path, KEY, build)
    assert not left.exists()


BUILDER = """
import sys, time
from pathlib import Path
from reg_yolo.yolo.engines.cache import CacheKey, entry_for
folder, mark = Path(sys.argv[1]), Path(sys.argv[2])
key = CacheKey("ab" * 32, "openvino", "1", "f32", (64, 64), 1, False, "cpu", "8")
def build(workshop):
    with mark.open("a") as file:
        file.write("built\\n")
    time.sleep(0.5)
    (workshop / "model.onnx").write_text("model")
    return workshop / "model.onnx", {}
print("ready", flush=True)
sys.stdin.readline()
entry = entry_for(folder, key, build)
print(entry.made_now, entry.model.read_text(), flush=True)
"""


def test_second_process_waits_and_reuses(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = [sys.executable, "-c", BUILDER, str(tmp_path / "cache"), str(mark)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert said == ["False model", "True model"]
    assert mark.read_text() == "built\n"


def test_cache_lies_beside_the_weights(tmp_path: Path) -> None:
    assert cache_folder(tmp_path / "best.pt") == tmp_path / ".reg_yolo_engines"


def test_read_only_folder_and_shipped_weights_use_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shipped = shipped_weights("demo")
    assert shipped is not None
    home = cache_folder(shipped)
    assert home.name == "engines" and "reg_yolo" in home.parts
    assert home.is_relative_to(tmp_path) or sys.platform != "linux"
    # Root may write everywhere, so the answer of the system is replaced.
    monkeypatch.setattr(engine_cache.os, "access", lambda path, _mode: Path(path) != tmp_path)
    assert cache_folder(tmp_path / "best.pt") == home
    assert os.access(tmp_path, os.W_OK) is False


class TestOwnership:
    """An export is code, and what was measured on it is believed: only one's own counts."""

    @pytest.fixture
    def weights(self, tmp_path: Path) -> Path:
        path = tmp_path / "best.pt"
        path.write_bytes(b"weights")
        return path

    def test_ones_own_folder_is_taken(self, weights: Path) -> None:
        folder = cache_folder(weights)
        assert folder == weights.parent / ".reg_yolo_engines"
        before = os.umask(0)
        try:
            entry = entry_for(folder, KEY, build)
        finally:
            os.umask(before)
        assert cache_folder(weights) == folder and find_entry(folder, KEY) is not None
        assert not any(path.stat().st_mode & 0o022 for path in (folder, entry.model, entry.model / "model.bin"))

    @pytest.mark.parametrize("fault", ["link", "group", "others", "owner"])
    def test_a_folder_that_others_could_have_filled_is_not(
        self, weights: Path, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = weights.parent / ".reg_yolo_engines"
        if fault == "link":
            entry_for(tmp_path / "theirs", KEY, build)
            folder.symlink_to(tmp_path / "theirs")
        else:
            entry_for(folder, KEY, build)
        if fault == "owner":
            monkeypatch.setattr(engine_cache, "trusted_owners", lambda: {os.getuid() + 1})
        elif fault != "link":
            folder.chmod(0o775 if fault == "group" else 0o757)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
        assert cache_folder(weights).is_relative_to(tmp_path / "mine")

    def test_an_entry_of_another_or_behind_a_link_is_not_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = entry_for(tmp_path, KEY, build)
        graph = entry.model / "model.xml"
        graph.chmod(0o666)
        assert find_entry(tmp_path, KEY) is None
        graph.chmod(0o644)
        assert find_entry(tmp_path, KEY) is not None
        graph.rename(tmp_path / "elsewhere.xml")
        graph.symlink_to(tmp_path / "elsewhere.xml")
        assert find_entry(tmp_path, KEY) is None
        graph.unlink()
        (tmp_path / "elsewhere.xml").rename(graph)
        monkeypatch.setattr(engine_cache, "trusted_owners", lambda: {os.getuid() + 1})
        assert find_entry(tmp_path, KEY) is None and recorded_facts(tmp_path, "openvino") == []

    @pytest.mark.parametrize("name", ["../outside", "/etc", "..", "."])
    def test_a_model_outside_of_its_entry_is_not_found(self, tmp_path: Path, name: str) -> None:
        entry = entry_for(tmp_path, KEY, build)
        (tmp_path / "outside").write_bytes(b"12345678")
        file = entry.model.parent / "entry.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "model": name}))
        assert find_entry(tmp_path, KEY) is None
        digest = content["files"]["model_openvino_model/model.bin"]
        file.write_text(json.dumps({**content, "files": {**content["files"], "../outside": digest}}))
        assert find_entry(tmp_path, KEY) is None
