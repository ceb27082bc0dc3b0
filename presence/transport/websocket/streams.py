"""WebSockets served by eventlet's hub itself, in turns: none has a greenlet of its own.

eventlet and python-engineio give every WebSocket a reading and a writing greenlet, each with a
stack, and between two reads take its descriptor out of epoll and put it back. Here a descriptor
stays in epoll; those that have something to read wait in line; a few greenlets, most of the time
one, handle all of it (see `turns`); and what was put out meanwhile leaves with one send per
connection.

Measured together with `turns`, `websocket` and `heartbeat`: 21,500 signals relayed in a second of
CPU, not 2,450, and 15 KB for a joined connection, not 64.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import ssl
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from eventlet import hubs

from presence.transport.websocket import protocol
from presence.transport.websocket.protocol import Reader, WebSocketError
from presence.transport.websocket.turns import Turns

log = logging.getLogger(__name__)

_BYTES_PER_WRITE = 64 * 1024
# A client that has so much to read still waits for its own next message to be handled.
_PAUSE_BYTES = 128 * 1024
# How long the other side may take to close, once it was told.
_LINGER_SECONDS = 3.0

_OPEN, _CLOSING, _GONE = range(3)
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

# The marks of frames: their number, unless a newer one may take their place.
_serial = itertools.count()
_PONGS = itertools.cycle([object() for _ in range(16)])


class Owner(Protocol):
    """Who is told what comes over a stream. Called in a greenlet that may wait."""

    def on_message(self, message: str | bytes) -> None:
        """Handle a message; the next one comes when this returns."""

    def on_progress(self) -> None:
        """Note that a client which had much to read has read some of it."""

    def on_end(self) -> None:
        """Note that nothing more will come; called once."""


class Stream:
    """One WebSocket after its handshake."""

    __slots__ = (
        "__weakref__",
        "_busy",
        "_descriptor",
        "_in_line_to_write",
        "_is_tls",
        "_left_over",
        "_linger",
        "_on_gone",
        "_owner",
        "_paused",
        "_reader",
        "_reading",
        "_state",
        "_told",
        "_turns",
        "_unsent",
        "_waiting",
        "_writing",
        "size",
        "socket",
    )

    def __init__(self, turns: Turns, sock: Any, reader: Reader, owner: Owner) -> None:
        """Take over a socket that does not block; `sock` is closed at the end."""
        self.socket = sock
        self.size = 0
        self._turns = turns
        self._reader = reader
        self._owner = owner
        self._descriptor = sock.fileno()
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._state = _OPEN
        # Handled or in line to be; whether messages were left for the next turn; whether the owner
        # was told of the end; whether its answers must be read first.
        self._busy = self._left_over = self._told = self._paused = False
        # What is to be sent, each frame by the mark under which a newer one replaces it, and what
        # the kernel has not taken of the last write.
        self._waiting: dict[Hashable, bytes] = {}
        self._unsent: bytes | memoryview = b""
        self._in_line_to_write = False
        self._reading: Any = None
        self._writing: Any = None
        self._linger: Any = None
        self._on_gone: Callable[[], None] | None = None
        self._listen()

    def put(self, frame: bytes, replaces: Hashable = None, is_held: bool = False) -> None:
        """Send a frame soon, instead of an earlier one with the same mark that was not sent yet.

        One that `is_held` waits for another frame that is not, or for `release`.
        """
        if self._state == _OPEN:
            self._put(frame, replaces, is_held)

    def send_at_once(self, frame: bytes) -> bool:
        """Send a frame without waiting for the turn's end; False if something is before it.

        For few frames: those of one turn that wait for its end leave in one write.
        """
        if self._waiting or self._writing is not None or self._state != _OPEN:
            return False
        try:
            sent = self.socket.send(frame)
        except _WOULD_BLOCK:
            sent = 0
        except OSError:
            self.cut()
            return True
        if sent < len(frame):
            self._unsent = memoryview(frame)[sent:]
            self.size = len(self._unsent)
            self._writing = self._add(hubs.hub.WRITE, self._on_writable)
        return True

    def go_on(self) -> None:
        """Handle soon what the reader was given before the stream was made."""
        if not self._busy and self._state == _OPEN:
            self._busy = self._left_over = True
            self._turns.to_go_on(self)

    def release(self) -> None:
        """Send what waits soon."""
        if self._waiting and not self._in_line_to_write and self._writing is None:
            self._in_line_to_write = True
            self._turns.to_write(self)

    def close(self, code: int, reason: str = "") -> None:
        """Send what waits, then a close frame, and end the connection within seconds."""
        if self._state != _OPEN:
            return
        self._put(protocol.close_frame(code, reason))
        self._state = _CLOSING
        self._linger = self._turns.hub.schedule_call_global(_LINGER_SECONDS, self.cut)
        self._wake()

    def cut(self) -> None:
        """End the connection at once."""
        if self._state == _GONE:
            return
        self._state = _GONE
        if self._linger is not None:
            self._linger.cancel()
        for listener in (self._reading, self._writing):
            if listener is not None:
                self._turns.hub.remove(listener)
        self._reading = self._writing = None
        self._waiting.clear()
        self._unsent = b""
        self.size = 0
        with contextlib.suppress(OSError):
            self.socket.close()
        if self._on_gone is not None:
            self._on_gone()
        self._wake()

    def when_gone(self, call: Callable[[], None]) -> None:
        """Have `call` called when the connection has ended, at once if it has."""
        self._on_gone = call
        if self._state == _GONE:
            call()

    @property
    def backlog(self) -> int:
        """How many bytes wait behind the write that the kernel has not taken yet."""
        return self.size - len(self._unsent)

    def serve(self) -> None:
        """Handle what has arrived. By one greenlet at a time; a handler may wait in it."""
        if self._state == _OPEN and not self._left_over:
            self._receive()
        self._left_over = False
        try:
            while self._state == _OPEN and (message := self._reader.next()) is not None:
                self._handle(*message)
                if self.size > _PAUSE_BYTES:
                    self._paused = self._left_over = True
                    self._deafen()
                    return
                if self._turns.is_over():
                    self._left_over = True
                    self._turns.to_go_on(self)
                    return
        except WebSocketError as error:
            log.warning("closed a connection that broke the WebSocket protocol: %s", error)
            self.close(error.code, error.reason)
        if self._state != _OPEN and not self._told:
            self._told = True
            self._owner.on_end()
        if self._state == _CLOSING:
            self._discard()
        if (
            self._state == _OPEN
            and isinstance(self.socket, ssl.SSLSocket)
            and self.socket.pending()
        ):
            # TLS has taken in more than it handed out, of which epoll knows nothing.
            self._turns.to_read(self)
            return
        self._busy = False
        if self._state != _GONE:
            self._listen()

    def drop(self) -> None:
        """End the connection at once, after serving it has failed."""
        self._busy = False
        self.cut()

    def flush(self) -> None:
        """Send as much of what waits as the kernel takes."""
        self._in_line_to_write = False
        if self._writing is None and self._state != _GONE:
            self._send()

    def _put(self, frame: bytes, replaces: Hashable = None, is_held: bool = False) -> None:
        if replaces is None:
            replaces = next(_serial)
        else:
            earlier = self._waiting.pop(replaces, None)
            if earlier is not None:
                self.size -= len(earlier)
        self._waiting[replaces] = frame
        self.size += len(frame)
        if not is_held and not self._in_line_to_write and self._writing is None:
            self._in_line_to_write = True
            self._turns.to_write(self)

    def _send(self) -> None:
        is_all = True
        while data := self._unsent or self._take():
            try:
                sent = self.socket.send(data)
            except _WOULD_BLOCK:
                sent = 0
            except OSError:
                self.cut()
                return
            self.size -= sent
            if sent < len(data):
                self._unsent = memoryview(data)[sent:]
                if self._writing is None:
                    self._writing = self._add(hubs.hub.WRITE, self._on_writable)
                is_all = False
                break
            self._unsent = b""
            if not self._waiting:
                break
        if is_all:
            if self._writing is not None:
                self._turns.hub.remove(self._writing)
                self._writing = None
            if self._state == _CLOSING:
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
        if self._paused and self.size <= _PAUSE_BYTES // 2:
            self._wake()

    def _take(self) -> bytes:
        """Return the frames to send next; the others stay where newer ones can replace them."""
        waiting = self._waiting
        if self.size <= _BYTES_PER_WRITE:
            data = b"".join(waiting.values())
            waiting.clear()
            return data
        marks, size = [], 0
        for mark, frame in waiting.items():
            marks.append(mark)
            size += len(frame)
            if size >= _BYTES_PER_WRITE:
                break
        return b"".join([waiting.pop(mark) for mark in marks])

    def _receive(self) -> None:
        try:
            count = self.socket.recv_into(self._turns.buffer)
        except _WOULD_BLOCK:
            return
        except OSError:
            count = 0
        if count:
            self._reader.feed(bytes(self._turns.view[:count]))
        else:
            self.cut()

    def _discard(self) -> None:
        """Read what still comes after the end, so that closing does not tear the last words."""
        try:
            if not self.socket.recv_into(self._turns.buffer):
                self.cut()
        except _WOULD_BLOCK:
            pass
        except OSError:
            self.cut()

    def _handle(self, opcode: int, payload: str | bytes) -> None:
        if isinstance(payload, str) or opcode == protocol.BINARY:
            self._owner.on_message(payload)
        elif opcode == protocol.PING:
            # Whoever sends pings without reading gets an answer to the last ones (section 5.5.3).
            self.put(protocol.frame(payload, protocol.PONG), replaces=next(_PONGS))
        elif opcode == protocol.CLOSE:
            self.close(protocol.close_code(payload))

    def _wake(self) -> None:
        """Have the stream served although nothing came."""
        if self._paused:
            self._paused = False
            self._owner.on_progress()
        elif self._busy:
            return
        self._busy = True
        self._turns.to_read(self)

    def _listen(self) -> None:
        if self._reading is None:
            self._reading = self._add(hubs.hub.READ, self._on_readable)

    def _deafen(self) -> None:
        if self._reading is not None:
            self._turns.hub.remove(self._reading)
            self._reading = None

    def _add(self, event: str, call: Callable[[int], None]) -> Any:
        listener = self._turns.hub.add(event, self._descriptor, call, self._obsolete, None)
        # The hub takes whoever is running for whoever waits, and would keep it.
        listener.greenlet = self._turns.hub.greenlet
        return listener

    def _on_readable(self, _descriptor: int) -> None:
        if self._busy:
            # It would only be told again and again. `serve` listens anew.
            self._deafen()
        elif self._state != _GONE:
            self._busy = True
            self._turns.to_read(self)

    def _on_writable(self, _descriptor: int) -> None:
        if self._state != _GONE:
            self._send()

    def _obsolete(self, *_error: Any) -> None:
        """Called if the descriptor was given to somebody else, which closing it here prevents."""
        self._reading = self._writing = None
        self.socket.detach()
        self.cut()
