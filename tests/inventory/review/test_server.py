"""The server: who may ask, what is answered, and that nothing else of the disk is given."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.errors import ConfigError, DataError, OutputError
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.details import details
from reg_yolo.inventory.review.progress import Progress
from reg_yolo.inventory.review.server import make_app
from reg_yolo.inventory.review.serving import ReviewOptions, default_file, review_folder
from reg_yolo.inventory.review.ways import Ways
from tests.inventory.review.conftest import Record

TOKEN = "a-long-token"


class Client:
    """Asks the application in this thread, as the server does."""

    def __init__(self, app: Any) -> None:
        self._httpx = pytest.importorskip("httpx")
        self._app = app

    def request(self, method: str, path: str, **more: Any) -> Any:
        """Return the answer."""

        async def ask() -> Any:
            transport = self._httpx.ASGITransport(self._app)
            async with self._httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path: str, **more: Any) -> Any:
        """Return the answer to GET."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        """Return the answer to POST."""
        return self.request("POST", path, **more)


@pytest.fixture
def client(catalogue: Catalogue, progress: Progress, folder: Path) -> Client:
    """Return a browser that knows the token."""
    (folder / "thumbnails").mkdir()
    (folder / "thumbnails" / "ป้าย-1.jpg").write_bytes(b"\xff\xd8 image")
    (folder / "thumbnails" / "out.jpg").symlink_to(folder / "inventory.geojson")
    (folder / "secret.jpg").write_bytes(b"secret")
    return Client(make_app(catalogue, progress, Ways(folder / "inventory.gpkg"), "<html>page</html>", TOKEN))


def test_without_the_token_or_by_another_name_nothing_is_answered(
    client: Client, record: Record, progress: Progress
) -> None:
    places = ("", "queue", "asset?id=x", "history", "ways", "thumbnails/ป้าย-1.jpg", "decisions")
    for place in places:
        for token in ("", "a-long-tokem/", "a-long-toke/", "A-LONG-TOKEN/", "../a-long-token-/", "é/"):
            assert client.get(f"/{token}{place}").status_code == 403
        for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example:8765", "", "localhost.:8765"):
            assert client.get(f"/{TOKEN}/{place}", headers={"Host": host}).status_code == 403
    sent = record("accept", 0)
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        assert client.post(f"/{TOKEN}/decisions", json=sent, headers=headers).status_code == 403
    assert client.post("/decisions", json=sent).status_code == 403
    assert progress.count == 0
    for host in ("127.0.0.1:8765", "localhost:9000"):
        answer = client.get(f"/{TOKEN}/", headers={"Host": host})
        assert (answer.status_code, answer.text) == (200, "<html>page</html>")
        # No page of another site may read an answer, send the address on, or show this one in a frame.
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert client.request("OPTIONS", f"/{TOKEN}/decisions", headers=preflight).status_code == 403


def test_thumbnails_are_all_of_the_disk_that_is_given(client: Client) -> None:
    assert client.get(f"/{TOKEN}/thumbnails/ป้าย-1.jpg").content == b"\xff\xd8 image"
    for place in (
        "thumbnails/../secret.jpg", "thumbnails/%2e%2e/secret.jpg", "thumbnails/..%2fsecret.jpg",
        "thumbnails//etc/passwd",
        "thumbnails/%2fetc/passwd", "thumbnails/..%5csecret.jpg", "thumbnails/out.jpg", "thumbnails/", "secret.jpg",
        "inventory.geojson", "thumbnails/%00", "thumbnails/....//secret.jpg",
    ):  # fmt: skip
        answer = client.get(f"/{TOKEN}/{place}")
        assert answer.status_code in (404, 405), place
        assert b"secret" not in answer.content and b"Feature" not in answer.content


def test_dates_and_sides_are_written_in_the_language_of_the_page(
    catalogue: Catalogue, progress: Progress, folder: Path
) -> None:
    thai = Client(make_app(catalogue, progress, Ways(folder / "inventory.gpkg"), "", TOKEN, "th"))
    [asset] = thai.get(f"/{TOKEN}/queue?from=0&count=1").json()["assets"]
    # The time of Thailand, in years of the Buddhist era, as the column is called.
    assert asset["columns"]["first_seen"] == "2567-05-01 10:00:00"
    assert thai.get(f"/{TOKEN}/asset", params={"id": asset["id"]}).json() == asset
    entry = catalogue.entry(asset["id"])
    assert entry is not None
    entry.feature["properties"]["side"] = "right"
    shown = [details(catalogue, entry, language)["columns"] for language in ("th", "en")]
    assert [one["side"] for one in shown] == ["ขวา", "right"]
    assert shown[1]["first_seen"] == "2024-05-01 03:00:00 UTC"


def test_a_decision_is_in_the_file_when_it_is_answered(client: Client, record: Record, progress: Progress) -> None:
    first = client.get(f"/{TOKEN}/queue?from=0&count=2").json()
    assert (first["reviewed"], first["total"], [one["rank"] for one in first["assets"]]) == (0, 60, [0, 1])
    asset = first["assets"][0]
    assert asset["columns"]["observations"] == len(asset["observations"]) and 1 <= len(asset["seen"]) <= 9
    assert asset == client.get(f"/{TOKEN}/asset", params={"id": asset["id"]}).json()
    answer = client.post(f"/{TOKEN}/decisions", json=record("reject", 0, why="เงา"))
    assert answer.json() == {"reviewed": 1, "total": 60, "saved": "id1"}
    ((decision,), _) = read_decisions([progress.path])
    # Who decides is the server's word, not the page's.
    assert (decision.who, decision.action, decision.why) == ("somchai", "reject", "เงา")
    assert decision.asset_ids == (asset["id"],)
    assert client.get(f"/{TOKEN}/queue?from=0&count=1").json()["assets"][0]["rank"] == 1
    (told,) = client.get(f"/{TOKEN}/history").json()["decisions"]
    assert (told["action"], told["assets"], told["undone"]) == ("reject", [asset["id"]], False)
    assert client.get(f"/{TOKEN}/asset?id=nothing").status_code == 404
    wrong = client.post(f"/{TOKEN}/decisions", content=b"[")
    assert (wrong.status_code, wrong.json()) == (409, {"error": "not a decision: expected JSON"})
    assert client.post(f"/{TOKEN}/decisions", content=b"x" * 2_000_000).status_code == 413
    for odd in ("queue?from=x&count=-3", "queue?from=99999999999999999999", "ways?latitude=nan", "ways?latitude=1e9"):
        assert client.get(f"/{TOKEN}/{odd}").status_code == 200, odd


def test_a_full_disk_is_told_and_the_decision_stays_with_the_page(
    client: Client, record: Record, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_decision: object) -> None:
        raise OutputError(f"{progress.path} cannot be written: No space left on device", 28)

    sent = record("accept", 0)
    monkeypatch.setattr(progress._log, "append", full)
    answer = client.post(f"/{TOKEN}/decisions", json=sent)
    assert answer.status_code == 507 and "No space left" in answer.json()["error"]
    monkeypatch.undo()
    assert progress.count == 0 and client.get(f"/{TOKEN}/queue?count=1").json()["assets"][0]["rank"] == 0
    assert client.post(f"/{TOKEN}/decisions", json=sent).status_code == 200


def test_the_way_around_a_place_is_drawn(client: Client, catalogue: Catalogue) -> None:
    longitude, latitude = next(iter(catalogue.entries())).feature["geometry"]["coordinates"]
    (way,) = client.get(f"/{TOKEN}/ways?latitude={latitude}&longitude={longitude}").json()
    assert all(abs(a - latitude) < 0.004 and abs(b - longitude) < 0.004 for a, b in way) and len(way) > 5
    assert client.get(f"/{TOKEN}/ways?latitude=50&longitude=8").json() == []


def test_what_keeps_a_review_from_starting_is_one_line(folder: Path, record: Record) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"^--port: {port} is in use; .* --port 0$"):
            review_folder(folder, ReviewOptions("somchai", port=port, browser=False))
    with pytest.raises(ConfigError, match="--port: 99999 cannot be used"):
        review_folder(folder, ReviewOptions("somchai", port=99999, browser=False))
    with pytest.raises(ConfigError, match="--reviewer: expected a name"):
        review_folder(folder, ReviewOptions(" ", browser=False))
    with pytest.raises(ConfigError, match="--language: expected en or th"):
        review_folder(folder, ReviewOptions("somchai", language="fr", browser=False))
    sent = record("accept", 0)
    sent["observations"] = [{**one, "source": "elsewhere.mp4"} for one in sent["observations"]]
    default_file(folder, "somchai").write_text(json.dumps(sent) + "\n")
    with pytest.raises(DataError, match=r"decisions for another drive: it refers to elsewhere\.mp4"):
        review_folder(folder, ReviewOptions("somchai", port=0, browser=False))
