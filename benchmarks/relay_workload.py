"""The relay: signals handed from peer to peer, as fast as the server goes."""

from __future__ import annotations

import re
from typing import Any

import orjson

from benchmarks.clients import PeerJsClient, SocketClient, connect, join_all
from benchmarks.frames import event_frame, text_frame
from benchmarks.load import Load
from benchmarks.measuring import Figures, Run

IN_FLIGHT = 10  # signals of a pair that wait for their acknowledgement at one time
SIGNAL_BYTES = 1200
_ACK = re.compile(rb"43(\d+)\[")
_WARM_SHARE = 0.3


def signal_body(to: str) -> dict[str, Any]:
    """Return a signal of about the size of an offer with its candidates."""
    return {"to": to, "type": "offer", "data": {"sdp": "v=0 o=- 4611731400430051336 2 IN " * 38}}


class Relayed:
    """Counts signals that arrived, and keeps each pair's window full."""

    def __init__(self) -> None:
        self.delivered = 0
        self._next: dict[SocketClient, list[bytes]] = {}

    def drive(self, sender: SocketClient, to: str) -> None:
        """Let a client send signals, one more for each that is acknowledged."""
        # Made beforehand: an acknowledgement's number may be used again once it has come.
        frames = [event_frame("signal", signal_body(to), ack) for ack in range(IN_FLIGHT)]
        self._next[sender] = frames
        sender.on_message = self._acknowledged
        for frame in frames:
            sender.send(frame)

    def count(self, _client: SocketClient, head: bytes, _now: float) -> None:
        """Count a signal that its receiver got."""
        self.delivered += head.startswith(b'42["signal"')

    def _acknowledged(self, client: SocketClient, head: bytes, _now: float) -> None:
        answer = _ACK.match(head)
        if answer:
            client.send(self._next[client][int(answer[1])])


def relay(run: Run) -> Figures:
    """Relay signals of 1.2 kB between pairs, each with ten under way and acknowledged."""
    relayed = _peerjs(run) if run.offers("peerjs") else _socketio(run)
    run.load.run(run.sizes.relay_seconds * _WARM_SHARE)
    before = relayed.delivered
    with run.measuring() as measured:
        run.load.run(run.sizes.relay_seconds)
        run.load.await_(lambda: relayed.delivered > before, "a signal is delivered")
        count = relayed.delivered - before
    return {
        **measured.figures(),
        "per_s": count / measured.wall,
        "per_cpu_s": count / measured.cpu,
        "cpu_us": measured.cpu / max(count, 1) * 1e6,
    }


def _socketio(run: Run) -> Relayed:
    clients = connect(run.load, run.sizes.pairs * 2)
    join_all(run.load, clients, "calls")
    run.load.settle()
    relayed = Relayed()
    for sender, receiver in zip(clients[::2], clients[1::2], strict=True):
        receiver.on_message = relayed.count
        relayed.drive(sender, receiver.peer_id)
    return relayed


def _peerjs(run: Run) -> Relayed:
    """Do the same with PeerJS, which acknowledges nothing: what arrives makes room for the next."""
    relayed = Relayed()
    for number in range(run.sizes.pairs):
        _peerjs_pair(run.load, relayed, number)
    return relayed


def _peerjs_pair(load: Load, relayed: Relayed, number: int) -> None:
    sender, receiver = PeerJsClient(load, f"a{number}"), PeerJsClient(load, f"b{number}")
    load.await_(lambda: sender.connected and receiver.connected, "connected to PeerJS")
    payload = signal_body(receiver.peer_id)["data"]
    frame = text_frame(orjson.dumps({"type": "OFFER", "dst": receiver.peer_id, "payload": payload}))

    def arrived(head: bytes) -> None:
        if b'"OFFER"' in head:
            relayed.delivered += 1
            sender.send(frame)

    receiver.on_message = arrived
    for _ in range(IN_FLIGHT):
        sender.send(frame)
