"""Engine.IO connections whose WebSocket is a stream: the hub serves them, without greenlets.

Long polling stays as in `connections`, and so does the upgrade from it, but for who waits.
"""

from __future__ import annotations

import functools
import logging
import ssl
import time
from typing import Any

import engineio.exceptions
import engineio.packet
from eventlet import event as events
from eventlet import hubs, wsgi

from presence.errors import SessionUpgraded
from presence.transport.engine.connections import MAX_QUEUED_BYTES, Connection, limit_kernel_buffer
from presence.transport.websocket import protocol
from presence.transport.websocket.early_bytes import sent_along
from presence.transport.websocket.streams import Stream
from presence.transport.websocket.turns import Turns

log = logging.getLogger(__name__)

# A ping is the same for all.
_PING = protocol.frame(engineio.packet.Packet(engineio.packet.PING).encode().encode())
# Below this, compressing costs more than it saves.
_COMPRESS_FROM = 1024


class StreamSendQueue:
    """Stands where the library expects a connection's queue, once a stream sends its packets."""

    __slots__ = ("_compress", "_owner", "_stream")

    def __init__(self, stream: Stream, owner: Connection, *, compress: bool) -> None:
        self._stream = stream
        self._owner = owner
        self._compress = compress

    @property
    def size(self) -> int:
        """How many bytes wait to be sent."""
        return self._stream.size

    def put(self, packet: Any) -> None:
        """Send a packet; None marks the end."""
        fault = self._owner.fault
        if packet is None and fault is not None:
            self._stream.close(protocol.PROTOCOL_ERROR, fault)
        elif packet is None:
            self._stream.close(protocol.NORMAL)
        else:
            frame = frame_of(packet, compress=self._compress)
            self._stream.put(frame, getattr(packet, "replaces", None))

    def join(self) -> None:
        """Do not wait: what was put is sent all the same."""


