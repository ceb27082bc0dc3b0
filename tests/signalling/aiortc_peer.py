"""A WebRTC peer without a browser, and what two peers that are connected say."""

from __future__ import annotations

import asyncio
from typing import Any

from presence_client import Client

from examples.python_call import Caller
from local_cluster.waiting import eventually
from tests.signalling.conftest import InLoop


class AiortcPeer:
    """An aiortc peer with the Python client; runs in the loop that `in_loop` gives."""

    def __init__(self, client: Client, in_loop: InLoop) -> None:
        self.client = client
        self._in_loop = in_loop
        self.heard: list[tuple[str, Any]] = []
        self.caller: Caller = in_loop(self._start())

    async def _start(self) -> Caller:
        return Caller(self.client, lambda link, message: self.heard.append((link.peer_id, message)))

    def call(self, peer_id: str) -> None:
        self._in_loop(self.caller.call(peer_id))

    def connected_to(self, peer_id: str) -> None:
        async def opened() -> None:
            await asyncio.wait_for(self.caller.connections[peer_id].is_open.wait(), 20)

        eventually(lambda: peer_id in self.caller.connections, f"a call with {peer_id}")
        self._in_loop(opened())

    def tell(self, peer_id: str, message: str) -> None:
        async def send() -> None:
            self.caller.connections[peer_id].channel.send(message)

        self._in_loop(send())

    def hears(self, peer_id: str, message: str) -> None:
        eventually(lambda: (peer_id, message) in self.heard, f"{message!r} from {peer_id}")

    def close(self) -> None:
        self._in_loop(self.caller.close())


def talk(one: Any, one_id: str, other: Any, other_id: str) -> None:
    """Wait until two peers are connected, and send a message each way."""
    one.connected_to(other_id)
    other.connected_to(one_id)
    one.tell(other_id, f"from {one_id}")
    other.hears(one_id, f"from {one_id}")
    other.tell(one_id, f"from {other_id}")
    one.hears(other_id, f"from {other_id}")
