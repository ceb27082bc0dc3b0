"""Which room each socket hears: entering one, leaving it, and being put out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.channels import channel
from presence.transport.live.switchboard import Seat, Switchboard
from presence.transport.wire.serializers import Body


class Members:
    """The sockets of this process in their rooms, entered here as it was committed before."""

    def __init__(self, sockets: Sockets, switchboard: Switchboard, announcer: Announcer) -> None:
        self._sockets = sockets
        self._switchboard = switchboard
        self._announcer = announcer
        # Takes a socket that another worker holds out of a room; False if it is none.
        self.exit_elsewhere: Callable[[str, str], bool] | None = None
        # Lets no signal wait on other workers for a peer, by its room and id.
        self.drop_waiting_elsewhere: Callable[[str, str], None] | None = None
        # Called with every socket that leaves its place here, for another one too.
        self.when_left: list[Callable[[str], None]] = []

    def room_of(self, sid: str) -> str | None:
        """Return the name of the room a socket has joined, or None."""
        seat = self._switchboard.seat(sid)
        return seat.room_name if seat else None

    def enter(self, sid: str, room_name: str, peer_id: str) -> None:
        """Let a socket hear what happens in a room, and in no other, and get its peer's signals."""
        server = self._sockets.server
        seat = self._switchboard.seat(sid)
        if seat not in (None, Seat(room_name, peer_id)):
            self._tell_left(sid)
        previous = seat.room_name if seat else None
        if previous not in (None, room_name):
            server.leave_room(sid, channel(str(previous)))
        # A socket that was lost meanwhile is not there to enter; its joining ends with it.
        with suppress(KeyError, ValueError):
            server.enter_room(sid, channel(room_name))
        self._switchboard.enter(sid, room_name, peer_id)

    def exit(self, sids: Iterable[str], room_name: str) -> None:
        """Let sockets no longer hear what happens in a room, whichever worker holds them."""
        for sid in sids:
            if self.exit_elsewhere is not None and self.exit_elsewhere(sid, room_name):
                continue
            self._sockets.server.leave_room(sid, channel(room_name))
            # It may have gone on to another room before another worker's word came.
            if self.room_of(sid) == room_name:
                self._switchboard.leave(sid)
                self._announcer.forget(sid)
                self._tell_left(sid)

    def _tell_left(self, sid: str) -> None:
        for tell in self.when_left:
            tell(sid)

    def put_out(self, sids: Iterable[str], room_name: str, body: Body) -> None:
        """Let sockets hear no more of a room, and tell them why with ``leave_room_success``.

        Nothing waits for their peer any more, which `body` names.
        """
        self.exit(sids, room_name)
        self.drop_waiting(room_name, body["peer_id"])
        for sid in sids:
            self._sockets.server.emit("leave_room_success", body, to=sid)

    def drop_waiting(self, room_name: str, peer_id: str) -> None:
        """Let no signal wait for a peer on any worker: it left over REST, or was erased."""
        self._switchboard.forget(room_name, peer_id)
        if self.drop_waiting_elsewhere is not None:
            self.drop_waiting_elsewhere(room_name, peer_id)