class StreamConnection(Connection):
    """A connection that the hub serves from its upgrade on."""

    def __init__(self, server: Any, sid: str) -> None:
        super().__init__(server, sid)
        self._stream: Stream | None = None
        # Takes the place of the queue when the client has upgraded.
        self._send_queue: StreamSendQueue | None = None
        self._compress = False

    def send(self, pkt: Any) -> None:
        """Queue a packet; a connection for which too much waits already is given up instead."""
        stream = self._stream
        if stream is None or not self.upgraded:
            super().send(pkt)
        elif not self._given_up and self.check_ping_timeout():
            before = stream.size
            self.queue.put(pkt)
            self._bound_stream(stream, pkt, before)

    def send_shared(self, pkt: Any, is_held: bool) -> None:
        """Send a packet that goes to many; one that is held, with whatever is sent next."""
        stream = self._stream
        if stream is None or not self.upgraded or self._given_up:
            self.send(pkt)
            return
        before = stream.size
        replaces = pkt.replaces
        frame = pkt.compressed_frame if self._compress else pkt.frame
        if frame is None:
            frame = frame_of(pkt, compress=self._compress)
        stream.put(frame, replaces, is_held)
        if not before:
            # A list does not count against the reader (see `_bound`), and nothing else waits.
            self._uncounted = 0 if replaces is None else stream.size
        elif replaces is not None or self._uncounted or stream.size > MAX_QUEUED_BYTES:
            self._bound_stream(stream, pkt, before)

    def send_at_once(self, pkt: Any) -> None:
        """Send a short packet that goes to many, and does not wait for others."""
        stream = self._stream
        if stream is not None and self.upgraded and not self._given_up:
            frame = pkt.compressed_frame if self._compress else pkt.frame
            if stream.send_at_once(frame or frame_of(pkt, compress=self._compress)):
                self._uncounted = 0
                return
        self.send_shared(pkt, False)

    def ping(self, now: float) -> None:
        """Ask the client whether it is still there (see `Connection.ping`)."""
        stream = self._stream
        if stream is None or not self.upgraded or self._given_up:
            super().ping(now)
            return
        self.last_ping = self.last_ping or now
        if not stream.send_at_once(_PING):
            stream.put(_PING)

    def release(self) -> None:
        """Write what is held."""
        if self._stream is not None:
            self._stream.release()

    def _bound_stream(self, stream: Stream, pkt: Any, before: int) -> None:
        added = stream.size - before
        if stream.size > MAX_QUEUED_BYTES:
            # Much of it may be of this very moment, and the kernel has not seen it yet.
            stream.flush()
        self._bound(pkt, added, stream.backlog)

    def let_it_read(self) -> None:
        """Wait while much of what the client has asked for is not sent yet; a stream does so."""
        if not self.upgraded:
            super().let_it_read()

    def cut(self) -> None:
        """End the connection below the WebSocket."""
        if self._stream is not None:
            self._stream.cut()

    def on_message(self, message: str | bytes) -> None:
        """Handle a message that came over the WebSocket."""
        try:
            packet = engineio.packet.Packet(encoded_packet=message)
            if self.upgraded:
                self.receive(packet)
            else:
                self._upgrade_with(packet)
        except engineio.exceptions.SocketIsClosedError:
            pass  # it was closed while its last messages were handled
        except ValueError as error:
            log.warning("closed a connection that sent an invalid packet: %s", error)
            if self.upgraded:
                self.blame(str(error))
                self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)
            elif self._stream is not None:
                self._stream.close(protocol.PROTOCOL_ERROR, "expected an upgrade")

    def on_progress(self) -> None:
        """Note that the client reads, so it is alive."""
        if self.last_ping:
            self.last_ping = time.monotonic()

    def on_end(self) -> None:
        """End the connection with its WebSocket, unless it never came to use it."""
        if not self.upgraded:
            self.upgrading = False
            self._stream = None
            return
        self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
        self.server.sockets.pop(self.sid, None)

    def _upgrade_websocket(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a request for a WebSocket, and have the hub serve it from then on."""
        if self._stream is not None:
            raise SessionUpgraded
        stream, self._compress = opened(environ, self, self.server)
        self._stream = stream
        self._send_queue = StreamSendQueue(stream, self, compress=self._compress)
        if self.connected:
            patience = self.server.ping_interval + self.server.ping_timeout
            hubs.get_hub().schedule_call_global(patience, self._hurry, stream)
        else:
            self.connected = True
            self._switch()
        let_go(environ, stream)
        return ()

    def _upgrade_with(self, packet: Any) -> None:
        """Take the next step from polling to the WebSocket (Engine.IO protocol 4, "upgrade")."""
        assert self._stream is not None
        if not self.upgrading and packet.packet_type == engineio.packet.PING:
            self.upgrading = True  # holds what is to be sent, and ends the poll
            pong = engineio.packet.Packet(engineio.packet.PONG, data=packet.data)
            self._stream.put(frame_of(pong))
            self.queue.put(engineio.packet.Packet(engineio.packet.NOOP))
        elif self.upgrading and packet.packet_type == engineio.packet.UPGRADE:
            self._switch()
        else:
            self._stream.close(protocol.PROTOCOL_ERROR, "expected an upgrade")

    def _switch(self) -> None:
        """Send over the stream from now on, what waits already first."""
        waiting, self.queue = self.queue, self._send_queue
        self.upgraded, self.upgrading = True, False
        try:
            while True:
                self.queue.put(waiting.get(block=False))
        except self.server.get_queue_empty_exception():
            pass

    def _hurry(self, stream: Stream) -> None:
        """Close a WebSocket that was opened for an upgrade which did not happen."""
        if not self.upgraded:
            stream.close(protocol.PROTOCOL_ERROR, "expected an upgrade")


def opened(environ: dict[str, Any], owner: Any, server: Any) -> tuple[Stream, bool]:
    """Answer a request for a WebSocket; returns its stream, and whether it compresses.

    Raises `protocol.BadHandshake`.
    """
    answer, compress = protocol.handshake(environ, compression=server.websocket_compression)
    reader = protocol.Reader(server.max_http_buffer_size, compression=compress)
    early = sent_along(environ)
    reader.feed(early)
    sock = environ["eventlet.input"].get_socket()
    is_tls = isinstance(sock, ssl.SSLSocket)
    if is_tls:
        sock.setblocking(False)
    # A descriptor of our own outlives the request in whose course it was opened.
    stream = Stream(turns(), sock if is_tls else sock.fd.dup(), reader, owner)
    limit_kernel_buffer(stream.socket)
    stream.put(answer)
    if early:
        stream.go_on()
    return stream, compress


def let_go(environ: dict[str, Any], stream: Stream) -> None:
    """Keep the server from answering a request, or closing its socket, that is a stream's now."""
    if isinstance(stream.socket, ssl.SSLSocket) or "gunicorn.socket" not in environ:
        # gunicorn lets go of a socket that it did not answer on; others shut it down.
        gone = events.Event()
        stream.when_gone(gone.send)
        gone.wait()
    wsgi.WSGI_LOCAL.already_handled = True


class _Told:
    """Owns a stream on which there is nothing to hear."""

    def on_message(self, message: str | bytes) -> None:
        """Do nothing."""

    def on_progress(self) -> None:
        """Do nothing."""

    def on_end(self) -> None:
        """Do nothing."""


def tell_and_close(
    server: Any, environ: dict[str, Any], _start_response: Any, texts: list[str]
) -> Any:
    """Open a WebSocket only to send these messages over it."""
    stream, _ = opened(environ, _Told(), server)
    for text in texts:
        stream.put(protocol.frame(text.encode()))
    stream.close(protocol.NORMAL)
    let_go(environ, stream)
    return ()


@functools.cache
def turns() -> Turns:
    """Return the line in which this process serves its streams."""
    return Turns()


def is_behind() -> bool:
    """Tell whether streams of this process wait to be served."""
    return turns().is_behind()


def frame_of(packet: Any, *, compress: bool = False) -> bytes:
    """Return a packet as a WebSocket frame, made once however many connections it is sent to."""
    name = "compressed_frame" if compress else "frame"
    made: bytes | None = getattr(packet, name, None)
    if made is None:
        payload = packet.encode()
        opcode = protocol.TEXT
        if isinstance(payload, str):
            payload = payload.encode()
        else:
            opcode = protocol.BINARY
        compress = compress and len(payload) >= _COMPRESS_FROM
        made = protocol.frame(payload, opcode, compress=compress)
        setattr(packet, name, made)
    return made
