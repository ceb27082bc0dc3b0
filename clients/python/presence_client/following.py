"""The room that a client is in: its list, kept up to date, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from presence_client.bodies import Body, ConnectionState, Peer, UserData
from presence_client.broadcasts import Broadcasts
from presence_client.errors import PresenceError
from presence_client.keeper import pause
from presence_client.room import Room, differences
from presence_client.states import States

CHANGES = frozenset({"peer_joined", "peer_updated", "peer_left"})


class Following:
    """Follows one room at a time: ``room``, or None.

    `request` sends an event on the connection that is in the room; `tell` tells the program, and
    `changed` those who wait for something.
    """

    def __init__(
        self,
        request: Callable[[str, Body], Awaitable[Body]],
        tell: Callable[[str, Any], None],
        changed: Callable[[], None],
    ) -> None:
        self.room: Room | None = None
        self._request = request
        self._tell = tell
        self._changed = changed
        self._syncing: asyncio.Task[None] | None = None
        self.broadcasts = Broadcasts(self._sync_broadcasts_soon)
        self._catching_up: asyncio.Task[None] | None = None
        self.states = States(self._send_state_soon, self._tell_states)
        self._sending_state: asyncio.Task[None] | None = None

    def enter(self, joined: Body) -> UserData | None:
        """Take the list of a room that was joined, maybe for a further time.

        Returns our user data if the server has made our peer anew meanwhile, having lost it.
        """
        self.pause()
        before, self.room = self.room, Room(joined)
        if before is None or before.name != self.room.name:
            self.broadcasts.left()
        self._tell("joined", {**joined, "rejoined": before is not None})
        self._tell_list(self.room, before.peers if before else [])
        self._tell_data(self.room, before.data if before else {})
        self.broadcasts.entered(joined)
        self.states.entered()
        return None if before is None else _lost(before, self.room)

    def leave(self, left: Body) -> Body | None:
        """Follow it no more, and tell that it is left; returns what was told."""
        self.pause()
        self.broadcasts.left()
        self.states.left()
        room, self.room = self.room, None
        if room is None:
            return None
        left = {"room_name": room.name, "peer_id": room.peer_id, **left}
        self._tell("left", left)
        before, room.peers = room.peers, []
        for peer in before:
            if peer["is_active"]:
                self._tell("peer_left", peer)
        self._tell("peers", room.body())
        return left

    def pause(self) -> None:
        """Fetch nothing for now: the connection that would have to is not in the room any more."""
        if self._syncing is not None:
            self._syncing.cancel()
            self._syncing = None
        for task in (self._catching_up, self._sending_state):
            if task is not None:
                task.cancel()
        self._catching_up = self._sending_state = None

    def change(self, changes: Body) -> None:
        """Take changes of the room; fetches what is missing before them."""
        room = self.room
        if room is None or changes.get("room_name") != room.name:
            return
        if room.has_gap_before(changes):
            if self._syncing is None or self._syncing.done():
                self._syncing = asyncio.ensure_future(self._sync(room))
            return
        before, data = room.peers, room.data
        if room.change(changes):
            self._tell_list(room, before)
            self._tell_data(room, data)

    def take_data(self, body: Body) -> None:
        """Take the room's own data, as a notice or an answer tells it."""
        room = self.room
        if room is not None and body.get("room_name") == room.name:
            before = room.data
            room.take_data(body)
            self._tell_data(room, before)

    async def _sync(self, room: Room) -> None:
        """Fetch what is missing; what comes meanwhile is in it, or follows it without a gap."""
        attempt = 0
        while True:
            try:
                synced = await self._request("sync", {"since": room.version})
            except PresenceError as error:
                if not error.passes:
                    return
                await asyncio.sleep(pause(attempt))
                attempt += 1
                continue
            before, data = room.peers, room.data
            if (room.replace if synced["full"] else room.change)(synced):
                self._tell_list(room, before)
                self._tell_data(room, data)
            return

    def caught_up(self, body: Body) -> None:
        """Note up to where kept broadcasts were told, and tell if some are missing for good."""
        if self.room is None or body["room_name"] != self.room.name:
            return
        self.broadcasts.caught_up(body)
        if not body["complete"]:
            self._tell("broadcasts_missed", body)

    def _send_state_soon(self, message: Body) -> None:
        self._sending_state = asyncio.ensure_future(self._send_state(message))

    async def _send_state(self, message: Body) -> None:
        """Say our own state again; who comes in once more says it anew."""
        try:
            await self._request("state", message)
        except PresenceError as error:
            if not error.passes:
                self._tell("error", error)

    def _tell_states(self, states: list[ConnectionState]) -> None:
        self._changed()
        self._tell("states", states)

    def _sync_broadcasts_soon(self, since: int) -> None:
        self._catching_up = asyncio.ensure_future(self._sync_broadcasts(since))

    async def _sync_broadcasts(self, since: int) -> None:
        """Ask for the kept broadcasts that were missed; a lost connection has it asked anew."""
        attempt = 0
        while True:
            try:
                await self._request("sync", {"since_broadcast": since})
            except PresenceError as error:
                if not error.passes:
                    return
                await asyncio.sleep(pause(attempt))
                attempt += 1
            else:
                return

    def _tell_data(self, room: Room, before: UserData) -> None:
        if room.data != before:
            self._changed()
            self._tell("room_data", room.data)

    def _tell_list(self, room: Room, before: list[Peer]) -> None:
        self._changed()
        self._tell("peers", room.body())
        for event, peer in differences(before, room.peers):
            self._tell(event, peer)


def _lost(before: Room, now: Room) -> UserData | None:
    was, own = before.own, now.own
    if was is None or own is None or was["joined_at"] == own["joined_at"] or own["user_data"]:
        return None
    return before.own_data[1] or None
