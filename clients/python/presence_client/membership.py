"""The place that a client wants and has: joining it, leaving it, being put out of it.

The server answers the events of a connection in their order. So what is not wanted any more is not
waited for: a ``leave_room`` is sent behind it, and whatever its answer says is ignored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from presence_client import errors
from presence_client.bodies import Body, State, UserData
from presence_client.changes import Changes
from presence_client.errors import TOKEN_ENDED, PresenceError
from presence_client.following import Following
from presence_client.keeper import Keeper, pause
from presence_client.link import Link, check_json
from presence_client.room import Room
from presence_client.wish import Place, Wish


@dataclass(slots=True, eq=False)
class _Request:
    """A ``join_room`` on its way, and for which turn of a wish it was sent."""

    wish: Wish
    turn: int
    # Gives the connection up on which it is not answered.
    timer: asyncio.TimerHandle | None = None


class Membership:
    """What a client wants, the room it is in, and the state that follows from both."""

    # Who holds the connection; set by `Lifecycle`.
    keeper: Keeper

    def __init__(
        self,
        *,
        url: str,
        timeout: float,
        fetches_tokens: bool,
        called: Callable[[], tuple[str, str]],
        tell: Callable[[str, Any], None],
        changes: Changes,
    ) -> None:
        self.state: State = "idle"
        # Whether the states of others are to be heard.
        self.hears_states = False
        # Whether data is told by notices too, not by changes alone.
        self.hears_data_notices = True
        self.is_closed = False
        self.changes = changes
        self._url = url
        self._timeout = timeout
        self._fetches_tokens = fetches_tokens
        self._called = called
        self._tell = tell
        self._following = Following(self.ask, tell, changes.happened)
        self._wish: Wish | None = None
        # The joins of this connection that are not answered yet, the oldest first.
        self._requests: deque[_Request] = deque()
        # The newest leave_room of this connection that is not answered yet.
        self._departure: asyncio.Future[Body | None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def room(self) -> Room | None:
        """The room that the client is or, while it is reconnecting, was in."""
        return self._following.room

    async def join(
        self,
        place: Place,
        username: str | None,
        user_data: UserData | None,
        *,
        password: str | None = None,
        waits_for_place: bool,
        seconds: float | None,
    ) -> Body:
        """Be in a place, and in no other; returns the server's answer, or raises why not.

        In a queue for a full room `seconds` counts only if it is given, and else there is no limit.
        """
        self.refuse_if_closed()
        check_json(
            "join_room", {"username": username, "user_data": user_data, "password": password}
        )
        answer: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        wish = self._wish
        if wish is not None and wish.place == place:
            wish.fail(_superseded())
            wish.renew(username, user_data, waits_for_place, answer)
            wish.password = password or wish.password
        else:
            self._give_up(_superseded(), "left")
            wish = Wish(place, username, user_data, waits_for_place, answer, password=password)
            self._wish = wish
        turn = wish.turn
        self._settle()
        self._send_join(wish)
        self.keeper.need()
        try:
            await asyncio.wait({answer}, timeout=self._timeout if seconds is None else seconds)
            # Who was in the room before waits for it too, but not the call that does not want to.
            if seconds is None and (wish.is_waiting or (wish.is_queued and waits_for_place)):
                await asyncio.wait({answer})
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
        self.refuse_if_closed()
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

    def refuse_if_closed(self) -> None:
        """Raise ``closed`` if the client is."""
        if self.is_closed:
            raise errors.closed()

    def _send_join(self, wish: Wish) -> None:
        link = self.keeper.link
        if link is None:
            return
        wish.stop_retrying()
        if not wish.is_queued:
            # Else it is the full room for which it waits, whether that was asked again or not.
            wish.trouble = errors.unanswered("join_room")
        request = _Request(wish, wish.turn)
        self._requests.append(request)
        loop = asyncio.get_running_loop()
        request.timer = loop.call_later(self._timeout, self.keeper.cut)
        message = wish.message(*self._called())
        if self.hears_states:
            message["states"] = True
        if not self.hears_data_notices:
            message["data_notices"] = False
        link.ask("join_room", message, lambda answer: self._answered(request, answer))

    def _entered(self, body: Body) -> None:
        """Take the room's list; it is the answer to the oldest join that has none yet."""
        wish, turn = self._wish, None
        if self._requests:
            wish, turn = self._requests[0].wish, self._requests[0].turn
        elif wish is not None and wish.is_waiting:
            turn = wish.turn  # admitted, which nothing of ours asked for just now
        if wish is None or turn is None or wish is not self._wish:
            return
        wish.is_in = True
        lost = self._following.enter(body)
        self._settle()
        if turn == wish.turn:
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
        wish.is_waiting = error.code == "waiting"
        if wish.is_waiting:
            self._tell("waiting", error.body)
            self.changes.happened()
            return
        passes = error.passes or (self._fetches_tokens and error.code in TOKEN_ENDED)
        if error.code == "room_full":
            passes = wish.waits_for_place or self.room is not None
            wish.is_queued = passes
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

    def _turned_away(self, body: Body) -> None:
        """Hear that one who waits is not admitted; other refusals come with their answers."""
        wish = self._wish
        if wish is not None and wish.is_waiting and body.get("code") != "waiting":
            self._refused(wish, PresenceError.of(body))

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

        if wish is not None:
            await self.changes.until(
                lambda: self.is_closed or self._wish is not wish or link(), until
            )
        self.refuse_if_closed()
        if wish is None or self._wish is not wish:
            raise errors.not_joined()
        if (found := link()) is None:
            raise wish.trouble or errors.unreachable(self._url)
        return found

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
        is_asked = any(request.wish is wish for request in self._requests)
        asked = wish.is_in or wish.is_waiting or is_asked
        wish.is_in = wish.is_waiting = False
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
