"""The steps of a survey, each done where it is missing or what it depends on has changed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reg_yolo import __version__
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import make_folder
from reg_yolo.inventory.command import Outputs, build_into
from reg_yolo.inventory.defaults import MIN_PROBABILITY
from reg_yolo.inventory.opening import BuildOptions, settings_digest
from reg_yolo.inventory.route.axis import read_routes
from reg_yolo.inventory.timing import parse_time
from reg_yolo.jobs.claims import Claims
from reg_yolo.jobs.work_list import ANNOTATED_FOLDER, CLAIMS_FOLDER, WorkSource, quick_digest, result_paths
from reg_yolo.survey.drives import Card, SurveyDrive, read_card
from reg_yolo.survey.forecast import MeasureNetwork
from reg_yolo.survey.packing import PACKAGE, pack
from reg_yolo.survey.places import as_given
from reg_yolo.survey.preflight import Preflight, Stated, look_at, read_preflight, write_preflight
from reg_yolo.survey.state import STEPS, Step, SurveyState, digest_of
from reg_yolo.text_tables import how_many

PREFLIGHT_FILE, INVENTORY_FOLDER = "preflight.json", "inventory"


@dataclass(frozen=True)
class Predicted:
    """What prediction left.

    Attributes:
        failed: Why drives are not whole, by name.
    """

    failed: dict[str, str] = field(default_factory=dict)


# Runs the network over drives into a folder, those that are done left alone.
Predict = Callable[[Sequence[WorkSource], Path], Predicted]


@dataclass(frozen=True)
class SurveyOptions:
    """What a survey is made from, and how.

    Attributes:
        root: The card's folder.
        out: Folder of everything that is written.
        gnss, starts, cameras: As typed; see `Card.for_each`.
        time_base: Of times without an offset.
        route: Axis with chainage.
        predict_key: Everything that changes detections, as plain data.
        every: One frame every so many frames or seconds, as `predict` takes it.
        outputs: What `inventory build` writes.
        classes: YAML of the classes' geometry.
        previous: Earlier inventory whose ids are kept.
        decisions: Files of reviewers' decisions.
        discard_frames: Remove images that were stored in `out`.
        from_step: Do this step and those behind it again.
        blur_key: Everything that decides what is blurred in stored images, as plain data.
        min_probability: Assets less probable than this are left out and counted.
    """

    root: Path
    out: Path
    gnss: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    time_base: str = "utc"
    route: Path | None = None
    predict_key: str = ""
    every: str | None = None
    outputs: Outputs = field(default_factory=Outputs)
    classes: Path | None = None
    previous: Path | None = None
    decisions: tuple[Path, ...] = ()
    discard_frames: bool = False
    from_step: Step | None = None
    blur_key: str = ""
    min_probability: float = MIN_PROBABILITY

    def __post_init__(self) -> None:
        if self.from_step is not None and self.from_step not in STEPS:
            raise ConfigError(f"--from: got {self.from_step!r}, expected one of {', '.join(STEPS)}")
        # Refused before anything is looked at.
        parse_time("2000-01-01T00:00:00", self.time_base)
        if self.discard_frames and self.outputs.thumbnails is not None:
            raise ConfigError("--discard-frames: removes what --thumbnails stores; leave one of them out")


@dataclass(frozen=True)
class SurveyResult:
    """What a survey left.

    Attributes:
        preflight: What was found.
        left_out: Why drives are not in the inventory, by name.
        package: The zip; None after preflight alone.
        assets: How many of each class, of the inventory that was built in this call or before.
        removed: Stored images that were removed.
        did: Steps that were done in this call.
    """

    preflight: Preflight
    left_out: dict[str, str] = field(default_factory=dict)
    package: Path | None = None
    assets: dict[str, int] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    did: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether preflight has found problems, or something is missing."""
        return bool(self.preflight.count("problem") or self.left_out)


