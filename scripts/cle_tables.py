"""Tables in the layout of the CLE paper, from the runs of a plan: every stored checkpoint under every suppression.

    reg-yolo compare cle --data data/cle/data.yaml --out runs/compare/cle
    python scripts/cle_tables.py cle --data data/cle/data.yaml --out runs/compare/cle

Writes cle_ablation.md and .csv (assignment, coefficient and balanced NMS on and off) and cle_suppression.md and .csv
(which suppression and rescoring, for each arm) into the folder of the comparison. Average precision is COCO's by
pycocotools, by size in pixels of the original image. What has been evaluated is kept; the same command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from reg_yolo.files import replace_text
from reg_yolo.text_tables import csv_text, markdown_table

FIGURES = ("AP", "AP50", "AP75", "APS", "APM", "APL")
# Name, suppression, rescoring.
COLUMNS = (
    ("NMS", "stock", "none"),
    ("soft-NMS", "soft", "none"),
    ("balanced NMS", "balanced", "none"),
    ("NMS, rescored by dfl", "stock", "dfl"),
    ("NMS, rescored by spread", "stock", "spread"),
)
SIZES = ("small", "medium", "large")
Score = dict[str, float]


@dataclass(frozen=True)
class Evaluated:
    """The figures of one checkpoint under every column, in percent; a size without objects is left out."""

    set_name: str
    arm: str
    seed: int
    iac: bool
    dc: bool
    scores: dict[str, Score]


def truth_of(data: str, split: str, out: Path) -> COCO:
    """Return the labels of a split in COCO's format, with ids of images as `val` has them."""
    from reg_yolo.data import convert_dataset

    if not out.is_dir():
        convert_dataset(data, out, to="coco", background=True, link=True, rows="boxes")
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(out / "annotations" / f"instances_{split}.json"))


def scores_of(truth: COCO, predictions: Sequence[Mapping[str, Any]]) -> Score:
    """Return COCO's average precision of boxes in percent, over all sizes and by size."""
    unknown = {entry["image_id"] for entry in predictions} - set(truth.getImgIds())
    if unknown:
        raise SystemExit(f"error: predictions of {len(unknown)} images that the data set does not have")
    with contextlib.redirect_stdout(io.StringIO()):
        # COCOeval takes no empty list.
        found = truth.loadRes(list(predictions)) if predictions else None
        if found is None:
            return dict.fromkeys(FIGURES[:3], 0.0)
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # -1 stands for no objects of a size.
    return {name: 100 * float(value) for name, value in zip(FIGURES, evaluation.stats, strict=False) if value >= 0}


def evaluate(weights: Path, data: str, split: str, truth: COCO, device: str, kept: Path, **ranking: str) -> Score:
    """Return the figures of a checkpoint, from `kept` where they have been found before."""
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    import reg_yolo

    with tempfile.TemporaryDirectory(prefix="cle_tables_") as folder:
        # A copy: `val` leaves thresholds next to the weights.
        own = Path(shutil.copy(weights, Path(folder) / "weights.pt"))
        result = reg_yolo.val(
            own, data, out=Path(folder) / "val", split=split, save_json=True, plots=False, device=device, workers=0,
            **ranking,
        )  # fmt: skip
        file = result.folder / "predictions.json"
        score = scores_of(truth, json.loads(file.read_text(encoding="utf-8")) if file.is_file() else [])
    kept.parent.mkdir(parents=True, exist_ok=True)
    replace_text(kept, json.dumps(score, indent=1) + "\n")
    return score


def evaluate_runs(plan_name: str, data: str | None, out: Path, device: str) -> tuple[list[Evaluated], dict[str, str]]:
    """Evaluate every stored checkpoint of a plan; also return a sentence about the objects of each set."""
    from reg_yolo.config.plan import load_plan
    from reg_yolo.yolo.commands.compare_planning import planned_runs

    found, notes, truths = [], {}, {}
    for run in planned_runs(load_plan(plan_name, data)):
        record = run.record(out)
        if record is None:
            print(f"{run.name}: not made yet, left out")
            continue
        weights = out / "weights" / run.set_name / run.arm / f"seed{run.seed}-{record.run_hash[:8]}.pt"
        if not weights.is_file():
            raise SystemExit(f"error: {weights}: no such file; make the runs without --discard-weights")
        split = str(run.config.train.get("split") or "val")
        if run.set_name not in truths:
            truths[run.set_name] = truth_of(str(run.config.data), split, out / "coco" / run.set_name)
            notes[run.set_name] = sizes_of(truths[run.set_name])
        scores = {}
        for name, suppression, rescore in COLUMNS:
            kept = out / "cle" / run.set_name / run.arm / f"{weights.stem}-{suppression}-{rescore}.json"
            scores[name] = evaluate(
                weights, str(run.config.data), split, truths[run.set_name], device, kept,
                suppression=suppression, rescore=rescore,
            )  # fmt: skip
            print(f"{run.name} {name}: AP {scores[name]['AP']:.2f}")
        reg = run.config.reg
        found.append(
            Evaluated(run.set_name, run.arm, run.seed, not reg.assign.is_stock, reg.dynamic_coefficient.enabled, scores)
        )
    if not found:
        raise SystemExit(f"error: {out}: no run of the plan {plan_name} is there; `reg-yolo compare` makes them")
    return found, notes


