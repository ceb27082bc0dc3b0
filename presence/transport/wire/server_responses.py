"""The bodies of the server itself: its health, its documents, and what it tells a connection."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from presence.transport.wire.response_fields import (
    Answer,
    Instant,
    Json,
    PeerId,
    RoomData,
    RoomName,
    Success,
    UserData,
    Username,
    Version,
)


class Farewell(Answer):
    """The server is about to stop."""

    detail: Annotated[
        str, Field(examples=["The server is shutting down. Connect again in a few seconds."])
    ]


class Alive(Answer):
    """The process is alive."""

    status: Literal["alive"]
    version: Annotated[str, Field(examples=["0.1.0"])]
    """The version of the server, and of the clients that it hands out."""


class Ready(Answer):
    """The server can serve."""

    status: Literal["ready"]
    checks: Annotated[list[str], Field(examples=[["shutdown", "database", "uploads", "disk"]])]
    """What was looked at."""


class SlowDown(Answer):
    """A connection sends too fast."""

    code: Annotated[
        Literal["too_many_events", "flooding"],
        Field(
            description="`flooding` says that the connection is being closed.",
            examples=["too_many_events"],
        ),
    ]
    detail: Annotated[str, Field(examples=["Pause for 1 s and go on more slowly."])]
    limit: Annotated[
        float, Field(description="Messages a second, in the long run.", examples=[100.0])
    ]
    retry_after: Annotated[
        int | None, Field(description="For how many seconds to pause.", examples=[1])
    ] = None


class Document(RootModel[dict[str, Any]]):
    """A description of the API, as JSON."""


class Happened(Answer):
    """Something that happened in a room, as backends are told it."""

    id: Annotated[str, Field(examples=["ev_0f3c9a81d2a4e95b6c7d8e9f"])]
    """Its own, the same however often it is told."""
    at: Instant
    room_name: RoomName
    version: Version


class RoomMadeEvent(Happened):
    """A room was made."""

    type: Literal["room_made"]
    max_peers: Annotated[int, Field(examples=[100])]


class RoomEmptiedEvent(Happened):
    """Nobody is active in a room any more."""

    type: Literal["room_emptied"]


class RoomRemovedEvent(Happened):
    """A room is no more, with all that was in it."""

    type: Literal["room_removed"]
    reason: Annotated[Literal["removed", "empty"], Field(examples=["removed"])]
    """An admin removed it, or it was without any peer for too long."""


class OfPeer(Happened):
    """Something that a peer did, or that was done to it."""

    peer_id: PeerId
    erased: Literal[True] | None = None
    """True where the peer was erased since: the keys below are missing then."""
    username: Username = ""


class PeerJoinedEvent(OfPeer):
    """A peer became active."""

    type: Literal["peer_joined"]
    user_data: Annotated[UserData, Field(default_factory=dict)]


class PeerLeftEvent(OfPeer):
    """A peer is not active any more, or was erased."""

    type: Literal["peer_left"]
    reason: Annotated[
        Literal["left", "lost", "expired", "kicked", "banned", "closed", "erased"] | None,
        Field(examples=["left"]),
    ] = None
    is_active: Literal[False] = False


class PeerUpdatedEvent(OfPeer):
    """A peer has other user data, or another name."""

    type: Literal["peer_updated"]
    user_data: Annotated[UserData, Field(default_factory=dict)]
    changed: Annotated[list[str], Field(default_factory=list, examples=[["hand"]])]
    """The keys of user_data that changed."""


class FileEvent(OfPeer):
    """A peer got or lost a file."""

    type: Annotated[Literal["file_uploaded", "file_deleted"], Field(examples=["file_uploaded"])]
    filename: Annotated[str, Field(examples=["0f3c9a.txt"])] = ""
    original_filename: Annotated[str, Field(examples=["agenda.txt"])] = ""
    file_path: Annotated[str, Field(examples=["uploads/0f3c9a.txt"])] = ""
    file_url: Annotated[str, Field(examples=["/uploads/0f3c9a.txt"])] = ""
    """Signed where the server is locked, and then good for a while from when it is told."""
    file_size: Annotated[int, Field(examples=[1024])] = 0
    content_type: Annotated[str, Field(examples=["text/plain; charset=utf-8"])] = ""


class PeerWantedEvent(OfPeer):
    """A signal was for a peer that is away; told once in ten seconds for each who wants it."""

    type: Literal["peer_wanted"]
    sender: Annotated[PeerId, Field(alias="from", examples=["bob"])] = ""
    signal_type: Annotated[str | None, Field(examples=["offer"])] = None


class BroadcastSentEvent(OfPeer):
    """A peer, or a backend, has sent an application's message to a room."""

    type: Literal["broadcast_sent"]
    peer_id: PeerId = ""
    """Missing where a backend sent it in the server's name."""
    from_server: Literal[True] | None = None
    """True where a backend sent it; `username` is the name that it gave then."""
    event: Annotated[str, Field(examples=["reaction"])] = ""
    data: Json = None


class RoomUpdatedEvent(OfPeer):
    """A room has other data."""

    type: Literal["room_updated"]
    peer_id: PeerId = ""
    """Who changed it; missing where a backend did."""
    room_data: Annotated[RoomData, Field(default_factory=dict)]
    changed: Annotated[list[str], Field(default_factory=list, examples=[["slide"]])]
    """The keys that changed."""


HAPPENED = {
    "room_made": RoomMadeEvent,
    "room_emptied": RoomEmptiedEvent,
    "room_removed": RoomRemovedEvent,
    "room_updated": RoomUpdatedEvent,
    "peer_joined": PeerJoinedEvent,
    "peer_left": PeerLeftEvent,
    "peer_updated": PeerUpdatedEvent,
    "file_uploaded": FileEvent,
    "file_deleted": FileEvent,
    "peer_wanted": PeerWantedEvent,
    "broadcast_sent": BroadcastSentEvent,
}
AnyHappened = (
    RoomMadeEvent
    | RoomEmptiedEvent
    | RoomRemovedEvent
    | RoomUpdatedEvent
    | PeerJoinedEvent
    | PeerLeftEvent
    | PeerUpdatedEvent
    | FileEvent
    | PeerWantedEvent
    | BroadcastSentEvent
)


class WebhookRequest(Answer):
    """What a webhook gets: events in the order of each room, 100 at most."""

    events: list[AnyHappened]


class Events(Answer):
    """What happened, the oldest first."""

    events: list[AnyHappened]
    cursor: Annotated[str, Field(examples=["c1-1f"])]
    """What to give as `after` the next time, also where there are no events."""
    more: Annotated[bool, Field(examples=[False])]
    """Whether there are further events now."""


class BatchItemAnswer(Answer):
    """What one of the changes was answered with."""

    status: Annotated[int, Field(ge=200, le=599, examples=[200])]
    """The status that it would have had alone."""
    body: Annotated[dict[str, Any], Field(examples=[{"success": True}])]
    """The body that it would have had alone."""


class BatchAnswer(Answer):
    """The answers to the changes of a batch, in their order."""

    success: Success
    responses: list[BatchItemAnswer]