class Survey:
    """One survey: its card, its folder, its state.

    Args:
        options: What from.
        say: Called with each line that the user should read.
        progress: Called with what is done and to do.

    Raises:
        RegYoloError: If the card holds nothing, or options do not fit it.
    """

    def __init__(
        self,
        options: SurveyOptions,
        say: Callable[[str], None] = lambda _line: None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self.options, self._say, self._progress = options, say, progress
        self.card: Card = read_card(options.root, options.out, options.time_base)
        gnss = self.card.for_each("--gnss", options.gnss, shared=True)
        cameras = self.card.for_each("--camera", options.cameras, shared=True)
        self.stated = Stated(
            _files("--gnss", gnss), self.card.for_each("--start", options.starts, shared=False),
            _files("--camera", cameras), options.time_base, read_routes(options.route) if options.route else (),
            options.every,
        )  # fmt: skip
        for name, moment in self.stated.starts.items():
            try:
                parse_time(moment, options.time_base)
            except ConfigError as error:
                raise ConfigError(f"--start of {name}: {error}") from None
        self._did: list[str] = []

    def run(self, predict: Predict | None = None, measure_network: MeasureNetwork | None = None) -> SurveyResult:
        """Do every step that is missing; nothing is written to the card unless `out` lies on it.

        Args:
            predict: Runs the network; None ends after preflight, which is then made afresh.
            measure_network: Runs it over a few frames, for the forecast.

        Raises:
            DataError: If no drive can be located, or another process is at work in the folder.
        """
        make_folder(self.options.out)
        claim = Claims(self.options.out / CLAIMS_FOLDER).take("survey")
        if claim is None:
            raise DataError(f"{self.options.out}: another process is at work on this survey; wait for its end")
        with claim:
            state = SurveyState.read(self.options.out)
            if self.options.from_step is not None or predict is None:
                self._forget(state, self.options.from_step)
            preflight = self._step_preflight(state, measure_network)
            return SurveyResult(preflight) if predict is None else self._go_on(state, preflight, predict)

    def _go_on(self, state: SurveyState, preflight: Preflight, predict: Predict) -> SurveyResult:
        out, left_out = self.options.out, dict(preflight.blocked)
        for name, why in left_out.items():
            self._say(f"Left out: {name}: {why}")
        going = [drive for drive in self.card.drives if drive.name not in left_out]
        if not going:
            raise DataError(
                f"{self.options.root}: none of its {len(self.card.drives)} drives can be located; see "
                f"{out / PREFLIGHT_FILE}"
            )
        failed = self._step_predict(state, [drive.work for drive in going], predict)
        left_out |= failed
        # A drive of which a part could not be read has detections all the same.
        going = [drive for drive in going if self._detections(drive.work).is_file()]
        if not going:
            raise DataError(f"{self.options.root}: no drive could be predicted: {next(iter(failed.values()), '')}")
        assets, partly = self._step_build(state, self._build_options(preflight, going))
        if partly:
            left_out[INVENTORY_FOLDER] = "decisions are not applied, or thumbnails are missing; see its report.html"
        removed = self._discard() if self.options.discard_frames else ()
        package = self._step_package(state, preflight, left_out, assets)
        return SurveyResult(preflight, left_out, package, assets, removed, tuple(self._did))

    def _build_options(self, preflight: Preflight, drives: Sequence[SurveyDrive]) -> BuildOptions:
        names = [drive.name for drive in drives]
        cameras = [self.stated.cameras[name] for name in names if name in self.stated.cameras]
        if len(cameras) not in (0, len(names)):
            raise ConfigError("--camera: give one for all drives, or one each")
        starts = [self.stated.starts.get(name) for name in names]
        return BuildOptions(
            tuple(self._detections(drive.work) for drive in drives),
            tuple(as_given(preflight.positions[name]) for name in names),
            tuple(cameras),
            tuple(starts) if any(starts) else (),
            time_base=self.options.time_base,
            classes=self.options.classes,
            min_probability=self.options.min_probability,
            decisions=self._decisions(),
        )

    def _step_preflight(self, state: SurveyState, measure: MeasureNetwork | None) -> Preflight:
        stated, file = self.stated, self.options.out / PREFLIGHT_FILE
        digest = digest_of(
            [(drive.name, quick_digest(drive.files)) for drive in self.card.drives], list(self.card.others),
            stated.gnss, stated.starts, stated.cameras, stated.time_base, self.options.route, __version__,
        )  # fmt: skip
        if state.is_done("preflight", digest, [file]):
            found = read_preflight(file)
            for item in found.items:
                if item.verdict != "ok":
                    self._say(item.line)
        else:
            found = look_at(
                self.card, stated, self.options.out,
                measure_network=measure, say=self._say, progress=self._progress,
            )  # fmt: skip
            write_preflight(file, found, self.card)
            state.end("preflight", digest, problems=found.count("problem"), warnings=found.count("warning"))
            self._did.append("preflight")
        problems, warnings = found.count("problem"), found.count("warning")
        before = "" if "preflight" in self._did else ", looked at before"
        drives = how_many(len(self.card.drives), "drive")
        self._say(f"Preflight: {drives}, {how_many(problems, 'problem')}, {how_many(warnings, 'warning')}{before}")
        return found

    def _step_predict(self, state: SurveyState, work: Sequence[WorkSource], predict: Predict) -> dict[str, str]:
        digest = digest_of([(one.name, quick_digest(one.files)) for one in work], self.options.predict_key)
        if state.is_done("predict", digest, [self._detections(one) for one in work]):
            self._say(f"predict: done before, {len(work)} drives")
            return {}
        failed = predict(work, self.options.out).failed
        state.end("predict", digest, partly=bool(failed), drives=[one.name for one in work], failed=failed)
        self._did.append("predict")
        for name, why in failed.items():
            self._say(f"Not whole: {name}: {why}")
        return failed

    def _step_build(self, state: SurveyState, build: BuildOptions) -> tuple[dict[str, int], bool]:
        folder, options = self.options.out / INVENTORY_FOLDER, self.options
        digest = digest_of(
            settings_digest(build), list(build.detections), list(build.gnss), list(build.decisions), options.route,
            options.previous, repr(replace(options.outputs, thumbnails=None)), options.outputs.fields,
            options.outputs.thumbnails and [*options.outputs.thumbnails.blurred_by, options.blur_key],
        )  # fmt: skip
        outputs = [folder / name for name in ("inventory.gpkg", "inventory.geojson", "inventory.csv", "report.html")]
        if state.is_done("build", digest, outputs):
            self._say(f"build: done before, {folder}")
            return state.steps["build"]["assets"], False
        built = build_into(
            build, folder, outputs=options.outputs, route=options.route, previous=options.previous,
            say=self._say, progress=self._progress,
        )  # fmt: skip
        assets = dict(Counter(asset.class_name for asset in built.assets))
        state.end("build", digest, partly=built.is_partial, assets=assets, drives=len(build.detections))
        self._did.append("build")
        return assets, built.is_partial

    def _step_package(
        self, state: SurveyState, preflight: Preflight, left_out: dict[str, str], assets: dict[str, int]
    ) -> Path:
        out = self.options.out
        folder, target = out / INVENTORY_FOLDER, out / PACKAGE
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        digest = digest_of(files, left_out, out / PREFLIGHT_FILE)
        if state.is_done("package", digest, [target]):
            self._say(f"package: done before, {target}")
            return target
        pack(target, folder, files, out / PREFLIGHT_FILE, preflight, len(self.card.drives), left_out, assets)
        state.end("package", digest, files=len(files), bytes=target.stat().st_size)
        self._did.append("package")
        self._say(f"Package: {target}")
        return target

    def _detections(self, work: WorkSource) -> Path:
        return Path(result_paths(work.name, self.options.out)["detections"])

    def _decisions(self) -> tuple[Path, ...]:
        """Those that were named, and those that lie in the inventory, where `inventory review` leaves them."""
        own = sorted((self.options.out / INVENTORY_FOLDER).glob("decisions*.jsonl"))
        return tuple(dict.fromkeys([*self.options.decisions, *own]))

    def _forget(self, state: SurveyState, step: Step | None) -> None:
        if step is None:
            state.steps.pop("preflight", None)
            return
        state.forget_from(step)
        if step in ("preflight", "predict"):
            # The manifest of prediction takes a source without detections for undone.
            for drive in self.card.drives:
                self._detections(drive.work).unlink(missing_ok=True)

    def _discard(self) -> tuple[str, ...]:
        """Remove images that this or earlier runs have stored in the folder; sources are never touched."""
        removed = []
        for name in (ANNOTATED_FOLDER, f"{INVENTORY_FOLDER}/thumbnails"):
            place = self.options.out / name
            if place.is_symlink() or not place.is_dir():
                continue
            count = sum(path.is_file() for path in place.rglob("*"))
            shutil.rmtree(place)
            removed.append(f"{name} ({count} files)")
        self._say(f"Discarded: {', '.join(removed) or 'no stored images were there'}; sources are untouched")
        return tuple(removed)


def _files(option: str, values: dict[str, str]) -> dict[str, Path]:
    for value in values.values():
        if not Path(value).exists():
            raise DataError(f"{option}: {value} does not exist")
    return {name: Path(value) for name, value in values.items()}
