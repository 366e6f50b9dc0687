"""Attack the product again and again: kills, signals, full disks, mutated and hostile inputs; print what was lost.

    nice -n 19 python scripts/campaign.py [--minutes M] [--seed S] [--only GROUP] [--out FILE]

Without --minutes: 100 kills, 60 signals, 40 full disks, 1,000 mutated inputs and every hostile one, about an hour on a
quiet core. With --minutes every group gets its share of the time, and at least one trial a kind. Everything runs in
processes forked from this one, so that the imports are paid once. Ends with code 1 where something was lost; every such
trial is named with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from campaign_runner import LOSSES, Bases, Tally, Trial, import_everything  # isort: skip  (sets the threads first)
from campaign_inputs import hostile_trials, mutation_trials
from campaign_kills import disk_trials, kill_trials, signal_trials

from reg_yolo.text_tables import text_table

GROUPS = {
    "kills": (100, 0.4, kill_trials),
    "signals": (60, 0.2, signal_trials),
    "full disk": (40, 0.1, disk_trials),
    "mutated": (1000, 0.25, mutation_trials),
    "hostile": (None, 0.05, hostile_trials),
}


def main() -> int:
    """Run the campaign and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="time for all groups together; without it, the full counts")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other moments and mutations")
    parser.add_argument("--only", choices=GROUPS, help="one group")
    parser.add_argument("--out", type=Path, help="write the table and the losses to this file as well")
    arguments = parser.parse_args()
    import_everything()
    folder = Path(tempfile.mkdtemp(prefix="reg_yolo_campaign_"))
    try:
        text, lost = run_campaign(folder, arguments.minutes, arguments.seed, arguments.only)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return 1 if lost else 0


def run_campaign(folder: Path, minutes: float | None, seed: int, only: str | None = None) -> tuple[str, int]:
    """Run the groups and return the table with the losses under it, and how many trials lost something."""
    started = time.monotonic()
    bases = Bases(folder / "bases")
    names = [only] if only else list(GROUPS)
    shares = sum(GROUPS[name][1] for name in names)
    tallies: dict[str, Tally] = {}
    deadline = started
    for name in names:
        count, share, make = GROUPS[name]
        trials = make(bases, seed)
        # What one group has left over, the next one may use.
        deadline = max(deadline, started) + 60 * (minutes or 0) * share / shares
        for number, trial in enumerate(_some(trials, None if minutes else count)):
            tally = tallies.setdefault(f"{name}: {trial.kind}", Tally())
            place = folder / "trial"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            tally.add(trial, trial.run(place))
            kinds = len({kind for kind in tallies if kind.startswith(f"{name}: ")})
            if minutes and time.monotonic() > deadline and number >= min(kinds, trial.kinds) - 1:
                break
    return _table(tallies, seed, time.monotonic() - started), sum(len(tally.lost) for tally in tallies.values())


def _some(trials: Iterator[Trial], count: int | None) -> Iterator[Trial]:
    for number, trial in enumerate(trials):
        if count is not None and number >= count:
            return
        yield trial


def _table(tallies: dict[str, Tally], seed: int, seconds: float) -> str:
    headings = ["what", "trials", "done", "refused", "stopped", *LOSSES]
    rows = [
        [name, *map(str, (t.trials, t.done, t.refused, t.stopped)), *(str(t.losses[loss]) for loss in LOSSES)]
        for name, t in tallies.items()
    ]
    columns = list(zip(*[row[1:] for row in rows], strict=True)) if rows else []
    rows.append(["all", *(str(sum(map(int, column))) for column in columns)])
    lost = [f"{name}, {line}" for name, tally in tallies.items() for line in tally.lost]
    head = f"seed {seed}, {seconds / 60:.1f} minutes, Python {sys.version.split()[0]}"
    return "\n".join([head, "", text_table(headings, rows), *(["", "Lost:", *lost] if lost else [])])


if __name__ == "__main__":
    sys.exit(main())
