"""Nine kilobytes of cookies: whoever sends them is told what to do, as a page or as JSON."""

from __future__ import annotations

import requests

from local_cluster.live_server import LiveServer


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
