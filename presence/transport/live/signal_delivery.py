"""Handing over what waits in the switchboard for a peer, or telling that it came too late."""

from __future__ import annotations

from collections.abc import Callable

from presence.errors import SignalExpired
from presence.transport.engine.sockets import Sockets
from presence.transport.live.switchboard import Held, Switchboard


class SignalDelivery:
    """Looks after what waits in a switchboard, for as long as anything does."""

    def __init__(self, switchboard: Switchboard, sockets: Sockets) -> None:
        self._switchboard = switchboard
        self._sockets = sockets
        # Called again and again while signals wait: their peer may be back on another worker.
        self.while_waiting: list[Callable[[], None]] = []
        switchboard.sweep_soon = lambda: sockets.start_background_task(self.sweep)

    def deliver(self, sid: str) -> None:
        """Send a socket that has just joined what waited for its peer, in the order it was sent."""
        while (held := self._switchboard.next_waiting(sid)) is not None:
            self._sockets.send(sid, "signal", held.body)

    def sweep(self) -> None:
        """Tell senders of signals that waited too long, for as long as any wait."""
        while True:
            expired, seconds = self._switchboard.sweep()
            for held in expired:
                self._tell_expired(held)
            if seconds is None:
                return
            for look in self.while_waiting:
                look()
            self._sockets.sleep(seconds)

    def _tell_expired(self, held: Held) -> None:
        """Tell the sender of a signal that was dropped, on its newest socket if that is gone."""
        sid: str | None = held.sender_sid
        if not self._sockets.is_connected(held.sender_sid):
            sid = next(reversed(self._switchboard.sessions(held.sender)), None)
        if sid is not None:
            about = {"to": held.to, "type": held.body["type"], "signal_id": held.signal_id}
            body = {**SignalExpired(held.to).body(), **about}
            self._sockets.server.emit("signal_error", body, to=sid)
