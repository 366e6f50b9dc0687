"""`--json` and `--quiet`: every command has both, JSON is one object, and nothing else is on stdout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from reg_yolo.cli import speech
from reg_yolo.cli.app import app
from reg_yolo.config.plan import load_plan
from reg_yolo.data.prelabel.summary import PrelabelSummary
from reg_yolo.inventory.audit.command import plan_into
from reg_yolo.inventory.audit.plan import Terms
from reg_yolo.inventory.calibration.result import Calibration
from reg_yolo.inventory.decisions.decision import Decision, Seen
from reg_yolo.inventory.labels.summary import LabelsSummary
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.text import write_geojson
from reg_yolo.inventory.review.edits import Edits
from reg_yolo.inventory.review.serving import Reviewed
from reg_yolo.scenes.stills.writing import StillsSummary
from reg_yolo.yolo.commands.compare_planning import planned_runs
from reg_yolo.yolo.commands.demo import DemoResult
from reg_yolo.yolo.commands.export import ExportResult
from reg_yolo.yolo.commands.train import TrainingResult
from reg_yolo.yolo.engines.int8 import MapChange
from tests.cli.conftest import Run
from tests.cli.test_compare import PLAN, written
from tests.conftest import NAMES
from tests.evaluation.runs import report_of
from tests.inventory.samples import sample_inventory
from tests.survey.cards import textured, write_drive_folder
from tests.yolo.commands.test_report import run_on


def commands(group: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command of the command line with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{words}{name} ")
        else:
            yield f"{words}{name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_has_both_options() -> None:
    options = {words: {one for each in command.params for one in each.opts} for words, command in COMMANDS.items()}
    assert {words for words in options if not {"--json", "--quiet"} <= options[words]} == set()


@dataclass
class Place:
    """What the commands are called on."""

    folder: Path
    data: Path
    even: Path
    detector: Path
    patch: pytest.MonkeyPatch

    def gives(self, function: str, result: Any) -> None:
        """Let a long function give a result at once; Ultralytics prints on stdout meanwhile."""

        def at_once(*_: object, **__: object) -> Any:
            print("epoch 1/100")
            return result

        self.patch.setattr(function, at_once)


def _train(place: Place) -> list[object]:
    run = place.folder / "run"
    result = TrainingResult(run, run / "best.pt", run / "last.pt", report_of(NAMES), {"fitness": float("nan")})
    place.gives("reg_yolo.yolo.commands.train.train", result)
    return ["detect/yolov8n", f"data={place.data}"]


def _demo(place: Place) -> list[object]:
    made = [place.folder / name for name in ("drive.mp4", "per_class.txt", "plots", "best.pt")]
    place.gives("reg_yolo.yolo.commands.demo.demo", DemoResult(report_of(NAMES), *made, seconds=3.0))
    return []


def _export(place: Place) -> list[object]:
    made = place.folder / "best.onnx"
    change = MapChange(0.5, 0.49, 8)
    place.gives("reg_yolo.yolo.commands.export.export", ExportResult(made, made, "onnxruntime", "int8", change))
    return ["best.pt"]


def _compare(place: Place) -> list[object]:
    plan, out = place.folder / "plan.yaml", place.folder / "compared"
    plan.write_text(PLAN.replace("DATA", str(place.data)))
    for run in planned_runs(load_plan(plan)):
        written(run, out)
    place.gives("reg_yolo.yolo.commands.compare_report._draw", {})
    return [plan, "--out", out, "--only-report", "--draws", "0"]


def _scenes(place: Place) -> list[object]:
    counts = {"train": {"pole": 3}, "val": {"pole": 1}}
    place.gives("reg_yolo.scenes.write_stills", StillsSummary(place.data, {"train": 4, "val": 1}, counts, counts))
    return [place.folder / "s"]


def _inventory(place: Place) -> Path:
    write_geojson(place.folder / "a.geojson", sample_inventory())
    return place.folder / "a.geojson"


def _build(place: Place) -> list[object]:
    place.gives("reg_yolo.inventory.command.build_into", sample_inventory())
    (place.folder / "a.jsonl").touch()
    return [place.folder / "a.jsonl", "--out", place.folder / "built"]


def _calibrate(place: Place) -> list[object]:
    place.gives("reg_yolo.inventory.calibration.command.calibrate_into", Calibration({"width": 640}, ["a line"]))
    return [place.folder, "--board", "9x6", "--out", place.folder / "camera.yaml"]


def _prelabel(place: Place) -> list[object]:
    summary = PrelabelSummary(place.folder, ["pole"], frames=2, objects=Counter(pole=3))
    place.gives("reg_yolo.data.prelabel_detections", summary)
    return [place.folder / "a.jsonl", place.folder / "out"]


def _labels(place: Place) -> list[object]:
    summary = LabelsSummary(place.folder, ["pole"], place.folder / "data.yaml", images=2, detected=Counter(pole=3))
    place.gives("reg_yolo.inventory.labels.command.write_labels", summary)
    return [place.folder, "--to", place.folder / "out"]


def _planned(place: Place) -> Path:
    write_geopackage(place.folder / "a.gpkg", sample_inventory(), "EPSG:4326")
    plan_into(place.folder / "a.gpkg", place.folder / "audit", Terms())
    return place.folder / "audit"


def _audit_plan(place: Place) -> list[object]:
    write_geopackage(place.folder / "a.gpkg", sample_inventory(), "EPSG:4326")
    return [place.folder / "a.gpkg", "--out", place.folder / "audit", "--position", "5m"]


def _audit_record(place: Place) -> list[object]:
    folder = _planned(place)
    return [folder, folder / "form_a_assets.csv"]


def _survey(place: Place) -> list[object]:
    write_drive_folder(place.folder / "card/ขาไป", textured(8, (64, 96)))
    return [place.folder / "card", "--preflight-only", "--out", place.folder / "survey"]


def _review(place: Place) -> list[object]:
    result = Reviewed(place.folder / "d.jsonl", "somchai", 3, 1, 2, 6, [])
    place.gives("reg_yolo.inventory.review.serving.review_folder", result)
    return [place.folder]


def _decisions(place: Place) -> Path:
    file = place.folder / "a.jsonl"
    seen = Seen("a.mp4", 7, (1.0, 2.0, 30.0, 40.0))
    file.write_text(json.dumps(Decision("suda", "accept", ((seen,),)).to_record()))
    return file


def _import(place: Place) -> list[object]:
    place.gives("reg_yolo.inventory.review.edits.import_edits", Edits(known=2))
    return [place.folder / "a.gpkg", place.folder, "--to", place.folder / "d.jsonl"]


# For each command the words behind it, and keys of its answer.
CALLS: dict[str, tuple[Callable[[Place], list[object]], tuple[str, ...]]] = {
    "init": (lambda p: [p.folder / "mine"], ("folder", "files")),
    "config": (lambda _: ["detect/yolov8n"], ("config",)),
    "train": (_train, ("best", "report", "metrics")),
    "val": (
        lambda p: [p.detector, f"data={p.even}", "imgsz=64", "plots=false", "workers=0", "--out", p.folder / "val"],
        ("report", "thresholds", "folder"),
    ),
    "diagnose": (
        lambda p: [p.detector, f"data={p.even}", "imgsz=64", "workers=0", "--out", p.folder / "why"],
        ("errors", "conditions", "page"),
    ),
    "predict": (
        lambda p: [p.detector, p.even.parent / "images/val/000.png", "save=false", "--out", p.folder / "found"],
        ("detections_file", "counts", "thresholds"),
    ),
    "export": (_export, ("path", "engine", "map_change")),
    "report": (
        lambda p: [run_on(p.folder / "a", p.even), "--hardest", "0", "--out", p.folder / "report"],
        ("page", "tables"),
    ),
    "compare": (_compare, ("page", "comparison", "failed")),
    "scenes": (_scenes, ("data", "images", "objects")),
    "demo": (_demo, ("report", "video", "weights")),
    "data convert": (lambda p: [p.data.parent, p.folder / "converted"], ("result", "images", "remarks")),
    "data check": (
        lambda p: [p.data, "--no-sheets", "--workers", "1", "--out", p.folder / "checked"],
        ("errors", "findings", "files"),
    ),
    "data stats": (lambda p: [p.data, "--png", p.folder / "stats.png"], ("class_names", "alpha", "image")),
    "data split": (
        lambda p: [p.data, "--by", "burst", "--out", p.folder / "split.yaml", "--workers", "1"],
        ("data", "images", "objects"),
    ),
    "data tile": (
        lambda p: [p.data, p.folder / "tiles", "--size", "64", "--workers", "1"],
        ("data", "splits"),
    ),
    "data prelabel": (_prelabel, ("frames", "objects", "picked")),
    "inventory calibrate": (_calibrate, ("file", "camera")),
    "inventory build": (_build, ("folder", "assets", "counts", "notes")),
    "survey": (_survey, ("folder", "problems", "items", "package", "did")),
    "inventory labels": (_labels, ("result", "images", "detected", "projected", "skipped", "lost")),
    "inventory score": (lambda p: [_inventory(p), _inventory(p)], ("recall", "classes", "identities")),
    "inventory diff": (
        lambda p: [_inventory(p), _inventory(p), "--out", p.folder / "d.csv"],
        ("counts", "table", "map"),
    ),
    "inventory review": (_review, ("file", "reviewer", "decisions", "reviewed", "assets")),
    "inventory decisions merge": (
        lambda p: [_decisions(p), "--to", p.folder / "all.jsonl"],
        ("file", "decisions", "people", "conflicts"),
    ),
    "inventory decisions import": (_import, ("file", "counts", "known", "left")),
    "inventory audit plan": (_audit_plan, ("folder", "audit", "assets", "stretches", "notes")),
    "inventory audit record": (_audit_record, ("forms", "rows", "empty")),
    "inventory audit report": (lambda p: [_planned(p)], ("verdict", "limits", "files")),
}  # fmt: skip


@pytest.fixture
def place(
    tmp_path: Path, own_rectangles: Path, even_rectangles: Path, detector: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    weights = Path(shutil.copy(detector, tmp_path))
    return Place(tmp_path, own_rectangles, even_rectangles, weights, monkeypatch)


@pytest.mark.parametrize("words", list(COMMANDS))
def test_json_is_one_object_and_quiet_is_nothing(words: str, place: Place, run_cli: Run) -> None:
    assert words in CALLS, f"add a row for `reg-yolo {words}` to CALLS"
    arguments, keys = CALLS[words]
    outcome = run_cli(*words.split(), *arguments(place), "--json", "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    answer = json.loads(outcome.out)
    schema, version = answer["schema"].split("/")
    assert schema == f"reg_yolo.cli.{words.replace(' ', '_')}" and version == "1"
    assert set(keys) <= set(answer)


def test_without_json_logs_stay_and_with_it_they_go_to_stderr(place: Place, run_cli: Run) -> None:
    words = ("train", *_train(place))
    plain, as_json, quiet = run_cli(*words), run_cli(*words, "--json"), run_cli("train", "-q", *words[1:])
    assert plain.out.startswith("epoch 1/100\nDone. Best weights: ") and plain.err == ""
    assert json.loads(as_json.out)["metrics"] == {"fitness": None} and as_json.err == "epoch 1/100\n"
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_errors_are_one_line_on_stderr_and_no_json(run_cli: Run) -> None:
    for words in (("data", "check", "nowhere.yaml"), ("val", "nowhere.pt"), ("config", "nothing")):
        outcome = run_cli(*words, "--json", "--quiet")
        assert outcome.code == 2 and outcome.out == ""
        assert outcome.err.startswith("error: ") and outcome.err.count("\n") == 1


def test_findings_leave_code_2_next_to_the_json(place: Place, run_cli: Run) -> None:
    label = next((place.data.parent / "labels/val").glob("*.txt"))
    label.write_text("9 0.5 0.5 0.1 0.1\n")
    outcome = run_cli("data", "check", place.data, "--no-sheets", "--workers", "1", "--json")
    assert outcome.code == 2
    answer = json.loads(outcome.out)
    [finding] = [one for one in answer["findings"] if one["severity"] == "error"]
    assert answer["errors"] == 1 and finding["line"] == 1 and finding["path"] == str(label)


def test_the_file_that_stats_once_wrote_for_json_is_still_written(place: Place, run_cli: Run) -> None:
    # Behind the data set it is in other tests.
    outcome = run_cli("data", "stats", "--json", "a.json", place.data, "--png", place.folder / "a.png")
    assert outcome.code == 0 and "objects" in outcome.out and "JSON: a.json" in outcome.out
    assert json.loads(Path("a.json").read_text())["class_names"] == list(NAMES)
    assert "takes one data set" in run_cli("data", "stats", place.data, "a.json").err


def test_other_answers_have_names_of_their_own(run_cli: Run) -> None:
    for option, name in (("--schema", "config_schema"), ("--losses", "config_losses")):
        answer = json.loads(run_cli("config", option, "--json").out)
        assert answer.pop("schema") == f"reg_yolo.cli.{name}/1" and answer
    assert "reg" in answer["presets"]


def test_what_child_processes_and_libraries_print_is_kept_apart() -> None:
    program = (
        "import os, subprocess, sys\n"
        "from reg_yolo.cli.speech import answer, printing, say\n"
        "with printing(as_json=True):\n"
        "    print('python'); os.write(1, b'library\\n')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"child\")'])\n"
        "    say('text'); answer('x', {'name': 'ป้าย'})\n"
        "say('after')\n"
        "with printing(quiet=True):\n"
        "    print('python'); os.write(1, b'library\\n'); say('problem', err=True); answer('x', {})\n"
        "say('end')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found, _, rest = done.stdout.partition("}\n")
    assert json.loads(found + "}") == {"schema": "reg_yolo.cli.x/1", "name": "ป้าย"} and found.isascii()
    assert rest == "after\nend\n"
    assert sorted(done.stderr.split()) == ["child", "library", "problem", "python"]


def test_values_are_plain_data() -> None:
    change = MapChange(0.5, float("inf"), 8)
    given = {1: np.float32(0.5), "a": (np.arange(2), {Path("b")}), "c": change, "d": None, "e": True}
    assert speech.plain(given) == {
        "1": 0.5, "a": [[0, 1], ["b"]], "c": {"before": 0.5, "after": None, "images": 8}, "d": None, "e": True,
    }  # fmt: skip
