"""The client for asyncio programs; the blocking one stands on it."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, cast

from presence_client import bodies
from presence_client.async_requests import AsyncRequests
from presence_client.bodies import Body, UserData
from presence_client.errors import PresenceError
from presence_client.wish import Place

# What to change of one's user data: keys and values, or a function that makes them of the newest.
Made = Mapping[str, Any] | Awaitable[Mapping[str, Any]]
Change = Mapping[str, Any] | Callable[[UserData], Made]


class AsyncClient(AsyncRequests):
    """One peer's connection to a Presence server, for asyncio.

        async with AsyncClient("https://presence.example.org", peer_id="robot-7") as client:
            client.on("signal", lambda signal: print(signal["from"], signal["data"]))
            await client.join("workshop", user_data={"role": "welder"})

    ``state`` is idle, connecting, joined, reconnecting or closed; ``peers`` is the newest list of
    the room ``room_name``, and ``version`` that list's. Without a `peer_id` the client is who its
    token is for, or somebody at random; without a `username` it is called as the token says, or by
    its peer_id. Calls wait at most `timeout` seconds, and raise `PresenceError` where they fail.

    A locked server wants a `token`: one, or a function that fetches a fresh one. It should be async
    if it has to wait. It is asked before every connection, also after a lost one, and before every
    request.

    Callbacks get one argument and run one after the other, in the order of what happened; they may
    be async and may call the client.
    """

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Close."""
        await self.close()

    async def connect(self) -> None:
        """Connect, and stay connected without a room too; `join` and `watch` do it by themselves.

        Raises `PresenceError`: ``unreachable``, ``token_failed``, or why the server refuses.
        """
        await self._until_closed(self._life.connect(self.timeout))

    async def join(
        self,
        room_name: str,
        *,
        peer_id: str | None = None,
        username: str | None = None,
        user_data: Mapping[str, Any] | None = None,
        password: str | None = None,
        wait_for_place: bool = False,
        history: bool = False,
        timeout: float | None = None,
    ) -> bodies.Joined:
        """Join a room, leaving the one joined before; returns the answer with the room's peers.

        What passes, such as a lost connection, is waited for, `timeout` seconds at most. With
        `wait_for_place` so is a place in a full room, for as long as it takes unless `timeout` is
        given. A room's `password` is shown again by itself when the client comes back. With
        `history` what was kept of the room's broadcasts before is heard. Raises `PresenceError`:
        the server's, ``unreachable``, ``token_failed``, or ``left``, ``superseded``, ``closed`` if
        `leave`, another `join` or `close` withdrew it. Who is raised at is in no room, unless it
        was in this one already.
        """
        self._peer_id = peer_id or self._peer_id
        self._username = username or self._username
        self._begin()
        self._life.want_history(history)
        joined = await self._life.join(
            Place.of(room_name, self._peer_id),
            self._username,
            None if user_data is None else dict(user_data),
            password=password,
            waits_for_place=wait_for_place,
            seconds=timeout,
        )
        return cast(bodies.Joined, joined)

    async def leave(self) -> bodies.Left | None:
        """Leave the room, or withdraw the join that is under way; None if there was no room.

        When it returns the client is in no room. A lost connection leaves too, so that is no error.
        """
        return cast("bodies.Left | None", await self._life.leave())

    async def update(
        self,
        user_data: Change | None = None,
        *,
        remove: list[str] | None = None,
        replace: bool = False,
        if_version: int | None = None,
    ) -> bodies.Stored:
        """Merge into one's user data; `remove` names keys to delete, `replace` starts afresh.

        With `if_version` only if nobody has changed it since that version of the room; else it
        raises `PresenceError` (``conflict``) whose ``body`` has what it is now. A function is given
        the newest data and returns what to merge, as often as somebody else is quicker:

            await client.update(lambda data: {"count": data.get("count", 0) + 1})
        """
        message: Body = {"remove": remove or [], "replace": replace}
        if not callable(user_data):
            message["user_data"] = dict(user_data or {})
            if if_version is not None:
                message["if_version"] = if_version
            return await self._update(message, repeatable=if_version is None)
        until = asyncio.get_running_loop().time() + self.timeout
        while True:
            room = await self._until_closed(self._life.enter())
            message["if_version"], data = room.own_data
            change = user_data(dict(data))
            message["user_data"] = dict(await change if inspect.isawaitable(change) else change)
            try:
                return await self._update(message, repeatable=False)
            except PresenceError as error:
                if error.code != "conflict" or asyncio.get_running_loop().time() > until:
                    raise
                room.store(error.body)

    async def update_room_data(
        self,
        room_data: Change | None = None,
        *,
        remove: list[str] | None = None,
        replace: bool = False,
        if_version: int | None = None,
    ) -> bodies.RoomDataStored:
        """Merge into the room's own data, which all in it share; everything else as in `update`.

        await client.update_room_data(lambda data: {"votes": data.get("votes", 0) + 1})
        """
        message: Body = {"remove": remove or [], "replace": replace}
        if not callable(room_data):
            message["room_data"] = dict(room_data or {})
            if if_version is not None:
                message["if_version"] = if_version
            return await self._update_room(message, repeatable=if_version is None)
        until = asyncio.get_running_loop().time() + self.timeout
        while True:
            room = await self._until_closed(self._life.enter())
            message["if_version"], data = room.data_version, room.data
            change = room_data(copy.deepcopy(data))
            message["room_data"] = dict(await change if inspect.isawaitable(change) else change)
            try:
                return await self._update_room(message, repeatable=False)
            except PresenceError as error:
                late = asyncio.get_running_loop().time() > until
                if error.code != "room_data_conflict" or late:
                    raise
                self._life.take_data({"room_name": room.name, **error.body})

    async def signal(
        self, to: str, data: Any, *, type: str | None = None, session: str | None = None
    ) -> bodies.SignalSent:
        """Send any JSON to one peer of the room; the answer's ``status`` is delivered or held.

        Raises `PresenceError`: ``unknown_peer``, ``inactive``, ``not_joined``, ``too_large``, or
        ``connection_lost`` when nobody knows whether it arrived.
        """
        message = {"to": to, "data": data, "type": type, "to_session": session}
        return cast(bodies.SignalSent, await self._ask("signal", message))

    async def broadcast(
        self, event: str, data: Any = None, *, keep: bool = False
    ) -> bodies.BroadcastSent:
        """Send an application's message to everyone else in the room.

        With `keep` those who are away hear it when they come back.
        """
        message = {"event": event, "data": data, **({"keep": True} if keep else {})}
        answer = await self._ask("broadcast", message)
        self._life.said(answer)
        return cast(bodies.BroadcastSent, answer)

    async def set_state(self, state: Mapping[str, Any] | None) -> None:
        """Say what is true of this connection just now, instead of what was said before.

        It is kept nowhere, said again after a lost connection, and gone with the room. None stands
        for nothing.
        """
        self._life.states.own = None if state is None else dict(state)
        await self._ask("state", {"state": self._life.states.own}, repeatable=True)

    async def watch(self, room_name: str | None = None) -> bodies.Watching:
        """Hear ``room_changed`` of a room, or ``rooms_changed`` of them all, without joining any.

        It takes the place of what was watched before, and lasts until the client is closed.
        """
        message = {} if room_name is None else {"room_name": room_name}
        return cast(bodies.Watching, await self._until_closed(self._life.watch(message)))

    async def close(self) -> None:
        """Disconnect for good: the peer is inactive, and nothing of the client is left."""
        if self._life.is_abandoned:
            return
        await self._life.close()
        for task in self._busy:
            task.cancel()
        await self._rest.close()
        self._happened.put_nowait(None)
        telling = self._telling
        if telling is not None and telling is not asyncio.current_task():
            await asyncio.wait({telling}, timeout=self.timeout)

    # Below: how it is done

    async def _update(self, message: Body, *, repeatable: bool) -> bodies.Stored:
        answer = await self._ask("update_user_data", message, repeatable=repeatable)
        room = self._life.room
        if room is not None and room.name == answer["room_name"]:
            room.store(answer)
        return cast(bodies.Stored, answer)

    async def _update_room(self, message: Body, *, repeatable: bool) -> bodies.RoomDataStored:
        answer = await self._ask("update_room_data", message, repeatable=repeatable)
        self._life.take_data(answer)
        return cast(bodies.RoomDataStored, answer)

    async def _ask(self, event: str, message: Body, *, repeatable: bool = False) -> Body:
        return await self._until_closed(self._life.ask(event, message, repeatable=repeatable))
