"""`report` from Python and from the command line: the paper's tables, a chart and a panel from finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
from ultralytics.utils import LOGGER

from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.metric_chart import draw_metric_chart
from reg_yolo.evaluation.paper_tables import PaperTable, paper_tables, per_class_tables
from reg_yolo.evaluation.pixel_tables import pixel_class_tables, pixel_tables, read_pixel_run
from reg_yolo.evaluation.report_pages import Picture, html_page, markdown_page
from reg_yolo.evaluation.run_results import RunResult, named_runs, read_runs, task_of_run
from reg_yolo.files import replace_bytes
from reg_yolo.yolo.commands.report_panel import (
    LabelledImage,
    Predictions,
    choose_hardest,
    draw_panel,
    find_images,
    predictions_on,
    validation_images,
)
from reg_yolo.yolo.commands.report_pixels import pixel_panel
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.upstream.offline import register_fonts
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, model_of

DEFAULT_HARDEST = 4
_HTML_JPEG_QUALITY = 90


@dataclass(frozen=True)
class ReportResult:
    """What a report left.

    Attributes:
        folder: Where everything lies.
        page: report.md, with all tables and images.
        tables: The paper's tables; each lies in the folder as .md, .tex and .csv.
        chart: Chart of the metrics.
        panel: Input, ground truth and predictions side by side; None where it was left out.
        images: The images of the panel.
    """

    folder: Path
    page: Path
    tables: list[PaperTable]
    chart: Path
    panel: Path | None
    images: list[Path]


def report(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    labels: Sequence[str] | None = None,
    images: Sequence[str] | None = None,
    hardest: int = DEFAULT_HARDEST,
    group: bool = False,
    trust: bool = False,
) -> ReportResult:
    """Make the paper's tables, a chart and a panel from finished runs.

    Args:
        runs: Run directories, or weights in them.
        out: Folder for the report; by default a new one under ./runs.
        labels: What the runs are called, one for each.
        images: Images for the panel: files, or names of images of the validation split.
        hardest: Without `images`, how many of the hardest validation images the panel shows; 0 leaves it out.
        group: Put runs that differ in nothing but their seed into one row of the tables, and show the first of each
            in the panel.
        trust: Load checkpoints that run code of their own.

    Raises:
        RegYoloError: If a run is not finished, an image is not there, or the runs' data are gone.
    """
    if hardest < 0:
        raise ConfigError(f"`hardest`: got {hardest}, expected 0 or more")
    places = named_runs(runs, labels)
    tasks = {task_of_run(place) for place, _ in places}
    if "semantic" in tasks:
        if tasks != {"semantic"}:
            raise ConfigError("report: runs of task semantic measure pixels, the others objects; report them apart")
        return _report_pixels(places, out=out, images=images, hardest=hardest, group=group, trust=trust)
    results = [_with_parameters(run, trust=trust) for run in read_runs(runs, labels)]
    tables = paper_tables(results, group=group)
    folder = new_run_folder({"task": "report"}, "report", out)
    with removed_on_failure(folder):
        shown = _first_of_each(results) if group else results
        chosen, predictions = _panel_content(shown, images, hardest, trust=trust)
        register_fonts()
        chart = draw_metric_chart(tables)
        folder.mkdir(parents=True, exist_ok=True)
        by_class = [table for paper_table in tables for table in per_class_tables(paper_table)]
        _write_tables(folder, tables)
        _write_tables(folder / "by_class", by_class)
        replace_bytes(folder / "metrics.png", chart)
        text = ["All figures of the tables; on the right the classes' mAP50-95, COCO average precision."]
        pictures = [Picture("Metrics", "metrics.png", chart, "image/png", text)]
        if chosen:
            panel = draw_panel(shown, chosen, predictions)
            replace_bytes(folder / "panel.png", cv2.imencode(".png", panel)[1].tobytes())
            jpeg = cv2.imencode(".jpg", panel, [cv2.IMWRITE_JPEG_QUALITY, _HTML_JPEG_QUALITY])[1].tobytes()
            pictures.append(Picture("Panel", "panel.png", jpeg, "image/jpeg", _panel_text(images, len(chosen))))
        title = "Report on " + ", ".join(run.label for run in results)
        page = folder / "report.md"
        replace_bytes(page, markdown_page(title, tables, by_class, pictures).encode())
        replace_bytes(folder / "report.html", html_page(title, tables, by_class, pictures).encode())
    panel_file = folder / "panel.png" if chosen else None
    return ReportResult(folder, page, tables, folder / "metrics.png", panel_file, [image.path for image in chosen])


def _report_pixels(
    places: Sequence[tuple[Path, str]],
    *,
    out: str | Path | None,
    images: Sequence[str] | None,
    hardest: int,
    group: bool,
    trust: bool,
) -> ReportResult:
    results = [read_pixel_run(place, label) for place, label in places]
    tables = pixel_tables(results, group=group)
    by_class = pixel_class_tables(tables[0])
    folder = new_run_folder({"task": "report"}, "report", out)
    with removed_on_failure(folder):
        shown = list({run.method if group else run.label: run for run in reversed(results)}.values())[::-1]
        panel, chosen = pixel_panel(shown, images, hardest, trust=trust)
        register_fonts()
        chart = draw_metric_chart(tables[:1])
        _write_tables(folder, tables)
        _write_tables(folder / "by_class", by_class)
        replace_bytes(folder / "metrics.png", chart)
        pictures = [
            Picture("Metrics", "metrics.png", chart, "image/png", ["Figures of Table 4; on the right the IoU."])
        ]
        if panel is not None:
            replace_bytes(folder / "panel.png", cv2.imencode(".png", panel)[1].tobytes())
            jpeg = cv2.imencode(".jpg", panel, [cv2.IMWRITE_JPEG_QUALITY, _HTML_JPEG_QUALITY])[1].tobytes()
            kind = "Chosen images" if images else f"The {len(chosen)} validation images with the lowest mean IoU"
            columns = ", ".join(["input", "ground truth", *(run.label for run in shown)])
            names = ", ".join(path.name for path in chosen)
            text = [f"{kind}. From the left: {columns}. From the top: {names}."]
            pictures.append(Picture("Panel", "panel.png", jpeg, "image/jpeg", text))
        title = "Report on " + ", ".join(run.label for run in results)
        page = folder / "report.md"
        replace_bytes(page, markdown_page(title, tables, by_class, pictures).encode())
        replace_bytes(folder / "report.html", html_page(title, tables, by_class, pictures).encode())
    panel_file = None if panel is None else folder / "panel.png"
    return ReportResult(folder, page, tables, folder / "metrics.png", panel_file, chosen)


def _with_parameters(run: RunResult, *, trust: bool) -> RunResult:
    if not run.weights.is_file():
        return run
    model = model_of(load_checkpoint_file(run.weights, trust=trust))
    return replace(run, parameters=sum(parameter.numel() for parameter in model.parameters()))


def _first_of_each(runs: Sequence[RunResult]) -> list[RunResult]:
    firsts: dict[str, RunResult] = {}
    for run in runs:
        firsts.setdefault(run.method, run)
    return list(firsts.values())


def _panel_content(
    runs: Sequence[RunResult], named: Sequence[str] | None, hardest: int, *, trust: bool
) -> tuple[list[LabelledImage], list[Predictions]]:
    """Return the images of the panel and each run's predictions on them."""
    if not named and not hardest:
        return [], []
    # Where a run has masks, so has the ground truth; and it shows as many classes as there are.
    source = max(runs, key=lambda run: (run.task != "detect", len(run.boxes.classes)))
    among = validation_images(source)
    images = find_images(named, among) if named else among
    predictions = []
    for number, run in enumerate(runs, 1):
        LOGGER.info(f"{run.label}, run {number} of {len(runs)}: predicting {len(images)} images")
        predictions.append(predictions_on(run, images, trust=trust))
    return (images if named else choose_hardest(runs, images, predictions, hardest)), predictions


def _panel_text(named: Sequence[str] | None, count: int) -> list[str]:
    thresholds = "Predictions at the confidence thresholds that are stored with each run, by class."
    if named:
        return [f"Chosen images. {thresholds}"]
    return [
        f"The {count} hardest validation images: those with the lowest F1, the mean over the runs, of boxes matched at "
        "IoU 0.5; of equal ones those with more misses, then more wrong detections, then by path. Images without a "
        f"labelled object do not take part. {thresholds}"
    ]


def _write_tables(folder: Path, tables: Sequence[PaperTable]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for suffix, content in (("md", table.as_markdown()), ("tex", table.as_latex()), ("csv", table.as_csv())):
            replace_bytes(folder / f"{table.name}.{suffix}", content.encode())
