"""What a person reads in a browser where the server refuses before any page is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from app import create_app
from local_cluster.live_server import LiveServer
from presence.config import Settings
from tests.pages.conftest import Visit
from tests.support.keys import LOCKED

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def deaf(tmp_path: Path, new_server: Callable[..., LiveServer]) -> LiveServer:
    """A locked server that is called by a name other than its own."""
    server = new_server(**LOCKED)
    server.url = server.url.replace("127.0.0.1", "localhost")
    return server


def test_a_foreign_name_is_explained_to_a_person_and_told_to_a_program(deaf: LiveServer) -> None:
    for path in ("/", "/rooms/studio", "/nowhere"):
        page = requests.get(deaf.url + path, headers=BROWSER, timeout=10)
        assert page.status_code == 400
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "does not answer to that name" in page.text
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        program = requests.get(deaf.url + path, timeout=10)
        assert (program.status_code, program.json()["code"]) == (400, "host_refused")
    for path in ("/api/webrtc/rooms", "/uploads/x", "/socket.io/?EIO=4&transport=polling"):
        answer = requests.get(deaf.url + path, headers=BROWSER, timeout=10)
        assert answer.json()["code"] == "host_refused"


def test_the_explanation_can_be_read_by_itself(visit: Visit, deaf: LiveServer) -> None:
    visitor = visit("/", server=deaf)
    visitor.sees("h1", "That did not work")
    visitor.sees("p", "PRESENCE_ALLOWED_HOSTS")
    width = visitor.page.evaluate("getComputedStyle(document.body).maxWidth")
    assert width == "608px", "the style that the policy names is applied"


def test_a_page_of_another_origin_is_told_in_its_own_way(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(**LOCKED)
    origin = {"Origin": "https://evil.example"}
    page = requests.get(server.url, headers=BROWSER | origin, timeout=10)
    assert (page.status_code, "Pages of that origin" in page.text) == (403, True)
    assert page.headers["Content-Type"].startswith("text/html")


def test_who_asks_too_often_is_told_so_on_every_page(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(PRESENCE_REQUESTS_PER_MINUTE=1)
    for path in ("/", "/doctor", "/docs/api", "/nowhere"):
        requests.get(server.url + path, timeout=10)
        page = requests.get(server.url + path, headers=BROWSER, timeout=10)
        assert page.status_code == 429
        assert page.headers["Content-Type"].startswith("text/html")
        assert int(page.headers["Retry-After"]) > 0
        assert "That did not work" in page.text


def test_a_server_that_cannot_serve_says_why(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("This is no database. " * 100)
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/x.db", upload_dir=str(tmp_path / "up"))
    )
    page = app.test_client().get("/", headers=BROWSER)
    assert page.status_code == 503
    assert page.content_type.startswith("text/html")
    program = app.test_client().get("/")
    assert program.get_json()["code"] == "cannot_serve"
    assert program.get_json()["detail"].split(":")[0] in page.text
