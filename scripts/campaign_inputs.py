"""Mutated and hostile inputs: whatever a file holds, the answer is work done or one clear line, in bounded time."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

from campaign_kills import contents, split_words, write_coco
from campaign_runner import NAMES, Bases, Outcome, Trial, run_cli, stream

_NUMBERS = [b"-1", b"0", b"1e999", b"nan", b"99999999999999999999", b"-0.0", b"1e-320", b"0x7f", b"", b"'", b"\x00"]
_PIECES = [
    b"\x1b[2J", b"=1+1", b"@a", b"<script>", "ป้าย".encode(), "\u202e".encode(), b"\xff\xfe", b"\r\n", b"{}", b"[]",
    b"null", b"../../x", b"/etc/passwd", b"%s%n", b"[" * 300, b"&a [*a,*a]", b"- ", b": ", b"\t", b"A" * 5000,
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A file to mutate.

    Attributes:
        make: Lays whole inputs into a folder.
        file: The one to mutate, relative to it; of several matches one is drawn.
        words: The command that reads it.
        silent: Whether work done on a mutated file must come out as on the whole one.
    """

    make: Callable[[Path], object]
    file: str
    words: list[object]
    silent: bool = False


def targets_of(bases: Bases) -> dict[str, Target]:
    """Return what is mutated."""

    def data(folder: Path) -> None:
        shutil.copytree(bases.data.parent, folder / "data")

    def run(folder: Path) -> None:
        shutil.copytree(_finished_run(bases), folder / "run")

    def weights(folder: Path) -> None:
        shutil.copy(bases.weights, folder / "weights.pt")
        shutil.copy(bases.image, folder / "image.png")

    def coco(folder: Path) -> None:
        shutil.copytree(bases.once("coco", lambda: write_coco(bases)), folder / "export")  # type: ignore[type-var]

    def config(folder: Path) -> None:
        text = f"task: detect\nmodel: yolov8n.yaml\ndata: {bases.data}\ntrain: {{epochs: 3, imgsz: 64}}\n"
        (folder / "own.yaml").write_text(
            text + "reg: {preset: reg_v1, focal: {gamma: 1.5}, spatial: {beta: 3.0}}\n", encoding="utf-8"
        )

    def tracker(folder: Path) -> None:
        weights(folder)
        import ultralytics

        shutil.copy(Path(ultralytics.__file__).parent / "cfg/trackers/botsort.yaml", folder / "tracker.yaml")

    def thresholds(folder: Path) -> None:
        from reg_yolo.evaluation.thresholds import ClassThresholds
        from reg_yolo.yolo.weights.checkpoints import write_thresholds

        weights(folder)
        write_thresholds(folder / "weights.pt", ClassThresholds("best_f1", dict.fromkeys(NAMES, 0.5)), "data.yaml")

    predict: list[object] = ["predict", "weights.pt", "image.png", "device=cpu", "imgsz=64"]
    predict += ["--out", "made", "--engine", "pytorch"]
    quick: list[object] = [*predict, "conf=0.01"]
    return {
        "data.yaml": Target(data, "data/data.yaml", ["data", "check", "data/data.yaml"]),
        "label file": Target(data, "data/labels/*/*.txt", ["data", "check", "data/data.yaml"]),
        "image": Target(data, "data/images/*/*.png", ["data", "check", "data/data.yaml"]),
        "labels to split": Target(data, "data/labels/*/*.txt", split_words("data/data.yaml")),
        "configuration": Target(config, "own.yaml", ["config", "own.yaml"]),
        "COCO export": Target(coco, "export/instances.json", ["data", "convert", "export", "made"]),
        "Labelme export": Target(_labelme, "export/*.json", ["data", "convert", "export", "made"]),
        "VOC export": Target(_voc, "export/Annotations/*.xml", ["data", "convert", "export", "made"]),
        "run's settings": Target(run, "run/*.yaml", ["report", "run", "--out", "made"]),
        "run's results": Target(run, "run/per_class.json", ["report", "run", "--out", "made"]),
        "weights": Target(weights, "weights.pt", quick, silent=True),
        "picture": Target(weights, "image.png", quick),
        "tracker": Target(tracker, "tracker.yaml", [*quick, "--track", "tracker.yaml"]),
        "thresholds": Target(thresholds, "weights.thresholds.json", predict),
    }


