"""`reg-yolo inventory audit`: whether an inventory is as good as its contract asks, checked on a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.progress import progress_bar
from reg_yolo.cli.speech import answer, say

app = typer.Typer(
    help="Whether an inventory meets a contract's limits: a random sample, two people, a verdict to sign.",
    no_args_is_help=True,
)


@app.command()
def plan(
    inventory: Annotated[Path, typer.Argument(help="Folder of an inventory, inventory.gpkg or inventory.geojson.")],
    out: Annotated[Path, typer.Option(help="New folder for the plan and its forms.")],
    route: Annotated[
        list[Path] | None,
        typer.Option(help="route.geojson: axis with chainage that stretches are cut along."),
    ] = None,
    recall: Annotated[float, typer.Option(help="Share of what stands there that must be listed.")] = 0.9,
    precision: Annotated[float, typer.Option(help="Share of what is listed that must be right.")] = 0.95,
    position: Annotated[str, typer.Option(help="Distance within which right assets must lie, such as 5m.")] = "5m",
    position_share: Annotated[float, typer.Option(help="Share of the right assets that must lie within it.")] = 0.95,
    confidence: Annotated[float, typer.Option(help="1 - the risk of passing what just misses a limit.")] = 0.95,
    power: Annotated[float, typer.Option(help="Probability of passing what is as good as expected.")] = 0.9,
    expected_recall: Annotated[
        float | None, typer.Option(help="What the producer expects; half of the allowed faults if not given.")
    ] = None,
    expected_precision: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    expected_position: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    each_class: Annotated[int, typer.Option(help="Assets of every class that are checked at least.")] = 5,
    clustering: Annotated[
        float, typer.Option(help="Correlation of misses within a stretch that is assumed at least.")
    ] = 0.05,
    stretch: Annotated[float, typer.Option(help="Length of a stretch in metres.")] = 100.0,
    reach: Annotated[float, typer.Option(help="Metres to both sides of a stretch in which all is listed.")] = 20.0,
    within: Annotated[float, typer.Option(help="Metres within which something listed is an asset.")] = 10.0,
    checkers: Annotated[int, typer.Option(help="How many people check the same sample: 2, or 1, which is said.")] = 2,
    contract_classes: Annotated[
        str, typer.Option(help="Classes of the contract, A,B: named in the forms even if the inventory has none.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of the random sample.")] = 0,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Draw a sample of stretches and assets, and write forms for those who check it."""
    from reg_yolo.inventory.audit.command import metres, names, plan_into
    from reg_yolo.inventory.audit.plan import Terms
    from reg_yolo.inventory.audit.planning import terms_with_expected

    terms = Terms(
        recall=recall,
        precision=precision,
        position_m=metres(position, "--position"),
        position_share=position_share,
        confidence=confidence,
        power=power,
        clustering=clustering,
        each_class=each_class,
        stretch_m=stretch,
        reach_m=reach,
        within_m=within,
        seed=seed,
        checkers=checkers,
        contract_classes=names(contract_classes),
    )
    terms = terms_with_expected(terms, expected_recall, expected_precision, expected_position)
    with progress_bar("inventory audit plan") as progress:
        made = plan_into(inventory, out, terms, tuple(route or ()), say, progress)
    answer(
        "inventory_audit_plan",
        {
            "folder": out,
            "audit": made.audit,
            "assets": len(made.assets),
            "stretches": len(made.stretches),
            "listed_assets_needed": made.stretch_size,
            "terms": made.terms,
            "notes": made.notes,
        },
    )


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="Folder of the audit.")],
    forms: Annotated[list[Path], typer.Argument(help="Filled forms: CSV or GeoPackage.")],
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Check filled forms and add them to the audit's record; where a row is wrong nothing is added."""
    from reg_yolo.inventory.audit.record import record_forms

    done = record_forms(folder, forms, say)
    answer("inventory_audit_record", {"folder": folder, **vars(done)})


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of the audit.")],
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Judge what is recorded: recall, precision, position, agreement; report.md, .csv, .json, and .pdf to sign."""
    from reg_yolo.inventory.audit.command import report_into

    done = report_into(folder, say)
    answer("inventory_audit_report", {"files": done.files, **done.judgement.to_dict()})
