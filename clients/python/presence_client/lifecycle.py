"""The life of a client: what it wants, where it is, and what follows from what happens.

A client is in one of five states, which follow from three facts: what it wants (`Wish`), the room
it has told of (`Room`), and whether this connection is in that room as far as the server has said.

    idle          wants no room
    connecting    wants one, and has not been let in yet
    joined        is in it
    reconnecting  was in it; the connection, or the place, is lost and on its way back
    closed        for good

All of it happens in one event loop, and between two ``await`` nothing else does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from presence_client import errors
from presence_client.address import Address
from presence_client.bodies import Body
from presence_client.changes import Changes
from presence_client.errors import TOKEN_ENDED, PresenceError
from presence_client.following import CHANGES
from presence_client.keeper import Keeper
from presence_client.membership import Membership
from presence_client.room import Room
from presence_client.states import States

_FORWARDED = frozenset(
    {
        "user_data_updated",
        "room_data_updated",
        "file_uploaded",
        "file_deleted",
        "signal",
        "broadcast",
        "broadcasts_caught_up",
        "states_changed",
        "room_changed",
        "rooms_changed",
        "peer_waiting",
        "knocking",
        "slow_down",
    }
)
# How long a client that is closed waits for the server to hear that it leaves.
_GOODBYE_SECONDS = 1.0


class Lifecycle(Membership):
    """A client from its first connection to its end."""

    def __init__(
        self,
        address: Address,
        token: Callable[[], Awaitable[str | None]],
        timeout: float,
        *,
        fetches_tokens: bool,
        called: Callable[[], tuple[str, str]],
        tell: Callable[[str, Any], None],
        changes: Changes,
    ) -> None:
        super().__init__(
            url=address.url,
            timeout=timeout,
            fetches_tokens=fetches_tokens,
            called=called,
            tell=tell,
            changes=changes,
        )
        self.is_abandoned = False
        self.keeper = Keeper(address, self._ask_for_token, timeout, self)
        self._token = token
        # Why there is no connection.
        self._trouble: PresenceError | None = None
        # Those who wait for a connection.
        self._callers: set[asyncio.Future[None]] = set()
        self._watched: Body | None = None
        # Whether a connection was asked for that is kept without a room too.
        self._holds = False
        self._closing: asyncio.Future[None] | None = None

    async def connect(self, seconds: float) -> None:
        """Wait until there is a connection, and keep it; raises why there is none."""
        self.refuse_if_closed()
        if self.keeper.link is not None:
            self._holds = True
            return
        caller: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._callers.add(caller)
        self.keeper.need()
        try:
            await asyncio.wait({caller}, timeout=seconds)
            if not caller.done():
                raise self._trouble or errors.unreachable(self._url)
            caller.result()
            self._holds = True
        finally:
            self._callers.discard(caller)
            self.keeper.release()

    async def enter(self) -> Room:
        """Wait until the client is in the room that it wants, or raise why it is not."""
        until = asyncio.get_running_loop().time() + self._timeout
        await self._link_inside(self._wish, until)
        if self.room is None:
            raise errors.not_joined()
        return self.room

    def want_history(self, wants: bool) -> None:
        """Say whether what was kept of broadcasts is to be heard in a room that is joined."""
        self._following.broadcasts.wants_history = wants

    def said(self, answer: Body) -> None:
        """Note the answer to a broadcast of one's own."""
        self._following.broadcasts.said(answer)

    @property
    def states(self) -> States:
        """What is true of the connections in the room just now."""
        return self._following.states

    def take_data(self, body: Body) -> None:
        """Take the room's own data as an answer, or a refusal, tells it."""
        self._following.take_data(body)

    async def watch(self, data: Body) -> Body:
        """Be told of changes from now on, also after a lost connection."""
        until = asyncio.get_running_loop().time() + self._timeout
        while True:
            left = max(until - asyncio.get_running_loop().time(), 0.001)
            await self.connect(left)
            try:
                if (link := self.keeper.link) is None:
                    raise errors.connection_lost("watch")
                answer = await link.request("watch", data, left)
            except PresenceError as error:
                self.refuse_if_closed()
                if error.code != "connection_lost" or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.05)
            else:
                self._watched = data
                return answer

    async def close(self) -> None:
        """End everything; returns when nothing is left of it."""
        if self._closing is None:
            self.is_closed = True
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def abandon(self) -> None:
        """Be closed without a word to anybody: in a child process all of it is the parent's."""
        self.is_closed = self.is_abandoned = True
        self.state = "closed"
        self._following.room = self._wish = None

    def needs_connection(self) -> bool:
        """Tell whether anything is wanted for which a connection is needed."""
        return not self.is_closed and bool(
            self._wish is not None or self._watched is not None or self._callers or self._holds
        )

    async def _ask_for_token(self) -> str | None:
        """Return a token; who waits no longer meanwhile is told what it was that took so long."""
        self._trouble = errors.token_failed("the function that fetches one has not returned")
        if self._wish is not None:
            self._wish.trouble = self._trouble
        token = await self._token()
        self._trouble = errors.unreachable(self._url)
        if self._wish is not None:
            self._wish.trouble = self._trouble
        return token

    def connected(self) -> None:
        """Ask for what is wanted, on a new connection."""
        for caller in self._callers:
            if not caller.done():
                caller.set_result(None)
        if self._watched is not None:
            self._watch_again(self._watched)
        if self._wish is not None:
            self._send_join(self._wish)
        self.changes.happened()

    def disconnected(self, reason: str) -> None:
        """Note that nothing holds any more of what the connection was told."""
        self._forget_requests()
        self._departure = None
        if self._wish is not None:
            self._wish.is_in = False
            self._wish.trouble = errors.unreachable(self._url)
            self._wish.stop_retrying()
        self._following.pause()
        self._tell("disconnected", reason)
        self._settle()

    def not_connected(self, error: PresenceError) -> bool:
        """Note why there is no connection; return whether it is worth another attempt."""
        self._trouble = error
        wish = self._wish
        is_awaited = bool(self._callers) or (wish is not None and wish.is_awaited)
        goes_on = error.passes
        if self._fetches_tokens and error.code in TOKEN_ENDED:
            goes_on = True  # the next one may be fresher
        if error.code == "token_failed" and not is_awaited:
            # Where a token is fetched fails with the network itself, so who was in a room goes on.
            goes_on = True
        if goes_on:
            if error.code != "unreachable":
                self._tell("error", error)
            if wish is not None:
                wish.trouble = error
            return self.needs_connection()
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(error)
        if not is_awaited:
            self._tell("error", error)
        self._watched, self._holds = None, False
        self._give_up(error, error.code)
        self._settle()
        return False

    def heard(self, event: str, body: Body) -> None:
        """Take an event of the connection."""
        if event == "join_room_success":
            self._entered(body)
        elif event == "leave_room_success":
            self._put_out(body)
        elif event in CHANGES:
            if self._wish is not None and self._wish.is_in:
                self._following.change(body)
        elif event == "signal_error":
            # Failures are the acknowledgement's to report; only this one comes after it.
            if body.get("code") == "expired":
                self._tell("signal_expired", body)
        elif event == "join_room_error":
            self._turned_away(body)
        elif event == "grants_changed":
            if self.room is not None and body.get("room_name") == self.room.name:
                self.room.grants = body["grants"]
                self.changes.happened()
                self._tell(event, body)
        elif event in _FORWARDED:
            self._forward(event, body)

    def _forward(self, event: str, body: Body) -> None:
        """Take what an event says of the room, and tell it, unless it was told already."""
        following = self._following
        if event == "room_data_updated":
            following.take_data(body)
        if event == "broadcasts_caught_up":
            following.caught_up(body)
        elif event == "states_changed":
            following.states.take(body, self.keeper.link.sid if self.keeper.link else None)
        elif event != "broadcast" or following.broadcasts.takes(body):
            self._tell(event, body)

    def _watch_again(self, data: Body) -> None:
        def answered(answer: Body | PresenceError) -> None:
            if isinstance(answer, PresenceError) and not answer.passes:
                self._watched = None
                self._tell("error", answer)

        if self.keeper.link is not None:
            self.keeper.link.ask("watch", data, answered)

    async def _close(self) -> None:
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(errors.closed())
        self._give_up(errors.closed(), "closed")
        self._watched = None
        self._settle()
        if self._departure is not None:
            # Closing alone may cut the connection before the goodbye is out, as if it were lost.
            await asyncio.wait({self._departure}, timeout=_GOODBYE_SECONDS)
        await self.keeper.close()
        self._forget_requests()
        self._following.pause()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
