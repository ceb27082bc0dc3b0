"""gunicorn's eventlet worker, with an end to its patience.

By itself it waits for ever for a body that does not come and for a client that does not read its
answer, and stops accepting connections when the process has run out of file descriptors. Importing
this patches the standard library, as gunicorn's own worker does.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import socket
import struct
import sys
import termios
import time
from contextlib import suppress
from typing import Any

import eventlet
import gunicorn.http.parser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers import geventlet

from presence.errors import RequestTimeout
from presence.transport.engine.draining import drain
from presence.transport.engine.file_descriptors import MAX_WAITING
from presence.transport.serving.request_heads import refusal

log = logging.getLogger(__name__)

# A request may take longer than the setting says only while it arrives at this speed at least.
_BYTES_PER_SECOND = 500
# How much longer than for a request a client may take nothing of its answer.
_READING_PATIENCE = 2
# An answer may take longer than that only while it is read at this speed at least. Faster than a
# request has to come: an answer may be a thousand times as long, and is in memory all the while.
_READ_BYTES_PER_SECOND = 10_000
# For ``SO_LINGER``: what the client has not got yet is thrown away.
_AT_ONCE = struct.pack("ii", 1, 0)

_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Waiting:
    """The connections without a request, by how long they have waited.

    When there are too many, the one that has waited longest makes room: whoever has a request to
    send sends it at once.
    """

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self._limit = limit
        self._sockets: dict[Any, None] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, sock: Any) -> None:
        """Note that a connection waits from now on; hang up on the oldest if there are too many."""
        self._sockets[sock] = None
        if len(self._sockets) > self._limit:
            self.hang_up_oldest()

    def discard(self, sock: Any) -> None:
        """Note that a connection does not wait any more."""
        self._sockets.pop(sock, None)

    def hang_up_oldest(self) -> None:
        """End the connection that has waited longest, if any."""
        if self._sockets:
            oldest = next(iter(self._sockets))
            del self._sockets[oldest]
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)


waiting = Waiting()


class ImpatientReader(SocketUnreader):  # type: ignore[misc]
    """Reads requests for as long as they keep coming; afterwards it is as if the client hung up."""

    # How long a request may take; set when the settings are known.
    seconds = 10.0

    def __init__(self, sock: Any, max_chunk: int = 8192) -> None:
        super().__init__(sock, max_chunk)
        self._began: float | None = time.monotonic()
        self._received = 0
        # Whether the head of a request was read, which can be told no more that it was late.
        self.has_head = False

    def rest(self) -> None:
        """Note that a request was dealt with: the next one has its own time, once it begins."""
        self._began, self._received, self.has_head = None, 0, False

    def chunk(self) -> bytes:
        """Return what has come; nothing at the end, or if the client was too slow."""
        now = time.monotonic()
        seconds = None
        if self._began is not None:
            allowed = self.seconds + self._received / _BYTES_PER_SECOND
            seconds = self._began + allowed - now
            if seconds <= 0:
                return self._too_late()
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            data: bytes = super().chunk()
        except TimeoutError:
            return self._too_late()
        finally:
            self.sock.settimeout(before)
        if self._began is None:
            self._began = time.monotonic()
        self._received += len(data)
        return data

    def _too_late(self) -> bytes:
        """Return nothing more, having said so to a client whose request has begun."""
        if self._received and not self.has_head:
            self.has_head = True
            with suppress(OSError):
                self.sock.sendall(refusal(RequestTimeout(self.seconds)))
        return b""


class ImpatientWriter(geventlet.GreenSocket):  # type: ignore[misc]
    """A socket that gives up on who reads too slowly, if it has a timeout."""

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send all of `data`; raises `TimeoutError` if it is taken too slowly.

        What counts is what the other side has, not what the system holds for it.
        """
        seconds = self.gettimeout()
        # Not a copy: what is sent may be shared by many.
        view, sent, taken = memoryview(data), 0, 0
        pending = self._unread()
        began = last_taken = time.monotonic()
        try:
            while True:
                with suppress(TimeoutError):
                    sent += self.send(view[sent:], flags)
                if sent == len(view):
                    return
                if seconds is None:
                    continue
                now, before = time.monotonic(), taken
                taken = pending + sent - self._unread()
                if taken > before:
                    last_taken = now
                until = min(last_taken, began + taken / _READ_BYTES_PER_SECOND) + seconds
                if until <= now:
                    self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                    raise TimeoutError("the answer is read too slowly")
                self.settimeout(until - now)
        finally:
            self.settimeout(seconds)

    def _unread(self) -> int:
        """Return how many bytes of what was sent the other side has not taken (tcp(7), SIOCOUTQ).

        The system takes megabytes at once for who reads none of them.
        """
        with suppress(OSError):
            answer = fcntl.ioctl(self.fileno(), termios.TIOCOUTQ, bytes(4))
            return int.from_bytes(answer, sys.byteorder)
        return 0


class PatientListener(ImpatientWriter):
    """A listening socket that goes on when there are no file descriptors left for a moment.

    The connections that it accepts are of its own class.
    """

    def accept(self) -> Any:
        """Return the next connection and its address."""
        while True:
            try:
                return super().accept()
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    raise
                log.warning("a connection cannot be accepted: %s", error)
                waiting.hang_up_oldest()
                eventlet.sleep(0.1)


class Worker(geventlet.EventletWorker):  # type: ignore[misc]
    """The worker that serves the app in production."""

    def init_process(self) -> None:
        """Begin to work, with readers and listeners of our own."""
        gunicorn.http.parser.SocketUnreader = ImpatientReader
        geventlet.GreenSocket = PatientListener
        super().init_process()

    def run(self) -> None:
        """Serve until the end, with the app that was loaded."""
        ImpatientReader.seconds = self.wsgi.extensions["presence"].settings.read_seconds
        super().run()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection until it ends."""
        waiting.add(client)
        try:
            super().handle(listener, client, addr)
        finally:
            waiting.discard(client)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer a request; raises `StopIteration` if the connection cannot be used any more."""
        waiting.discard(sock)
        req.unreader.has_head = True
        sock.settimeout(_READING_PATIENCE * ImpatientReader.seconds)
        try:
            answer = super().handle_request(listener_name, req, sock, addr)
            drain(req.body, None)  # what the app did not want to read
            in_order = not (getattr(req.body, "is_broken", False) or req.body.read(1))
        except OSError as error:
            if error.errno is not None:
                raise
            # A timeout, or what gunicorn says of a body that is none.
            raise StopIteration from None
        if not in_order:
            raise StopIteration
        sock.settimeout(None)
        req.unreader.rest()
        waiting.add(sock)
        # Whoever sends its next requests along with the first would else have them all answered
        # before anybody else's.
        eventlet.sleep(0)
        return answer
