"""The review's pages and answers: a Starlette application that one person on this machine talks to."""

from __future__ import annotations

import json
import secrets
from typing import Any

from reg_yolo.errors import ConfigError, DataError, OutputError, RegYoloError
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.details import details
from reg_yolo.inventory.review.progress import Done, Progress
from reg_yolo.inventory.review.ways import Ways
from reg_yolo.inventory.thumbnails.making import FOLDER

HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser may ask; any other one was made to point here by somebody else's name server."""
_MOST_BYTES = 1_000_000
_MOST_QUEUED = 20
_MOST_TOLD = 200
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def import_starlette() -> Any:
    """Return Starlette.

    Raises:
        ConfigError: If it or uvicorn is missing.
    """
    try:
        import starlette
        import uvicorn  # noqa: F401
    except ImportError:
        raise ConfigError(
            'inventory review needs starlette and uvicorn; install them with pip install "reg-yolo[review]"'
        ) from None
    return starlette


class Guard:
    """ASGI middleware: who does not know the token, or asks by another name of this machine, gets 403.

    Args:
        app: What is guarded; it sees paths without the token.
        token: First part of every path.
    """

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or hand it on."""
        from starlette.datastructures import MutableHeaders
        from starlette.responses import PlainTextResponse

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] != "http":
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        first, _, rest = scope["path"].lstrip("/").partition("/")
        if (
            len(hosts) != 1
            or hosts[0].decode("latin-1").rpartition(":")[0] not in HOSTS
            or any(origin != b"http://" + hosts[0] for origin in origins)
            or not secrets.compare_digest(first.encode(), self._token)
        ):
            refused = PlainTextResponse("403: open the address that the command has printed", status_code=403)
            await refused(scope, receive, answer)
            return
        await self._app({**scope, "path": f"/{rest}", "raw_path": None}, receive, answer)


def make_app(catalogue: Catalogue, progress: Progress, ways: Ways, page: str, token: str, language: str = "en") -> Any:
    """Return the application.

    Args:
        catalogue: The inventory, open.
        progress: The decisions, open.
        ways: Where the vehicle drove.
        page: HTML.
        token: First part of every path.
        language: Of dates and sides.

    Raises:
        ConfigError: If Starlette is missing.
    """
    import_starlette()
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse
    from starlette.routing import BaseRoute, Mount, Route
    from starlette.staticfiles import StaticFiles

    def counts() -> dict[str, Any]:
        return {"reviewed": catalogue.count_reviewed(), "total": catalogue.total}

    # Coroutines: all of them run in one thread, which SQLite and the file's single writer ask for.
    async def index(_request: Request) -> Any:
        return HTMLResponse(page)

    async def queue(request: Request) -> Any:
        first, count = _number(request, "from", 0), min(_number(request, "count", 1), _MOST_QUEUED)
        some = catalogue.queue(first, count, request.query_params.get("class") or None)
        return JSONResponse({**counts(), "assets": [details(catalogue, entry, language) for entry in some]})

    async def asset(request: Request) -> Any:
        entry = catalogue.entry(request.query_params.get("id", ""))
        if entry is None:
            raise HTTPException(404, "no such asset")
        return JSONResponse(details(catalogue, entry, language))

    async def history(_request: Request) -> Any:
        return JSONResponse({**counts(), "decisions": [_told(one) for one in progress.history(_MOST_TOLD)]})

    async def drawn(request: Request) -> Any:
        return JSONResponse(ways.around(_degrees(request, "latitude"), _degrees(request, "longitude")))

    async def decide(request: Request) -> Any:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BYTES:
                raise HTTPException(413, "too long for a decision")
        try:
            decision = progress.add(_read(body))
        except RegYoloError as error:
            return JSONResponse({"error": str(error)}, status_code=_status(error))
        return JSONResponse({**counts(), "saved": decision.decision_id})

    routes: list[BaseRoute] = [
        Route("/", index),
        Route("/queue", queue),
        Route("/asset", asset),
        Route("/history", history),
        Route("/ways", drawn),
        Route("/decisions", decide, methods=["POST"]),
    ]
    folder = catalogue.folder / FOLDER
    if folder.is_dir():
        routes.append(Mount(f"/{FOLDER}", StaticFiles(directory=folder)))
    return Guard(Starlette(routes=routes), token)


def _told(one: Done) -> dict[str, Any]:
    decision = one.decision
    return {
        "id": decision.decision_id,
        "action": decision.action,
        "when": decision.when,
        "why": decision.why,
        "assets": one.asset_ids,
        "class": decision.class_name,
        "undone": one.undone,
    }


def _status(error: RegYoloError) -> int:
    return 507 if isinstance(error, OutputError) else 409


def _read(body: bytes) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        raise DataError("not a decision: expected JSON") from None
    if not isinstance(record, dict):
        raise DataError("not a decision: expected keys and values")
    return record


def _number(request: Any, name: str, otherwise: int) -> int:
    try:
        return max(0, min(int(request.query_params.get(name, otherwise)), 2**40))
    except ValueError:
        return otherwise


def _degrees(request: Any, name: str) -> float:
    try:
        value = float(request.query_params[name])
    except (KeyError, ValueError):
        return 0.0
    return max(-180.0, min(180.0, value))
