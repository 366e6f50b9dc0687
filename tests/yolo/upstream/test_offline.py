"""Training, validation and prediction try no connection to another machine, not even in vain."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from reg_yolo.yolo.upstream import environment, offline

# Refuses and writes down whatever would leave this machine: names looked up, connections, packets, foreign programs.
# An audit hook sees what the socket module does wherever it is called from, and cannot be removed again.
GUARD = """
import os, sys

record = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
NETWORK = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
           "socket.gethostbyaddr", "socket.getnameinfo"}
PROGRAMS = ("curl", "wget", "ping", "pip", "ssh", "nslookup", "uv")

def local(host):
    host = host.decode() if isinstance(host, bytes) else host
    return host is None or host in ("localhost", "::1", "") or str(host).startswith("127.")

def refuse(event, arguments):
    if event in NETWORK:
        address = arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[0]
        host = address[0] if isinstance(address, tuple) else address
        if isinstance(address, str) and address.startswith("/") or local(host):
            return
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn"):
        words = " ".join(map(str, arguments[1])) if isinstance(arguments[1:2], tuple) and len(arguments) > 1 else ""
        if not any(word in f"{arguments[0]} {words}" for word in PROGRAMS):
            return
    else:
        return
    os.write(record, f"{event} {arguments!r}\\n".encode())
    raise OSError(f"{event} is refused in this test")

sys.addaudithook(refuse)
"""

EVERYTHING = """
from reg_yolo.cli.app import main
data, images = sys.argv[2:4]
fast = ["epochs=1", "imgsz=64", "batch=8", "device=cpu", "workers=1"]
best = "runs/detect/train/weights/best.pt"
for words in (
    ["train", "detect/yolov8n", f"data={data}", *fast],
    ["val", best, "device=cpu"],
    ["predict", best, images, "conf=0.0001", "device=cpu"],
):
    try:
        main(words)
    except SystemExit as ended:
        assert not ended.code, (words, ended.code)
"""

TRIED_ANYWAY = """
import socket, urllib.request
for attempt in (
    lambda: socket.socket().connect(("192.0.2.1", 80)),
    lambda: socket.getaddrinfo("example.invalid", 80),
    lambda: urllib.request.urlopen("http://192.0.2.1/", timeout=0.1),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
):
    try:
        attempt()
    except OSError:
        continue
    raise AssertionError("the guard let something pass")
