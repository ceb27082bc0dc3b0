"""What admins let peers do, as the sockets of every worker have it: told at once, and compared."""

from __future__ import annotations

from collections.abc import Callable

from presence.domain.peers import rights
from presence.domain.peers.rights import Regranted
from presence.domain.permissions.tokens import LIST, Grants
from presence.errors import TokenExpired
from presence.transport.admission.access import Access
from presence.transport.engine.sockets import Sockets
from presence.transport.live.switchboard import Switchboard
from presence.transport.live.watchers import Watchers
from presence.transport.wire import serializers
from presence.transport.wire.room_list import RoomList
from presence.transport.wire.serializers import Body


class LiveRights:
    """Keeps what this process's sockets may do in their rooms as the database has it.

    A change is told to every worker at once. Should that be lost on the way, the list of the room
    tells the same, which every worker with a socket in it reads.
    """

    def __init__(
        self, access: Access, switchboard: Switchboard, sockets: Sockets, watchers: Watchers
    ) -> None:
        self._access = access
        self._switchboard = switchboard
        self._sockets = sockets
        self._watchers = watchers
        # Lets the other workers know: with the room, and what `on_regranted` takes.
        self.tell_others: Callable[[str, Body], None] | None = None
        # Called with every socket here that may do something else now, and what it may.
        self.when_changed: list[Callable[[str, Grants], None]] = []

    def entered(self, sid: str, room_name: str, version: int, grants: str | None) -> list[str]:
        """Note and return what a socket may do in a room that it has joined at this version."""
        self._access.regrant(sid, room_name, version, rights.parse(grants))
        try:
            return serializers.grants(self._access.here(sid))
        except TokenExpired:
            return []  # its connection is about to end

    def changed(self, regranted: Regranted) -> None:
        """Let all sockets of a peer do what an admin lets it, and no more, on every worker."""
        room_name, peer_id, grants, version, _ = regranted
        self._hear(room_name, peer_id, version, grants)
        if self.tell_others is not None:
            self.tell_others(room_name, {"peer_id": peer_id, "version": version, "grants": grants})
        given = rights.parse(grants)
        if given is not None and LIST not in given:
            self._watchers.shut_out(room_name, peer_id)

    def on_regranted(self, message: Body) -> None:
        """Take in what another worker tells."""
        version, grants = message["version"], message["grants"]
        self._hear(message["room_name"], message["peer_id"], version, grants)

    def compare(self, view: RoomList) -> None:
        """Take in what a room's list says of those here, where that was not heard."""
        peer_ids = set(view.granted)
        for sid in self._access.regranted(view.name):
            seat = self._switchboard.seat(sid)
            if seat is not None and seat.room_name == view.name:
                peer_ids.add(seat.peer_id)
        for peer_id in peer_ids:
            self._hear(view.name, peer_id, view.version, view.granted.get(peer_id))

    def _hear(self, room_name: str, peer_id: str, version: int, grants: str | None) -> None:
        for sid in self._switchboard.sids_of(room_name, peer_id):
            now = self._access.regrant(sid, room_name, version, rights.parse(grants))
            if now is not None:
                for tell in self.when_changed:
                    tell(sid, now)
                body = {
                    "room_name": room_name,
                    "peer_id": peer_id,
                    "grants": serializers.grants(now),
                    "version": version,
                }
                self._sockets.server.emit("grants_changed", body, to=sid)
