"""How often a video is opened: it is probed once, whoever asks, and read once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.video import decoding, sources
from reg_yolo.video.sources import resolve_source
from tests.yolo.prediction.videos import write_video


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The names of videos that are probed and opened, in order."""
    seen: dict[str, list[str]] = {"probed": [], "opened": []}
    probe, open_container = sources.probe_video, av.open

    def probing(path: Path) -> Any:
        seen["probed"].append(path.name)
        return probe(path)

    def opening(name: str, *arguments: Any, **named: Any) -> Any:
        seen["opened"].append(Path(name).name)
        return open_container(name, *arguments, **named)

    monkeypatch.setattr(sources, "probe_video", probing)
    monkeypatch.setattr(decoding, "av", SimpleNamespace(**{**vars(av), "open": opening}))
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos of four frames."""
    (tmp_path / "in").mkdir()
    for name in ("1.mp4", "2.mp4"):
        write_video(tmp_path / "in" / name, [np.full((96, 128, 3), 60 * n, np.uint8) for n in range(4)])
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("names", "options"), [(["1.mp4"], []), (["1.mp4", "2.mp4"], ["--as-one-drive"]), (["1.mp4", "2.mp4"], [])]
)
def test_a_video_is_probed_once(
    names: list[str], options: list[str], folder: Path, detector: Path, opened: dict[str, list[str]], tmp_path: Path
) -> None:
    source = folder / names[0] if len(names) == 1 else folder
    with pytest.raises(SystemExit) as left:
        main(["predict", str(detector), str(source), "--out", str(tmp_path / "out"), "device=cpu", *options])
    assert not left.value.code
    assert sorted(opened["probed"]) == names
    # Probing looks at the container, then at the first frame.
    assert sorted(opened["opened"]) == sorted(names * 3)


def test_a_damaged_video_is_probed_once_too(folder: Path, opened: dict[str, list[str]]) -> None:
    (folder / "1.mp4").write_bytes(b"no video")
    media = resolve_source(folder)
    assert media.frame_count == 4 and media.frame_sizes == {(128, 96)} and media.frame_count == 4
    assert opened["probed"] == ["1.mp4", "2.mp4"]
    drive = resolve_source(media, drive=True)
    assert drive.kind == "drive" and drive.frame_count == 4 and len(opened["probed"]) == 2
