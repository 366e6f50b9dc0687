"""Processing without a network: detections files of as many frames as a text file has characters."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import CsvWriter, DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.errors import MediaError
from reg_yolo.jobs.manifest import SourceRecord
from reg_yolo.jobs.work_list import RunSettings, Verdict, WorkSource
from reg_yolo.jobs.work_loop import ProcessedSource, WorkLoop

WANTED = RunSettings("weights", "settings")


def header(source: str) -> DetectionsHeader:
    """A header as a prediction writes it."""
    return DetectionsHeader(
        source, ("sign",), "best.pt", "0" * 64, "pytorch", "f32", (64, 64), "cpu", {"sign": 0.25}, "0.0"
    )


@dataclass
class FakeProcess:
    """Writes one frame for each character; a file that holds ``bad`` cannot be processed.

    Attributes:
        frame_s: Seconds for each frame.
        log: Gets a line with the process for every source that is begun.
        kill_on: A source in whose middle the process dies.
        stop: Ends the processing between two frames.
    """

    frame_s: float = 0.0
    log: Path | None = None
    kill_on: str | None = None
    draw: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    calls: list[str] = field(default_factory=list)

    def __call__(self, source: WorkSource, out: Path) -> ProcessedSource:
        self.calls.append(source.name)
        if self.log is not None:
            with self.log.open("a") as stream:
                stream.write(f"{os.getpid()} {source.name}\n")
        text = source.files[0].read_text()
        if "bad" in text:
            raise MediaError(f"{source.files[0]} is bad.")
        with (
            DetectionsWriter(out / "detections.jsonl", header(source.name)) as jsonl,
            CsvWriter(out / "detections.csv") as table,
        ):
            for number in range(len(text)):
                time.sleep(self.frame_s)
                if self.stop.is_set():
                    raise KeyboardInterrupt
                frame = FrameDetections(source.name, number, None, 8, 8)
                jsonl.write(frame)
                table.write(frame)
                if self.kill_on == source.name and number:
                    os.kill(os.getpid(), 9)
        picture = None
        if self.draw:
            picture = out / "drawn.mp4"
            picture.write_text(text)
        return ProcessedSource(len(text), 0.5, engine="pytorch", precision="f32", annotated=picture)


@dataclass
class Notes:
    """A report that remembers."""

    records: list[SourceRecord] = field(default_factory=list)
    verdicts: list[tuple[str, str]] = field(default_factory=list)
    waits: list[list[str]] = field(default_factory=list)

    def finished(self, record: SourceRecord) -> None:
        self.records.append(record)

    def found(self, source: WorkSource, verdict: Verdict) -> None:
        self.verdicts.append((source.name, verdict.reason))

    def waiting(self, sources: Sequence[WorkSource]) -> None:
        self.waits.append([source.name for source in sources])


def make_sources(folder: Path, **texts: str) -> list[WorkSource]:
    """Write a file for each name and return them as sources."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.mp4").write_text(text)
    return [WorkSource(f"{name}.mp4", (folder / f"{name}.mp4",)) for name in sorted(texts)]


def work(sources: list[WorkSource], out: Path, process: FakeProcess | None = None, **options: object) -> WorkLoop:
    """Run a loop to its end and return it; its report is a `Notes`."""
    out.mkdir(parents=True, exist_ok=True)
    process = process or FakeProcess()
    options = {"wanted": WANTED, "poll_s": 0.05, "lease_s": 2.0, "report": Notes(), **options}
    loop = WorkLoop(out, process=process, stop=process.stop, **options)  # type: ignore[arg-type]
    loop.manifest = loop.run(sources)  # type: ignore[attr-defined]
    return loop
