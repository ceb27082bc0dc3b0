"""A WebRTC peer in Python: answers every call in a room, and repeats what it hears.

    pip install clients/python aiortc
    python examples/python_call.py http://127.0.0.1:3001 demo

Call it from the JavaScript client with ``client.call("echo")``, or from another Python program
with the `Caller` below.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

try:
    from presence_client import Client, PresenceError
except ImportError:
    # Started from a copy of the repository, where the client is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients" / "python"))
    from presence_client import Client, PresenceError


class Connection:
    """A call to one peer: an RTCPeerConnection that either side may offer, and a data channel."""

    def __init__(self, caller: Caller, peer_id: str) -> None:
        self.caller = caller
        self.peer_id = peer_id
        # Python compares texts by code points, as both sides must.
        self.polite = caller.client.peer_id < peer_id
        self.is_open = asyncio.Event()
        # Held while an offer is taken in: the candidates that follow it have to wait.
        self.taking_offer = asyncio.Lock()
        self.pc: Any = None
        self.channel: Any = None

    async def offer(self) -> None:
        """Offer a connection; candidates are gathered first and travel in the description."""
        pc = await self.build()
        await pc.setLocalDescription(await pc.createOffer())
        if pc is self.pc:
            await self.describe(pc)

    async def offered(self, sdp: str) -> None:
        """Answer an offer, unless we have offered too and the other side is to give way."""
        pc = self.pc
        collision = pc is not None and (
            pc.remoteDescription is None or pc.signalingState != "stable"
        )
        if collision and not self.polite:
            return
        # aiortc cannot take an offer back or restart ICE, so giving way means starting afresh.
        async with self.taking_offer:
            pc = await self.build()
            await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await pc.setLocalDescription(await pc.createAnswer())
        if pc is self.pc:
            await self.describe(pc)

    async def answered(self, sdp: str) -> None:
        """Take the answer to our offer."""
        if self.pc is not None and self.pc.signalingState == "have-local-offer":
            await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def candidate(self, data: dict[str, Any]) -> None:
        """Take one of the other side's addresses."""
        async with self.taking_offer:
            text = data.get("candidate", "").removeprefix("candidate:")
            if not text or self.pc is None or self.pc.remoteDescription is None:
                return
            candidate = candidate_from_sdp(text)
            candidate.sdpMid = data.get("sdpMid")
            candidate.sdpMLineIndex = data.get("sdpMLineIndex")
            await self.pc.addIceCandidate(candidate)

    async def describe(self, pc: Any) -> None:
        """Send the description that was set last."""
        description = pc.localDescription
        data = {"type": description.type, "sdp": description.sdp}
        await self.caller.send(self.peer_id, description.type, data)

    async def build(self) -> Any:
        """Make a new RTCPeerConnection in place of the one before."""
        await self.close()
        self.pc = pc = RTCPeerConnection(self.caller.configuration)
        # Both sides open channel 0 themselves; nothing has to be announced.
        self.channel = channel = pc.createDataChannel("presence", negotiated=True, id=0)
        self.is_open.clear()
        channel.on("open", lambda: self.is_open.set() if channel is self.channel else None)
        channel.on("message", lambda message: self.caller.on_message(self, message))
        return pc

    async def close(self) -> None:
        """Close the RTCPeerConnection, if any."""
        pc, self.pc = self.pc, None
        if pc is not None:
            await pc.close()


class Caller:
    """Makes and answers calls for a `Client` of `presence_client` that has joined a room."""

    def __init__(self, client: Client, on_message: Callable[[Connection, Any], object]) -> None:
        self.client = client
        self.on_message = on_message
        self.connections: dict[str, Connection] = {}
        servers = client.ice_servers()["iceServers"]
        self.configuration = RTCConfiguration([RTCIceServer(**server) for server in servers])
        loop = asyncio.get_running_loop()
        self._signals: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        # The client's callbacks come from a thread of their own.
        client.on("signal", lambda s: loop.call_soon_threadsafe(self._signals.put_nowait, s))
        self._task = asyncio.create_task(self._run())

    async def call(self, peer_id: str) -> Connection:
        """Call a peer; wait for the connection's `is_open`."""
        connection = self._connection(peer_id)
        await connection.offer()
        return connection

    async def send(self, peer_id: str, kind: str, data: dict[str, Any]) -> None:
        """Send a signal; a peer that is not there any more need not get it."""
        try:
            await asyncio.to_thread(self.client.signal, peer_id, data, type=kind)
        except PresenceError as error:
            print(f"{kind} for {peer_id}: {error.detail}", file=sys.stderr)

    async def close(self) -> None:
        """Hang up every connection."""
        self._task.cancel()
        for peer_id, connection in self.connections.items():
            await self.send(peer_id, "bye", {"reason": "closed"})
            await connection.close()

    async def _run(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        while True:
            signal = await self._signals.get()
            task = asyncio.create_task(self._take(signal["from"], signal["type"], signal["data"]))
            if signal["type"] == "offer":
                # Gathering takes a while, in which the other side's candidates come.
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                await task

    async def _take(self, peer_id: str, kind: str, data: dict[str, Any]) -> None:
        connection = self._connection(peer_id)
        try:
            if kind == "offer":
                await connection.offered(data["sdp"])
            elif kind == "answer":
                await connection.answered(data["sdp"])
            elif kind == "candidate":
                await connection.candidate(data)
            elif kind == "bye":
                await connection.close()
        except Exception as error:
            print(f"{kind} from {peer_id} could not be used: {error}", file=sys.stderr)

    def _connection(self, peer_id: str) -> Connection:
        return self.connections.setdefault(peer_id, Connection(self, peer_id))


async def main(url: str, room_name: str) -> None:
    """Answer calls until interrupted."""
    with Client(url, peer_id="echo", token=os.environ.get("TOKEN")) as client:
        await asyncio.to_thread(client.join, room_name)
        caller = Caller(client, lambda connection, message: connection.channel.send(message))
        print(f"“echo” answers calls in the room “{room_name}”.", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            await caller.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:3]))
