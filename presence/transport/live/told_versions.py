"""What the sockets of this process have been told of their rooms, so that versions only rise.

Notices of other processes' changes may come after a list that was read from the database and shows
those changes already. Sent as they are they would take whoever goes by the last thing heard back to
an older state, so they are brought up to date first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from presence.transport.wire import room_list
from presence.transport.wire.room_list import RoomList
from presence.transport.wire.serializers import Body


class Notice(NamedTuple):
    """An event that tells of a change, its body, and who is not to hear it."""

    event: str
    body: Body
    skip: str | None = None


class ToldVersions:
    """The newest version of each room that its sockets here were told of."""

    def __init__(self) -> None:
        self._in_lists: dict[str, int] = {}
        self._in_notices: dict[str, int] = {}

    def note_list(self, room_name: str, version: int) -> None:
        """Note that a room's list was sent, or that of its changes."""
        self._in_lists[room_name] = version

    def note_notice(self, room_name: str, version: int) -> None:
        """Note that a version was told of in another way, be it to one socket only."""
        if version > self._in_notices.get(room_name, 0):
            self._in_notices[room_name] = version

    def in_list(self, room_name: str) -> int:
        """Return the version that was shown last, 0 if none was lately."""
        return self._in_lists.get(room_name, 0)

    def newest(self, room_name: str) -> int:
        """Return the version that was told last in whatever way, 0 if none was lately."""
        return max(self._in_lists.get(room_name, 0), self._in_notices.get(room_name, 0))

    def forget(self, room_name: str) -> None:
        """Forget a room that is no more: another one of its name begins anew."""
        self._in_lists.pop(room_name, None)
        self._in_notices.pop(room_name, None)

    def keep(self, room_names: Iterable[str]) -> None:
        """Forget every room but these."""
        for name in (self._in_lists.keys() | self._in_notices.keys()) - set(room_names):
            self.forget(name)


def as_shown(event: str, body: Body, view: RoomList) -> Body | None:
    """Return a notice that comes late as the list shows what it is about now.

    None if it is pointless: where the peer was erased meanwhile, or the file that it had uploaded
    is gone again.
    """
    if event == "room_data_updated":
        return {**body, **room_list.own_data(view), "version": view.version}
    shown = view.peers.get(body["peer_id"])
    if shown is None:
        return None
    peer = orjson.loads(shown)
    if event == "file_uploaded" and body["file_path"] not in peer["uploaded_files"]:
        return None
    now = {**body, "version": view.version}
    if "user_data" in body:
        now["user_data"] = peer["user_data"]
    return now
