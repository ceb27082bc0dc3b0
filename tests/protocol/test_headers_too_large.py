"""Nine kilobytes of cookies: whoever sends them is told what to do, as a page or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest
import requests

from local_cluster.live_server import LiveServer

WAYS = {
    "gunicorn": None,
    "flask run": [sys.executable, "-m", "flask", "run"],
    "app.py": [sys.executable, "app.py"],
}


@pytest.fixture(params=WAYS, scope="module")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("headers"), command=WAYS[request.param]).start()
    yield live
    live.kill()


def test_too_many_cookies_are_answered_with_what_to_do(started: LiveServer) -> None:
    cookies = {"Cookie": "; ".join(f"c{number}={'x' * 1000}" for number in range(9))}
    for path, accept, kind in (
        ("/", "text/html,application/xhtml+xml", "text/html"),
        ("/api/webrtc/rooms", "*/*", "application/json"),
        ("/socket.io/?EIO=4&transport=polling", "*/*", "application/json"),
    ):
        headers = {**cookies, "Accept": accept}
        answer = requests.get(started.url + path, headers=headers, timeout=10)
        assert answer.status_code == 431, path
        assert answer.headers["Content-Type"].startswith(kind), path
        assert "Delete the cookies" in answer.text, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
    assert requests.get(started.url + "/healthz", timeout=10).ok
