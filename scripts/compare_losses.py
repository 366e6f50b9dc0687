"""Train the same model on the same data with several losses, and put the per-class results side by side.

    python scripts/compare_losses.py --data my_roads.yaml --presets stock reg --seeds 0 1 2 --epochs 40 imgsz=320

Every run has the same configuration, seed by seed; only `reg.preset` differs. Runs that are finished are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from reg_yolo.evaluation.per_class import DetectionReport


def one_run(preset: str, seed: int, arguments: argparse.Namespace) -> dict:
    """Train one preset with one seed, or read the result of an earlier call."""
    name = f"{preset}-seed{seed}"
    result_file = arguments.out / name / "comparison.json"
    if result_file.exists():
        return json.loads(result_file.read_text())
    import reg_yolo

    started = time.perf_counter()
    result = reg_yolo.train(
        arguments.config,
        [
            f"reg={preset}", f"data={arguments.data}", f"epochs={arguments.epochs}", f"seed={seed}",
            f"project={arguments.out.absolute()}", f"name={name}", "exist_ok=true", *arguments.settings,
        ],
    )  # fmt: skip
    assert result.report is not None
    content = {
        "preset": preset,
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "report": result.report.to_dict(),
    }
    result_file.write_text(json.dumps(content, indent=2))
    return content


def table(results: list[dict]) -> str:
    """Return a Markdown table: a row for each preset, means over seeds with their range."""
    reports = [(r["preset"], DetectionReport.from_dict(r["report"]), r["seconds"]) for r in results]
    names = [c.name for c in reports[0][1].classes]
    lines = [
        "| preset | seeds | mAP50 | mAP50-95 | F1 | " + " | ".join(f"AP50 {name}" for name in names) + " | minutes |",
        "|:---|" + "---:|" * (len(names) + 5),
    ]
    for preset in dict.fromkeys(p for p, _, _ in reports):
        own = [(report, seconds) for p, report, seconds in reports if p == preset]
        columns = [[r.mean.ap50 for r, _ in own], [r.mean.ap for r, _ in own], [r.mean.f1 for r, _ in own]]
        columns += [[r.classes[i].ap50 for r, _ in own] for i in range(len(names))]
        cells = [spread(column) for column in columns]
        minutes = statistics.median(seconds for _, seconds in own) / 60
        lines.append(f"| {preset} | {len(own)} | " + " | ".join(cells) + f" | {minutes:.0f} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return a mean with half its range, or the one value."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {(max(values) - min(values)) / 2:.3f}"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", help="further KEY=VALUE settings, the same for every run")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--config", default="detect/yolov8n")
    parser.add_argument("--presets", nargs="+", default=["stock", "reg"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    arguments = parser.parse_args()
    arguments.data = arguments.data.absolute()
    results = [one_run(preset, seed, arguments) for seed in arguments.seeds for preset in arguments.presets]
    text = table(results)
    (arguments.out / "comparison.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
