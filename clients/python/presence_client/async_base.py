"""What an asyncio client is, beside what it does: who it is, where, and who hears of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, overload

from presence_client import errors, forks, tokens
from presence_client.address import Address
from presence_client.bodies import ConnectionState, Peer, State, UserData
from presence_client.changes import Changes
from presence_client.events import Callback, Callbacks, Event
from presence_client.lifecycle import Lifecycle
from presence_client.rest import Rest
from presence_client.tokens import AsyncToken

Value = TypeVar("Value")
Given = TypeVar("Given", bound=Callback)


class AsyncBase:
    """The state of an asyncio client, and its callbacks."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:3001",
        *,
        peer_id: str | None = None,
        username: str | None = None,
        timeout: float = 10.0,
        token: AsyncToken | None = None,
        states: bool = False,
        data_notices: bool = True,
    ) -> None:
        address = Address.parse(url)
        self.url = address.url
        self.timeout = timeout
        self._token = token
        # Who it is if nobody says so.
        self._somebody = f"peer-{uuid.uuid4()}"
        self._peer_id = peer_id or tokens.said(token, "sub")
        if self._peer_id is None and not callable(token):
            self._peer_id = self._somebody
        self._username = username or tokens.said(token, "name")
        self._callbacks = Callbacks(takes_coroutines=True)
        self._happened: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        self._telling: asyncio.Task[None] | None = None
        self._busy: set[asyncio.Task[Any]] = set()
        self._rest = Rest(address, self._ask_for_token, timeout)
        self._life = Lifecycle(
            address,
            self._ask_for_token,
            timeout,
            fetches_tokens=callable(token),
            called=lambda: (self.peer_id, self.username),
            tell=self._tell,
            changes=Changes(self._changed),
        )
        self._life.hears_states = states
        self._life.hears_data_notices = data_notices
        forks.remember(self)

    @property
    def state(self) -> State:
        """Where the client is: idle, connecting, joined, reconnecting or closed."""
        return self._life.state

    @property
    def peer_id(self) -> str:
        """Who the client is in the rooms that it joins."""
        return self._peer_id or self._somebody

    @property
    def username(self) -> str:
        """What the client is called in the rooms that it joins."""
        return self._username or self.peer_id

    @property
    def room_name(self) -> str | None:
        """The room that was joined, or None."""
        room = self._life.room
        return None if room is None else room.name

    @property
    def peers(self) -> list[Peer]:
        """The peers of the room as in its newest list, inactive ones too."""
        room = self._life.room
        return [] if room is None else room.peers

    @property
    def active_peers(self) -> list[Peer]:
        """The peers of the list that are active now."""
        return [peer for peer in self.peers if peer["is_active"]]

    @property
    def me(self) -> Peer | None:
        """One's own peer in the list, or None."""
        room = self._life.room
        return None if room is None else room.own

    @property
    def grants(self) -> list[str] | None:
        """What one may do in the room; None in no room, and on an open server."""
        room = self._life.room
        return None if room is None else room.grants

    @property
    def states(self) -> list[ConnectionState]:
        """What is true of the others' connections just now, for a client made with `states`."""
        return self._life.states.others

    @property
    def room_data(self) -> UserData:
        """The room's own data, which all in it share; empty in no room."""
        room = self._life.room
        return {} if room is None else room.data

    @property
    def version(self) -> int:
        """The version of the list."""
        room = self._life.room
        return 0 if room is None else room.version

    @property
    def session(self) -> str | None:
        """This connection's session id, by which `signal` can address one of several."""
        link = self._life.keeper.link
        return None if link is None else link.sid

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the server now."""
        return self._life.keeper.link is not None

    @overload
    def on(self, event: Event, callback: None = None) -> Callable[[Given], Given]: ...
    @overload
    def on(self, event: Event, callback: Given) -> Given: ...
    def on(self, event: Event, callback: Callback | None = None) -> Any:
        """Call `callback` with one argument whenever `event` happens; usable as a decorator."""
        if callback is None:
            return lambda decorated: self.on(event, decorated)
        self._callbacks.add(event, callback)
        return callback

    def off(self, event: Event, callback: Callback) -> None:
        """Stop calling `callback`."""
        self._callbacks.remove(event, callback)

    async def wait_for(
        self, condition: Callable[[Self], Value], timeout: float | None = None
    ) -> Value:
        """Wait until `condition(client)` is true, and return it; raises `TimeoutError`.

        It is looked at again whenever the state or the list of peers has changed.
        """
        seconds = self.timeout if timeout is None else timeout
        until = asyncio.get_running_loop().time() + seconds
        await self._life.changes.until(lambda: self._life.is_closed or condition(self), until)
        if not (value := condition(self)):
            self._life.refuse_if_closed()
            raise TimeoutError("the condition did not come true in time")
        return value

    def _room(self, room_name: str | None) -> str:
        name = room_name or self.room_name
        if self._life.is_closed:
            raise errors.closed()
        if name is None:
            raise errors.not_joined()
        return name

    async def _ask_for_token(self) -> str | None:
        token = await tokens.ask(self._token, self.timeout)
        self._peer_id = self._peer_id or tokens.said(token, "sub") or self._somebody
        self._username = self._username or tokens.said(token, "name")
        return token

    async def _until_closed(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Do something that ends with the client: then it raises ``closed``."""
        if self._life.is_closed:
            work.close()
            raise errors.closed()
        self._begin()
        task = asyncio.ensure_future(work)
        self._busy.add(task)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._busy.discard(task)
        if task.cancelled():
            raise errors.closed()
        return task.result()

    def _begin(self) -> None:
        """Start telling what happens, if that has not begun yet."""
        if self._telling is None and not self._life.is_closed:
            self._telling = asyncio.ensure_future(self._run_callbacks())

    def forked(self) -> None:
        """Be closed in a child process, if anything has begun: that is the parent's."""
        if self._telling is not None:
            self._life.abandon()

    def _tell(self, event: str, value: Any) -> None:
        self._happened.put_nowait((event, value))

    def _changed(self) -> None:
        """Be told that something may have changed."""

    async def _run_callbacks(self) -> None:
        while (happened := await self._happened.get()) is not None:
            await self._callbacks.acall(*happened)
