"""A browser repeats a poll by itself when the connection that carried it dies: nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.protocol.dying_proxy import DyingProxy
from tests.support.visitors import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "20"))
JOIN = """async (room) => {
  const heard = (window.heard = []);
  window.ends = [];
  const socket = io({ transports: ["polling"] });
  socket.on("signal", ({ data }) => heard.push(data));
  socket.on("disconnect", (reason) => window.ends.push(reason));
  return await socket.emitWithAck("join_room", { room_name: room, peer_id: "p", username: "P" });
}"""


@pytest.fixture
def proxy(server: LiveServer) -> Generator[DyingProxy]:
    made = DyingProxy(server.port)
    yield made
    made.close()


def test_every_signal_arrives_though_the_polls_die(
    chromium: Browser, server: LiveServer, proxy: DyingProxy, connect: Any, room: str
) -> None:
    visitor = Visitor(chromium, proxy.url, bypass_csp=True)
    try:
        page = visitor.page
        visitor.open("/nothing-here")
        page.add_script_tag(url="/socket.io/socket.io.js")
        assert page.evaluate(JOIN, room)["ok"]
        sender = connect(server)
        sender.call("join_room", {"room_name": room, "peer_id": "s", "username": "S"})
        sent: list[int] = []

        def signal() -> None:
            answer = sender.call("signal", {"to": "p", "data": len(sent)})
            assert answer["status"] == "delivered", answer
            sent.append(len(sent))

        def all_heard() -> bool:
            return bool(page.evaluate("heard.length") >= len(sent))

        for number in range(ROUNDS):
            way = proxy.WAYS[number % len(proxy.WAYS)]
            proxy.kill_a_poll(way, signal)
            eventually(all_heard, f"signal {number} arrives, though its poll has died {way}")
            # A connection counts as one that worked once an answer came over it.
            signal()
            eventually(all_heard, "the next one arrives")
        assert page.evaluate("heard") == sent
        assert page.evaluate("ends") == []
        again = [asked for asked, times in proxy.polls.items() if times > 1]
        assert len(again) == ROUNDS, "the browser has repeated each poll that died"
    finally:
        visitor.close()
