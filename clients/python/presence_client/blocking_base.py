"""What a blocking client is, beside what it does: who it is, where, and who hears of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, overload

from presence_client.async_base import Given
from presence_client.async_client import AsyncClient
from presence_client.bodies import ConnectionState, Peer, State, UserData
from presence_client.events import Callback, Event, refuse_coroutine
from presence_client.loop_thread import Caller, LoopThread, in_thread
from presence_client.tokens import Token

Value = TypeVar("Value")


class BlockingBase:
    """The state of a blocking client, and its callbacks."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:3001",
        *,
        peer_id: str | None = None,
        username: str | None = None,
        timeout: float = 10.0,
        token: Token | None = None,
        states: bool = False,
        data_notices: bool = True,
    ) -> None:
        if callable(token):
            refuse_coroutine(token, "token function")
        self._thread = LoopThread(
            url,
            peer_id=peer_id,
            username=username,
            timeout=timeout,
            token=functools.partial(in_thread, token) if callable(token) else token,
            states=states,
            data_notices=data_notices,
        )
        self._inner: AsyncClient = self._thread.client

    @property
    def url(self) -> str:
        """The server's address."""
        return self._inner.url

    @property
    def timeout(self) -> float:
        """How many seconds a call waits at most."""
        return self._inner.timeout

    @property
    def state(self) -> State:
        """Where the client is: idle, connecting, joined, reconnecting or closed."""
        return self._inner.state

    @property
    def peer_id(self) -> str:
        """Who the client is in the rooms that it joins."""
        return self._inner.peer_id

    @property
    def username(self) -> str:
        """What the client is called in the rooms that it joins."""
        return self._inner.username

    @property
    def room_name(self) -> str | None:
        """The room that was joined, or None."""
        return self._inner.room_name

    @property
    def peers(self) -> list[Peer]:
        """The peers of the room as in its newest list, inactive ones too."""
        return self._inner.peers

    @property
    def active_peers(self) -> list[Peer]:
        """The peers of the list that are active now."""
        return self._inner.active_peers

    @property
    def me(self) -> Peer | None:
        """One's own peer in the list, or None."""
        return self._inner.me

    @property
    def grants(self) -> list[str] | None:
        """What one may do in the room; None in no room, and on an open server."""
        return self._inner.grants

    @property
    def states(self) -> list[ConnectionState]:
        """What is true of the others' connections just now, for a client made with `states`."""
        return self._inner.states

    @property
    def room_data(self) -> UserData:
        """The room's own data, which all in it share; empty in no room."""
        return self._inner.room_data

    @property
    def version(self) -> int:
        """The version of the list."""
        return self._inner.version

    @property
    def session(self) -> str | None:
        """This connection's session id, by which `signal` can address one of several."""
        return self._inner.session

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the server now."""
        return self._inner.is_connected

    @overload
    def on(self, event: Event, callback: None = None) -> Callable[[Given], Given]: ...
    @overload
    def on(self, event: Event, callback: Given) -> Given: ...
    def on(self, event: Event, callback: Callback | None = None) -> Any:
        """Call `callback` with one argument whenever `event` happens; usable as a decorator.

        Raises `PresenceError` (``async_callback``) for an async function: see `AsyncClient`.
        """
        if callback is None:
            return lambda decorated: self.on(event, decorated)
        self._thread.callbacks.add(event, callback)
        return callback

    def off(self, event: Event, callback: Callback) -> None:
        """Stop calling `callback`."""
        self._thread.callbacks.remove(event, callback)

    def wait_for(self, condition: Callable[[Self], Value], timeout: float | None = None) -> Value:
        """Wait until `condition(client)` is true, and return it; raises `TimeoutError`.

        It is looked at again whenever the state or the list of peers has changed.
        """
        seconds = self.timeout if timeout is None else timeout
        return self._thread.wait_for(lambda: condition(self), seconds)

    def _run(self, work: Coroutine[Any, Any, Value], caller: Caller | None = None) -> Value:
        return self._thread.run(work, caller)
