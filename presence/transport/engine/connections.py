"""How one Engine.IO connection behaves here where the library's own would not do.

python-engineio has no setting for its connection class, so `install` puts ours in its place. It
concerns servers only; a client in the same process is another class.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import engineio.exceptions
import engineio.packet
import engineio.payload
import engineio.socket

from presence.errors import MessageTooLarge, PacketsUnreadable, RequestsOverlap, SessionUnknown
from presence.transport.engine.draining import throw_away_body
from presence.transport.engine.send_queue import SendQueue
from presence.transport.engine.threaded_websockets import (
    cut,
    served,
    transport_below,
)
from presence.transport.engine.throttle import FLOODING, TokenBucket
from presence.transport.polling.bodies import PollingBodies
from presence.transport.polling.exchanges import Exchanges, Overlapping, is_dead, mark_of
from presence.transport.websocket.early_bytes import transport_of

log = logging.getLogger(__name__)

# python-engineio's client refuses a poll's answer with more packets than this, and hangs up.
_PACKETS_PER_POLL = 16

# The other way round a client sends what it has queued in one request, and the same limit would
# cut it off after a burst. The request's size is limited already.
_PACKETS_PER_POST = 10_000

# What is taken out of the queue at once; the rest stays where newer lists can replace it.
_BYTES_PER_WRITE = 64 * 1024

# What may wait for one connection before it is given up.
MAX_QUEUED_BYTES = 1024 * 1024
# What the kernel takes in besides; enough for a distant client on a fast line.
_KERNEL_BYTES = 256 * 1024
# What may wait before its own next message is handled: who asks faster than it reads the answers
# waits for itself.
_PAUSE_BYTES = 128 * 1024

# How long a request that came again waits for the first one's answer, in seconds.
_LONGEST_REQUEST = 120.0

SLOW_READER = "slow reader"
# The reasons for which the server itself ends a connection, and not its client or the network.
EVICTIONS = (SLOW_READER, FLOODING, "ping timeout")


class Connection(engineio.socket.Socket):  # type: ignore[misc]
    """A connection that tells busy from dead clients, and remembers little for slow ones."""

    last_ping: float | None
    connected: bool
    queue: Any

    def __init__(self, server: Any, sid: str) -> None:
        super().__init__(server, sid)
        self.queue = SendQueue(self.queue)
        # On the monotonic clock.
        self.opened = time.monotonic()
        self._beating = False
        self._given_up = False
        self._websocket: Any = None
        # For how many seconds the client had not answered when it was given up.
        self.silent_for = 0.0
        # How much of what waits does not count against it, as far as it is not sent.
        self._uncounted = 0
        self._is_answered = False
        # Why the server ends the connection, where it says something else to the client.
        self.evicted_for: str | None = None
        # What was wrong with what it sent, where it is closed for that.
        self.fault: str | None = None
        # How many binary attachments are to come before the next packet.
        self.attachments_due = 0
        self._bodies = PollingBodies(server.max_http_buffer_size)
        # Set for a connection that polls.
        self._polls: Exchanges | None = None
        self._posts: Exchanges | None = None
        # How fast the client sends, once it does.
        self.bucket: TokenBucket | None = None

    def send(self, pkt: Any) -> None:
        """Queue a packet; a connection for which too much waits already is given up instead."""
        if self._given_up:
            return
        before = self.queue.size
        super().send(pkt)
        self._bound(pkt, self.queue.size - before, self.queue.size)

    def send_shared(self, pkt: Any, _is_held: bool) -> None:
        """Send a packet that goes to many (see `multicast`)."""
        self.send(pkt)

    def send_at_once(self, pkt: Any) -> None:
        """Send a packet that goes to many, without waiting for others."""
        self.send(pkt)

    def release(self) -> None:
        """Write what is held: nothing, for this kind of connection writes as soon as it can."""

    def _bound(self, pkt: Any, added: int, waiting: int) -> None:
        """Give the connection up if too much waits for it, now that `pkt` added to it.

        Two things do not count, or a room with a long list could not be joined: what the client's
        own message is answered with, since its next one is not handled before it has read that;
        and a list, of which only the newest waits.
        """
        if self._is_answered or getattr(pkt, "replaces", None) is not None:
            self._uncounted += added
        self._uncounted = max(0, min(self._uncounted, waiting))
        if waiting - self._uncounted > MAX_QUEUED_BYTES:
            self._given_up = True
            # Not here: the caller is in the middle of telling a whole room.
            self.server.start_background_task(self._give_up)

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Close the connection, and have it unknown from now on.

        The library knows it for some seconds more, and answers what a polling client then sends
        with an error of its own.
        """
        super().close(wait=wait, abort=abort, reason=reason)
        if self.closed:
            self.server.sockets.pop(self.sid, None)
            self._bodies.end()

    def poll(self) -> list[Any]:
        """Return the packets to send next, waiting for one if need be."""
        try:
            packet = self.queue.get(timeout=self.server.ping_interval + self.server.ping_timeout)
        except self.server.get_queue_empty_exception():
            raise engineio.exceptions.QueueEmpty from None
        self.queue.task_done()
        packets: list[Any] = []
        size = 0
        while packet is not None:
            packets.append(packet)
            size += len(packet.data or "") if isinstance(packet.data, (str, bytes)) else 0
            if len(packets) == _PACKETS_PER_POLL or size > _BYTES_PER_WRITE:
                return packets
            try:
                packet = self.queue.get(block=False)
            except self.server.get_queue_empty_exception():
                return packets
            self.queue.task_done()
        if packets:
            self.queue.put(None)  # the end comes with the next poll
        return packets

    def receive(self, pkt: Any) -> None:
        """Handle a packet from the client; whatever it is, the client is alive.

        A polling client answers a ping only after the request it is sending. While the messages in
        that one are handled it would otherwise be taken for gone.
        """
        if self.last_ping:
            self.last_ping = time.monotonic()
        self._is_answered = True
        try:
            super().receive(pkt)
        except engineio.exceptions.UnknownPacketError:
            # The library ignores these, and the sender would wait for an answer.
            self.blame(f"packets of the type {pkt.packet_type} are the server's, or nobody's")
            log.warning("closed a connection that sent an invalid packet: %s", self.fault)
            self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)
        finally:
            self._is_answered = False

    def blame(self, fault: str) -> None:
        """Note what was wrong with what the client sent, so that it is told when it is closed."""
        self.fault = fault
        if self._websocket is not None:
            self._websocket.fault = fault

    def begin_polling(self, mark: str | None) -> None:
        """Get ready for polls; `mark` is that of the request which opened the connection."""
        self._polls = Exchanges(self.server.create_event, mark)
        self._posts = Exchanges(self.server.create_event, mark)

    def answer_poll(self, environ: dict[str, Any]) -> list[Any]:
        """Return the packets to answer a poll with, waiting for one if need be.

        A poll that comes again is given the same ones. Raises `RequestsOverlap`, and
        `SessionUnknown` where the connection ends meanwhile.
        """
        found = self._exchanged(self._polls, environ, lambda: self._packets_for(environ))
        if found is None:
            raise SessionUnknown
        packets: list[Any] = found
        return packets

    def answer_post(self, environ: dict[str, Any]) -> None:
        """Handle the packets that a polling client sends, once however often it sends them.

        Raises `RequestsOverlap`, `MessageTooLarge` or `PacketsUnreadable`, and the connection is
        closed.
        """
        if not self._exchanged(self._posts, environ, lambda: self._take_in(environ)):
            raise SessionUnknown
        throw_away_body(environ)

    def _exchanged(
        self, exchanges: Exchanges | None, environ: dict[str, Any], make: Callable[[], Any]
    ) -> Any:
        if exchanges is None:
            raise SessionUnknown
        try:
            return exchanges.answer(environ, make, _LONGEST_REQUEST)
        except Overlapping:
            self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)
            raise RequestsOverlap from None

    def _packets_for(self, environ: dict[str, Any]) -> list[Any]:
        noop = engineio.packet.Packet(engineio.packet.NOOP)
        if self.upgrading or self.upgraded:
            return [noop]
        try:
            packets = self.poll()
        except engineio.exceptions.QueueEmpty:
            self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)
            raise SessionUnknown from None
        if mark_of(environ) is None and is_dead(transport_of(environ)):
            # Nobody could ask for these again; the client is to know that it missed something.
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)
            raise SessionUnknown
        return packets or [noop]

    def _take_in(self, environ: dict[str, Any]) -> bool:
        """Read a POST and handle its packets; returns True.

        The library would wait for the client to fetch what is queued for it before it lets go of
        the connection, and so hold the thread of a client that never does for ever.
        """
        try:
            body = self._bodies.read(environ)
            if body is None:
                raise MessageTooLarge(self.server.max_http_buffer_size)
            packets = engineio.payload.Payload(encoded_payload=body.decode()).packets
        except (ValueError, MessageTooLarge) as error:
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)
            if isinstance(error, MessageTooLarge):
                raise
            log.warning("closed a connection that sent an invalid request: %s", error)
            raise PacketsUnreadable(getattr(error, "description", str(error))) from error
        for packet in packets:
            if self.closed:
                break
            self.receive(packet)
        if self.fault is not None:
            raise PacketsUnreadable(self.fault)
        return True

    def let_it_read(self) -> None:
        """Wait while much of what the client itself has asked for is not sent yet."""
        self._is_answered = False  # what comes meanwhile is others' doing
        self.server.sleep(0)
        waiting = self.queue.size
        if waiting <= _PAUSE_BYTES:
            return
        while self.queue.size > _PAUSE_BYTES // 2 and not self.closed:
            self.server.sleep(0.005)
            if self.last_ping and self.queue.size < waiting:
                self.last_ping = time.monotonic()  # it reads, so it is alive
            waiting = self.queue.size

    def schedule_ping(self) -> None:
        """Note that the client has answered, and see to it that it is asked again and again."""
        self.last_ping = None
        if not self._beating:
            self._beating = True
            self.server.heartbeat.add(self)

    def ping(self, now: float) -> None:
        """Ask the client whether it is still there.

        One that is busy sending answers late, and is asked again all the same: it takes a server
        that falls silent for gone.
        """
        self.last_ping = self.last_ping or now
        with suppress(engineio.exceptions.SocketIsClosedError):
            self.send(engineio.packet.Packet(engineio.packet.PING))

    def is_overdue(self) -> bool:
        """Tell whether the client has left a ping unanswered for too long.

        By a clock that nobody sets, unlike the library: a step of the system's time would end
        every connection at once.
        """
        asked = self.last_ping
        return asked is not None and time.monotonic() - asked > float(self.server.ping_timeout)

    def check_ping_timeout(self) -> bool:
        """Close the connection if its client did not answer in time; return whether it is open.

        Raises `SocketIsClosedError`.
        """
        if self.closed:
            raise engineio.exceptions.SocketIsClosedError
        if not self.closing and self.is_overdue():
            self.give_up_waiting()
            return False
        return True

    def give_up_waiting(self) -> None:
        """Close a connection whose client does not answer."""
        self.silent_for = time.monotonic() - (self.last_ping or time.monotonic())
        # Telling the client opens its eyes, should it still be there (abort=False).
        self.close(wait=False, abort=False, reason=self.server.reason.PING_TIMEOUT)

    def _upgrade_websocket(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request for a WebSocket, and serve it as long as it is open."""
        return served(self.server, environ, start_response, self._websocket_handler)

    def _websocket_handler(self, ws: Any) -> Any:
        self._websocket = ws
        transport = transport_below(ws)
        if transport is not None:
            limit_kernel_buffer(transport)
        try:
            return super()._websocket_handler(ws)
        except ValueError as error:
            # The library decodes a message outside of what it guards.
            log.warning("closed a connection that sent an invalid packet: %s", error)
            self.blame(str(error))
            self.queue.put(None)  # ends its writer
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)
            return []

    def _give_up(self) -> None:
        """Close a connection whose client does not read."""
        log.warning(
            "closed a connection for which %d bytes waited: its client does not read",
            self.queue.size,
        )
        self.close(wait=False, abort=True, reason=SLOW_READER)
        self.cut()

    def cut(self) -> None:
        """End the connection below the WebSocket, which wakes whoever reads or writes it."""
        cut(transport_below(self._websocket))


def limit_kernel_buffer(transport: Any) -> None:
    """Keep the kernel from taking in megabytes more for a client that does not read."""
    with suppress(OSError):
        transport.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)


def install(connection_class: type[Connection]) -> None:
    """Make every Engine.IO server of this process use a class of ours."""
    engineio.socket.Socket = connection_class
    engineio.payload.Payload.max_decode_packets = _PACKETS_PER_POST
