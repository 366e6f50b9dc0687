"""A survey goes on where it was stopped, and does again what depends on what has changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.classes import POINT
from reg_yolo.inventory.command import Outputs
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.thumbnails.cutting import Picture
from reg_yolo.inventory.thumbnails.making import ThumbnailOptions
from reg_yolo.jobs.claims import Claims
from reg_yolo.jobs.work_list import WorkSource, result_paths
from reg_yolo.survey import running
from reg_yolo.survey.running import Predicted, Survey, SurveyOptions, SurveyResult
from tests.survey.cards import START, textured, write_drive_folder


class FakeNetwork:
    """Writes a detections file for each drive, and leaves drives alone that are done.

    Attributes:
        calls: Names of the drives that it was run over.
        fails: Names of those that it cannot read.
        dies_on: The process is killed in front of this one.
    """

    def __init__(self, fails: Sequence[str] = (), dies_on: str = "") -> None:
        self.calls: list[str] = []
        self.fails, self.dies_on = fails, dies_on

    def __call__(self, work: Sequence[WorkSource], out: Path) -> Predicted:
        for one in work:
            target = result_paths(one.name, out)["detections"]
            if target.is_file() or one.name in self.fails:
                continue
            if one.name == self.dies_on:
                os.kill(os.getpid(), 9)
            self.calls.append(one.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(one.name, encoding="utf-8")
        return Predicted(dict.fromkeys(self.fails, "cannot be read"))


SMALL = textured(10, (64, 96))
BUILT: list[BuildOptions] = []
OUTPUTS: list[Outputs] = []


def fake_build(options: BuildOptions, out: Path, *, outputs: Outputs, **_: Any) -> Inventory:
    """Write the files of an inventory with a sign for each drive."""
    BUILT.append(options)
    OUTPUTS.append(outputs)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("inventory.gpkg", "inventory.geojson", "inventory.csv", "observations.jsonl", "report.html"):
        (out / name).write_text(str(options), encoding="utf-8")
    place = np.zeros((1, 2))
    signs = [Asset("sign", POINT, place, np.eye(2), 0.9) for _ in options.detections]
    return Inventory(LocalProjection(100.5, 13.75), signs, [])


@pytest.fixture(autouse=True)
def quick_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build no real inventory: tests/cli/test_survey.py does."""
    BUILT.clear()
    monkeypatch.setattr(running, "build_into", fake_build)


@pytest.fixture
def options(card: Path, tmp_path: Path) -> SurveyOptions:
    """Return a survey of two drives."""
    write_drive_folder(card / "ขากลับ", SMALL, START + timedelta(hours=1))
    write_drive_folder(card / "ขาไป", SMALL)
    return SurveyOptions(card, tmp_path / "ผลลัพธ์", predict_key="weights")


def run(options: SurveyOptions, network: FakeNetwork | None = None, **changes: Any) -> SurveyResult:
    """Run a survey once."""
    return Survey(replace(options, **changes)).run(network or FakeNetwork())


