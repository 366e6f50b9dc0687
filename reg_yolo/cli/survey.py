"""`reg-yolo survey`: from a card's folder to a package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.labelling import private_boxes_of
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say
from reg_yolo.cli.words import train_arguments
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.defaults import MIN_PROBABILITY
from reg_yolo.text_tables import how_many

if TYPE_CHECKING:
    from reg_yolo.inventory.thumbnails.cutting import PrivateBoxes
    from reg_yolo.jobs.work_list import WorkSource
    from reg_yolo.survey.forecast import NetworkSpeed
    from reg_yolo.survey.running import Predicted, SurveyResult

_DRIVES, _STEPS, _OUTPUT = "Drives", "Steps", "Output"


def _option(panel: str, name: str, text: str, metavar: str | None = None) -> Any:
    return typer.Option(name, help=text, metavar=metavar, rich_help_panel=panel, show_default=False)


def survey(
    card: Annotated[Path, typer.Argument(help="Folder of a card: videos or images, in folders as they are.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Ultralytics' arguments for predict: conf=0.1, imgsz=960."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of everything that is written; the same again goes on.")] = Path(
        "survey"
    ),
    weights: Annotated[
        Path | None, typer.Option(help="A checkpoint such as best.pt. The shipped `demo` has never seen a real road.")
    ] = None,
    gnss: Annotated[
        list[str] | None,
        _option(_DRIVES, "--gnss", "Positions: one for all drives, one each, or DRIVE=FILE; else found on the card."),
    ] = None,
    camera: Annotated[
        list[str] | None, _option(_DRIVES, "--camera", "camera.yaml: one for all, one each, or DRIVE=FILE.")
    ] = None,
    start: Annotated[
        list[str] | None, _option(_DRIVES, "--start", "When a drive's clock was zero: one each, or DRIVE=TIME.")
    ] = None,
    time_base: Annotated[
        str, _option(_DRIVES, "--time-base", "Of times without an offset: utc (default), gps or local+07:00.")
    ] = "utc",
    route: Annotated[
        Path | None, _option(_DRIVES, "--route", "route.geojson: axis with chainage; what is missing of it is named.")
    ] = None,
    preflight_only: Annotated[
        bool, _option(_STEPS, "--preflight-only", "Look at the card only: minutes, no weights and no torch needed.")
    ] = False,
    from_step: Annotated[
        str | None,
        _option(_STEPS, "--from", "Do this step and those after it again.", "preflight|predict|build|package"),
    ] = None,
    every: Annotated[
        str | None, _option(_STEPS, "--every", "Look at one frame every 5 frames (5) or 0.2 seconds (0.2s).")
    ] = None,
    device: Annotated[str | None, _option(_STEPS, "--device", "Where the network runs: cpu, 0, 0,1.")] = None,
    engine: Annotated[
        str | None, _option(_STEPS, "--engine", "auto (default), pytorch, onnxruntime, openvino or tensorrt.")
    ] = None,
    retry: Annotated[
        bool, _option(_STEPS, "--retry", "Take up again drives that were set aside after failing.")
    ] = False,
    trust: Annotated[bool, _option(_STEPS, "--trust", "Load checkpoints that run code of their own.")] = False,
    crs: Annotated[
        str, _option(_OUTPUT, "--crs", "Of the GeoPackage, such as EPSG:32647; WGS 84 by default.")
    ] = "EPSG:4326",
    classes: Annotated[Path | None, _option(_OUTPUT, "--classes", "YAML of the classes' geometry.")] = None,
    min_probability: Annotated[
        float,
        _option(
            _OUTPUT, "--min-probability", f"Assets less probable are left out; {MIN_PROBABILITY:g}, for a review 0.05."
        ),
    ] = MIN_PROBABILITY,
    previous: Annotated[
        Path | None, _option(_OUTPUT, "--previous", "Earlier inventory whose ids and reviewed_by are kept.")
    ] = None,
    decisions: Annotated[
        list[Path] | None, _option(_OUTPUT, "--decisions", "decisions.jsonl of reviewers; several times.")
    ] = None,
    language: Annotated[str, _option(_OUTPUT, "--language", "Of the report: en (default) or th.")] = "en",
    thumbnails: Annotated[bool, _option(_OUTPUT, "--thumbnails", "Store a crop of each asset.")] = False,
    blur: Annotated[
        list[str] | None,
        _option(_OUTPUT, "--blur", "Blur what these weights find in stored images; repeatable.", "WEIGHTS[:CLASS]"),
    ] = None,
    discard_frames: Annotated[
        bool,
        _option(_OUTPUT, "--discard-frames", "Remove images that were stored in --out; the card is never touched."),
    ] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Survey a card: preflight, predict, build, package; each step once, and again where what it needs has changed."""
    from reg_yolo.inventory.command import Outputs
    from reg_yolo.inventory.thumbnails.making import ThumbnailOptions
    from reg_yolo.survey.running import Survey, SurveyOptions

    if weights is None and not preflight_only:
        raise ConfigError("--weights: expected a checkpoint such as best.pt; only --preflight-only does without")
    if blur and not thumbnails:
        raise ConfigError("--blur: is for --thumbnails, as nothing else stores images; give that, too")
    settings = {
        **train_arguments(words or []),
        **{
            name: value
            for name, value in (("every", every), ("device", device), ("engine", engine))
            if value is not None
        },
    }
    run = None if weights is None else _Network(weights, card, settings, retry=retry, trust=trust)
    private, names, blur_key = _blurring(blur, trust) if blur and not preflight_only else (None, (), "")
    cutting = ThumbnailOptions((card,), private, names) if thumbnails else None
    options = SurveyOptions(
        card, out, tuple(gnss or ()), tuple(start or ()), tuple(camera or ()), time_base, route,
        run.key if run else "", every, Outputs(crs, None, (), language, cutting),
        classes, previous, tuple(decisions or ()), discard_frames, from_step,  # type: ignore[arg-type]
        blur_key, min_probability,
    )  # fmt: skip
    with progress_bar("survey") as progress:
        going = Survey(options, say, progress)
        result = going.run(None if preflight_only or run is None else run.predict, run.speed if run else None)
    _report(result, out)


