"""What clients get, as models: every body of an answer and of an event from the server.

`wire` makes the bodies themselves, as plain dictionaries, because lists are made all the time; the
tests hold them against these models, key by key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

RoomName = Annotated[str, Field(description="The name of the room.", examples=["studio"])]
PeerId = Annotated[str, Field(description="Who it is, unique within the room.", examples=["ada"])]
Username = Annotated[str, Field(description="The name people see.", examples=["Ada"])]
UserData = Annotated[
    dict[str, Any],
    Field(
        description="What the application keeps of the peer: any keys and values.",
        examples=[{"role": "host", "hand": "raised"}],
    ),
]
Version = Annotated[
    int,
    Field(
        description="The room's version, raised by one with every change of what it shows.",
        examples=[17],
    ),
]
Instant = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-05-04T10:30:00.000Z"])
]
Count = Annotated[int, Field(ge=0)]
Sid = Annotated[str, Field(examples=["WvK2rYjSxVNvEr3PAAAB"])]
Success = Annotated[Literal[True], Field(description="Always true.")]
Json = Annotated[Any, Field(description="Any JSON.", examples=[{"sdp": "v=0 …", "type": "offer"}])]


def _leave_out_defaults(schema: dict[str, Any]) -> None:
    """A key that an answer may lack has no default that a client could go by."""
    for part in schema.get("properties", {}).values():
        part.pop("default", None)


class Answer(BaseModel):
    """Base of every body that the server sends; a field with a default may be missing."""

    # Only descriptions ask for them, so none is built before.
    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra=_leave_out_defaults, defer_build=True
    )


class Peer(Answer):
    """Somebody who is or was in a room."""

    peer_id: PeerId
    username: Username
    joined_at: Instant
    """When it first joined; never changes."""
    is_active: Annotated[bool, Field(examples=[True])]
    """Whether it is here now."""
    last_seen: Instant
    """The last thing it did, or the loss of its last connection."""
    user_data: UserData
    uploaded_files: Annotated[list[str], Field(examples=[["uploads/0f3c9a.txt"]])]
    """Its files, oldest first, relative to the server's root."""
    session_count: Annotated[Count, Field(examples=[1])]
    """How many connections, and REST joins, keep it active."""


class ErasedPeer(Answer):
    """A peer that was erased, in a list of changes."""

    peer_id: PeerId
    erased: Literal[True]


class Room(Answer):
    """A room with its peers, who are ordered by `joined_at`, then `peer_id`."""

    name: RoomName
    active_peer_count: Annotated[Count, Field(examples=[1])]
    total_peer_count: Annotated[Count, Field(examples=[1])]
    max_peers: Annotated[int, Field(examples=[100])]
    """How many active peers it holds; fixed when the room is made."""
    created_at: Instant
    version: Version
    peers: list[Peer]


class Rooms(RootModel[dict[str, Room]]):
    """Every room, by its name."""

    model_config = ConfigDict(json_schema_extra={"x-example-key": "studio"})


class RoomNotice(Answer):
    """A room's version, and how many are in it."""

    room_name: RoomName
    version: Version
    active_peers: Annotated[Count, Field(examples=[1])]
    total_peers: Annotated[Count, Field(examples=[1])]


class PeerList(RoomNotice):
    """A room's list: everybody who is or was in it."""

    max_peers: Annotated[int, Field(examples=[100])]
    peers: list[Peer]


class Joined(PeerList):
    """The room that was joined, and as whom."""

    peer_id: PeerId


class JoinedOverRest(Joined):
    """The room that was joined, and as whom."""

    success: Success


class Left(Answer):
    """A presence that ended."""

    room_name: RoomName
    peer_id: PeerId
    is_active: Annotated[bool, Field(examples=[False])]
    """Whether another connection keeps the peer active."""
    version: Version
    reason: Annotated[str, Field(examples=["left"])]
    """Why: `left`, `left_over_rest`, `erased`, or what an admin did."""


class LeftOverRest(Left):
    """A presence that ended."""

    success: Success


class UserDataStored(Answer):
    """A peer's user data after a change."""

    room_name: RoomName
    peer_id: PeerId
    user_data: UserData
    version: Version


class UserDataStoredOverRest(UserDataStored):
    """A peer's user data after a change."""

    success: Success


class UserDataChanged(UserDataStored):
    """A peer's user data after a change, for the others in the room."""

    username: Username
    changed: Annotated[list[str], Field(examples=[["hand"]])]
    """The top-level keys that were added, removed or given another value."""


class StoredFile(Answer):
    """What is known of an uploaded file."""

    filename: Annotated[str, Field(examples=["0f3c9a.txt"])]
    """The name the server gave it, which nobody can guess."""
    original_filename: Annotated[str, Field(examples=["agenda.txt"])]
    """The name it had at its owner's."""
    file_path: Annotated[str, Field(examples=["uploads/0f3c9a.txt"])]
    """As it stands in `uploaded_files`."""
    file_url: Annotated[str, Field(examples=["/uploads/0f3c9a.txt"])]
    """Where it can be fetched from this server."""
    file_size: Annotated[Count, Field(examples=[20])]
    """In bytes."""
    content_type: Annotated[str, Field(examples=["text/plain; charset=utf-8"])]
    """What its content was found to be."""


class DatedFile(StoredFile):
    """An uploaded file with the time at which it came in."""

    uploaded_at: Instant


class FileChange(StoredFile):
    """A file that a peer got or lost."""

    success: Success
    room_name: RoomName
    peer_id: PeerId
    version: Version


class FileNotice(FileChange):
    """A file that a peer got or lost, for everybody in the room."""

    username: Username


