"""The bodies of rooms and peers: lists, user data, files and activity, as answers and as events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, RootModel

from presence.transport.wire.response_fields import (
    Answer,
    Count,
    Instant,
    PeerId,
    RoomData,
    RoomName,
    Success,
    UserData,
    Username,
    Version,
)
from presence.transport.wire.signal_responses import CaughtUp


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
    reason: Annotated[str | None, Field(examples=[None])]
    """Why it is not active: left, disconnected, expired, kicked, banned or room_closed."""
    grants: Annotated[list[str] | None, Field(examples=[["join", "listen"]])] = None
    """What it may do in the room; there alone where an admin has changed that."""


class ErasedPeer(Answer):
    """A peer that was erased, in a list of changes."""

    peer_id: PeerId
    erased: Literal[True]
    reason: Literal["erased"]


class Room(Answer):
    """A room with its peers, who are ordered by `joined_at`, then `peer_id`."""

    name: RoomName
    active_peer_count: Annotated[Count, Field(examples=[1])]
    total_peer_count: Annotated[Count, Field(examples=[1])]
    max_peers: Annotated[int, Field(examples=[100])]
    """How many active peers it holds."""
    created_at: Instant
    version: Version
    peers: list[Peer]
    room_data: Annotated[RoomData, Field(default_factory=dict)]
    """The room's own data; there alone where it ever had any."""


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
    room_data: Annotated[RoomData, Field(default_factory=dict)]
    """The room's own data; there alone where it ever had any."""


class Joined(PeerList):
    """The room that was joined, and as whom."""

    peer_id: PeerId
    grants: Annotated[list[str] | None, Field(examples=[["join", "signal"]])] = None
    """What one may do in it; on a locked server."""
    last_broadcast: Annotated[int, Field(examples=[17])] = 0
    """The newest kept broadcast of the room; over Socket.IO, on a server that keeps any."""


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


class RoomDataStored(Answer):
    """A room's data after a change."""

    room_name: RoomName
    room_data: RoomData
    version: Version


class RoomDataStoredOverRest(RoomDataStored):
    """A room's data after a change."""

    success: Success


class RoomDataKept(RoomDataStored):
    """A room's data, as of the version at which it last changed."""

    by: Annotated[str | None, Field(examples=["ada"])]
    """The peer who changed it; null for a backend, and where that peer was erased."""


class RoomDataChanged(RoomDataKept):
    """A room's data after a change, for everybody in the room."""

    changed: Annotated[list[str], Field(examples=[["slide"]])]
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
    keys: Annotated[list[str], Field(default_factory=list, examples=[["hand"]])]
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


class Changes(RoomNotice):
    """The peers that changed from one version of the room to another."""

    previous_version: Annotated[int, Field(examples=[16])]
    """A client whose own version is lower has missed something, and sends `sync`."""
    peers: list[Peer | ErasedPeer]
    room_data: Annotated[RoomData, Field(default_factory=dict)]
    """The room's own data; there alone where it changed, maybe with no peers at all."""


class Synced(RoomNotice):
    """What changed in a room after a version, or, if `full`, all of it.

    `full`, `peers` and `room_data` are there only where `since` was given.
    """

    max_peers: Annotated[int, Field(examples=[100])]
    full: Annotated[bool, Field(examples=[False])] = False
    previous_version: Annotated[int, Field(examples=[16])] = 0
    """The version that was asked for; only where `full` is false."""
    peers: Annotated[list[Peer | ErasedPeer], Field(default_factory=list)]
    room_data: Annotated[RoomData, Field(default_factory=dict)]
    """The room's own data, all of it; there alone where it ever had any."""
    broadcasts: CaughtUp | None = None
    """Up to where kept broadcasts were told, where `since_broadcast` was given."""


class Watching(Answer):
    """What a socket is told of from now on."""

    watching: Annotated[str | None, Field(examples=["studio"])]
    """The room, or null for the list of rooms."""


class Nothing(Answer):
    """An empty object."""
