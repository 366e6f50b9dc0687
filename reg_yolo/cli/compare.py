"""`reg-yolo compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reg_yolo.cli.command import Json, Quiet
from reg_yolo.cli.failures import PARTLY_DONE
from reg_yolo.cli.speech import answer, say
from reg_yolo.errors import ConfigError
from reg_yolo.progress import StatusLine


def compare(
    plan: Annotated[str, typer.Argument(help="The plan's YAML, or the name of a shipped one.")],
    data: Annotated[str | None, typer.Option("--data", help="Data-set YAML in the place of the plan's sets.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for records and tables; by default runs/compare/NAME.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ARM:SEED", help="Make this run only; SET/ARM:SEED with several sets."),
    ] = None,
    only_report: Annotated[bool, typer.Option("--only-report", help="Tables from the records, no run.")] = False,
    device: Annotated[str | None, typer.Option(help="Device instead of the plan's: cpu, 0.")] = None,
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap over images; 0 for none.")] = 500,
    cluster: Annotated[
        str | None, typer.Option(help="Spread the runs over a Ray cluster: HOST:PORT, auto or local.")
    ] = None,
    cpus: Annotated[float, typer.Option("--cluster-cpus", help="Cores for each run on the cluster.")] = 1.0,
    gpus: Annotated[float, typer.Option("--cluster-gpus", help="GPUs for each run on the cluster.")] = 0.0,
    discard_weights: Annotated[bool, typer.Option("--discard-weights", help="Keep no last.pt of the runs.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Load checkpoints that run code of their own.")] = False,
    _json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Train the arms of a plan with the same seeds, and say which differ: reg-yolo compare plan.yaml."""
    if run is not None and (only_report or cluster is not None):
        raise ConfigError("--run makes one run here; leave out --only-report and --cluster")
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(trust=trust)
    from reg_yolo.config.plan import load_plan

    loaded = load_plan(plan, data)
    from reg_yolo.cli.compare_progress import ProgressLine
    from reg_yolo.yolo.commands.compare import run_plan
    from reg_yolo.yolo.commands.compare_report import report_plan

    folder = out or Path("runs") / "compare" / Path(plan).stem
    failed: dict[str, Exception] = {}
    found: dict[str, Any] = {"run": run}
    if not only_report:
        with ProgressLine() as line:
            keep_weights = not discard_weights
            if cluster is None:
                outcome = run_plan(
                    loaded, folder, line, only=run, device=device, trust=trust, keep_weights=keep_weights
                )
            else:
                from reg_yolo.jobs.cluster import Cluster
                from reg_yolo.yolo.commands.compare_cluster import run_plan_on_cluster

                place = Cluster(cluster, cpus, gpus)
                outcome = run_plan_on_cluster(
                    loaded, folder, line, place, device=device, trust=trust, keep_weights=keep_weights
                )
            failed = outcome.failed
    if run is None:
        with StatusLine() as waiting:
            waiting.show("compare: tables and plots", now=True)
            result = report_plan(loaded, folder, draws=draws)
        say(result.text)
        say(f"Comparison: {result.page}")
        found = {"page": result.page, "comparison": result.data}
    answer("compare", {**found, "folder": folder, "failed": {name: str(error) for name, error in failed.items()}})
    for name, error in failed.items():
        say(f"error: {name}: {error}", err=True)
    if failed:
        say(f"Partly done: {len(failed)} runs failed; the same command repeats them", err=True)
        raise typer.Exit(PARTLY_DONE)
