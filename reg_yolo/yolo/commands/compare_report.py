"""Tables and plots of a comparison from the records of its runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.utils.plotting import plt_settings

from reg_yolo.config.plan import Plan
from reg_yolo.errors import DataError
from reg_yolo.evaluation.comparison.checks import choose_records, pairing_notes, require_comparable
from reg_yolo.evaluation.comparison.detection_matches import DetectionMatches
from reg_yolo.evaluation.comparison.differences import Comparison, ReportSettings, compare_records
from reg_yolo.evaluation.comparison.page import comparison_data, comparison_page, set_scopes
from reg_yolo.evaluation.comparison.plots import draw_forest, draw_gain_by_frequency
from reg_yolo.evaluation.comparison.records import RunRecord, read_records
from reg_yolo.evaluation.comparison.tables import classes_csv, comparison_tables, differences_csv, runs_csv
from reg_yolo.files import replace_bytes, replace_text
from reg_yolo.yolo.commands.compare_planning import default_content, planned_runs
from reg_yolo.yolo.upstream.offline import register_fonts

PAGE, DATA, PLAN = "comparison.md", "comparison.json", "comparison_plan.yaml"


@dataclass(frozen=True)
class ComparisonReport:
    """What a report left.

    Attributes:
        page: The Markdown page; tables as CSV and LaTeX and the plots lie beside it.
        text: The tables for a terminal.
        comparison: What they show.
        data: All of it as plain data, as comparison.json holds it.
    """

    page: Path
    text: str
    comparison: Comparison
    data: dict[str, Any]


def report_plan(plan: Plan, out: Path, *, draws: int) -> ComparisonReport:
    """Write the tables and plots of a plan's finished runs into its folder.

    Args:
        plan: The plan.
        out: Folder of the comparison.
        draws: Draws of the bootstrap over images; 0 for none.

    Raises:
        DataError: If there is no record, or the records are not comparable.
        ConfigError: If the plan is wrong.
    """
    runs = planned_runs(plan)
    planned = {run.key: (run.run_hash, run.content) for run in runs}
    found, faults = read_records(out)
    records, left_out = choose_records(found, planned, default_content())
    if not records:
        raise DataError(
            f"{out}: no record of a run of this plan ({len(found)} of others); "
            f"make them with: reg-yolo compare {plan.path}"
        )
    require_comparable(records)
    settings = report_settings(plan, draws)
    comparison = compare_records(records, settings, _read_matches)
    notes = [*pairing_notes(records, settings.reference, list(planned)), *left_out, *faults]
    tables = {name: comparison_tables(comparison, name) for name in settings.sets if comparison.of_set(name)}
    plots = _draw(comparison, out)
    parts = (plan.path.stem, comparison, tables, plots, notes)
    replace_text(out / PAGE, comparison_page(*parts))
    data = comparison_data(*parts)
    replace_text(out / DATA, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    replace_text(out / PLAN, plan.path.read_text(encoding="utf-8"))
    replace_text(out / "comparison.tex", "\n".join(table.as_latex() for own in tables.values() for table in own))
    for name, content in (("runs", runs_csv), ("differences", differences_csv), ("classes", classes_csv)):
        replace_text(out / f"{name}.csv", content(comparison))
    text = "\n".join(
        [
            *(scope.as_text() for scope in set_scopes(comparison)),
            "",
            *(t.as_text() for own in tables.values() for t in own),
            *notes,
        ]
    )
    return ComparisonReport(out / PAGE, text, comparison, data)


def report_settings(plan: Plan, draws: int) -> ReportSettings:
    """Return what a plan says about its report."""
    settings = plan.settings
    arms, family = tuple(settings.arms), settings.family
    endpoints = [name for name in family.endpoints if name in settings.endpoints]
    return ReportSettings(
        reference=settings.reference,
        arms=arms,
        sets=tuple(plan.sets),
        endpoints=tuple(settings.endpoints),
        family=(frozenset(family.arms or arms), frozenset(endpoints), frozenset(family.sets or plan.sets)),
        effects={str(name): points for name, points in settings.effect.items()},
        rare={name: own.rare for name, own in plan.sets.items()},
        draws=draws,
    )


def _read_matches(record: RunRecord, kind: str) -> DetectionMatches | None:
    assert record.path is not None
    path = record.path.parent / record.matches[kind]
    return DetectionMatches.read(path) if path.is_file() else None


@plt_settings()
def _draw(comparison: Comparison, out: Path) -> dict[str, list[tuple[str, str]]]:
    """Draw the plots of every set, and return their titles and file names."""
    register_fonts()
    plots: dict[str, list[tuple[str, str]]] = {}
    for name in comparison.settings.sets:
        if not comparison.of_set(name):
            continue
        drawn = {
            "forest": ("Differences to the reference", draw_forest(comparison, name)),
            "frequency": ("Gain against class frequency", draw_gain_by_frequency(comparison, name)),
        }
        for kind, (title, content) in drawn.items():
            if content:
                replace_bytes(out / f"{kind}_{name}.png", content)
                plots.setdefault(name, []).append((title, f"{kind}_{name}.png"))
    return plots
