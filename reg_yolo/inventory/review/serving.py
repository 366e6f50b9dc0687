"""`inventory review`: the server is started, told where it is, and ended by Ctrl-C."""

from __future__ import annotations

import errno
import getpass
import hashlib
import os
import re
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.report.labels import LANGUAGES
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.page import review_page
from reg_yolo.inventory.review.progress import Progress
from reg_yolo.inventory.review.server import HOSTS, import_starlette, make_app
from reg_yolo.inventory.review.ways import Ways

DEFAULT_PORT = 8765
_MOST_NAMED = 3
_UNSAFE = re.compile(r'[<>:"/\\|?*%#\x00-\x1f\s]+')


@dataclass(frozen=True)
class ReviewOptions:
    """How a review is run.

    Attributes:
        reviewer: Who decides; None for the name of the account.
        decisions: The file; None for one of the reviewer's in the inventory's folder.
        port: On 127.0.0.1; 0 for any that is free.
        browser: Whether a browser is opened.
        language: Of the page.
    """

    reviewer: str | None = None
    decisions: Path | None = None
    port: int = DEFAULT_PORT
    browser: bool = True
    language: str = "en"


@dataclass(frozen=True)
class Reviewed:
    """What came of a review.

    Attributes:
        file: The decisions file.
        reviewer: Who decided.
        decisions: How many decisions the file holds, undos included.
        added: Of this time.
        reviewed, assets: How many assets have been decided on, of how many.
        left: Decisions of the file that fit no asset, and its damaged lines.
    """

    file: Path
    reviewer: str
    decisions: int
    added: int
    reviewed: int
    assets: int
    left: list[str]


def default_file(folder: Path, who: str) -> Path:
    """Return the decisions file of a reviewer.

    Example:
        >>> default_file(Path("inventory"), "Suda S.").as_posix()
        'inventory/decisions_Suda_S.jsonl'
    """
    return folder / f"decisions_{_UNSAFE.sub('_', who).strip('_.') or 'reviewer'}.jsonl"


def reviewer_name(stated: str | None) -> str:
    """Return who reviews: as stated, or the account's name.

    Raises:
        ConfigError: If there is none.
    """
    try:
        name = (getpass.getuser() if stated is None else stated).strip()
    except (OSError, KeyError, ImportError):
        name = ""
    if not name or not name.isprintable():
        raise ConfigError("--reviewer: expected a name, such as --reviewer somchai")
    return name


def review_folder(
    folder: Path, options: ReviewOptions | None = None, say: Callable[[str], None] = lambda _line: None
) -> Reviewed:
    """Serve the review of an inventory on 127.0.0.1 until Ctrl-C or SIGTERM.

    Args:
        folder: Of the inventory.
        options: How.
        say: Called with each line that the user should read, the address among them.

    Raises:
        ConfigError: If the port is in use, or what serves is not installed.
        DataError: If the inventory cannot be read, or the decisions are for another drive.
        OutputError: If the decisions file cannot be written, or another process writes it.
    """
    options = options or ReviewOptions()
    import_starlette()
    if options.language not in LANGUAGES:
        raise ConfigError(f"--language: expected {' or '.join(LANGUAGES)}, got {options.language!r}")
    who = reviewer_name(options.reviewer)
    path = options.decisions or default_file(folder, who)
    with ExitStack() as stack:
        listening = stack.enter_context(_bound(options.port))
        catalogue = stack.enter_context(Catalogue(folder))
        if not catalogue.total:
            raise DataError(f"{folder}: the inventory has no assets to review")
        progress = stack.enter_context(Progress(catalogue, path, who))
        if progress.left:
            some = ", ".join(f"{one.read_from} ({one.reason})" for one in progress.left[:_MOST_NAMED])
            say(f"{len(progress.left)} lines of the file are about no asset here, and stay in it: {some}")
        before = progress.count
        token = secrets.token_urlsafe(24)
        address = f"http://{HOSTS[0]}:{listening.getsockname()[1]}/{token}/"
        page = review_page(catalogue, who, build_digest(catalogue), options.language)
        app = make_app(catalogue, progress, Ways(folder / "inventory.gpkg"), page, token, options.language)
        say(f"{catalogue.count_reviewed()} of {catalogue.total} assets reviewed; decisions go to {path}")
        say(f"Review: {address} (Ctrl-C ends)")
        if options.browser:
            _open_browser(address)
        _serve(app, listening)
        left = [f"{one.read_from}: {one.reason}" for one in progress.left]
        added = progress.count - before
        done = Reviewed(path, who, progress.count, added, catalogue.count_reviewed(), catalogue.total, left)
    say(f"Review ended: {done.added} decisions added, {done.reviewed} of {done.assets} assets reviewed; {path}")
    return done


def build_digest(catalogue: Catalogue) -> str:
    """Return what a page knows its inventory by, so that decisions that it keeps go to no other one."""
    digest = hashlib.sha256(str(catalogue.total).encode())
    for entry in catalogue.entries(100):
        values = entry.feature["properties"]
        digest.update(f"{entry.asset_id} {values.get('observations')} {values.get('settings_digest')}\n".encode())
    return digest.hexdigest()[:12]


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Elsewhere this would let two processes share a port; here it ends the wait after the last one.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOSTS[0], port))
        listening.listen(64)
    except (OSError, OverflowError) as error:
        listening.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise ConfigError(
                f"--port: {port} is in use; end the review that runs there, or take any free port with --port 0"
            ) from None
        raise ConfigError(f"--port: {port} cannot be used: {error}; take any free port with --port 0") from None
    return listening


def _open_browser(address: str) -> None:
    """Open a window; a browser inside the terminal would take it from the server."""
    windows = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if windows:
        webbrowser.open(address)


def _serve(app: object, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        # It answers what is under way, then raises the signal that ended it once more.
        return