def _blurring(blur: list[str], trust: bool) -> tuple[PrivateBoxes, tuple[str, ...], str]:
    private, names = private_boxes_of(blur, trust)
    from reg_yolo.yolo.commands.private_boxes import blur_digest

    return private, names, blur_digest(blur)


def _report(result: SurveyResult, out: Path) -> None:
    found = result.preflight
    answer(
        "survey",
        {
            "folder": out, "problems": found.count("problem"), "warnings": found.count("warning"),
            "items": found.items, "left_out": result.left_out, "assets": result.assets, "package": result.package,
            "did": result.did, "removed": result.removed,
        },
    )  # fmt: skip
    if result.is_partial:
        problems = f"preflight has found {how_many(found.count('problem'), 'problem')}"
        left_out = f"partly done: {len(result.left_out)} left out or not whole"
        say(f"error: {left_out if result.left_out else problems}; the lines above say why", err=True)
        raise typer.Exit(PARTLY_DONE)


class _Network:
    """Weights and how they are run; only what calls them needs torch."""

    def __init__(self, weights: Path, card: Path, settings: dict[str, Any], *, retry: bool, trust: bool) -> None:
        from reg_yolo.files import file_sha256

        self._weights, self._card, self._retry, self._trust = weights, card, retry, trust
        self._settings = settings
        known = file_sha256(weights) if weights.exists() else str(weights)
        self.key = repr((known, sorted((name, value) for name, value in settings.items() if name != "device")))

    def predict(self, work: Sequence[WorkSource], out: Path) -> Predicted:
        """Run the weights over drives, records only."""
        self._prepare()
        from reg_yolo.survey.running import Predicted
        from reg_yolo.yolo.commands.many_progress import final_table, finished_line
        from reg_yolo.yolo.commands.predict_many import predict_many

        summary = predict_many(
            self._weights, self._card, out=out, chosen=work, retry=self._retry, trust=self._trust,
            for_inventory=True, track=True, **self._settings,
        )  # fmt: skip
        say(final_table(summary.records))
        records = {name: summary.records[name] for name in summary.unfinished}
        return Predicted({name: finished_line(one) if one else "not done" for name, one in records.items()})

    def speed(self, files: Sequence[Path]) -> NetworkSpeed | None:
        """Run the weights over a few frames."""
        self._prepare()
        from reg_yolo.survey.forecast import NetworkSpeed
        from reg_yolo.yolo.commands.predict_speed import measure_speed

        found = measure_speed(self._weights, files, trust=self._trust, for_inventory=True, **self._settings)
        if found is None:
            return None
        return NetworkSpeed(found.seconds, found.bytes, str(self._settings.get("device") or "this machine"))

    def _prepare(self) -> None:
        from reg_yolo.yolo.upstream.environment import prepare_environment

        prepare_environment([str(self._weights)], trust=self._trust)