class PeerInFull(Peer):
    """A peer with its room and what is known of its files."""

    room_name: RoomName
    files: list[DatedFile]


class PeerErased(Answer):
    """A peer that is gone, with its data and its files."""

    success: Success
    room_name: RoomName
    peer_id: PeerId
    version: Version
    files_deleted: Annotated[Count, Field(examples=[1])]


class ActivityDetail(Answer):
    """What belongs to an entry of its kind."""

    reason: Annotated[str, Field(examples=["left"])] = ""
    """Of `left`: how it left."""
    keys: Annotated[list[str], Field(examples=[["hand"]])] = []
    """Of `updated`: the keys of user_data that changed."""
    filename: Annotated[str, Field(examples=["0f3c9a.txt"])] = ""
    """Of `uploaded` and `file_deleted`."""
    original_filename: Annotated[str, Field(examples=["agenda.txt"])] = ""
    """Of `uploaded` and `file_deleted`."""


class ActivityEntry(Answer):
    """One thing that a peer did."""

    at: Instant
    kind: Annotated[
        Literal["joined", "left", "updated", "uploaded", "file_deleted"],
        Field(examples=["updated"]),
    ]
    peer_id: PeerId
    username: Username
    times: Annotated[int, Field(ge=1, examples=[1])]
    """How often, where the same within a minute is one entry."""
    detail: Annotated[ActivityDetail, Field(examples=[{"keys": ["hand"]}])]


class Occupancy(Answer):
    """How many were active at once, minute by minute."""

    minutes: Annotated[int, Field(examples=[60])]
    peaks: Annotated[list[Count], Field(examples=[[0, 1, 3, 2]])]
    """The most at once in each of the last 60 minutes, the current one last."""


class Activity(Answer):
    """What happened in a room lately, the newest first."""

    room_name: RoomName
    version: Version
    activity: list[ActivityEntry]
    occupancy: Occupancy


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


class Changes(RoomNotice):
    """The peers that changed from one version of the room to another."""

    previous_version: Annotated[int, Field(examples=[16])]
    """A client whose own version is lower has missed something, and sends `sync`."""
    peers: list[Peer | ErasedPeer]


class Synced(RoomNotice):
    """What changed in a room after a version, or, if `full`, all of it."""

    max_peers: Annotated[int, Field(examples=[100])]
    full: Annotated[bool, Field(examples=[False])]
    previous_version: Annotated[int, Field(examples=[16])] = 0
    """The version that was asked for; only where `full` is false."""
    peers: list[Peer | ErasedPeer]


class _Stamp(Answer):
    """Who sends: never what the sender says, but what the server knows."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Annotated[str, Field(alias="from", examples=["ada"])]
    """The peer_id of the sender."""
    from_session: Sid
    """The sender's connection, to answer it and no other: `to_session`."""
    room_name: RoomName


class SignalReceived(_Stamp):
    """A signal from another peer of the room."""

    type: Annotated[str | None, Field(examples=["offer"])]
    data: Json


class BroadcastReceived(_Stamp):
    """An application's message from another peer of the room."""

    event: Annotated[str, Field(examples=["chat"])]
    data: Annotated[Any, Field(description="Any JSON.", examples=[{"text": "hello"}])]


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


class Watching(Answer):
    """What a socket is told of from now on."""

    watching: Annotated[str | None, Field(examples=["studio"])]
    """The room, or null for the list of rooms."""


class Nothing(Answer):
    """An empty object."""


class Farewell(Answer):
    """The server is about to stop."""

    detail: Annotated[
        str, Field(examples=["The server is shutting down. Connect again in a few seconds."])
    ]


class TokenEnded(Answer):
    """The connection's token has expired."""

    code: Literal["token_expired"]
    detail: Annotated[
        str, Field(examples=["The token has expired. Get a fresh one, and try again with it."])
    ]


class Closing(Answer):
    """A room that nobody may join."""

    room_name: RoomName
    until: Annotated[str | None, Field(examples=["2026-05-04T12:00:00.000Z"])]
    """When it ends by itself, or null."""
    reason: Annotated[str, Field(examples=["Over for today"])]
    made_at: Instant


class Ban(Closing):
    """A peer that may not join a room."""

    peer_id: PeerId


class BanMade(Ban):
    """A peer that was banned."""

    success: Success


class ClosingMade(Closing):
    """A room that was closed."""

    success: Success
    put_out: Annotated[list[PeerId], Field(examples=[["ada"]])]
    """Who was in it."""


class RoomRemoved(Answer):
    """A room that is no more."""

    success: Success
    room_name: RoomName
    version: Version
    """The last version that it had."""
    put_out: Annotated[list[PeerId], Field(examples=[["ada"]])]
    """Who was in it."""
    peers_erased: int
    files_deleted: int


class Bans(Answer):
    """Who is banned from a room, the newest first, and whether it is closed."""

    room_name: RoomName
    bans: list[Ban]
    closed: Closing | None
    """Since when and until when it is closed, or null."""


class Reopened(Answer):
    """A room that may be joined again."""

    success: Success
    room_name: RoomName


class Unbanned(Reopened):
    """A peer that may join a room again."""

    peer_id: PeerId


class Token(Answer):
    """A token, and what it says."""

    success: Success
    token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.9f3c"])]
    peer_id: PeerId
    room: Annotated[str, Field(examples=["team-*"])]
    grants: Annotated[list[str], Field(examples=[["join", "list"]])]
    expires_at: Instant


class Alive(Answer):
    """The process is alive."""

    status: Literal["alive"]


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
