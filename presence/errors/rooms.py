"""Rooms and peers: who is where, what they hold, and who is shut out."""

from __future__ import annotations

from typing import Any

from presence.errors.base import PresenceError, QuotaExceeded


class NotJoined(PresenceError):
    """The socket is in no room, and what it asked for needs one."""

    code = "not_joined"

    def __init__(self) -> None:
        super().__init__("This connection has not joined a room. Send join_room first.")


class RoomNotFound(PresenceError):
    """No room of this name was ever joined."""

    code = "room_not_found"
    room_name: str

    def __init__(self, room_name: str) -> None:
        super().__init__(
            f"There is no room “{room_name}”. A room is made when the first peer joins it.",
            room_name=room_name,
        )


class RoomNotMade(PresenceError):
    """The room does not exist, and this server makes none for whoever joins."""

    code = "room_not_made"
    room_name: str

    def __init__(self, room_name: str) -> None:
        super().__init__(
            f"There is no room “{room_name}”, and here joining makes none. Ask whoever runs this "
            "application to make it (PUT /api/webrtc/rooms/{room}), then join again.",
            room_name=room_name,
        )


class PasswordWanted(PresenceError):
    """The room has a password, and none was given; `field` is as what it is to be sent."""

    code = "password_wanted"
    room_name: str

    def __init__(self, room_name: str, field: str = "password") -> None:
        again = "join" if field == "password" else "send this"
        super().__init__(
            f"Room “{room_name}” has a password. Ask whoever invited you for it, and {again} again "
            f"with it as “{field}”.",
            room_name=room_name,
        )


class WrongPassword(PresenceError):
    """The room has another password than the one that was given."""

    code = "wrong_password"
    room_name: str

    def __init__(self, room_name: str) -> None:
        super().__init__(
            f"That is not the password of room “{room_name}”. Look at capital letters, or ask "
            "whoever invited you.",
            room_name=room_name,
        )


class Waiting(PresenceError):
    """The room lets nobody in who was not admitted; one waits in front of it now."""

    code = "waiting"
    room_name: str
    retry_after: int

    def __init__(self, room_name: str) -> None:
        super().__init__(
            f"You wait in front of room “{room_name}” until somebody there admits you. Stay "
            "connected, or over REST ask again.",
            room_name=room_name,
            retry_after=2,
        )


class AdmissionRefused(PresenceError):
    """Whoever waited in front of a room was turned away; ``reason`` is what was given."""

    code = "admission_refused"
    room_name: str
    reason: str

    def __init__(self, room_name: str, because: str) -> None:
        super().__init__(
            f"You were not admitted to room “{room_name}”.{_because(because)}",
            room_name=room_name,
            reason=because,
        )


class NotAdmitted(PresenceError):
    """The room shows itself to those alone who were admitted, and are there."""

    code = "not_admitted"
    room_name: str

    def __init__(self, room_name: str) -> None:
        super().__init__(
            f"Room “{room_name}” has a lobby: who is not in it sees nothing of it. Join it, and "
            "wait to be admitted.",
            room_name=room_name,
        )


class NotWaiting(PresenceError):
    """Nobody of this peer_id waits in front of the room (any more)."""

    code = "not_waiting"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Nobody waits in front of room “{room_name}” as “{peer_id}”. Look who does.",
            room_name=room_name,
            peer_id=peer_id,
        )


class LobbyFull(QuotaExceeded):
    """As many wait in front of a room as may."""

    code = "lobby_full"
    sentence = "Already {limit} wait in front of this room. Try again a little later."


class PeerNotFound(PresenceError):
    """The room never had a peer of this id, or it was erased."""

    code = "peer_not_found"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Room “{room_name}” has no peer “{peer_id}”. Join the room with this peer_id first.",
            room_name=room_name,
            peer_id=peer_id,
        )