"""


def run_guarded(script: str, folder: Path, *arguments: object, **variables: str) -> tuple[str, str]:
    """Run a script under the guard as a new user would; return what was tried, and stderr."""
    home = folder / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    own = {"HOME": str(home), "YOLO_CONFIG_DIR": str(home / "yolo"), "MPLCONFIGDIR": str(home / "matplotlib")}
    record = folder / "tried.txt"
    command = [sys.executable, "-c", GUARD + script, str(record), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**kept, **own, **variables}, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return record.read_text(), ended.stderr


@pytest.mark.slow
def test_no_connection_is_tried_at_all(own_rectangles: Path, tmp_path: Path, working_directory: Path) -> None:
    names = own_rectangles.read_text()
    for latin, thai in (("red", "ศาลา"), ("green", "ป้ายเตือน"), ("blue", "สะพานลอย")):
        names = names.replace(latin, thai)
    own_rectangles.write_text(names)
    images = own_rectangles.parent / "images/val"
    tried, errors = run_guarded(EVERYTHING, tmp_path, own_rectangles, images)
    assert tried == ""
    # The plots are there, and had a font with every letter.
    assert (working_directory / "runs/detect/train/confusion_matrix.png").is_file()
    assert (working_directory / "runs/detect/train/results.png").is_file()
    assert (working_directory / "runs/detect/predict/detections.jsonl").is_file()
    assert "Glyph" not in errors and "findfont" not in errors


def test_the_guard_sees_what_is_tried(tmp_path: Path) -> None:
    tried = run_guarded(TRIED_ANYWAY, tmp_path)[0].splitlines()
    # The request by urllib starts by looking the address up.
    events = ["socket.connect", "socket.getaddrinfo", "socket.getaddrinfo", "socket.sendto"]
    assert [line.split()[0] for line in tried] == events


@pytest.mark.slow
def test_the_guard_sees_what_ultralytics_tries_where_the_user_allows_it(tmp_path: Path) -> None:
    script = "\nimport reg_yolo.yolo.upstream.offline\nfrom ultralytics.utils import is_online\nis_online()\n"
    assert run_guarded(script, tmp_path, YOLO_OFFLINE="false")[0] != ""


# The parts ------------------------------------------------------------------------------------------------------


def test_defaults_are_set_and_the_users_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*environment.QUIET_DEFAULTS, "ULTRALYTICS_SAFE_LOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("YOLO_AUTOINSTALL", "true")
    environment.prepare_environment(["weights.pt", "road.mp4"])
    assert os.environ["YOLO_OFFLINE"] == "true" and os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
    assert os.environ["YOLO_AUTOINSTALL"] == "true"


@pytest.mark.parametrize("source", ["https://example.org/best.pt", "ul://me/roads", "RTSP://camera/1"])
def test_remote_source_keeps_the_network(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOLO_OFFLINE", raising=False)
    environment.prepare_environment(["weights.pt", source])
    assert "YOLO_OFFLINE" not in os.environ and not environment.offline()


def test_thai_has_a_font_in_plots() -> None:
    import matplotlib
    from matplotlib import pyplot

    offline.register_fonts()
    offline.register_fonts()
    families = matplotlib.rcParams["font.family"]
    assert families[-1] == "Sarabun" and families.count("Sarabun") == 1 and len(families) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = pyplot.figure()
        figure.text(0, 0, "ป้ายเตือน sign")
        figure.savefig("text.png")
        pyplot.close(figure)


def test_upstream_finds_its_font_files_without_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager
    from ultralytics.utils import checks, downloads

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(checks, "USER_CONFIG_DIR", Path("nothing here"))
    monkeypatch.setattr(offline, "USER_CONFIG_DIR", Path("nothing here"))
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    monkeypatch.setattr(downloads, "safe_download", fail)
    monkeypatch.setattr(downloads, "is_url", lambda *_, **__: False)
    checks.check_font.__wrapped__.cache_clear()
    # As where something else in the process asked before: the answer is kept.
    assert [checks.check_font(name) for name in offline.UPSTREAM_FONTS] == [None, None]
    offline.register_fonts()
    for name in offline.UPSTREAM_FONTS:
        assert Path(checks.check_font(name)).is_file()
    # Other tests have their own list of fonts again.
    checks.check_font.__wrapped__.cache_clear()


def test_requests_are_closed_while_upstream_checks_amp_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("http_proxy", "http://proxy.agency:8080")
    monkeypatch.delenv("ALL_PROXY", raising=False)
    with offline.closed_network(torch.device("cpu")):
        assert os.environ["http_proxy"] == "http://proxy.agency:8080"
    with offline.closed_network(torch.device("cuda")):
        assert os.environ["http_proxy"] == os.environ["ALL_PROXY"] == offline.CLOSED_PROXY
    assert os.environ["http_proxy"] == "http://proxy.agency:8080" and "ALL_PROXY" not in os.environ
    monkeypatch.setenv("YOLO_OFFLINE", "false")
    with offline.closed_network(torch.device("cuda")):
        assert os.environ["http_proxy"] == "http://proxy.agency:8080"


def test_fonts_lie_in_the_users_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = offline._font_named("Arial.ttf")
    stamp = first.stat().st_mtime_ns
    assert first.is_relative_to(tmp_path) and first.read_bytes() == offline.FONT_PATH.read_bytes()
    assert offline._font_named("Arial.ttf") == first and first.stat().st_mtime_ns == stamp
    first.write_bytes(b"damaged")
    assert offline._font_named("Arial.ttf").read_bytes() == offline.FONT_PATH.read_bytes()
    first.unlink()
    first.symlink_to(tmp_path / "elsewhere")
    assert not offline._font_named("Arial.ttf").is_symlink() and not (tmp_path / "elsewhere").exists()


def test_fonts_without_a_cache_last_as_long_as_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    font = offline._font_named("Arial.ttf")
    assert font.name == "Arial.ttf" and font.parent.name.startswith("reg_yolo_font_")
