"""The bodies of access: tokens, bans and closed rooms, as answers and as events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from presence.transport.wire.response_fields import (
    Answer,
    Count,
    Instant,
    PeerId,
    RoomName,
    Success,
    UserData,
    Username,
    Version,
)


class TokenEnded(Answer):
    """The connection's token has expired."""

    code: Literal["token_expired"]
    detail: Annotated[
        str, Field(examples=["The token has expired. Get a fresh one, and try again with it."])
    ]


class TokenTakenBack(Answer):
    """The connection's token was taken back."""

    code: Literal["token_revoked"]
    detail: Annotated[
        str, Field(examples=["The token has been taken back. Ask whoever gave it for another."])
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


class RoomMade(Answer):
    """A room that was made or changed, as it is now."""

    success: Success
    room_name: RoomName
    max_peers: Annotated[int, Field(examples=[4])]
    """How many active peers it holds."""
    keep_inactive: Annotated[int | None, Field(examples=[3600])]
    """For how many seconds it keeps peers after they were last seen; null: as long as the server
    does."""
    closed: Annotated[bool, Field(examples=[False])]
    """Whether nobody may join."""
    has_password: Annotated[bool, Field(examples=[False])]
    """Whether joining asks for a password."""
    lobby: Annotated[bool, Field(examples=[False])]
    """Whether who joins waits to be admitted."""
    created_at: Instant
    version: Version
    made: Annotated[bool, Field(examples=[True])]
    """Whether there was none; the status is 201 then, and else 200."""
    put_out: Annotated[list[PeerId], Field(examples=[[]])]
    """Who was in it when it was closed."""


class GrantsChanged(Answer):
    """What a peer may do in a room now, beside what its token says."""

    room_name: RoomName
    peer_id: PeerId
    grants: Annotated[list[str], Field(examples=[["join", "update", "listen", "list"]])]
    """All that this connection may do in the room."""
    version: Version


class GrantsSet(Answer):
    """What a peer may do in a room now."""

    success: Success
    room_name: RoomName
    peer_id: PeerId
    grants: Annotated[list[str] | None, Field(examples=[["join", "update", "listen", "list"]])]
    """All that it may do, or null: what its token says."""
    version: Version


class WaitingPeer(Answer):
    """Somebody who waits in front of a room, and is no peer of it yet."""

    peer_id: PeerId
    username: Username
    user_data: UserData
    knocked_at: Instant


class PeerWaiting(WaitingPeer):
    """Somebody who began to wait in front of a room."""

    room_name: RoomName


class Knocking(Answer):
    """Who waits in front of a room, the first to come first."""

    room_name: RoomName
    knocking: list[WaitingPeer]


class Admitted(Answer):
    """Somebody who waited, and is in the room now."""

    success: Success
    room_name: RoomName
    peer_id: PeerId
    version: Version


class Refused(Answer):
    """Somebody who waited, and was turned away."""

    success: Success
    room_name: RoomName
    peer_id: PeerId
    reason: Annotated[str, Field(examples=["Not before ten"])]


class RoomRemoved(Answer):
    """A room that is no more."""

    success: Success
    room_name: RoomName
    version: Version
    """The last version that it had."""
    put_out: Annotated[list[PeerId], Field(examples=[["ada"]])]
    """Who was in it."""
    peers_erased: Annotated[Count, Field(examples=[1])]
    files_deleted: Annotated[Count, Field(examples=[1])]


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
    jti: Annotated[str, Field(examples=["f3a0c2d1"])]
    """Its own name, by which it can be taken back."""


class Revoked(Answer):
    """Tokens that were taken back: those that have all that is not null here."""

    success: Success
    jti: Annotated[str | None, Field(examples=[None])]
    peer_id: Annotated[PeerId | None, Field(examples=["ada"])]
    rooms: Annotated[list[str], Field(examples=[["team-*"]])]
    """Those alone that are for none but these rooms."""
    revoked_at: Instant
    """Without a jti it is about the tokens that were made up to then."""
    until: Annotated[str | None, Field(examples=["2026-05-04T12:00:00.000Z"])]
    """When it is forgotten, or null."""
