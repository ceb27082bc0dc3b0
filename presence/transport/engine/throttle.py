"""How fast one socket sends: one that floods is slowed, warned and at last shown out.

Nobody else is asked and nothing is looked up, for this stands before every single message. What it
counts are Socket.IO packets of any kind, whether or not they turn out to be events.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from socketio import Server

from presence.config import Settings
from presence.errors import Flooding, PresenceError, TooManyEvents
from presence.transport.engine import packets

FLOODING = "flooding"

log = logging.getLogger(__name__)

# A socket that was slowed sends freely again once it has saved up this many seconds' worth.
_PAUSE_SECONDS = 1.0
# What a client that is shown out has to read the last words, before its connection is closed.
_FAREWELL_SECONDS = 1.0


class TokenBucket:
    """A token bucket: `burst` messages at once, `per_second` of them in the long run."""

    __slots__ = ("_at", "_burst", "_clock", "_per_second", "_tokens", "shown_out", "slowed_since")

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(max(burst, 1))
        self._clock = clock
        self._tokens = self._burst
        self._at = clock()
        # Since when the bucket has been all but empty; None while it is not.
        self.slowed_since: float | None = None
        self.shown_out = False

    def take(self) -> float:
        """Count a message; return for how many seconds it must wait for its turn."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens >= min(self._burst, self._per_second * _PAUSE_SECONDS):
            self.slowed_since = None
        self._tokens -= 1
        if self._tokens >= 0:
            return 0.0
        if self.slowed_since is None:
            self.slowed_since = now
        return -self._tokens / self._per_second

    def slowed_for(self) -> float:
        """Return for how many seconds the socket has gone on sending too fast."""
        return 0.0 if self.slowed_since is None else self._clock() - self.slowed_since


class Throttle:
    """Lets the messages of every connection through at their pace."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self._server = server
        self._per_second = settings.events_per_second
        self._burst = settings.event_burst
        self._patience = settings.flood_seconds

    def lets_through(self, connection: Any) -> bool:
        """Wait for a message's turn; return False if it is to be thrown away.

        Whoever calls this reads the connection, so nothing more is read of it meanwhile.
        """
        if not self._per_second:
            return True
        bucket: TokenBucket | None = connection.bucket
        if bucket is None:
            bucket = connection.bucket = TokenBucket(self._per_second, self._burst)
        if bucket.shown_out:
            return False
        was_slowed = bucket.slowed_since is not None
        seconds = bucket.take()
        if not seconds:
            return True
        if not was_slowed:
            self._tell(connection, TooManyEvents(self._per_second, _PAUSE_SECONDS))
        elif self._patience and bucket.slowed_for() > self._patience:
            bucket.shown_out = True
            log.warning("closed a connection that went on flooding for %g s", self._patience)
            self._tell(connection, Flooding(self._per_second))
            self._server.start_background_task(self._show_out, connection)
            return False
        self._server.sleep(seconds)
        return not connection.closed

    def _tell(self, connection: Any, warning: PresenceError) -> None:
        connection.send(packets.event("slow_down", warning.body()))

    def _show_out(self, connection: Any) -> None:
        """Disconnect a socket, in the way after which stock clients do not come back by themselves.

        Until it is closed what it sends is thrown away, for a connection that is closed over unread
        messages takes its last words with it.
        """
        connection.evicted_for = FLOODING
        sid = self._server.manager.sid_from_eio_sid(connection.sid, "/")
        if sid is not None:
            self._server.disconnect(sid, ignore_queue=True)
        self._server.sleep(_FAREWELL_SECONDS)
        connection.close(wait=False, reason=self._server.reason.SERVER_DISCONNECT)
