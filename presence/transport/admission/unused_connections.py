"""Connections without a socket: closed after a while, whether they had one before or not.

A client sends its Socket.IO CONNECT packet as soon as it can. Who does not holds a place for
nothing, and may do so for ever by answering pings.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any

log = logging.getLogger(__name__)


class UnusedConnections:
    """The connections of a Socket.IO server that are to be looked at, after `patience` seconds."""

    def __init__(self, server: Any, patience: float) -> None:
        self._server = server
        self._patience = patience
        self._guard = threading.Lock()
        self._due: deque[tuple[float, str]] = deque()
        self._watching = False

    def add(self, eio_sid: str) -> None:
        """Look at a connection when it has had time enough to join the Socket.IO server."""
        with self._guard:
            self._due.append((time.monotonic() + self._patience, eio_sid))
            if self._watching:
                return
            self._watching = True
        self._server.start_background_task(self._watch)

    def add_socketless(self, sid: str) -> None:
        """Do the same with the connection of a socket that is gone, if it is still open.

        It has no token any more, and would hold its place for as long as it answers pings.
        """
        eio_sid = self._server.manager.eio_sid_from_sid(sid, "/")
        connection = self._server.eio.sockets.get(eio_sid)
        if connection is not None and not connection.closed:
            self.add(eio_sid)

    def _watch(self) -> None:
        while True:
            with self._guard:
                if not self._due:
                    self._watching = False
                    return
                due, eio_sid = self._due[0]
                if due <= time.monotonic():
                    self._due.popleft()
            if due > time.monotonic():
                self._server.sleep(due - time.monotonic())
            else:
                self._look_at(eio_sid)

    def _look_at(self, eio_sid: str) -> None:
        connection = self._server.eio.sockets.get(eio_sid)
        if connection is None or self._server.manager.sid_from_eio_sid(eio_sid, "/") is not None:
            return
        log.info("closed a connection that was opened and not used")
        connection.close(wait=False, reason=self._server.reason.SERVER_DISCONNECT)
