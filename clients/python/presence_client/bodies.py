"""What the server says, as types: every body keeps the server's own names."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Body = dict[str, Any]
UserData = dict[str, Any]
State = Literal["idle", "connecting", "joined", "reconnecting", "closed"]


class Peer(TypedDict):
    """Somebody who is or was in a room; times are ISO 8601 in UTC."""

    peer_id: str
    username: str
    joined_at: str
    is_active: bool
    last_seen: str
    user_data: UserData
    uploaded_files: list[str]
    session_count: NotRequired[int]
    reason: NotRequired[str | None]
    # There alone where an admin has changed what the peer may do.
    grants: NotRequired[list[str]]


class PeerInFull(Peer):
    """A peer with its room and what is known of its files."""

    room_name: str
    files: list[Body]


class PeerList(TypedDict):
    """A room's list, ordered by ``joined_at``, then ``peer_id``."""

    room_name: str
    version: int
    active_peers: int
    total_peers: int
    max_peers: int
    peers: list[Peer]
    # The room's own data; there alone where it ever had any.
    room_data: NotRequired[UserData]


class Joined(PeerList):
    """The room that was joined, and as whom; ``rejoined`` only in the event."""

    peer_id: str
    rejoined: NotRequired[bool]


class Left(TypedDict):
    """A presence that ended, and why; the server's own words have the last two as well."""

    room_name: str
    peer_id: str
    reason: str
    is_active: NotRequired[bool]
    version: NotRequired[int]


class Stored(TypedDict):
    """A peer's user data after a change, all of it."""

    room_name: str
    peer_id: str
    user_data: UserData
    version: int


class RoomDataStored(TypedDict):
    """A room's own data after a change, all of it."""

    room_name: str
    room_data: UserData
    version: int


class RoomDataUpdated(RoomDataStored):
    """The same, for everybody in the room; ``by`` is the peer who did it, None for a backend."""

    changed: list[str]
    by: str | None


# ``from`` is no name in Python, so these are made by a call.
# It is None for what a backend says in the server's name, which has ``from_server`` and ``name``.
Sender = TypedDict(
    "Sender",
    {
        "from": str | None,
        "from_session": str | None,
        "from_server": NotRequired[Literal[True]],
        "name": NotRequired[str | None],
        "room_name": str,
    },
)


class Signal(Sender):
    """A signal, from another peer or a backend."""

    type: str | None
    data: Any


class Broadcast(Sender):
    """An application's message, from another peer or a backend.

    One that is kept has an ``id``, which rises with each in the room, and ``sent_at``; one that was
    said while this client was away, or before it came, is ``replayed``.
    """

    event: str
    data: Any
    id: NotRequired[int]
    sent_at: NotRequired[str]
    replayed: NotRequired[Literal[True]]


class ConnectionState(TypedDict):
    """What is true of a connection of another peer, or of one's own peer, just now."""

    peer_id: str
    session: str
    state: UserData


class SignalSent(TypedDict):
    """What became of a signal."""

    to: str
    type: str | None
    status: Literal["delivered", "held"]
    to_session: NotRequired[str | None]
    signal_id: NotRequired[str]
    expires_in: NotRequired[float]


class BroadcastSent(TypedDict):
    """A message that was sent to the others; ``partial`` if some could not be reached."""

    status: Literal["delivered", "partial"]
    event: str
    id: NotRequired[int]


class File(TypedDict):
    """An uploaded file."""

    room_name: str
    peer_id: str
    filename: str
    original_filename: str
    file_path: str
    file_url: str
    file_size: int
    content_type: str
    version: int


class Room(TypedDict):
    """A room with its peers, as the list of rooms shows it."""

    name: str
    active_peer_count: int
    total_peer_count: int
    max_peers: int
    created_at: str
    version: int
    peers: list[Peer]


class Activity(TypedDict):
    """What happened in a room lately, the newest first, and how many were in it."""

    room_name: str
    version: int
    activity: list[Body]
    occupancy: Body


class IceServers(TypedDict):
    """What an RTCPeerConnection takes; credentials are good for ``ttl`` seconds."""

    iceServers: list[Body]
    ttl: int | None


class Closing(TypedDict):
    """A room that nobody may join, until a time or, if None, until it is reopened."""

    room_name: str
    until: str | None
    reason: str
    made_at: str


class WaitingPeer(TypedDict):
    """Somebody who waits in front of a room."""

    peer_id: str
    username: str
    user_data: UserData
    knocked_at: str


class Knocking(TypedDict):
    """Who waits in front of a room, the first to come first."""

    room_name: str
    knocking: list[WaitingPeer]


class Admitted(TypedDict):
    """Somebody who waited, and is in the room now."""

    room_name: str
    peer_id: str
    version: int


class Granted(TypedDict):
    """What a peer may do in a room now; ``grants`` is None where its token says it."""

    room_name: str
    peer_id: str
    grants: list[str] | None
    version: int


class Ban(Closing):
    """A peer that may not be in a room."""

    peer_id: str


class Bans(TypedDict):
    """Who is banned from a room, the newest first, and whether it is closed."""

    room_name: str
    bans: list[Ban]
    closed: Closing | None


class Watching(TypedDict):
    """What is told from now on: of a room, or, if None, of the list of rooms."""

    watching: str | None
