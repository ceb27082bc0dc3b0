"""The life of a client: what it wants, where it is, and what follows from what happens.

A client is in one of five states, which follow from three facts: what it wants (`Wish`), the room
it has told of (`Room`), and whether this connection is in that room as far as the server has said.

    idle          wants no room
    connecting    wants one, and has not been let in yet
    joined        is in it
    reconnecting  was in it; the connection, or the place, is lost and on its way back
    closed        for good

All of it happens in one event loop, and between two ``await`` nothing else does. The server answers
the events of a connection in their order. So what is not wanted any more is not waited for: a
``leave_room`` is sent behind it, and whatever its answer says is ignored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from presence_client import errors
from presence_client.address import Address
from presence_client.bodies import Body, State, UserData
from presence_client.changes import Changes
from presence_client.errors import PresenceError
from presence_client.following import CHANGES, Following
from presence_client.keeper import Keeper, pause
from presence_client.link import Link, check_json
from presence_client.room import Room
from presence_client.wish import Place, Wish

_FORWARDED = frozenset(
    {
        "user_data_updated",
        "file_uploaded",
        "file_deleted",
        "signal",
        "broadcast",
        "room_changed",
        "rooms_changed",
        "slow_down",
    }
)
# A function that fetches tokens may give a better one the next time.
_OF_TOKENS = frozenset({"token_failed", "token_expired"})
# How long a client that is closed waits for the server to hear that it leaves.
_GOODBYE_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Request:
    """A ``join_room`` on its way, and for which turn of a wish it was sent."""

    wish: Wish
    turn: int
    # Gives the connection up on which it is not answered.
    timer: asyncio.TimerHandle | None = None


class Lifecycle:
    """One client's state, the wish behind it, and the room it is in."""

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
        self.state: State = "idle"
        self.is_closed = False
        self.is_abandoned = False
        self.changes = changes
        self.keeper = Keeper(address, token, timeout, self)
        self._url = address.url
        self._timeout = timeout
        self._fetches_tokens = fetches_tokens
        self._called = called
        self._tell = tell
        self._following = Following(self.ask, tell)
        self._wish: Wish | None = None
        # The joins of this connection that are not answered yet, the oldest first.
        self._requests: deque[_Request] = deque()
        # The newest leave_room of this connection that is not answered yet.
        self._departure: asyncio.Future[Body | None] | None = None
        # Those who wait for a connection.
        self._callers: set[asyncio.Future[None]] = set()
        self._watched: Body | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Future[None] | None = None

    @property
    def room(self) -> Room | None:
        """The room that the client is or, while it is reconnecting, was in."""
        return self._following.room

    # What a program calls

    async def connect(self, seconds: float) -> None:
        """Wait until there is a connection; raises why there is none."""
        self.refuse_if_closed()
        if self.keeper.link is not None:
            return
        caller: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._callers.add(caller)
        self.keeper.need()
        try:
            await asyncio.wait({caller}, timeout=seconds)
            if not caller.done():
                raise errors.unreachable(self._url)
            caller.result()
        finally:
            self._callers.discard(caller)
            self.keeper.release()

    async def join(
        self,
        place: Place,
        username: str | None,
        user_data: UserData | None,
        *,
        waits_for_place: bool,
        seconds: float,
    ) -> Body:
        """Be in a place, and in no other; returns the server's answer, or raises why not."""
        self.refuse_if_closed()
        check_json("join_room", {"username": username, "user_data": user_data})
        answer: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        wish = self._wish
        if wish is not None and wish.place == place:
            wish.fail(_superseded())
            wish.renew(username, user_data, waits_for_place, answer)
        else:
            self._give_up(_superseded(), "another_room")
            wish = Wish(place, username, user_data, waits_for_place, answer)
            self._wish = wish
        turn = wish.turn
        self._settle()
        self._send_join(wish)
        self.keeper.need()
        try:
            await asyncio.wait({answer}, timeout=seconds)
        except asyncio.CancelledError:
            self._withdraw(
                wish, turn, PresenceError("cancelled", "The call of join was cancelled.")
            )
            raise
        if not answer.done():
            error = wish.trouble or errors.unreachable(self._url)
            self._withdraw(wish, turn, error)
            raise error
        return answer.result()

    async def leave(self) -> Body | None:
        """Be in no room; returns how the last one was left, or None if there was none."""
        if self.is_closed:
            return None
        left = self._give_up(
            PresenceError("left", "The join was withdrawn: leave() was called before its answer."),
            "left",
        )
        self._settle()
        self.keeper.release()
        departure = self._departure
        if departure is not None:
            await asyncio.wait({departure}, timeout=self._timeout)
            if not departure.done():
                self.keeper.cut()
            elif left is not None:
                left = departure.result() or left
        # A connection that was given up is in the room until it is closed.
        await self.keeper.hung_up()
        return left

    async def ask(self, event: str, data: Body, *, repeatable: bool = False) -> Body:
        """Send an event from within the room, once that can be, and return the server's answer.

        What may arrive twice is sent again if the connection was lost before the answer came.
        """
        wish = self._wish
        until = asyncio.get_running_loop().time() + self._timeout
        while True:
            link = await self._link_inside(wish, until)
            left = max(until - asyncio.get_running_loop().time(), 0.001)
            try:
                return await link.request(event, data, left)
            except PresenceError as error:
                self.refuse_if_closed()
                if error.code != "connection_lost" or not repeatable:
                    raise

    async def enter(self) -> Room:
        """Wait until the client is in the room that it wants, or raise why it is not."""
        until = asyncio.get_running_loop().time() + self._timeout
        await self._link_inside(self._wish, until)
        if self.room is None:
            raise errors.not_joined()
        return self.room

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

    # What the keeper asks and tells

    def needs_connection(self) -> bool:
        """Tell whether anything is wanted for which a connection is needed."""
        return not self.is_closed and bool(
            self._wish is not None or self._watched is not None or self._callers
        )

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
        wish = self._wish
        is_awaited = bool(self._callers) or (wish is not None and wish.is_awaited)
        # Where a token is fetched fails with the network itself, so who was in a room goes on.
        goes_on = error.passes or (
            self._fetches_tokens and error.code in _OF_TOKENS and not is_awaited
        )
        if goes_on:
            if error.code != "unreachable":
                self._tell("error", error)
            if wish is not None:
                wish.trouble = error
            return self.needs_connection()
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(error)
        if self._watched is not None or (wish is not None and self.room is not None):
            self._tell("error", error)
        self._watched = None
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
                self.changes.happened()
        elif event == "signal_error":
            # Failures are the acknowledgement's to report; only this one comes after it.
            if body.get("code") == "expired":
                self._tell("signal_expired", body)
        elif event in _FORWARDED:
            self._tell(event, body)

    # Joining

    def _send_join(self, wish: Wish) -> None:
        link = self.keeper.link
        if link is None:
            return
        wish.stop_retrying()
        wish.trouble = errors.unanswered("join_room")
        request = _Request(wish, wish.turn)
        self._requests.append(request)
        loop = asyncio.get_running_loop()
        request.timer = loop.call_later(self._timeout, self.keeper.cut)
        message = wish.message(*self._called())
        link.ask("join_room", message, lambda answer: self._answered(request, answer))

    def _entered(self, body: Body) -> None:
        """Take the room's list; it is the answer to the oldest join that has none yet."""
        if not self._requests or (wish := self._requests[0].wish) is not self._wish:
            return
        wish.is_in = True
        lost = self._following.enter(body)
        self._settle()
        if self._requests[0].turn == wish.turn:
            wish.succeed({"ok": True, **body})
        if lost is not None:
            self._start(self._put_back, lost)

    async def _put_back(self, user_data: UserData) -> None:
        """Give the server our user data again, which it has lost with its database."""
        try:
            await self.ask("update_user_data", {"user_data": user_data}, repeatable=True)
        except PresenceError as error:
            self._tell("error", error)

    def _answered(self, request: _Request, answer: Body | PresenceError) -> None:
        if request.timer is not None:
            request.timer.cancel()
        if request in self._requests:
            self._requests.remove(request)
        wish = request.wish
        if wish is not self._wish or request.turn != wish.turn:
            return
        if isinstance(answer, PresenceError) and answer.code != "connection_lost":
            # A lost one is sent again by itself, on the next connection.
            self._refused(wish, answer)

    def _refused(self, wish: Wish, error: PresenceError) -> None:
        """Try again what passes for as long as somebody wants it, and give up the rest."""
        wish.trouble = error
        passes = error.passes or (self._fetches_tokens and error.code == "token_expired")
        if error.code == "room_full" and self.room is None and not wish.waits_for_place:
            passes = False
        if passes and (self.room is None or not wish.is_in or wish.is_awaited):
            self._tell("error", error)
            wait = pause(wish.refusals, error.retry_after)
            wish.refusals += 1
            loop = asyncio.get_running_loop()
            wish.retry = loop.call_later(wait, self._send_join, wish)
        elif wish.is_in:
            # Only the renewal is refused; the place stays.
            wish.fail(error)
            wish.take_back()
        else:
            if self.room is not None:
                self._tell("error", error)
            self._give_up(error, error.code)
            self._settle()
            self.keeper.release()

    def _withdraw(self, wish: Wish, turn: int, error: PresenceError) -> None:
        """Take a join back that nobody waits for any more; a place that one had stays."""
        if wish is not self._wish or turn != wish.turn:
            return
        if self.room is not None and turn > 0:
            wish.take_back()
            wish.answer = None
        else:
            self._give_up(error, error.code)
        self._settle()
        self.keeper.release()

    async def _link_inside(self, wish: Wish | None, until: float) -> Link:
        """Return the connection that is in a wish's room, once there is one."""

        def link() -> Link | None:
            return self.keeper.link if self.state == "joined" else None

        await self.changes.until(lambda: self.is_closed or self._wish is not wish or link(), until)
        self.refuse_if_closed()
        if wish is None or self._wish is not wish:
            raise errors.not_joined()
        if (found := link()) is None:
            raise wish.trouble or errors.unreachable(self._url)
        return found

    # Leaving

    def _give_up(self, error: PresenceError, reason: str) -> Body | None:
        """Want no room any more: the join under way raises, the room is left, and told so."""
        wish, self._wish = self._wish, None
        if wish is None:
            return None
        wish.fail(error)
        self._take_back(wish)
        return self._following.leave({"reason": reason})

    def _take_back(self, wish: Wish) -> None:
        """Ask for something no more, and have the server take back what it has made of it."""
        wish.stop_retrying()
        link = self.keeper.link
        asked = wish.is_in or any(request.wish is wish for request in self._requests)
        wish.is_in = False
        if link is None or not asked:
            return
        departure = asyncio.get_running_loop().create_future()
        self._departure = departure

        def answered(answer: Body | PresenceError) -> None:
            if self._departure is departure:
                self._departure = None
            if not departure.done():
                departure.set_result(None if isinstance(answer, PresenceError) else answer)

        link.ask("leave_room", {}, answered)

    def _put_out(self, body: Body) -> None:
        """Hear that somebody else ended our presence; what we ended ourselves is told already."""
        wish = self._wish
        if wish is None or not wish.is_in or body.get("reason") == "left":
            return
        wish.is_in = False
        if not wish.is_awaited:
            self._wish = None
            self._take_back(wish)
        self._following.leave(body)
        self._settle()

    # The rest

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

    def _start(
        self, work: Callable[..., Coroutine[Any, Any, None]], *of: Any
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work(*of))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _forget_requests(self) -> None:
        for request in self._requests:
            if request.timer is not None:
                request.timer.cancel()
        self._requests.clear()

    def refuse_if_closed(self) -> None:
        """Raise ``closed`` if the client is."""
        if self.is_closed:
            raise errors.closed()

    def _settle(self) -> None:
        """Work out the state, and tell of it if it is another."""
        if self.is_closed:
            state: State = "closed"
        elif self._wish is None:
            state = "idle"
        elif self.room is None:
            state = "connecting"
        else:
            state = "joined" if self._wish.is_in else "reconnecting"
        if state != self.state:
            self.state = state
            self._tell("state", state)
        self.changes.happened()


def _superseded() -> PresenceError:
    return PresenceError("superseded", "The join was withdrawn: another one was asked for.")
