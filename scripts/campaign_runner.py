"""What the parts of the campaign share: trials, processes forked for them, and the tables of what was lost."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# Before numpy and torch: a fork with threads behind it may freeze.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import cv2  # noqa: E402
import numpy as np  # noqa: E402

# What must not happen, one column each.
LOSSES = ("our fault", "traceback", "hung", "memory", "half-written", "doubled or lost", "silent", "escaped")
NAMES = ("red", "green", "blue")
# Seconds without any work of the process after which it hangs; a machine that is busy makes it slow, not idle.
IDLE_S, LONGEST_CPU_S = 60.0, 240.0
LARGEST_RSS_MB = 3000.0


@dataclass
class Outcome:
    """What a trial ended with: its exit code and what was lost, by column of the table."""

    code: int
    losses: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One attack.

    Attributes:
        kind: Its row in the table.
        name: What repeats it: the seed and number.
        run: Gets an empty folder and returns what came of it.
        kinds: How many kinds its group has; each is tried at least once.
    """

    kind: str
    name: str
    run: Callable[[Path], Outcome]
    kinds: int = 1


@dataclass
class Tally:
    """Counts of one row."""

    trials: int = 0
    done: int = 0
    refused: int = 0
    stopped: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def add(self, trial: Trial, outcome: Outcome) -> None:
        """Count a trial."""
        self.trials += 1
        self.done += outcome.code == 0
        self.refused += outcome.code in (2, 3)
        self.stopped += outcome.code == 130 or outcome.code < 0
        for loss, said in outcome.losses.items():
            self.losses[loss] += 1
            self.lost.append(f"{trial.name}: {loss}: {said}")


@dataclass
class Ended:
    """A process that has ended: its exit code (negative: the signal), output, CPU seconds and largest memory."""

    code: int
    text: str
    cpu_s: float
    rss_mb: float
    hung: bool

    def losses(self, allowed: tuple[int, ...] = (0, 2, 3)) -> dict[str, str]:
        """Return what was lost by the way it ended."""
        found = {}
        shown = self.text.strip()[-300:].replace("\n", " | ")
        if self.hung:
            found["hung"] = f"after {self.cpu_s:.0f} s of work; {shown}"
        elif self.code not in allowed:
            found["our fault"] = f"code {self.code}; {shown}"
        if "Traceback (most recent" in self.text:
            found["traceback"] = shown
        if self.rss_mb > LARGEST_RSS_MB:
            found["memory"] = f"{self.rss_mb:.0f} MB"
        if "\x1b[2J" in self.text:
            found["escaped"] = "an escape sequence of a file reached the terminal"
        return found


def import_everything() -> None:
    """Import in this process whatever the trials need."""
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(trust=False)
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    for module in (
        "reg_yolo.cli.app", "reg_yolo.data.check.run", "reg_yolo.data.convert.run", "reg_yolo.data.split.run",
        "reg_yolo.data.stats.run", "reg_yolo.data.tile.run", "reg_yolo.scenes", "reg_yolo.yolo.commands.predict",
        "reg_yolo.yolo.commands.report", "reg_yolo.yolo.commands.resume", "reg_yolo.yolo.commands.train",
        "matplotlib.pyplot",
    ):  # fmt: skip
        __import__(module)


def run_cli(
    words: list[object],
    folder: Path,
    *,
    kill_at_s: float | None = None,
    number: int = signal.SIGKILL,
    largest_file: int | None = None,
) -> Ended:
    """Run `reg-yolo WORDS` in a forked process whose working directory is `folder`.

    Args:
        words: The command line.
        folder: Also the place of its temporary files and caches.
        kill_at_s: Send it a signal once it has worked for so many seconds of processor time.
        number: That signal.
        largest_file: No file may grow larger than this, in bytes.
    """
    # A pipe, for a file would be cut by the limit on files as well.
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _child([str(word) for word in words], folder, writing, largest_file)
    os.close(writing)
    os.set_blocking(reading, False)
    try:
        return _watch(pid, reading, kill_at_s, number)
    finally:
        os.close(reading)


def _child(words: list[str], folder: Path, output: int, largest_file: int | None) -> None:
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        scratch = folder.with_name("scratch")
        scratch.mkdir(exist_ok=True)
        os.environ["TMPDIR"] = os.environ["XDG_CACHE_HOME"] = str(scratch)
        tempfile.tempdir = str(scratch)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        from reg_yolo.cli.app import main

        try:
            main(words)
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _watch(pid: int, output: int, kill_at_s: float | None, number: int) -> Ended:
    said = bytearray()
    hung, worked, since = False, 0.0, time.monotonic()
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        said += _available(output)
        used = _cpu_s(pid)
        if used > worked + 0.02:
            worked, since = used, time.monotonic()
        if kill_at_s is not None and used >= kill_at_s:
            os.kill(pid, number)
            kill_at_s = None
        if time.monotonic() - since > IDLE_S or used > LONGEST_CPU_S:
            hung = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.004 if kill_at_s is not None else 0.02)
    said += _available(output)
    text = said.decode("utf-8", "replace")
    return Ended(os.waitstatus_to_exitcode(status), text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3, hung)


def _available(output: int) -> bytes:
    """Return what has been written to a pipe."""
    found = b""
    try:
        while part := os.read(output, 1 << 16):
            found += part
    except BlockingIOError:
        pass
    return found


def _cpu_s(pid: int) -> float:
    try:
        values = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def stream(seed: int, *parts: object) -> random.Random:
    """Return the random numbers of a trial: the same for the same seed and parts."""
    return random.Random(":".join(map(str, (seed, *parts))))


class Bases:
    """Whole inputs, made once, that trials copy and attack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.data = self._write_data(folder / "data")
        root = Path(__file__).resolve().parents[1]
        self.weights = Path(shutil.copy(root / "weights/highway_yolov8n.pt", folder / "weights.pt"))
        self.image = sorted((folder / "data/images/val").iterdir())[0]
        self._cache: dict[str, object] = {}

    def once(self, name: str, make: Callable[[], object]) -> object:
        """Return what `make` returns, made once."""
        if name not in self._cache:
            self._cache[name] = make()
        return self._cache[name]

    def _write_data(self, root: Path) -> Path:
        rng = np.random.default_rng(0)
        for split, count in (("train", 6), ("val", 2)):
            for part in ("images", "labels"):
                (root / part / split).mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
                label, x, y = int(rng.integers(3)), int(rng.integers(70)), int(rng.integers(40))
                cv2.rectangle(image, (x, y), (x + 40, y + 40), (0, 90 * label, 255), -1)
                cv2.imwrite(str(root / f"images/{split}/{number:03d}.png"), image)
                row = f"{label} {(x + 20) / 128:.6f} {(y + 20) / 96:.6f} {40 / 128:.6f} {40 / 96:.6f}\n"
                (root / f"labels/{split}/{number:03d}.txt").write_text(row, encoding="utf-8")
        yaml = root / "data.yaml"
        names = "".join(f"  {index}: {name}\n" for index, name in enumerate(NAMES))
        yaml.write_text(f"path: ./\ntrain: images/train\nval: images/val\nnames:\n{names}", encoding="utf-8")
        return yaml


def files_of(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def leftovers(folder: Path) -> list[str]:
    """Return what no command may leave behind when it has ended by itself."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if re.search(r"\.part$|^reg_yolo_", path.name)]
