"""Who waits in front of rooms: this process's own sockets, and who is told of those that wait.

What holds is in the database. Every process compares it each second, and at once when it changes
here or another process says so: a socket that waits no more was admitted, refused or sent away,
and those in the room who may admit see who waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from flask import Flask

from presence.domain.peers import lobbies
from presence.domain.peers.lobbies import Waiting
from presence.domain.peers.sessions import Presence
from presence.domain.permissions.tokens import ADMIT
from presence.errors import AdmissionRefused, TokenExpired
from presence.storage import database
from presence.transport.admission.access import Access
from presence.transport.engine.sockets import Sockets
from presence.transport.live.switchboard import Switchboard
from presence.transport.wire import serializers
from presence.transport.wire.messages import JoinRoom
from presence.transport.wire.serializers import Body


class Waiter(NamedTuple):
    """A socket that waits, and the message by which it does."""

    room_name: str
    message: Body


class Lobby:
    """The lobbies of rooms, as this process sees them."""

    def __init__(
        self,
        app: Flask,
        worker_id: str,
        access: Access,
        sockets: Sockets,
        switchboard: Switchboard,
    ) -> None:
        self._app = app
        self._worker_id = worker_id
        self._access = access
        self._sockets = sockets
        self._switchboard = switchboard
        self._guard = threading.Lock()
        self._waiting: dict[str, Waiter] = {}
        # Who waits, as it was told here last, by room.
        self._told: dict[str, list[Waiting]] = {}
        # Makes the join of a socket once more, which waits no longer.
        self.join_again: Callable[[str, Body], None] = lambda _sid, _message: None
        # Lets the other workers look that hold sockets in a room, or one of some that waited.
        self.tell_others: Callable[[str, Iterable[str]], None] | None = None

    def knock(self, message: JoinRoom, presence: Presence, most: int) -> None:
        """Let somebody wait to be admitted to a room, in front of which at `most` so many do.

        Raises `LobbyFull`, or `AdmissionRefused` with a refusal that was not told yet.
        """
        with database.writing() as session:
            refused = lobbies.knock(
                session,
                message.room_name,
                message.peer_id,
                username=message.username,
                user_data=message.user_data,
                presence=presence,
                most=most,
            )
        if refused is not None:
            raise AdmissionRefused(message.room_name, refused)

    def wait(self, sid: str, room_name: str, message: Body) -> None:
        """Note that a socket waits, which the database knows already."""
        self._waiting[sid] = Waiter(room_name, message)

    def forget(self, sid: str) -> str | None:
        """Return in front of which room a socket has waited, which does so no more."""
        waiter = self._waiting.pop(sid, None)
        return None if waiter is None else waiter.room_name

    def changed(self, room_name: str, sids: Iterable[str] = ()) -> None:
        """Let everybody concerned know that others wait now; `sids` are those that do no more."""
        self.look()
        if self.tell_others is not None:
            self.tell_others(room_name, sids)

    def greet(self, sid: str, room_name: str) -> None:
        """Tell a socket that has come into a room who waits, if it may admit them."""
        if not self._may_admit(sid):
            return
        with database.reading() as session:
            people = lobbies.waiting(session, room_name).get(room_name, [])
        if people:
            self._sockets.server.emit("knocking", serializers.knocking(room_name, people), to=sid)

    def look(self) -> None:
        """Compare what is known here with the database, and tell what is new."""
        with self._app.app_context():
            with self._guard:
                with database.reading() as session:
                    own = lobbies.of_worker(session, self._worker_id)
                    people = lobbies.waiting(session)
                over = [
                    (sid, self._waiting.pop(sid), own.get(sid))
                    for sid in list(self._waiting)
                    if sid not in own or own[sid] is not None
                ]
                gone = [sid for sid in own if not self._sockets.is_connected(sid)]
                self._tell(people)
            for sid, waiter, refused in over:
                if refused is None:
                    self.join_again(sid, waiter.message)
                    continue
                gone.append(sid)
                error = AdmissionRefused(waiter.room_name, refused)
                self._sockets.send(sid, "join_room_error", error.body())
            if gone:
                with database.writing(upkeep=True) as session:
                    for sid in gone:
                        lobbies.withdraw(session, None, sid)

    def _tell(self, people: dict[str, list[Waiting]]) -> None:
        """Tell those who may admit what is new to them."""
        changed = {
            name
            for name in people.keys() | self._told.keys()
            if people.get(name, []) != self._told.get(name, [])
        }
        if not changed:
            return
        for sid, seat in self._switchboard.seats().items():
            name = seat.room_name
            if name not in changed or not self._may_admit(sid):
                continue
            before = {one.peer_id for one in self._told.get(name, [])}
            for one in people.get(name, []):
                if one.peer_id not in before:
                    body = {"room_name": name, **serializers.waiting(one)}
                    self._sockets.server.emit("peer_waiting", body, to=sid)
            body = serializers.knocking(name, people.get(name, []))
            self._sockets.server.emit("knocking", body, to=sid)
        self._told = people

    def _may_admit(self, sid: str) -> bool:
        try:
            return self._access.is_locked and self._access.here(sid).has(ADMIT)
        except TokenExpired:
            return False  # its connection is about to end
