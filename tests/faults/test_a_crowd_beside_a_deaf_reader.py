"""One reader stops reading in a room where a hundred peers change their data all the time.

`PRESENCE_TEST_SECONDS` is how long they do, with and without it (60 for a full campaign).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.faults.crowd import Crowd, percentile
from tests.support.raw_socket import RawSocket

SECONDS = float(os.environ.get("PRESENCE_TEST_SECONDS", "6"))
CROWD = 99  # the deaf reader is the hundredth


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_the_deaf_one_is_closed_memory_is_bounded_and_the_others_go_on(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_PING_TIMEOUT=60)  # or its silence might be found first
    crowd = Crowd(server, "r", CROWD, rate=10, data=50)
    crowd.run(2)  # everybody has joined, and the server has grown to its size
    alone = crowd.run(SECONDS)
    memory_before = server.memory()
    deaf = RawSocket(server, receive_buffer=4096)
    deaf.send('42["join_room",{"room_name":"r","peer_id":"deaf","username":"Deaf"}]')
    beside = crowd.run(SECONDS)
    until = time.monotonic() + 90
    while "its client does not read" not in server.log_text() and time.monotonic() < until:
        crowd.run(1)  # a slow machine needs longer to fill what is kept for it
    grown = server.memory() - memory_before
    crowd.close()
    deaf.close()
    before, after = percentile(alone, 0.99), percentile(beside, 0.99)
    print(
        f"{len(alone) / SECONDS:.0f} updates/s alone, p99 {before * 1000:.0f} ms; "
        f"{len(beside) / SECONDS:.0f}/s beside it, p99 {after * 1000:.0f} ms; "
        f"memory {grown / 2**20:+.1f} MiB"
    )
    assert "its client does not read" in server.log_text()
    assert crowd.lost == 0, "nobody else was closed"
    assert grown < 64 * 1024 * 1024
    # A busy machine adds to both; what one reader costs the others is the difference.
    assert after < 2 * before + 0.1
    room = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=30).json()
    assert not next(peer for peer in room["peers"] if peer["peer_id"] == "deaf")["is_active"]
