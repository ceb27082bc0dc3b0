"""What workers tell each other of rooms: that one changed, and the notices that tell how."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from presence.domain.rooms.lists import Change, ListedPeer
from presence.transport.cluster.messaging import Messenger
from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.told_versions import Notice
from presence.transport.live.watchers import Watchers
from presence.transport.wire.room_list import RoomList
from presence.transport.wire.serializers import Body

# The list of rooms changes with every change of any of them.
_LOBBY_SECONDS = 0.5


class RoomChanges:
    """Passes on what this worker's announcer and watchers tell, and takes in what others' do."""

    def __init__(
        self, messenger: Messenger, sockets: Sockets, announcer: Announcer, watchers: Watchers
    ) -> None:
        self._messenger = messenger
        self._sockets = sockets
        self._announcer = announcer
        # What watchers of the list of rooms elsewhere are to be told of.
        self._listed: set[str] = set()
        # Called with the name of a room that changed elsewhere.
        self.listeners: list[Callable[[str], None]] = []
        announcer.tell_others = self._tell_changed
        announcer.tell_others_notices = self._tell_notices
        watchers.tell_others_shut_out = self._tell_shut_out
        messenger.on("changed", self._on_changed)
        messenger.on("notices", self._on_notices)
        messenger.on("listed", lambda message: watchers.tell_list(message["room_names"]))
        messenger.on(
            "shut_out",
            lambda message: watchers.shut_out_here(message["room_name"], message["peer_id"]),
        )
        messenger.when_restored.append(announcer.catch_up)

    def _tell_changed(self, view: RoomList) -> None:
        """Let the workers with sockets in a room know that it changed, and watchers of the list."""
        content = {"version": view.version, "changes": self._untold(view.name)}
        self._messenger.tell_room(view.name, "changed", **content)
        is_first = not self._listed
        self._listed.add(view.name)
        if is_first:
            self._sockets.start_background_task(self._tell_lobby)

    def _tell_notices(self, notices: list[Notice], room_name: str) -> None:
        """Let the workers with sockets in a room send what this one told its own."""
        told = [notice[:2] for notice in notices]
        content = {"notices": told, "changes": self._untold(room_name)}
        self._messenger.tell_room(room_name, "notices", **content)

    def _tell_shut_out(self, room_name: str, peer_id: str | None) -> None:
        self._messenger.tell_room(room_name, "shut_out", peer_id=peer_id)

    def _tell_lobby(self) -> None:
        self._sockets.sleep(_LOBBY_SECONDS)
        listed, self._listed = self._listed, set()
        self._messenger.tell_lobby("listed", room_names=sorted(listed))

    def _on_changed(self, message: Body) -> None:
        name, version = message["room_name"], message["version"]
        self._take_in(message)
        if self._announcer.announced(name) < version:
            mark = partial(self._announcer.mark_from_elsewhere, name, version=version)
            self._sockets.start_background_task(mark)
        for tell in self.listeners:
            tell(name)

    def _untold(self, room_name: str) -> list[Any]:
        """Return what others have not been told of a room, as it goes over the line."""
        return [
            [
                *change[1:4],
                [list(peer) for peer in change.peers],
                *(() if change.data is None else [change.data]),
            ]
            for change in self._announcer.untold(room_name)
        ]

    def _take_in(self, message: Body) -> None:
        """Put what another worker has changed over the list that is kept here."""
        for room_id, previous_version, version, peers, *data in message["changes"]:
            rows = tuple(ListedPeer._make((*row[:-1], tuple(row[-1]))) for row in peers)
            numbers = (room_id, previous_version, version)
            change = Change(message["room_name"], *numbers, rows, data=data[0] if data else None)
            self._announcer.note_from_elsewhere(change)

    def _on_notices(self, message: Body) -> None:
        # In a greenlet of its own, because whoever changes the room just now is waited for.
        self._take_in(message)
        notices = [Notice(event, body) for event, body in message["notices"]]
        self._sockets.start_background_task(self._announcer.pass_on, notices, message["room_name"])
