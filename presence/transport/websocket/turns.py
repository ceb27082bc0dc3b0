"""Whose turn it is: the line of streams that eventlet's hub serves, so that none starves another.

In a turn messages are handled for a while, then what they put out is sent, and timers and other
greenlets come before the next turn. Each stream has a share of a turn; one that has more to say
than that goes on after those that ask for less.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any, Protocol

import greenlet
from eventlet import hubs

log = logging.getLogger(__name__)

# How long messages are handled before what they put out is sent, and timers and others get a turn.
_TURN_SECONDS = 0.002
# How much of it one connection gets, before those that asked for less.
_SHARE_SECONDS = 0.0005
# Handlers that wait (for a lock, for a database) each hold a greenlet; so many are kept for reuse.
_IDLE_WORKERS = 16
_BYTES_PER_READ = 64 * 1024


class Served(Protocol):
    """A stream, as far as the line knows it."""

    def serve(self) -> None:
        """Handle what has arrived, as long as the share lasts; a handler may wait in it."""

    def flush(self) -> None:
        """Send what waits, without waiting."""

    def drop(self) -> None:
        """End the connection at once, after serving it has failed."""


class Turns:
    """The line of streams that have something to read or to write, and who serves them."""

    def __init__(self) -> None:
        self.hub = hubs.get_hub()
        self.buffer = bytearray(_BYTES_PER_READ)
        self.view = memoryview(self.buffer)
        self._readable: deque[Served] = deque()
        # Those that had more to say than their share of a turn. They come after all others, for a
        # socket that floods is one of them.
        self._left_over: deque[Served] = deque()
        self._is_one_due = False
        self._writable: list[Served] = []
        self._scheduled = False
        self._idle: list[Any] = []
        self._until = self._share_until = 0.0

    def to_read(self, stream: Served) -> None:
        """Have a stream served soon."""
        self._readable.append(stream)
        self._schedule()

    def to_go_on(self, stream: Served) -> None:
        """Have a stream served on after those that have not had their share yet."""
        self._left_over.append(stream)
        self._schedule()

    def to_write(self, stream: Served) -> None:
        """Have what a stream holds sent soon."""
        self._writable.append(stream)
        self._schedule()

    def is_over(self) -> bool:
        """Tell whether the stream that is served has had its share of this turn."""
        return time.monotonic() >= self._share_until

    def is_behind(self) -> bool:
        """Tell whether streams wait to be served."""
        return bool(self._readable or self._left_over)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.hub.schedule_call_global(0, self._turn)

    def _turn(self) -> None:
        """Serve for a while; called by the hub, which a worker that waits comes back to."""
        self._scheduled = False
        self._until = time.monotonic() + _TURN_SECONDS
        self._is_one_due = bool(self._left_over)
        try:
            while (stream := self._next()) is not None:
                worker = self._idle.pop() if self._idle else greenlet.greenlet(self._work)
                worker.parent = self.hub.greenlet
                worker.switch(stream)
        finally:
            writable, self._writable = self._writable, []
            for stream in writable:
                try:
                    stream.flush()
                except Exception:
                    log.exception("closed a connection after an unexpected error")
                    stream.drop()
            if self._readable or self._left_over or self._writable:
                self._schedule()

    def _work(self, stream: Served | None) -> None:
        while True:
            while stream is not None:
                try:
                    stream.serve()
                except Exception:
                    log.exception("closed a connection after an unexpected error")
                    stream.drop()
                stream = self._next()
            if len(self._idle) >= _IDLE_WORKERS:
                return
            self._idle.append(greenlet.getcurrent())
            stream = self.hub.switch()

    def _next(self) -> Served | None:
        """Take out the stream to serve next in this turn; None when it is over.

        It ends with one of those that were left over, so that whoever comes meanwhile waits for no
        more than one share.
        """
        now = time.monotonic()
        self._share_until = now + _SHARE_SECONDS
        if self._readable and now < self._until:
            return self._readable.popleft()
        if self._is_one_due:
            self._is_one_due = False
            return self._left_over.popleft()
        return None
