"""Letting sockets know that a room, or the list of rooms, changed without joining anything.

The pages use it: a notice is a few bytes, and the page then asks for the HTML it needs. Watching
makes nobody present.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from flask import Flask

from presence.domain.peers import lobbies
from presence.domain.permissions import bans, room_patterns
from presence.domain.permissions.room_patterns import RoomPattern, RoomPatterns
from presence.errors import Banned, NotAdmitted, NotGranted, PresenceError
from presence.storage import database
from presence.transport.admission import socket_access
from presence.transport.admission.access import Access
from presence.transport.engine.sockets import Sockets
from presence.transport.live.channels import LOBBY, WATCHERS
from presence.transport.wire.room_list import RoomList

log = logging.getLogger(__name__)

EVERY_ROOM = room_patterns.parse("*")
# The list of rooms changes with every change of any of them.
_LOBBY_SECONDS = 0.5


class Watchers:
    """The sockets of this process that watch a room, or the list of rooms."""

    def __init__(self, app: Flask, sockets: Sockets, access: Access) -> None:
        self._app = app
        self._sockets = sockets
        self._server = sockets.server
        self._access = access
        self._lobby = _Lobby(app, sockets, access)
        # Lets other workers shut out a banned peer, by the room's name and its id.
        self.tell_others_shut_out: Callable[[str, str | None], None] | None = None

    def watch_room(self, sid: str, room_name: str) -> None:
        """Send a socket ``room_changed`` for one room, and nothing of others; raises `Banned`."""
        self._stop(sid)
        self._server.enter_room(sid, WATCHERS + room_name)
        try:
            # Once more: a ban that was made since it was asked for could not shut this socket out.
            socket_access.check_watching(self._access, sid, room_name)
        except (Banned, NotAdmitted, NotGranted):
            self._server.leave_room(sid, WATCHERS + room_name)
            raise

    def watch_list(self, sid: str) -> None:
        """Send a socket ``rooms_changed`` for the rooms that it may know of."""
        self._stop(sid)
        self._server.enter_room(sid, _lobby_of(self._patterns_of(sid)))

    def tell(self, view: RoomList) -> None:
        """Tell those who watch a room that it was announced, and those who watch the list."""
        body = {
            "room_name": view.name,
            "version": view.version,
            "active_peers": view.active_peers,
            "total_peers": view.total_peers,
        }
        self._server.emit("room_changed", body, to=WATCHERS + view.name)
        self._lobby.mark(view.name)

    def tell_list(self, room_names: Iterable[str]) -> None:
        """Tell those who watch the list of rooms that these changed on another worker."""
        for room_name in room_names:
            self._lobby.mark(room_name)

    def shut_out(self, room_name: str, peer_id: str | None) -> None:
        """Let no socket of a peer watch a room any more that may not, on any worker.

        None stands for everybody who has to wait in its lobby.

        They are told so, as if they had asked now. Those that watch the list of rooms are told for
        the last time: the room is gone from theirs.
        """
        self.shut_out_here(room_name, peer_id)
        if self.tell_others_shut_out is not None:
            self.tell_others_shut_out(room_name, peer_id)

    def shut_out_here(self, room_name: str, peer_id: str | None) -> None:
        """Do the same for the sockets of this process."""
        channel = WATCHERS + room_name
        for sid, _ in list(self._server.manager.get_participants("/", channel)):
            if self._access.is_barred(sid, peer_id):
                self._server.leave_room(sid, channel)
                self._tell_shut_out(sid, room_name)
        if peer_id is not None:
            self._lobby.tell_barred(room_name, peer_id)

    def _tell_shut_out(self, sid: str, room_name: str) -> None:
        try:
            with self._app.app_context():
                socket_access.check_watching(self._access, sid, room_name)
        except PresenceError as error:
            self._sockets.send(sid, "watch_error", error.body())

    def _stop(self, sid: str) -> None:
        for channel in self._server.rooms(sid):
            if channel.startswith((LOBBY, WATCHERS)):
                self._server.leave_room(sid, channel)

    def _patterns_of(self, sid: str) -> RoomPattern | RoomPatterns:
        """Return which rooms a socket may know of."""
        return self._access.of(sid).room if self._access.is_locked else EVERY_ROOM


class _Lobby:
    """Tells those who watch the list of rooms, at most once in a while.

    Each hears only of the rooms that its token is for and from which it is not banned.
    """

    def __init__(self, app: Flask, sockets: Sockets, access: Access) -> None:
        self._app = app
        self._sockets = sockets
        self._server = sockets.server
        self._access = access
        self._guard = threading.Lock()
        self._changed: set[str] = set()

    def mark(self, room_name: str) -> None:
        """Note that a room changed; the notice goes out at the end of the window."""
        with self._guard:
            is_first = not self._changed
            self._changed.add(room_name)
        if not is_first:
            return
        self._sockets.start_background_task(self._tell)

    def tell_barred(self, room_name: str, peer_id: str) -> None:
        """Tell the sockets of a peer to whom a room is closed that their list changed."""
        for lobby in self._channels():
            if _patterns_of(lobby).matches(room_name):
                for sid in self._barred(lobby, {peer_id}):
                    self._server.emit("rooms_changed", {}, to=sid)

    def _tell(self) -> None:
        self._sockets.sleep(_LOBBY_SECONDS)
        with self._guard:
            changed, self._changed = self._changed, set()
        banned, behind_lobbies = self._closed(changed)
        for channel in self._channels():
            patterns = _patterns_of(channel)
            names = {name for name in changed if patterns.matches(name)}
            if names:
                # Who may see none of these rooms has nothing to look at.
                shut = set.intersection(*(banned.get(name, set()) for name in names))
                closed_to: set[str | None] = {*shut}
                if names <= behind_lobbies:
                    closed_to.add(None)
                without = self._barred(channel, closed_to)
                self._server.emit("rooms_changed", {}, to=channel, skip_sid=without)

    def _channels(self) -> list[str]:
        """Return the channels of those who watch the list, one for each pattern of theirs."""
        channels = list(self._server.manager.rooms.get("/", {}))
        return [name for name in channels if isinstance(name, str) and name.startswith(LOBBY)]

    def _barred(self, channel: str, peer_ids: Iterable[str | None]) -> list[str]:
        """Return the sockets in a channel that are closed out of what is closed to these peers."""
        found = list(self._server.manager.get_participants("/", channel)) if peer_ids else []
        return [
            sid for sid, _ in found if any(self._access.is_barred(sid, one) for one in peer_ids)
        ]

    def _closed(self, room_names: set[str]) -> tuple[dict[str, set[str]], set[str]]:
        """Return who is banned from these rooms, and which have lobbies.

        Nobody and none where that cannot be read just now.
        """
        if not self._access.is_locked:
            return {}, set()
        try:
            with self._app.app_context(), database.reading() as session:
                return bans.banned_from(session, room_names), lobbies.among(session, room_names)
        except Exception:
            log.exception("who is banned could not be read; everybody is told that rooms changed")
            return {}, set()


def _lobby_of(rooms: RoomPattern | RoomPatterns) -> str:
    """Return the channel of those who may know of the same rooms."""
    # No pattern has a line break in it.
    return LOBBY + "\n".join(pattern.text for pattern in rooms.patterns)


def _patterns_of(channel: str) -> RoomPatterns:
    """Return the rooms that those in such a channel may know of."""
    texts = channel.removeprefix(LOBBY).split("\n")
    return RoomPatterns(tuple(room_patterns.parse(text) for text in texts if text))