def content_of(folder: Path) -> dict[str, str]:
    """Return a digest and the time of change of every file."""
    return {
        str(path): f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_one_call_makes_the_package_and_leaves_the_card_as_it_was(options: SurveyOptions) -> None:
    before = content_of(options.root)
    for path in sorted(options.root.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    result = run(options)
    assert content_of(options.root) == before
    assert result.did == ("preflight", "predict", "build", "package") and not result.is_partial
    assert result.assets == {"sign": 2}, result.preflight.items
    assert result.package is not None
    with zipfile.ZipFile(result.package) as archive:
        names = archive.namelist()
        readme = archive.read("README.txt").decode()
    assert set(names) == {
        "README.txt", "preflight.json", "inventory.gpkg", "inventory.geojson", "inventory.csv", "observations.jsonl",
        "report.html",
    }  # fmt: skip
    assert "Drives: 2, of which 0 are left out" in readme and "  sign: 2\n" in readme
    assert "press Review" in readme and "\n  reg-yolo inventory review FOLDER\n" in readme


def test_a_second_call_does_nothing_and_changes_do_what_depends_on_them(options: SurveyOptions) -> None:
    run(options)
    stored = content_of(options.out)
    assert run(options).did == ()
    assert content_of(options.out) == stored
    assert run(options, outputs=Outputs(crs="EPSG:32647")).did == ("build", "package")
    assert run(options, min_probability=0.05, outputs=Outputs(crs="EPSG:32647")).did == ("build", "package")
    assert BUILT[-1].min_probability == 0.05
    assert run(options, from_step="package").did == ("build", "package")  # back to the first options
    assert run(options, from_step="package").did == ("package",)
    network = FakeNetwork()
    assert run(options, network, from_step="predict").did == ("predict", "build", "package")
    assert network.calls == ["ขากลับ", "ขาไป"]
    (options.out / "inventory/report.html").unlink()
    assert run(options).did == ("build", "package")
    write_drive_folder(options.root / "อีกวัน", SMALL, START + timedelta(hours=2))
    network = FakeNetwork()
    result = run(options, network)
    assert network.calls == ["อีกวัน"] and result.did == ("preflight", "predict", "build", "package")
    assert result.assets == {"sign": 3}


def test_kill_9_in_the_middle_keeps_what_is_done(options: SurveyOptions) -> None:
    program = (
        "import sys; from pathlib import Path; from reg_yolo.survey import running\n"
        "from tests.survey.test_running import FakeNetwork, Survey, SurveyOptions, fake_build\n"
        "running.build_into = fake_build\n"
        "options = SurveyOptions(Path(sys.argv[1]), Path(sys.argv[2]), predict_key='weights')\n"
        "Survey(options).run(FakeNetwork(dies_on='ขาไป'))\n"
    )
    words = [sys.executable, "-c", program, str(options.root), str(options.out)]
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run(words, cwd=root, capture_output=True, check=False).returncode == -9
    assert set(json.loads((options.out / "survey.json").read_text("utf-8"))["steps"]) == {"preflight"}
    network = FakeNetwork()
    result = run(options, network)
    assert network.calls == ["ขาไป"] and result.did == ("predict", "build", "package")
    assert result.assets == {"sign": 2}


def test_a_drive_that_cannot_be_located_or_read_is_left_out_and_named(options: SurveyOptions) -> None:
    (options.root / "ขากลับ/track.gpx").unlink()
    result = run(options)
    assert result.is_partial and list(result.left_out) == ["ขากลับ"] and result.assets == {"sign": 1}
    write_drive_folder(options.root / "ขากลับ", SMALL, START + timedelta(hours=1))
    result = run(options, FakeNetwork(fails=["ขากลับ"]))
    assert result.left_out == {"ขากลับ": "cannot be read"} and result.assets == {"sign": 1}
    assert run(options).assets == {"sign": 2}


def test_without_any_drive_that_can_be_located_nothing_is_predicted(options: SurveyOptions) -> None:
    for track in options.root.rglob("*.gpx"):
        track.unlink()
    network = FakeNetwork()
    with pytest.raises(DataError, match="none of its 2 drives can be located"):
        run(options, network)
    assert network.calls == []


def test_preflight_alone_predicts_nothing_and_looks_again(options: SurveyOptions) -> None:
    for _ in range(2):
        result = Survey(options).run(None)
        assert result.package is None and not result.is_partial
    assert sorted(path.name for path in options.out.iterdir()) == [".work", "preflight.json", "survey.json"]


def test_build_is_told_positions_starts_cameras_and_decisions(options: SurveyOptions, tmp_path: Path) -> None:
    camera, reviewer = tmp_path / "camera.yaml", tmp_path / "suda.jsonl"
    camera.write_text("width: 96\nheight: 64\n")
    reviewer.write_text("")
    run(options, cameras=(str(camera),), starts=("ขาไป=2024-05-01T03:00:00Z",))
    (options.out / "inventory/decisions.jsonl").write_text("", encoding="utf-8")
    result = run(options, cameras=(str(camera),), starts=("ขาไป=2024-05-01T03:00:00Z",), decisions=(reviewer,))
    assert result.did == ("build", "package")
    told = BUILT[-1]
    assert [path.name for path in told.detections] == ["ขากลับ.jsonl", "ขาไป.jsonl"]
    assert told.gnss == (options.root / "ขากลับ/track.gpx", options.root / "ขาไป/track.gpx")
    assert told.cameras == (camera, camera) and told.starts == (None, "2024-05-01T03:00:00Z")
    assert told.decisions == (reviewer, options.out / "inventory/decisions.jsonl")


def test_thumbnails_are_made_again_when_other_things_are_blurred(options: SurveyOptions) -> None:
    def private(_: Picture) -> list[tuple[float, float, float, float]]:
        return []

    cutting = ThumbnailOptions((options.root,), private, ("faces.pt:0",))
    drawn = {"outputs": Outputs(thumbnails=cutting), "blur_key": "first"}
    run(options)
    assert run(options, **drawn).did == ("build", "package")
    assert OUTPUTS[-1].thumbnails is cutting
    assert run(options, **drawn).did == ()
    # The same file name, with other weights in it.
    assert run(options, **drawn | {"blur_key": "second"}).did[0] == "build"
    wider = replace(cutting, blurred_by=("faces.pt:0,1",))
    assert run(options, outputs=Outputs(thumbnails=wider), blur_key="second").did[0] == "build"


def test_discard_frames_removes_stored_images_only(options: SurveyOptions) -> None:
    for name in ("annotated/x.jpg", "inventory/thumbnails/a.jpg"):
        (options.out / name).parent.mkdir(parents=True, exist_ok=True)
        (options.out / name).write_bytes(b"x")
    before = content_of(options.root)
    result = run(options, discard_frames=True)
    assert result.removed == ("annotated (1 files)", "inventory/thumbnails (1 files)")
    assert not (options.out / "annotated").exists() and content_of(options.root) == before
    with pytest.raises(ConfigError, match="--discard-frames: removes what --thumbnails stores"):
        replace(options, discard_frames=True, outputs=Outputs(thumbnails=ThumbnailOptions()))


def test_two_at_once_and_wrong_words_are_refused(options: SurveyOptions) -> None:
    options.out.mkdir()
    claim = Claims(options.out / ".work").take("survey")
    assert claim is not None
    with claim, pytest.raises(DataError, match="another process is at work on this survey"):
        run(options)
    with pytest.raises(ConfigError, match="--from: got 'report', expected one of preflight, predict, build, package"):
        replace(options, from_step="report")  # type: ignore[arg-type]
    (options.out / "survey.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"survey.json cannot be read: .*; remove it, finished predictions stay"):
        run(options)
