"""Keeping Ultralytics off the network where it would fetch a font or a model in the middle of a run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import torch
from ultralytics.utils import USER_CONFIG_DIR, checks

from reg_yolo.drawing.text_tiles import FONT_PATH
from reg_yolo.errors import OutputError
from reg_yolo.files import make_folder, replace_bytes
from reg_yolo.yolo.upstream.environment import environment_with, offline

UPSTREAM_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")
# Nothing listens on the discard port of this machine, so a request through it fails at once and never leaves it.
CLOSED_PROXY = "http://127.0.0.1:9"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def register_fonts() -> None:
    """Make matplotlib's font list know a font under the file names that Ultralytics downloads when it misses them.

    The font has Thai glyphs. It also stands in, in matplotlib's plots, for letters that their own font lacks, so that
    upstream's curves and matrices can name Thai classes. It is registered in this process only, through matplotlib's
    public interface; fonts that the user has in Ultralytics' folder go first.
    """
    from matplotlib import font_manager, rcParams

    # Upstream skips files that are no longer there.
    known = [font.fname for font in font_manager.fontManager.ttflist if Path(font.fname).is_file()]
    for name in UPSTREAM_FONTS:
        if (Path(USER_CONFIG_DIR) / name).exists() or any(name in file for file in known):
            continue
        font_manager.fontManager.addfont(str(_font_named(name)))
        # Upstream keeps an earlier answer for the life of the process, also "not found".
        search = getattr(checks.check_font, "__wrapped__", checks.check_font)
        if hasattr(search, "cache_clear"):
            search.cache_clear()
    family = font_manager.get_font(str(FONT_PATH)).family_name
    if family not in rcParams["font.family"]:
        # Its own weight is 600; entered as the usual one, it is taken without a warning for every plot.
        entry = font_manager.FontEntry(fname=str(FONT_PATH), name=family, weight=400, size="scalable")
        font_manager.fontManager.ttflist.append(entry)
        rcParams["font.family"] = [*rcParams["font.family"], family]


def _font_named(name: str) -> Path:
    """Return a copy of the font under another file name, in the user's cache; made where it is missing or another.

    A folder of the process's own would stay behind whenever the process is killed.
    """
    content = FONT_PATH.read_bytes()
    copy = Path(platformdirs.user_cache_dir("reg_yolo", appauthor=False)) / "fonts" / name
    try:
        if copy.is_symlink() or not copy.is_file() or copy.read_bytes() != content:
            make_folder(copy.parent)
            replace_bytes(copy, content)
        return copy
    except (OSError, OutputError):
        # No cache that can be written to: a folder that lasts as long as the process.
        folder = Path(tempfile.mkdtemp(prefix="reg_yolo_font_"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Path(shutil.copy(FONT_PATH, folder / name))


@contextmanager
def closed_network(device: torch.device) -> Iterator[None]:
    """Let HTTP requests fail at once on this machine while upstream checks AMP, which would fetch a model.

    Does nothing on devices without that check, or where the user allows the network. A model that is already in
    Ultralytics' weights folder is used as always.
    """
    if not offline() or device.type in {"cpu", "mps"}:
        yield
        return
    with environment_with(dict.fromkeys(PROXY_VARIABLES, CLOSED_PROXY)):
        yield
