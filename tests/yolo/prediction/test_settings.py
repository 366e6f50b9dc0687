"""One frozen object of settings: what it takes, refuses, records, and what decides whether a source is done again."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from pathlib import Path

import pytest

import reg_yolo
from reg_yolo.cli.prediction import predict as predict_command
from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.errors import ConfigError
from reg_yolo.video.tiles import Region, View
from reg_yolo.yolo.commands.predict_many import predict_many
from reg_yolo.yolo.prediction.settings import OPTIONS, PredictSettings, read_settings


def test_options_are_told_from_ultralytics_arguments() -> None:
    settings = read_settings(every=5, roi=(0, 0.25, 1, 0.9), tiles=960, conf=0.4, blur="faces.pt", vid_stride=None)
    assert (settings.every, settings.roi, settings.tiles) == ("5", "0,0.25,1,0.9", "960")
    assert settings.view == View(Region((0.0, 0.25, 1.0, 0.9), fractions=True), (960, 960))
    assert settings.blur == ("faces.pt",) and settings.arguments["conf"] == 0.4
    assert settings.step_s(25.0) == 0.2 and settings.thinning is not None
    # None is how a caller says that it has nothing to say.
    assert read_settings(every=None, polygons=None, engine=None) == PredictSettings()


def test_settings_start_from_others_and_cannot_be_changed() -> None:
    start = read_settings(every="0.2s", conf=0.4)
    further = read_settings(start, polygons=True, imgsz=96)
    assert (further.every, further.polygons, dict(further.arguments)) == ("0.2s", True, {"conf": 0.4, "imgsz": 96})
    assert (start.polygons, dict(start.arguments)) == (False, {"conf": 0.4})
    with pytest.raises(dataclasses.FrozenInstanceError):
        start.every = "3"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(read_settings(roi="0,0,1,0.5"))) == read_settings(roi="0,0,1,0.5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "often"}, "`every`: got 'often'"),
        ({"roi": (0, 0, 1)}, "`roi`: got '0,0,1', expected x1,y1,x2,y2"),
        ({"tiles": 8}, "`tiles`: got '8', expected pixels from 32"),
        ({"speed": 50}, "`speed`: only thins by metres"),
        ({"every": 2, "vid_stride": 3}, "vid_stride: leave it out next to `every`"),
        ({"engine": "tensorflow"}, "engine: got 'tensorflow'"),
        ({"precision": "f8"}, "`precision`: got 'f8', expected one of f32"),
        ({"int8": True, "precision": "f32"}, "`precision`: got f32 next to `int8`"),
        ({"track": "mine.yaml"}, "`track`: mine.yaml does not exist"),
        (
            {"suppression": "balancd"},
            "`suppression`: got 'balancd', expected one of stock, soft, balanced. Did you mean",
        ),
        ({"rescore": "sread"}, "`rescore`: got 'sread', expected one of none, dfl, spread. Did you mean spread?"),
        ({"evry": 5}, "evry: not an argument of Ultralytics"),
        ({"save_crop": True}, "save_crop: not taken by predict"),
    ],
)
def test_what_is_wrong_is_told_at_once_and_names_the_parameter(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_settings(**options)
    assert message in str(refused.value)


def test_each_option_says_whether_results_depend_on_it(tmp_path: Path) -> None:
    track = tmp_path / "a.gpx"
    points = "".join(f'<trkpt lat="0" lon="{n / 1000}"><time>2025-06-02T08:00:0{n}Z</time></trkpt>' for n in range(5))
    track.write_text(
        f'<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    )
    base = {"every": "2m", "speed": 50.0}
    along = {"every": "2m", "speed": None, "gnss": track}
    others = {
        "every": {"every": "3m"}, "speed": {"speed": 60.0}, "gnss": along, "gnss_offset": {**along, "gnss_offset": 2.0},
        "roi": {"roi": "0,0,1,0.5"}, "tiles": {"tiles": 64}, "polygons": {"polygons": True}, "track": {"track": True},
        "blur": {"blur": ("faces.pt",)}, "engine": {"engine": "pytorch"}, "precision": {"precision": "f32"},
        "int8": {"int8": True}, "data": {"data": "x.yaml"}, "trust": {"trust": True},
        "for_inventory": {"for_inventory": True}, "suppression": {"suppression": "balanced"},
        "rescore": {"rescore": "dfl"}, "sigma": {"sigma": True}, "calibrated": {"calibrated": True},
    }  # fmt: skip
    assert set(others) == set(OPTIONS)
    for name, options in others.items():
        before = read_settings(**(along if name == "gnss_offset" else base))
        changed = read_settings(**{**base, **options}).effective != before.effective
        assert changed == OPTIONS[name].metadata["changes"], name
    # The content of a track counts, not its name.
    renamed = track.rename(tmp_path / "b.gpx")
    assert read_settings(**{**along, "gnss": renamed}).effective["gpx"][1] == 0.0
    assert read_settings(**{**along, "gnss": renamed}).recorded == {"every": "2m", "gpx": "b.gpx"}
    # What asks for the default is no other setting.
    assert read_settings(suppression="stock", rescore="none", sigma=False) == PredictSettings()
    assert read_settings(suppression="soft", rescore="dfl").ranking == SuppressionSettings("soft", "dfl")
    assert read_settings(batch=4, device="cpu", save=True).effective == PredictSettings().effective


def test_what_decides_about_results_of_earlier_versions_is_as_it_was() -> None:
    assert read_settings(vid_stride=3, tiles=64, conf=0.5).effective == {
        "conf": 0.5, "engine": "auto", "gpx": None, "int8": False, "polygons": False, "precision": None, "tiles": "64",
        "tracker": None, "vid_stride": 3,
    }  # fmt: skip


@pytest.mark.parametrize("function", [reg_yolo.predict, predict_many])
def test_signatures_name_every_option(function: object) -> None:
    parameters = inspect.signature(function).parameters  # type: ignore[arg-type]
    for name, option in OPTIONS.items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY and parameters[name].default == option.default


def test_the_command_takes_every_option() -> None:
    assert set(OPTIONS) <= set(inspect.signature(predict_command).parameters)
