"""Process-wide defaults that have to be set before Ultralytics is first imported.

Ultralytics reads these variables once, at import. Left alone it looks up hosts, sends usage data, installs missing
packages and asks for newer versions. Every value here is a default: what the user has set stays.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

QUIET_DEFAULTS = {
    "YOLO_AUTOINSTALL": "false",
    "YOLO_OFFLINE": "true",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    # Loggers that report how they are used, whatever they log.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    # Read when the first video is opened; an encoder that is not there is tried, found missing and not used.
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}
# OpenVINO and NNCF send usage data, already when they are imported, and keep an identity for it in the user's home,
# unless one of these says that nobody sits before the machine. They offer no other switch for one process.
NO_USAGE_DATA = {"CI": "true", "NNCF_CI": "1"}
# Ultralytics sets this to 1 as it is imported, where it is not set.
_OPENMP_BEFORE = None if "ultralytics" in sys.modules else os.environ.get("OMP_NUM_THREADS", "")
REMOTE_PREFIXES = ("http://", "https://", "ul://", "rtsp://", "rtmp://", "tcp://")


def is_remote(source: object) -> bool:
    """Return whether a source names something on another machine (a URL or an Ultralytics hub file)."""
    return str(source).lower().startswith(REMOTE_PREFIXES)


def prepare_environment(sources: Iterable[object] = (), *, trust: bool | None = None) -> None:
    """Set the quiet, offline defaults that the user has not set.

    Args:
        sources: Files and weights that the command names; a remote one keeps Ultralytics online.
        trust: False restricts checkpoint loading to known classes for the whole process, True lifts the restriction,
            None leaves it as it is. Has an effect only before the first import of Ultralytics.
    """
    online = any(is_remote(source) for source in sources)
    for name, value in QUIET_DEFAULTS.items():
        if not (online and name == "YOLO_OFFLINE"):
            os.environ.setdefault(name, value)
    if trust is not None and "ultralytics" not in sys.modules:
        os.environ["ULTRALYTICS_SAFE_LOAD"] = "false" if trust else "true"


def openmp_limit() -> str:
    """Return OMP_NUM_THREADS as the user has set it, "" where not, whatever Ultralytics has made of it since."""
    if _OPENMP_BEFORE is not None:
        return _OPENMP_BEFORE
    try:
        started_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        # Not Linux, and Ultralytics came first: its own 1 cannot be told from the user's.
        value = os.environ.get("OMP_NUM_THREADS", "")
        return "" if value == "1" else value
    return next(
        (entry.partition(b"=")[2].decode() for entry in started_with if entry.startswith(b"OMP_NUM_THREADS=")), ""
    )


@contextmanager
def environment_with(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while, and put back what they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def without_usage_data() -> Iterator[None]:
    """Let OpenVINO and NNCF send nothing and leave nothing in the user's home while they are imported or convert."""
    with environment_with(NO_USAGE_DATA):
        yield


def offline() -> bool:
    """Return whether Ultralytics has been told to stay off the network."""
    return os.environ.get("YOLO_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def runs_folder(project: object, task: str) -> str:
    """Return the absolute project folder of a run: ./runs/TASK unless told otherwise.

    Upstream puts a relative project under its global settings' folder, which belongs to the user, not to this run.
    """
    return str((Path.cwd() / str(project)) if project else Path.cwd() / "runs" / task)