def mutation_trials(bases: Bases, seed: int) -> Iterator[Trial]:
    """Yield mutated inputs, one kind after the other."""
    targets = targets_of(bases)
    for number in count():
        kind = list(targets)[number % len(targets)]

        def run(folder: Path, kind: str = kind, number: int = number) -> Outcome:
            target, chance = targets[kind], stream(seed, "mutated", kind, number)
            target.make(folder)
            file = chance.choice(sorted(folder.glob(target.file)))
            before = file.read_bytes()
            changed = mutate(before, chance)
            file.write_bytes(changed)
            ended = run_cli(target.words, folder)
            losses = ended.losses((0, 2, 3))
            if ended.code == 2 and not ended.text.strip():
                losses["silent"] = "refused without a word"
            if target.silent and ended.code == 0 and changed != before:
                expected = bases.once(f"whole {kind}", lambda: _whole(bases, target, kind))
                if contents(folder / "made") != expected:
                    losses["silent"] = "other results without a word"
            if _half_made(folder):
                losses["half-written"] = f"code {ended.code} and a folder made"
            return Outcome(ended.code, losses)

        yield Trial(kind, f"--seed {seed} number {number}", run, len(targets))


def mutate(content: bytes, chance: Random) -> bytes:
    """Return the content with one to three changes."""
    result = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(result) + 1)
        length = min(int(2 ** chance.uniform(0, 10)), len(result) - place)
        kind = chance.randrange(8)
        if kind == 0 and result:
            result[place % len(result)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del result[place : place + length]
        elif kind == 2:
            result[place:place] = result[place : place + length]
        elif kind == 3:
            result[place : place + length] = chance.randbytes(length)
        elif kind == 4:
            del result[place:]
        elif kind == 5:
            result[place:place] = chance.choice(_PIECES)
        elif kind == 6:
            _swap_number(result, chance)
        else:
            result[place : place + length] = bytes(length)
    return bytes(result)


def _swap_number(content: bytearray, chance: Random) -> None:
    digits = [place for place, byte in enumerate(content[:200_000]) if 48 <= byte <= 57]
    if digits:
        start = end = chance.choice(digits)
        while end < len(content) and (48 <= content[end] <= 57 or content[end] == 46):
            end += 1
        content[start:end] = chance.choice(_NUMBERS)


def _whole(bases: Bases, target: Target, kind: str) -> dict[str, bytes]:
    folder = bases.folder / f"whole {kind}"
    folder.mkdir()
    target.make(folder)
    ended = run_cli(target.words, folder)
    if ended.code:
        raise SystemExit(f"{kind} does not work at all: {ended.text[-1000:]}")
    return contents(folder / "made")


def _half_made(folder: Path) -> bool:
    """Return whether a temporary folder or file was left next to the results."""
    return any(path.name.endswith(".part") for path in folder.rglob("*"))


def _finished_run(bases: Bases) -> Path:
    def make() -> Path:
        folder = bases.folder / "finished"
        folder.mkdir()
        words = ["device=cpu", "epochs=1", "imgsz=32", "batch=4", "workers=0", "plots=false", "albumentations=none"]
        ended = run_cli(["train", "detect/yolov8n", f"data={bases.data}", *words, "project=runs", "name=run"], folder)
        if ended.code:
            raise SystemExit(f"training does not work at all: {ended.text[-1000:]}")
        return folder / "runs/run"

    found = bases.once("finished run", make)
    assert isinstance(found, Path)
    return found


def _labelme(folder: Path) -> None:
    import cv2
    import numpy as np

    (folder / "export").mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f"export/{number}.png"), np.full((60, 80, 3), 90 * number, np.uint8))
        shape = {"label": NAMES[number], "points": [[5, 5], [50, 6], [30, 40]], "shape_type": "polygon", "flags": {}}
        content = {
            "version": "5.0", "flags": {}, "shapes": [shape], "imagePath": f"{number}.png", "imageData": None,
            "imageHeight": 60, "imageWidth": 80,
        }  # fmt: skip
        (folder / f"export/{number}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _voc(folder: Path) -> None:
    import cv2
    import numpy as np

    for part in ("Annotations", "JPEGImages"):
        (folder / "export" / part).mkdir(parents=True)
    for number in range(2):
        cv2.imwrite(str(folder / f"export/JPEGImages/{number}.jpg"), np.full((60, 80, 3), 90 * number, np.uint8))
        box = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>40</xmax><ymax>50</ymax></bndbox>"
        (folder / f"export/Annotations/{number}.xml").write_text(
            f"<annotation><filename>{number}.jpg</filename><size><width>80</width><height>60</height><depth>3</depth>"
            f"</size><object><name>{NAMES[number]}</name>{box}</object></annotation>\n",
            encoding="utf-8",
        )


# Hostile on purpose ---------------------------------------------------------------------------------------------------


class Payload:
    """Makes a folder when it is unpickled; stands for any code that a checkpoint may carry."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[object, ...]:
        return os.makedirs, (self.marker, 0o777, True)


def hostile_trials(bases: Bases, seed: int) -> Iterator[Trial]:
    """Yield every hostile input once; the seed changes nothing."""
    del seed
    corpus = _corpus(bases)
    for name, (lay, words, allowed) in corpus.items():

        def run(folder: Path, lay=lay, words=words, allowed=allowed) -> Outcome:  # type: ignore[no-untyped-def]
            inside = folder / "inside"
            inside.mkdir()
            victim = folder / "victim"
            victim.mkdir()
            (victim / "x.png").write_bytes(bases.image.read_bytes())
            lay(inside)
            before = contents(victim)
            ended = run_cli(words, inside)
            losses = ended.losses(allowed)
            if (inside / "code was run").exists():
                losses["escaped"] = "code of the file was run"
            if contents(victim) != before:
                losses["escaped"] = "a file outside was changed"
            made = inside / "made"
            if made.exists() and any(p.read_bytes() == before["x.png"] for p in made.rglob("*.png") if p.is_file()):
                losses["escaped"] = "a file outside was copied"
            return Outcome(ended.code, losses)

        yield Trial(name, f"--only hostile ({name})", run, len(corpus))


def _corpus(bases: Bases) -> dict[str, tuple[Callable[[Path], object], list[object], tuple[int, ...]]]:
    def weights(folder: Path) -> None:
        shutil.copy(bases.weights, folder / "weights.pt")
        shutil.copy(bases.image, folder / "image.png")

    def code_in_weights(folder: Path) -> None:
        weights(folder)
        with zipfile.ZipFile(folder / "weights.pt", "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"model": Payload(folder / "code was run")}, 2))
            archive.writestr("archive/version", "3\n")

    def bare_pickle(folder: Path) -> None:
        weights(folder)
        (folder / "weights.pt").write_bytes(pickle.dumps(Payload(folder / "code was run")))

    def bomb_in_weights(folder: Path) -> None:
        weights(folder)
        with zipfile.ZipFile(folder / "weights.pt", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(300_000_000))

    def aliases(path: Path, start: str = "") -> None:
        lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
        lines += [
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ]
        path.write_text(start + "\n".join(lines) + "\n", encoding="utf-8")

    def tracker_bomb(folder: Path) -> None:
        weights(folder)
        aliases(folder / "tracker.yaml", "tracker_type: botsort\n")

    def data_bomb(folder: Path) -> None:
        aliases(
            folder / "data.yaml", f"path: {bases.data.parent}\ntrain: images/train\nval: images/val\nnames: [a, b, c]\n"
        )

    def run_with(change: Callable[[Path], object]) -> Callable[[Path], None]:
        def lay(folder: Path) -> None:
            shutil.copytree(_finished_run(bases), folder / "run")
            change(folder / "run")

        return lay

    def pipe(path: Path) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    def zero(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/zero")

    def names(folder: Path) -> None:
        shutil.copytree(bases.data.parent, folder / "data")
        text = (folder / "data/data.yaml").read_text(encoding="utf-8").replace("red", '"\\e[2J=1+1<script>"')
        (folder / "data/data.yaml").write_text(text, encoding="utf-8")

    def other_folder(run: Path) -> None:
        # A copy of a run that says it lies elsewhere.
        args = (run / "args.yaml").read_text(encoding="utf-8").replace("save_dir:", "save_dir: ../../victim #")
        (run / "args.yaml").write_text(args, encoding="utf-8")

    def leading_out(folder: Path) -> None:
        shutil.copytree(bases.once("coco", lambda: write_coco(bases)), folder / "export")  # type: ignore[type-var]
        content = json.loads((folder / "export/instances.json").read_text(encoding="utf-8"))
        content["images"][0]["file_name"] = "../../victim/x.png"
        (folder / "export/instances.json").write_text(json.dumps(content), encoding="utf-8")

    predict: list[object] = ["predict", "weights.pt", "image.png", "device=cpu", "imgsz=64", "--out", "made"]
    report: list[object] = ["report", "run", "--out", "made"]
    resume: list[object] = ["train", "--resume", "run", "device=cpu"]
    check: list[object] = ["data", "check", "data/data.yaml"]
    refused, any_way = (2,), (0, 2, 3)
    tracked = [*predict, "--track", "tracker.yaml", "--engine", "pytorch"]
    return {
        "code in weights": (code_in_weights, predict, refused),
        "bare pickle": (bare_pickle, predict, refused),
        "zip bomb as weights": (bomb_in_weights, predict, refused),
        "pipe as weights": (lambda f: pipe(f / "weights.pt"), predict, refused),
        "/dev/zero as weights": (lambda f: zero(f / "weights.pt"), predict, refused),
        "aliases in a tracker": (tracker_bomb, tracked, refused),
        "aliases in data.yaml": (data_bomb, ["data", "check", "data.yaml"], refused),
        "aliases in a configuration": (lambda f: aliases(f / "own.yaml"), ["config", "own.yaml"], refused),
        "aliases in reg.yaml": (run_with(lambda r: aliases(r / "reg.yaml")), report, refused),
        "pipe as reg.yaml": (run_with(lambda r: pipe(r / "reg.yaml")), report, refused),
        "/dev/zero as reg.yaml": (run_with(lambda r: zero(r / "reg.yaml")), report, refused),
        "pipe as per_class.json": (run_with(lambda r: pipe(r / "per_class.json")), report, refused),
        "deep per_class.json": (
            run_with(lambda r: (r / "per_class.json").write_text("[" * 200_000, encoding="utf-8")), report, refused,
        ),
        "pipe as best.pt": (run_with(lambda r: pipe(r / "weights/best.pt")), resume, refused),
        "code in last.pt": (
            run_with(lambda r: (r / "weights/last.pt").write_bytes(pickle.dumps(Payload(r.parent / "code was run")))),
            resume, refused,
        ),
        "a run that lies elsewhere": (run_with(other_folder), resume, any_way),
        "names that steer": (names, check, any_way),
        "names in tables": (names, ["data", "stats", "data/data.yaml"], any_way),
        "a file name that leads out": (leading_out, ["data", "convert", "export", "made"], any_way),
    }  # fmt: skip
