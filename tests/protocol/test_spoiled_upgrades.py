"""A proxy spoils requests for a WebSocket: stock clients stay on polling, and lose nothing."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from tests.protocol.slipping_proxy import SlippingProxy, as_http_1_0, dropping, saying
from tests.protocol.wire import UPGRADE, Asked, Polling

# What is done to the headers, and what is then said to be missing.
SLIPS = {
    "Connection is dropped": (dropping("Connection"), "Connection: Upgrade"),
    "Connection is close": (saying("Connection: close"), "Connection: Upgrade"),
    "Upgrade is dropped": (dropping("Upgrade"), "Upgrade: websocket"),
    "both are dropped": (dropping("Upgrade", "Connection"), "Upgrade: websocket"),
    "Upgrade is another": (saying("Upgrade: h2c"), "Upgrade: websocket"),
    "the version is dropped": (dropping("Sec-WebSocket-Version"), "Sec-WebSocket-Version: 13"),
    "the version is old": (saying("Sec-WebSocket-Version: 8"), "Sec-WebSocket-Version: 13"),
    "it speaks HTTP/1.0": (as_http_1_0, "HTTP/1.1"),
    "the key is dropped": (dropping("Sec-WebSocket-Key"), None),
}


@pytest.fixture
def proxy(server: LiveServer) -> Generator[SlippingProxy]:
    made = SlippingProxy(server.port)
    yield made
    made.close()


# Node takes half a second to start.
NAMES = {"python": list(SLIPS), "javascript": list(SLIPS)[::3]}


@pytest.mark.parametrize("kind", NAMES)
def test_a_stock_client_stays_on_polling_and_every_event_is_answered(
    server: LiveServer, proxy: SlippingProxy, connect: Any, room: str, kind: str
) -> None:
    for name in NAMES[kind]:
        proxy.slip, missing = SLIPS[name]
        client = connect(proxy, kind)
        peer = {"room_name": room, "peer_id": name.replace("/", "-"), "username": "P"}
        assert client.call("join_room", peer)["ok"], name
        for number in range(5):
            answer = client.call("update_user_data", {"user_data": {"n": number}})
            assert answer["user_data"] == {"n": number}, name
        assert client.connected, name
        client.disconnect()
        assert missing is None or missing in server.log_text(), name
    assert "Traceback" not in server.log_text()


def test_a_request_that_is_no_upgrade_is_told_what_it_lacks_and_takes_nothing(
    server: LiveServer,
) -> None:
    polling = Polling(server).connected()
    polling.post('427["leave_room",{}]')
    for query in ("EIO=4&transport=websocket", polling.query.replace("polling", "websocket")):
        for name, (slip, missing) in SLIPS.items():
            lines = [f"GET {query} HTTP/1.1", *(f"{name}: {it}" for name, it in UPGRADE.items())]
            first, *rest = slip(lines)
            headers = dict(line.split(": ", 1) for line in rest)
            answer = Asked(server, query, headers=headers, version=first.split()[-1]).answer()
            if missing is None:
                assert (answer.status, answer.code) == (400, "upgrade_refused"), name
            else:
                assert (answer.status, answer.code) == (426, "upgrade_incomplete"), name
                assert missing in answer.body.decode(), name
                assert answer.headers["upgrade"] == "websocket", name
        post = Asked(server, query, "POST", UPGRADE, body="41").answer()
        assert post.status == 400
    assert polling.wait_for("437[")
