"""Write docs/evidence.md from recorded comparisons; add or refresh one with the folder that `reg-yolo compare` left.

    python scripts/make_evidence.py                          # the page, from docs/evidence/*
    python scripts/make_evidence.py runs/compare/screen      # takes the results of that comparison in first

A comparison is recorded under docs/evidence/NAME: its plan, comparison.json with every table, CSV files, plots, and
records.jsonl.xz with the record of each run. `--restore FOLDER` writes these back, each comparison into FOLDER/NAME, so
that another machine can continue it; without the detections, hence without their bootstrap over images.
What people have to say about it stands in docs/evidence/NAME/words.txt, and about all of them in
docs/evidence/words.txt, as Markdown; both are copied into the page as they are.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import lzma
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from reg_yolo.errors import DataError, RegYoloError
from reg_yolo.evaluation.comparison.endpoints import ENDPOINTS
from reg_yolo.evaluation.comparison.page import PAGE_SCHEMA, SetScope, set_section
from reg_yolo.evaluation.comparison.records import read_records, record_path
from reg_yolo.evaluation.comparison.tables import ComparisonTable
from reg_yolo.files import make_folder, replace_bytes, replace_text
from reg_yolo.text_tables import escape_markdown, markdown_table

EVIDENCE = Path(__file__).resolve().parents[1] / "docs" / "evidence"
RECORDED = ("comparison.json", "comparison_plan.yaml", "runs.csv", "differences.csv", "classes.csv")
RUNS = "records.jsonl.xz"
LARGEST_BYTES = 1_000_000
_COLOURS = 128


@dataclass(frozen=True)
class Evidence:
    """A recorded comparison: its name, its page as data, and a row for every arm, endpoint and set."""

    name: str
    page: dict[str, Any]
    differences: list[dict[str, str]]
    words: str

    @property
    def scopes(self) -> list[SetScope]:
        """What its figures hold for, set by set."""
        return [SetScope(**{**scope, "seeds": tuple(scope["seeds"])}) for scope in self.page["scopes"]]


def record(comparison: Path, evidence: Path) -> Path:
    """Copy what a comparison left into a folder of its name, in the place of what was there.

    Raises:
        DataError: If the folder holds no comparison.
    """
    if not (comparison / "comparison.json").is_file():
        raise DataError(f"{comparison}: no comparison.json; make it with: reg-yolo compare PLAN --out {comparison}")
    target = evidence / comparison.resolve().name
    make_folder(target)
    page = read_page(comparison / "comparison.json")
    plots = [file for own in page["plots"].values() for _, file in own]
    for old in (*target.glob("*.png"), *target.glob("*.csv")):
        old.unlink()
    for name in (*RECORDED, *plots):
        content = (comparison / name).read_bytes()
        if name in plots:
            content = fewer_colours(content)
        if name == "comparison_plan.yaml":
            content = without_private_paths(content.decode("utf-8")).encode()
        replace_bytes(target / name, content)
    runs = [json.dumps(one.to_dict(), ensure_ascii=False, separators=(",", ":")) for one in read_records(comparison)[0]]
    if runs:
        replace_bytes(target / RUNS, lzma.compress(("\n".join(runs) + "\n").encode()))
    return target


def fewer_colours(png: bytes) -> bytes:
    """Return a plot with a palette, which takes a third of the bytes and looks the same."""
    small = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS).save(small, "PNG", optimize=True)
    return min(png, small.getvalue(), key=len)


def restore(recorded: Path, out: Path) -> int:
    """Write the records of a comparison back to where its runs lie; return how many were not there.

    Args:
        recorded: Its folder under docs/evidence.
        out: Folder of the comparison.
    """
    count = 0
    with lzma.open(recorded / RUNS, "rt", encoding="utf-8") as stream:
        for line in stream:
            run = json.loads(line)
            path = record_path(out, run["set_name"], run["arm"], run["seed"], run["run_hash"])
            if not path.exists():
                make_folder(path.parent)
                replace_text(path, json.dumps(run, indent=1, ensure_ascii=False) + "\n")
                count += 1
    return count


def read_page(path: Path) -> dict[str, Any]:
    """Read comparison.json.

    Raises:
        DataError: If it is of another schema.
    """
    page = json.loads(path.read_text(encoding="utf-8"))
    if page.get("schema") != PAGE_SCHEMA:
        raise DataError(f"{path}: expected schema {PAGE_SCHEMA}, got {page.get('schema')!r}")
    return dict(page)


def read_evidence(evidence: Path) -> list[Evidence]:
    """Read every recorded comparison, sorted by name.

    Raises:
        DataError: If there is none, or together they are larger than 1 MB.
    """
    folders = sorted(path.parent for path in evidence.glob("*/comparison.json"))
    if not folders:
        raise DataError(f"{evidence}: no recorded comparison; name the folder of one")
    size = sum(file.stat().st_size for file in evidence.rglob("*") if file.is_file())
    if size > LARGEST_BYTES:
        raise DataError(f"{evidence} holds {size / 1e6:.2f} MB, more than 1 MB; record fewer comparisons")
    found = []
    for folder in folders:
        with (folder / "differences.csv").open(encoding="utf-8", newline="") as stream:
            differences = list(csv.DictReader(stream))
        found.append(Evidence(folder.name, read_page(folder / "comparison.json"), differences, words(folder)))
    return found


def evidence_page(found: Sequence[Evidence], introduction: str) -> str:
    """Return the page: headlines with their scope, then each comparison with tables, plots and limits."""
    parts = [
        "# Evidence: which loss, weights and sampling help on imbalanced classes",
        "This page is made by `scripts/make_evidence.py` from the results under `docs/evidence`; a rerun "
        "updates it. [docs/compare.md](compare.md) says how arms are compared.",
        *([introduction] if introduction else []),
        "## In short",
        headlines(found),
        "One row for each set and endpoint of the family: the arm with the largest difference to the reference. "
        "The largest of many is flattered by the choice; Holm's p-value accounts for it.",
    ]
    for own in found:
        parts += [f"## {escape_markdown(own.name)}", *([own.words] if own.words else []), command(own)]
        for scope in own.scopes:
            tables = [ComparisonTable.from_dict(table) for table in own.page["tables"][scope.set_name]]
            plots = [(title, file) for title, file in own.page["plots"].get(scope.set_name, ())]
            parts += [
                f"### {escape_markdown(own.name)}, {escape_markdown(scope.set_name)}: {escape_markdown(scope.short)}",
                escape_markdown(scope.as_text()),
                set_section(tables, plots, f"evidence/{own.name}/"),
            ]
        if own.page["notes"]:
            parts += ["To mind:", "\n".join(f"- {escape_markdown(note)}" for note in own.page["notes"])]
    parts += ["## What cannot be concluded", limits(found)]
    return "\n\n".join(parts) + "\n"


def headlines(found: Sequence[Evidence]) -> str:
    """Return a table: for each set and endpoint of the family the arm with the largest difference."""
    rows = []
    for own in found:
        for scope in own.scopes:
            family = [row for row in own.differences if row["set"] == scope.set_name and row["p_holm"]]
            for endpoint in dict.fromkeys(row["endpoint"] for row in family):
                best = max((r for r in family if r["endpoint"] == endpoint), key=lambda r: float(r["difference"]))
                rows.append(
                    [
                        f"{own.name}, {scope.set_name}: {scope.short}",
                        ENDPOINTS[endpoint].title,
                        f"{best['arm']} less {own.page['reference']}",
                        f"{float(best['difference']):+.2f}",
                        f"{float(best['t_low']):+.2f} to {float(best['t_high']):+.2f}",
                        f"{float(best['p_holm']):.3f}",
                        best["verdict"],
                    ]
                )
    return markdown_table(["Set and scope", "Endpoint", "Arm", "Points", "95 % t", "p (Holm)", "Verdict"], rows)


def command(own: Evidence) -> str:
    """Return how the comparison is repeated, on which machine it was made, and how long that took."""
    machines = ", ".join(dict.fromkeys(scope.machine for scope in own.scopes))
    runs, hours = sum(scope.runs for scope in own.scopes), sum(scope.hours for scope in own.scopes)
    return (
        f"    reg-yolo compare docs/evidence/{own.name}/comparison_plan.yaml --out runs/compare/{own.name}\n\n"
        f"once `data:` in that plan says where the sets lie. {runs} runs, {hours:.1f} hours in all on "
        f"{escape_markdown(machines)}."
    )


def limits(found: Sequence[Evidence]) -> str:
    """Return what the figures do not say, in a list."""
    lines = []
    for own in found:
        for scope in own.scopes:
            rows = [row for row in own.differences if row["set"] == scope.set_name]
            effects = [float(row["smallest_effect"]) for row in rows if row["verdict"].startswith("inconclusive")]
            text = (
                f"- **{escape_markdown(own.name)}, {escape_markdown(scope.set_name)}** holds for "
                f"{escape_markdown(scope.short)}, {scope.train_images} training images: not for other networks, image "
                "sizes, schedules, starts or roads."
            )
            if effects:
                text += (
                    f" {len(effects)} of {len(rows)} comparisons are inconclusive: differences below "
                    f"{min(effects):.1f} to {max(effects):.1f} points "
                    "could not have been seen. That is not a proof of equality."
                )
            lines.append(text)
    lines.append(
        "- Intervals over seeds speak of other trainings on the same images; those of the bootstrap also of other "
        "images of the same kind. Neither speaks of another data set."
    )
    return "\n".join(lines)


def words(folder: Path) -> str:
    """Return what people wrote about a comparison."""
    path = folder / "words.txt"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def without_private_paths(plan: str) -> str:
    """Return a plan whose absolute paths are cut to their last three parts: they belong to one machine."""
    return re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+(?=(?:[\w.+-]+/){2}[\w.+-]+)", "", plan)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", nargs="*", type=Path, help="folders that `reg-yolo compare` left")
    parser.add_argument("--evidence", type=Path, default=EVIDENCE, help="folder of recorded results")
    parser.add_argument("--restore", type=Path, metavar="FOLDER", help="write the recorded runs here, and no page")
    given = parser.parse_args(arguments)
    if given.restore:
        for file in sorted(given.evidence.glob(f"*/{RUNS}")):
            print(f"{file.parent.name}: {restore(file.parent, given.restore / file.parent.name)} records written")
        return
    try:
        for comparison in given.comparisons:
            print(f"Recorded: {record(comparison, given.evidence)}")
        page = evidence_page(read_evidence(given.evidence), words(given.evidence))
    except RegYoloError as error:
        parser.exit(2, f"error: {error}\n")
    target = given.evidence.parent / f"{given.evidence.name}.md"
    replace_text(target, page)
    print(f"Page: {target}")


if __name__ == "__main__":
    main()
