"""What a client wants: to be one peer of one room, and the calls that wait for it."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import dataclass, field

from presence_client.bodies import Body, UserData
from presence_client.errors import PresenceError


@dataclass(frozen=True, slots=True)
class Place:
    """A peer of a room, by the names that the server will make of those that were given.

    ``peer_id`` is None as long as only a token that is still to be fetched knows it.
    """

    room_name: str
    peer_id: str | None

    @classmethod
    def of(cls, room_name: str, peer_id: str | None) -> Place:
        """Return a place; the server normalises names to Unicode NFC.

        Raises `PresenceError` (``invalid_field``) for what is no text.
        """
        if not isinstance(room_name, str) or not isinstance(peer_id, str | None):
            raise PresenceError("invalid_field", "The room_name and the peer_id must be texts.")
        return cls(
            unicodedata.normalize("NFC", room_name),
            None if peer_id is None else unicodedata.normalize("NFC", peer_id),
        )


@dataclass(slots=True, eq=False)
class Wish:
    """To be in a place, until it is given up; joining the same place again renews it."""

    place: Place
    # None: as the token, or else the peer_id, says.
    username: str | None
    # What the next join brings along; None once the server has it, which keeps it.
    user_data: UserData | None
    waits_for_place: bool
    answer: asyncio.Future[Body] | None
    # Shown with every join, where the room asks for one.
    password: str | None = field(default=None, repr=False)
    # Raised by every renewal, so that an answer is known to be one to the newest.
    turn: int = 0
    # The name under which the server has taken us last.
    taken_as: str | None = None
    # Whether this connection is in the place, as far as the server has said.
    is_in: bool = False
    # Whether it waits for a place in a full room.
    is_queued: bool = False
    # Whether it waits to be admitted to a room with a lobby.
    is_waiting: bool = False
    # Why it is not fulfilled yet.
    trouble: PresenceError | None = None
    # How often it was refused in a row.
    refusals: int = 0
    retry: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def is_awaited(self) -> bool:
        """Whether a call of join() waits for it."""
        return self.answer is not None and not self.answer.done()

    def renew(
        self,
        username: str | None,
        user_data: UserData | None,
        waits_for_place: bool,
        answer: asyncio.Future[Body],
    ) -> None:
        """Want the same once more, with other data."""
        self.username, self.user_data = username, user_data
        self.answer, self.waits_for_place = answer, waits_for_place
        self.turn += 1
        self.refusals = 0
        self.is_queued = self.is_waiting = False
        self.stop_retrying()

    def succeed(self, body: Body) -> None:
        """Note that the server has taken it, and let the call that waits return."""
        self.taken_as = self.username
        self.user_data = self.trouble = None
        self.refusals = 0
        self.is_queued = self.is_waiting = False
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(body)

    def fail(self, error: PresenceError) -> None:
        """Let the call that waits raise."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # it may be that nobody is left to look at it

    def take_back(self) -> None:
        """Want what was had before the renewal that failed."""
        self.username = self.taken_as or self.username
        self.user_data = self.trouble = None
        self.stop_retrying()

    def stop_retrying(self) -> None:
        """Forget the next attempt, if one is planned."""
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None

    def message(self, peer_id: str, username: str) -> Body:
        """Return what asks the server for it, with what the client is called otherwise."""
        self.place = Place.of(self.place.room_name, self.place.peer_id or peer_id)
        return {
            "room_name": self.place.room_name,
            "peer_id": self.place.peer_id,
            "username": self.username or username,
            "user_data": self.user_data or {},
            "updates": "delta",
            **({} if self.password is None else {"password": self.password}),
        }
