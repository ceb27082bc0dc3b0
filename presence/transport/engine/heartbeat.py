"""Asking every connection whether its client is still there: one task for all of them.

The library starts a task for every ping of every connection, and looks for missing answers in
rounds over all of them, which for a polling client takes up to a ping timeout longer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

# How long it rests between two looks at least: what is due meanwhile is done together.
_REST_SECONDS = 0.025
# A task that wakes so much too late was not let run: the whole process stood still.
_STOOD_STILL_SECONDS = 1.0


class Heartbeat:
    """Pings the connections of an Engine.IO server in turn, and ends those that do not answer."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._interval: float = server.ping_interval
        # When an answer is looked for, after each ping.
        self._patience: float = min(self._interval, server.ping_timeout + 0.01)
        # Each in the order of its times, because what is added is due after a constant time.
        self._to_ping: deque[tuple[float, Any]] = deque()
        self._to_check: deque[tuple[float, Any]] = deque()
        self._guard = threading.Lock()
        self._running = False

    def add(self, connection: Any) -> None:
        """Ping a connection from now on, for as long as it is open."""
        self._to_ping.append((time.monotonic() + self._interval, connection))
        with self._guard:
            if self._running:
                return
            self._running = True
        self._server.start_background_task(self._run)

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            due = min(
                self._to_check[0][0] if self._to_check else now + self._patience,
                self._to_ping[0][0] if self._to_ping else now + self._patience,
            )
            self._server.sleep(max(_REST_SECONDS, due - now))
            self._check(stood_still=time.monotonic() - max(due, now) > _STOOD_STILL_SECONDS)
            self._ping()

    def _check(self, *, stood_still: bool) -> None:
        now = time.monotonic()
        while self._to_check and self._to_check[0][0] <= now:
            connection = self._to_check.popleft()[1]
            if connection.last_ping is None:
                continue  # it has answered
            if stood_still:
                # Its answer may have come, and not been read yet.
                connection.last_ping = now
            elif not connection.closed and connection.is_overdue():
                # In a task of its own: telling others of the end may take a while.
                self._server.start_background_task(connection.give_up_waiting)

    def _ping(self) -> None:
        now = time.monotonic()
        while self._to_ping and self._to_ping[0][0] <= now:
            connection = self._to_ping.popleft()[1]
            if connection.closed:
                # The library only notices when somebody asks for it.
                self._server.sockets.pop(connection.sid, None)
            else:
                connection.ping(now)
                self._to_check.append((now + self._patience, connection))
                self._to_ping.append((now + self._interval, connection))
