"""What must be so of one client, whatever was called in whatever order."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from presence_client import PresenceError

from .kinds import Driven
from .line import Line

# Which states may follow which.
FOLLOWING = {
    "idle": {"connecting", "closed"},
    "connecting": {"joined", "idle", "closed"},
    "joined": {"reconnecting", "connecting", "idle", "closed"},
    "reconnecting": {"joined", "connecting", "idle", "closed"},
    "closed": set(),
}
# What is to be seen by a call that ends with one of these codes, besides trouble on the line.
CAUSES = {
    "superseded": "join",
    "left": "leave",
    "closed": "close",
    "banned": "ban",
    "room_closed": "close_room",
    "token_failed": "tokens",
    "room_full": "crowd",
}
OF_TROUBLE = {"timeout", "unreachable", "connection_lost", "shutting_down", "token_expired"}


class Tokens:
    """Fetches tokens for a client, and fails where it is told to; counts how often it is asked."""

    def __init__(self, fetch: Any) -> None:
        self.fails = False
        self.asked = 0
        self._fetch = fetch

    def __call__(self) -> str:
        self.asked += 1
        if self.fails:
            raise OSError("no tokens today")
        return str(self._fetch())


@dataclass
class Call:
    """A call that was begun, and what happened since that may explain how it ends."""

    name: str
    room: str
    future: Future[Any]
    seen: set[str]
    # Whether it joins the room where the client was already, so that it may stay there.
    renews: bool = False
    waits: bool = False

    @property
    def error(self) -> PresenceError | None:
        """What it raised, if it has ended so."""
        error = self.future.exception(0)
        assert error is None or isinstance(error, PresenceError), (self, error)
        return error

    def check(self) -> None:
        """Hold its end against what happened while it was under way."""
        if (error := self.error) is None:
            return
        cause = CAUSES.get(error.code)
        is_true = cause in self.seen if cause else False
        if error.code in OF_TROUBLE:
            is_true = "trouble" in self.seen
        elif error.code in ("not_joined", "inactive", "unknown_peer"):
            is_true = self.name != "join"
        assert is_true, f"{self.name} raised {error.code} ({error}), but only {self.seen} happened"


@dataclass
class Player:
    """A client of a history, and the calls that were made on it."""

    driven: Driven
    peer_id: str
    line: Line
    tokens: Tokens
    calls: list[Call] = field(default_factory=list)
    # What may have ended its stay since the last join was begun.
    since_join: set[str] = field(default_factory=set)
    heard: list[tuple[str, Any]] = field(default_factory=list)
    # What is the case as long as it is.
    current: set[str] = field(default_factory=set)

    def begin(self, name: str, *args: Any, room: str = "", **options: Any) -> None:
        """Begin a call; it is seen by those that are under way."""
        self.happens(name)
        renews = name == "join" and self.last_wish == room
        if name == "join":
            self.since_join = set(self.current)
        call = Call(
            name,
            room,
            self.driven.start(name, *args, **options),
            set(self.current),
            renews,
            options.get("wait_for_place", False),
        )
        self.calls.append(call)

    def happens(self, what: str, *, lasts: bool = False) -> None:
        """Note something that may explain how calls end."""
        for call in self.pending:
            call.seen.add(what)
        self.since_join.add(what)
        if lasts:
            self.current.add(what)

    @property
    def pending(self) -> list[Call]:
        """The calls that have not ended."""
        return [call for call in self.calls if not call.future.done()]

    @property
    def last_wish(self) -> str:
        """The room of the newest join, or nothing if it was left since."""
        wishes = [call for call in self.calls if call.name in ("join", "leave", "close")]
        return wishes[-1].room if wishes else ""

    @property
    def newest(self) -> Call | None:
        """The newest call that says where the client should be."""
        wishes = [call for call in self.calls if call.name in ("join", "leave", "close")]
        return wishes[-1] if wishes else None

    def check(self) -> None:
        """Hold state, room and calls against each other, at a moment in which nothing happens."""
        for call in self.calls:
            if call.future.done():
                call.check()
        newest, state = self.newest, self.driven.state
        room = self.driven.client.room_name
        assert (room is not None) == (state in ("joined", "reconnecting")), (state, room)
        if newest is None or newest.name == "leave":
            assert state == "idle", state
        elif newest.name == "close":
            assert state == "closed", state
        elif not newest.future.done():
            assert newest.waits, newest
            assert state in ("connecting", "reconnecting"), state
        elif newest.error is None or newest.renews:
            put_out = {"kick", "ban", "close_room"} & self.since_join
            # A join that is refused in the room where one is leaves one there.
            assert state in ("joined", "reconnecting") or (
                state == "idle" and (put_out or newest.error is not None)
            ), (state, newest, self.since_join)
            assert room in (newest.room, None)
        else:
            assert state == "idle", (state, newest)

    def replay(self) -> None:
        """Hold what was told against itself, and against what the client says."""
        state, place, active, is_lost = "idle", None, set[str](), False
        for event, value in list(self.heard):
            assert not is_lost or (event, value) == ("state", "reconnecting"), (event, value)
            is_lost = event == "disconnected" and state == "joined"
            if event == "state":
                assert value in FOLLOWING[state], f"{state} → {value}"
                state = value
            elif event == "joined":
                assert value["rejoined"] == (place is not None), value
                assert place in (None, value["room_name"]), (place, value)
                place = value["room_name"]
            elif event == "left":
                assert value["room_name"] == place, (place, value)
                place = None
            elif event == "peer_joined":
                assert value["peer_id"] not in active, value
                active.add(value["peer_id"])
            elif event == "peer_left":
                assert value["peer_id"] in active, value
                active.remove(value["peer_id"])
        assert (state, place) == (self.driven.state, self.driven.client.room_name)
        assert active == set(self.driven.active), (active, self.driven.active)