class RoomFull(PresenceError):
    """The room already has as many active peers as it may hold."""

    code = "room_full"
    room_name: str
    max_peers: int

    def __init__(self, room_name: str, max_peers: int) -> None:
        taken = "its only place is" if max_peers == 1 else f"all {max_peers} places are"
        super().__init__(
            f"Room “{room_name}” is full: {taken} taken. Try again when somebody has left.",
            room_name=room_name,
            max_peers=max_peers,
        )


class TooManyRooms(QuotaExceeded):
    """The server already has as many rooms as it may have."""

    code = "too_many_rooms"
    sentence = (
        "The server already has the {limit} rooms that are allowed. Join one of them, or tell "
        "whoever runs the server."
    )


class TooManyRoomsMade(QuotaExceeded):
    """Somebody has made as many rooms as one peer, or one address, may make."""

    code = "too_many_rooms_made"
    sentence = (
        "You have made the {limit} rooms that one may make here. Join one that exists, or have an "
        "admin remove some."
    )


class UserDataTooLarge(PresenceError):
    """A peer's user_data would exceed the limit."""

    code = "user_data_too_large"
    field: str
    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"user_data would be {size} bytes as JSON; at most {limit} are allowed. "
            "Remove keys, or upload large content as a file.",
            field="user_data",
            size=size,
            limit=limit,
        )


class RoomDataTooLarge(PresenceError):
    """A room's data would exceed the limit."""

    code = "room_data_too_large"
    field: str
    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"room_data would be {size} bytes as JSON; at most {limit} are allowed. "
            "Remove keys, or keep what is one peer's in its user_data.",
            field="room_data",
            size=size,
            limit=limit,
        )


class RoomDataConflict(PresenceError):
    """A room's data changed after the version that an update was made for."""

    code = "room_data_conflict"
    room_data: dict[str, Any]
    version: int

    def __init__(self, room_data: dict[str, Any], version: int) -> None:
        super().__init__(
            "The room's data was changed by somebody else meanwhile. Look at what it is now, and "
            "send the update again with that version.",
            room_data=room_data,
            version=version,
        )


class Conflict(PresenceError):
    """A peer's data changed after the version that an update was made for."""

    code = "conflict"
    user_data: dict[str, Any]
    version: int

    def __init__(self, user_data: dict[str, Any], version: int) -> None:
        super().__init__(
            "The user data was changed by somebody else meanwhile. Look at what it is now, and "
            "send the update again with that version.",
            user_data=user_data,
            version=version,
        )


class Banned(PresenceError):
    """An admin has banned the peer from the room; ``until`` is when that ends, or null."""

    code = "banned"
    room_name: str
    peer_id: str
    until: str | None
    reason: str

    def __init__(self, room_name: str, peer_id: str, until: str | None, because: str) -> None:
        super().__init__(
            f"Peer “{peer_id}” is banned from room “{room_name}”"
            f"{_until(until)}.{_because(because)}",
            room_name=room_name,
            peer_id=peer_id,
            until=until,
            reason=because,
        )


class RoomClosed(PresenceError):
    """An admin has closed the room to everybody; ``until`` is when that ends, or null."""

    code = "room_closed"
    room_name: str
    until: str | None
    reason: str

    def __init__(self, room_name: str, until: str | None, because: str) -> None:
        super().__init__(
            f"Room “{room_name}” is closed{_until(until)}.{_because(because)}",
            room_name=room_name,
            until=until,
            reason=because,
        )


class BanNotFound(PresenceError):
    """There is no such ban, or no such closing, to take back."""

    code = "ban_not_found"


class NoAdmins(PresenceError):
    """The server is open, so nobody is more than anybody else, and nobody can be shut out."""

    code = "open_mode"

    def __init__(self) -> None:
        super().__init__(
            "This server is open: it has no tokens and no admins, and anybody could come back "
            "under another name. Whoever runs it can lock it with PRESENCE_MODE=locked."
        )


def _until(until: str | None) -> str:
    return f" until {until}" if until else " until further notice"


def _because(reason: str) -> str:
    return f" The reason given: {reason}" if reason else ""
