"""Sockets that leave a room by way of another worker than the one that holds them."""

from __future__ import annotations

from flask import Flask

from presence.domain.peers import sessions
from presence.storage import database
from presence.transport.cluster.messaging import Messenger
from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.members import Members
from presence.transport.live.switchboard import Switchboard
from presence.transport.wire.serializers import Body

# A join is committed before its socket has its seat; this long after, it has.
_SETTLED_SECONDS = 2.0


class RemoteExits:
    """Takes sockets out of rooms on the worker that holds them, and this worker's when asked."""

    def __init__(
        self,
        messenger: Messenger,
        members: Members,
        switchboard: Switchboard,
        announcer: Announcer,
        sockets: Sockets,
    ) -> None:
        self._messenger = messenger
        self._members = members
        self._switchboard = switchboard
        self._announcer = announcer
        self._sockets = sockets
        members.exit_elsewhere = self._exit_elsewhere
        members.drop_waiting_elsewhere = self._drop_waiting_elsewhere
        messenger.on("exit", self._on_exit)
        messenger.on("forget", self._on_forget)

    def end_stale_sockets(self, app: Flask, worker_id: str) -> None:
        """Take sockets out of rooms that they left meanwhile by way of another worker.

        It could not tell this one while the line was cut.
        """
        before = self._switchboard.seats()
        self._sockets.sleep(_SETTLED_SECONDS)
        with app.app_context(), database.reading() as session:
            present = sessions.sockets_of_worker(session, worker_id)
        for sid, seat in before.items():
            if sid not in present and self._switchboard.seat(sid) == seat:
                self._members.exit([sid], seat.room_name)
                body = {
                    "room_name": seat.room_name,
                    "peer_id": seat.peer_id,
                    "is_active": False,
                    "version": self._announcer.announced(seat.room_name),
                    "reason": "left_over_rest",
                }
                self._sockets.server.emit("leave_room_success", body, to=sid)

    def _exit_elsewhere(self, sid: str, room_name: str) -> bool:
        if not self._messenger.is_elsewhere(sid):
            return False
        self._messenger.tell(sid, "exit", room_name=room_name)
        return True

    def _drop_waiting_elsewhere(self, room_name: str, peer_id: str) -> None:
        self._messenger.tell_room(room_name, "forget", peer_id=peer_id)

    def _on_exit(self, message: Body) -> None:
        self._members.exit([message["sid"]], message["room_name"])

    def _on_forget(self, message: Body) -> None:
        self._switchboard.forget(message["room_name"], message["peer_id"])
