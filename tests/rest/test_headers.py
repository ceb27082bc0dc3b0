"""Every answer says what a browser may do with it, and none sets a cookie."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests

from app import create_app
from local_cluster.live_server import LiveServer
from presence.config import Settings

ELSEWHERE = "https://elsewhere.example"


def addresses(tmp_path: Path) -> list[tuple[str, str]]:
    """Return (method, path) of every route there is, with something for each of its variables."""
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/x.db", upload_dir=str(tmp_path / "up"))
    )
    fillings = {
        "filename": "css/base.css",
        "room_name": "studio",
        "peer_id": "ada",
        "key": "0123456789abcdef",
    }
    found = []
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: fillings.get(match[1], "x"), rule.rule)
        found += [(method, path) for method in sorted((rule.methods or set()) - {"OPTIONS"})]
    assert len(found) > 25
    return found


def answers(server: LiveServer, tmp_path: Path, **headers: str) -> dict[str, requests.Response]:
    """Return the answer of every route, of Socket.IO, of an uploaded file and of mistakes."""
    join = {"peer_id": "ada", "username": "Ada"}
    requests.post(f"{server.url}/api/webrtc/rooms/studio/join", json=join, timeout=10)
    stored = requests.post(
        f"{server.url}/api/webrtc/upload",
        data={"room_name": "studio", "peer_id": "ada"},
        files={"file": ("a.txt", b"hi")},
        timeout=10,
    ).json()
    asked = [
        *addresses(tmp_path),
        ("GET", stored["file_url"]),
        ("GET", "/nowhere"),
        ("GET", "/api/nowhere"),
        ("BREW", "/api/webrtc/rooms"),
        ("GET", "/socket.io/?EIO=4&transport=polling"),
        ("GET", "/socket.io/?EIO=4&transport=polling&sid=unknown"),
        ("POST", "/socket.io/?EIO=3"),
        ("OPTIONS", "/api/webrtc/rooms"),
    ]
    return {
        f"{method} {path}": requests.request(
            method, server.url + path, headers=headers, timeout=10, allow_redirects=False
        )
        for method, path in asked
    }


@pytest.mark.cluster
def test_every_answer_is_protected_and_sets_no_cookie(server: LiveServer, tmp_path: Path) -> None:
    for what, response in answers(server, tmp_path, Accept="text/html").items():
        assert response.status_code < 500, what
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff", what
        assert headers["Referrer-Policy"] in ("no-referrer", "same-origin"), what
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, what
        assert "unsafe" not in policy, what
        assert re.search("frame-ancestors '(none|self)'|sandbox", policy), what
        html = headers.get("Content-Type", "").startswith("text/html")
        page = html and not what.startswith("OPTIONS")
        assert f"camera=({'self' if page else ''})" in headers["Permissions-Policy"], what
        assert "Set-Cookie" not in headers, what
        assert not re.search(r"\d", headers.get("Server", "")), what


def test_credentials_are_never_for_another_origin(server: LiveServer, tmp_path: Path) -> None:
    asking = {"Origin": ELSEWHERE, "Cookie": "a=b", "Access-Control-Request-Method": "POST"}
    seen: set[Any] = set()
    for what, response in answers(server, tmp_path, **asking).items():
        assert "Access-Control-Allow-Credentials" not in response.headers, what
        seen.add(response.headers.get("Access-Control-Allow-Origin"))
    # Everybody may call an open server, but as nobody in particular.
    assert seen & {"*", ELSEWHERE}


@pytest.mark.parametrize("path", ["/api/webrtc/rooms", "/socket.io/?EIO=4&transport=polling"])
def test_an_origin_that_is_not_listed_may_read_nothing(new_server: Any, path: str) -> None:
    server = new_server(PRESENCE_ALLOWED_ORIGINS="https://app.example")
    for origin, allowed in {"https://app.example": True, ELSEWHERE: False, "null": False}.items():
        response = requests.get(server.url + path, headers={"Origin": origin}, timeout=10)
        given = response.headers.get("Access-Control-Allow-Origin")
        assert given == (origin if allowed else None), (origin, given)
        assert "Access-Control-Allow-Credentials" not in response.headers
