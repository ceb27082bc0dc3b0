"""Made-up programs against a model: whatever is called in whatever order, over whatever line.

At every quiet point every call has ended with a reason that can be true, and every client is where
its last call wanted it, by its own word and by the server's.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from tests.support.node import report_of

HISTORIES = int(os.environ.get("PRESENCE_TEST_HISTORIES", "400"))
SEED = int(os.environ.get("PRESENCE_TEST_SEED", "1"))
SECRET = "0123456789abcdef0123456789abcdef"
LIMITS = {
    "PRESENCE_MAX_PEERS": 2,
    "PRESENCE_MAX_ROOMS_EACH": 0,
    "PRESENCE_CONNECTS_PER_MINUTE": 1_000_000,
    "PRESENCE_REQUESTS_PER_MINUTE": 1_000_000,
    "PRESENCE_FAILED_TOKENS_PER_MINUTE": 1_000_000,
}


def play(live: LiveServer, count: int, **more: Any) -> None:
    settings = {"url": live.url, "rooms": "h", "count": count, "seed": SEED, "atOnce": 20, **more}
    seconds = 90 + count * 3
    report = report_of("histories.mjs", json.dumps(settings), seconds=seconds)
    assert report["histories"] == count
    assert report["failed"] == 0, json.dumps(report["failures"][:3], indent=1)


NewServer = Callable[..., LiveServer]


@pytest.mark.timeout(120 + HISTORIES * 3)
def test_histories_over_lines_that_are_cut(new_server: NewServer) -> None:
    play(new_server(**LIMITS), HISTORIES)


@pytest.mark.timeout(120 + HISTORIES * 3)
def test_histories_with_tokens_that_end(new_server: NewServer) -> None:
    settings = {
        "PRESENCE_MODE": "locked",
        "SECRET_KEY": SECRET,
        "PRESENCE_ALLOWED_HOSTS": "127.0.0.1",
        "PRESENCE_ALLOWED_ORIGINS": "http://127.0.0.1",
    }
    play(new_server(**LIMITS, **settings), max(HISTORIES // 8, 1), secret=SECRET)


@pytest.mark.timeout(120 + HISTORIES * 3)
def test_histories_through_restarts_of_the_server(new_server: NewServer) -> None:
    live = new_server(**LIMITS)
    is_over = threading.Event()

    def restart() -> None:
        while not is_over.wait(4):
            live.kill()
            live.start()

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        play(live, max(HISTORIES // 20, 1), restarts=True)
    finally:
        is_over.set()
        thread.join()
