"""The client for programs without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from presence_client import bodies
from presence_client.blocking_requests import BlockingRequests
from presence_client.bodies import UserData
from presence_client.events import refuse_coroutine
from presence_client.loop_thread import Caller

Change = Mapping[str, Any] | Callable[[UserData], Mapping[str, Any]]


class Client(BlockingRequests):
    """One peer's connection to a Presence server, for programs that block.

        with Client("https://presence.example.org", peer_id="robot-7") as client:
            client.on("signal", lambda signal: print(signal["from"], signal["data"]))
            client.join("workshop", user_data={"role": "welder"})

    ``state`` is idle, connecting, joined, reconnecting or closed; ``peers`` is the newest list of
    the room ``room_name``, and ``version`` that list's. Without a `peer_id` the client is who its
    token is for, or somebody at random; without a `username` it is called as the token says, or by
    its peer_id. Calls block until the server has answered, `timeout` seconds at most, and raise
    `PresenceError` where they fail. They may be made from any thread.

    A locked server wants a `token`: one, or a function that fetches a fresh one. It is asked before
    every connection, also after a lost one, and before every request, in a thread of its own.

    Callbacks get one argument and run one after the other, in the order of what happened, in a
    thread of their own; they may call the client.
    """

    def __enter__(self) -> Self:
        """Connect."""
        try:
            self.connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close."""
        self.close()

    def connect(self) -> None:
        """Connect, and stay connected without a room too; `join` and `watch` do it by themselves.

        Raises `PresenceError`: ``unreachable``, ``token_failed``, or why the server refuses.
        """
        self._run(self._inner.connect())

    def join(
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
        return self._run(
            self._inner.join(
                room_name,
                peer_id=peer_id,
                username=username,
                user_data=user_data,
                password=password,
                wait_for_place=wait_for_place,
                history=history,
                timeout=timeout,
            )
        )

    def leave(self) -> bodies.Left | None:
        """Leave the room, or withdraw the join that is under way; None if there was no room.

        When it returns the client is in no room. A lost connection leaves too, so that is no error.
        """
        return self._run(self._inner.leave())

    def update(
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

            client.update(lambda data: {"count": data.get("count", 0) + 1})
        """
        if not callable(user_data):
            return self._run(
                self._inner.update(user_data, remove=remove, replace=replace, if_version=if_version)
            )
        refuse_coroutine(user_data, "change")
        caller = Caller()
        change = caller.wrap(user_data)
        return self._run(self._inner.update(change, remove=remove, replace=replace), caller)

    def update_room_data(
        self,
        room_data: Change | None = None,
        *,
        remove: list[str] | None = None,
        replace: bool = False,
        if_version: int | None = None,
    ) -> bodies.RoomDataStored:
        """Merge into the room's own data, which all in it share; everything else as in `update`.

        client.update_room_data(lambda data: {"votes": data.get("votes", 0) + 1})
        """
        if not callable(room_data):
            return self._run(
                self._inner.update_room_data(
                    room_data, remove=remove, replace=replace, if_version=if_version
                )
            )
        refuse_coroutine(room_data, "change")
        caller = Caller()
        change = caller.wrap(room_data)
        return self._run(
            self._inner.update_room_data(change, remove=remove, replace=replace), caller
        )

    def signal(
        self, to: str, data: Any, *, type: str | None = None, session: str | None = None
    ) -> bodies.SignalSent:
        """Send any JSON to one peer of the room; the answer's ``status`` is delivered or held.

        Raises `PresenceError`: ``unknown_peer``, ``inactive``, ``not_joined``, ``too_large``, or
        ``connection_lost`` when nobody knows whether it arrived.
        """
        return self._run(self._inner.signal(to, data, type=type, session=session))

    def broadcast(
        self, event: str, data: Any = None, *, keep: bool = False
    ) -> bodies.BroadcastSent:
        """Send an application's message to everyone else in the room.

        With `keep` those who are away hear it when they come back.
        """
        return self._run(self._inner.broadcast(event, data, keep=keep))

    def set_state(self, state: Mapping[str, Any] | None) -> None:
        """Say what is true of this connection just now, instead of what was said before.

        It is kept nowhere, said again after a lost connection, and gone with the room. None stands
        for nothing.
        """
        self._run(self._inner.set_state(state))

    def watch(self, room_name: str | None = None) -> bodies.Watching:
        """Hear ``room_changed`` of a room, or ``rooms_changed`` of them all, without joining any.

        It takes the place of what was watched before, and lasts until the client is closed.
        """
        return self._run(self._inner.watch(room_name))

    def close(self) -> None:
        """Disconnect for good: the peer is inactive, and nothing of the client is left."""
        self._thread.close()
