"""Host and Origin: who may call a locked server by which name, from which pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import requests
import websocket

from local_cluster.live_server import LiveServer
from tests.support.callers import ask
from tests.support.keys import token

ENGINE = "/socket.io/?EIO=4&transport=polling"
PATHS = ["/", "/api/webrtc/rooms", ENGINE, "/static/icon.svg", "/rooms/studio", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_name_is_refused_everywhere(locked: LiveServer, path: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost", "127.0.0.1@evil", ""):
        answer = ask(locked, "GET", path, token("ada", "*"), headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (400, "host_refused"), host


@pytest.mark.parametrize("path", PATHS[:-1])
def test_every_name_of_its_own_is_taken(locked: LiveServer, path: str) -> None:
    for host in ("127.0.0.1", "presence.example.org", "presence.example.org:8443"):
        assert ask(locked, "GET", path, token("ada", "*"), headers={"Host": host}).ok, host


@pytest.mark.parametrize("path", [path for path in PATHS if "/static/" not in path])
def test_a_foreign_page_is_refused_everywhere(locked: LiveServer, path: str) -> None:
    for origin in ("https://evil.example", "null", "https://app.example.org.evil.example", ""):
        answer = ask(locked, "GET", path, token("ada", "*"), headers={"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused"), origin
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_pages_that_are_allowed_and_its_own_may_call(locked: LiveServer) -> None:
    for origin in ("https://app.example.org", locked.url):
        for path in (ENGINE, "/api/webrtc/rooms"):
            answer = ask(locked, "GET", path, token("ada", "*"), headers={"Origin": origin})
            assert answer.ok, (origin, path, answer.text)


def test_a_websocket_of_a_foreign_page_is_refused(locked: LiveServer) -> None:
    address = locked.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(websocket.WebSocketBadStatusException) as raised:
        websocket.create_connection(address, origin="https://evil.example", timeout=10)
    assert raised.value.status_code == 403
    with pytest.raises(websocket.WebSocketBadStatusException) as raised:
        websocket.create_connection(address, host="evil.example", timeout=10)
    assert raised.value.status_code == 400
    websocket.create_connection(address, origin="https://app.example.org", timeout=10).close()


def test_no_page_is_ever_allowed_credentials(
    locked: LiveServer, new_server: Callable[..., LiveServer]
) -> None:
    servers, paths = (locked, new_server()), (ENGINE, "/api/webrtc/rooms")
    origins, methods = ("https://app.example.org", "https://other.example"), ("GET", "OPTIONS")
    for server, path, origin, method in itertools.product(servers, paths, origins, methods):
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        }
        answer = requests.request(method, server.url + path, headers=asked, timeout=10)
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers


def test_a_page_that_is_allowed_may_send_its_token(locked: LiveServer) -> None:
    answer = ask(
        locked,
        "OPTIONS",
        "/api/webrtc/rooms",
        headers={
            "Origin": "https://app.example.org",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert answer.ok
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