def sizes_of(truth: COCO) -> str:
    """Return how many objects of which size there are."""
    areas = [entry["area"] for entry in truth.loadAnns(truth.getAnnIds())]
    limits = (0.0, 32.0**2, 96.0**2, float("inf"))
    counts = [sum(low <= area < high for area in areas) for low, high in itertools.pairwise(limits)]
    shown = ", ".join(f"{count} {name}" for count, name in zip(counts, SIZES, strict=True))
    return f"{len(truth.getImgIds())} images, {len(areas)} objects ({shown}; under 32², to 96², over 96² pixels)"


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return `12.3 ± 0.4`; one value alone has no deviation, no value is a dash."""
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def table(
    rows: Sequence[tuple[tuple[str, ...], list[Score], list[Score]]], heads: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells: every figure over the seeds, and the paired difference of AP to the first row."""
    shown = [name for name in FIGURES if any(name in score for _, scores, _ in rows for score in scores)]
    cells = []
    for labels, scores, reference in rows:
        figures = [mean_and_deviation([score[name] for score in scores if name in score]) for name in shown]
        differences = [one["AP"] - other["AP"] for one, other in zip(scores, reference, strict=True)]
        difference = "" if scores is reference else mean_and_deviation(differences)
        cells.append([*labels, str(len(scores)), *figures, difference])
    return [*heads, "Seeds", *shown, "AP to first row"], cells


def ablation_rows(found: Sequence[Evaluated]) -> list[tuple[tuple[str, ...], list[Score], list[Score]]]:
    """Return the grid of {IAC, DC, balanced NMS}; differences are paired by seed with the row where all are off."""
    sign = {True: "yes", False: ""}
    chosen: dict[tuple[bool, bool, bool], dict[int, Score]] = {}
    for one in found:
        for balanced, column in ((False, "NMS"), (True, "balanced NMS")):
            chosen.setdefault((one.iac, one.dc, balanced), {})[one.seed] = one.scores[column]
    return paired([(tuple(sign[part] for part in key), chosen[key]) for key in sorted(chosen)])


def suppression_rows(found: Sequence[Evaluated]) -> list[tuple[tuple[str, ...], list[Score], list[Score]]]:
    """Return every column for every arm; differences are paired by seed with the arm's own NMS."""
    rows = []
    for arm in dict.fromkeys(one.arm for one in found):
        own = [one for one in found if one.arm == arm]
        rows += paired([((arm, name), {one.seed: one.scores[name] for one in own}) for name, _, _ in COLUMNS])
    return rows


def paired(
    rows: Sequence[tuple[tuple[str, ...], Mapping[int, Score]]],
) -> list[tuple[tuple[str, ...], list[Score], list[Score]]]:
    """Return each row's scores with those of the first row on the seeds that both have."""
    first = rows[0][1]
    seeds = [sorted(set(scores) & set(first)) for _, scores in rows]
    reference = [first[seed] for seed in seeds[0]]
    return [
        (labels, reference, reference) if scores is first
        else (labels, [scores[seed] for seed in both], [first[seed] for seed in both])
        for (labels, scores), both in zip(rows, seeds, strict=True)
    ]  # fmt: skip


def write_tables(found: Sequence[Evaluated], notes: Mapping[str, str], out: Path) -> list[Path]:
    """Write both tables as Markdown and CSV, and return the files."""
    files = []
    for name, heads, rows_of in (
        ("cle_ablation", ("IAC", "DC", "Balanced NMS"), ablation_rows),
        ("cle_suppression", ("Arm", "Suppression"), suppression_rows),
    ):
        pages, lines = [], []
        for set_name in dict.fromkeys(one.set_name for one in found):
            headings, cells = table(rows_of([one for one in found if one.set_name == set_name]), heads)
            pages.append(f"**{set_name}**: {notes[set_name]}.\n\n{markdown_table(headings, cells)}\n")
            lines += [["set", *headings]] if not lines else []
            lines += [[set_name, *row] for row in cells]
        for suffix, text in (("md", "\n".join(pages)), ("csv", csv_text(lines))):
            files.append(out / f"{name}.{suffix}")
            replace_text(files[-1], text)
    return files


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", help="the plan's YAML, or the name of a shipped one")
    parser.add_argument("--data", help="data-set YAML in the place of the plan's, as for `reg-yolo compare`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the comparison")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(trust=False)
    from reg_yolo.yolo.commands.compare import quiet_log

    with quiet_log():
        found, notes = evaluate_runs(options.plan, options.data, options.out, options.device)
    for file in write_tables(found, notes, options.out):
        print(file)


if __name__ == "__main__":
    main()
