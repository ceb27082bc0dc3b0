"""The bodies of signalling: signals, broadcasts and ICE servers, as answers and as events."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from presence.transport.wire.response_fields import (
    Answer,
    Instant,
    Json,
    PeerId,
    RoomName,
    Sid,
    Success,
)


class IceServer(Answer):
    """One entry of `iceServers`, as browsers take it."""

    urls: Annotated[list[str], Field(examples=[["turn:turn.example.org:3478"]])]
    username: Annotated[str, Field(examples=["1777890600:ada"])] = ""
    """Of TURN servers: when the credential ends, and for whom it is."""
    credential: Annotated[str, Field(examples=["n6fJ…="])] = ""
    """Of TURN servers."""


class IceConfiguration(Answer):
    """What `new RTCPeerConnection()` takes."""

    iceServers: list[IceServer]  # noqa: N815 – the name is the browsers'
    ttl: Annotated[int | None, Field(examples=[3600])]
    """How many seconds the TURN credentials are good for; null when there are none."""


class _Stamp(Answer):
    """Who sends: never what the sender says, but what the server knows."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[str | None, Field(alias="from", examples=["ada"])]
    """The peer_id of the sender; null for what a backend says over REST."""
    from_session: Sid | None
    """The sender's connection, to answer it and no other: `to_session`; null for a backend."""
    from_server: Literal[True] = True
    """Only of what a backend says over REST, in the server's name."""
    name: Annotated[str | None, Field(examples=["Order desk"])] = None
    """Only then: which part of the backend says it, where it says so."""
    room_name: RoomName


class SignalReceived(_Stamp):
    """A signal from another peer of the room."""

    type: Annotated[str | None, Field(examples=["offer"])]
    data: Json


class BroadcastReceived(_Stamp):
    """An application's message from another peer of the room."""

    event: Annotated[str, Field(examples=["chat"])]
    data: Annotated[Any, Field(description="Any JSON.", examples=[{"text": "hello"}])]
    id: Annotated[int, Field(examples=[17])] = 0
    """Only of one that is kept: rises by one with each in the room."""
    sent_at: Annotated[Instant, Field()] = ""
    """Only of one that is kept: when it was said."""
    replayed: Literal[True] = True
    """Only of one that is told to somebody who had missed it."""


class CaughtUp(Answer):
    """Up to where what was missed of kept broadcasts has been told."""

    model_config = ConfigDict(populate_by_name=True)

    room_name: RoomName
    since: Annotated[int, Field(examples=[12])]
    """What was asked for: the last that the client had heard."""
    last: Annotated[int, Field(examples=[17])]
    """The last that it has heard now."""
    complete: Annotated[bool, Field(examples=[True])]
    """Whether nothing is missing: what was asked for is not longer ago than is kept."""
    from_: Annotated[int, Field(alias="from", examples=[13])]
    """From where on nothing is missing."""
    more: Annotated[bool, Field(examples=[False])]
    """Whether there is more, for which to `sync` with `since_broadcast` set to `last`."""


class ConnectionState(Answer):
    """What is true of a connection just now."""

    peer_id: PeerId
    session: Sid
    state: Annotated[dict[str, Any] | None, Field(examples=[{"cursor": [12, 80], "idle": False}])]
    """What it said last; null: nothing any more, and so when it is gone."""


class StatesChanged(Answer):
    """What is another state than before, for those who joined with `states`."""

    room_name: RoomName
    states: list[ConnectionState]


class SignalAddress(Answer):
    """What an answer repeats, so that its reader knows which signal it is about."""

    to: Annotated[str, Field(examples=["grace"])] = ""
    type: Annotated[str | None, Field(examples=["offer"])] = None
    to_session: Annotated[str | None, Field(examples=["WvK2rYjSxVNvEr3PAAAB"])] = None
    signal_id: Annotated[str, Field(examples=["1"])] = ""
    """Of a signal that was held, and expired."""


class SignalAnswered(Answer):
    """What became of a signal."""

    to: Annotated[str, Field(examples=["grace"])]
    type: Annotated[str | None, Field(examples=["offer"])]
    status: Annotated[Literal["delivered", "held"], Field(examples=["delivered"])]
    to_session: Annotated[str | None, Field(examples=["WvK2rYjSxVNvEr3PAAAB"])] = None
    """The connection that got it."""
    signal_id: Annotated[str, Field(examples=["1"])] = ""
    """Of a held one; an error `expired` repeats it."""
    expires_in: Annotated[float, Field(examples=[10.0])] = 0.0
    """Of a held one: for how many seconds it waits."""


class BroadcastAnswered(Answer):
    """A message that was sent to the others."""

    status: Annotated[Literal["delivered", "partial"], Field(examples=["delivered"])]
    """`partial`: the server's other processes cannot be reached, so only those here got it."""
    event: Annotated[str, Field(examples=["chat"])]
    id: Annotated[int, Field(examples=[17])] = 0
    """Of one that is kept, as those hear it who get it."""


class SignalPublished(SignalAnswered):
    """What became of a signal in the server's name."""

    success: Success


class Addressed(Answer):
    """What became of a message for one of several peers."""

    peer_id: PeerId
    status: Annotated[Literal["delivered", "inactive", "unknown"], Field(examples=["delivered"])]
    """`inactive`: it has no connection now; `unknown`: the room does not know it."""


class BroadcastPublished(BroadcastAnswered):
    """A message that was sent in the server's name."""

    success: Success
    room_name: RoomName
    to: tuple[Addressed, ...] = ()
    """What became of it for each, where the message said who gets it."""
