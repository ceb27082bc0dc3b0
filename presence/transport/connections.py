"""How one Engine.IO connection behaves here where the library's own would not do.

python-engineio has no setting for its connection class, so `install` puts ours in its place. It
concerns servers only; a client in the same process is another class.
"""

from __future__ import annotations

import time
from typing import Any

import engineio.exceptions
import engineio.payload
import engineio.socket

# python-engineio's client refuses a poll's answer with more packets than this, and hangs up.
_PACKETS_PER_POLL = 16

# The other way round a client sends what it has queued in one request, and the same limit would
# cut it off after a burst. The request's size is limited already.
_PACKETS_PER_POST = 10_000


class Connection(engineio.socket.Socket):  # type: ignore[misc]
    """A connection that no client can misread, and that is not closed while its client is busy."""

    last_ping: float | None

    def __init__(self, server: Any, sid: str) -> None:
        super().__init__(server, sid)
        self._unsent: list[Any] = []

    def poll(self) -> list[Any]:
        """Return the packets to send next, waiting for one if need be."""
        packets = self._unsent or super().poll()
        self._unsent = []
        if not self.upgraded:
            packets, self._unsent = packets[:_PACKETS_PER_POLL], packets[_PACKETS_PER_POLL:]
        return packets

    def receive(self, pkt: Any) -> None:
        """Handle a packet from the client; whatever it is, the client is alive.

        A polling client answers a ping only after the request it is sending. While the messages in
        that one are handled it would otherwise be taken for gone.
        """
        if self.last_ping:
            self.last_ping = time.time()
        try:
            super().receive(pkt)
        except engineio.exceptions.UnknownPacketError:
            # The library ignores these, and the sender would wait for an answer.
            self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)


def install() -> None:
    """Make every Engine.IO server of this process use `Connection`."""
    engineio.socket.Socket = Connection
    engineio.payload.Payload.max_decode_packets = _PACKETS_PER_POST
