"""What clients get: the bodies of answers and notifications, key by key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from presence.domain.data.room_data import Kept, UpdatedRoom
from presence.domain.files.files import FileChange, StoredFile
from presence.domain.peers.lobbies import Waiting
from presence.domain.peers.results import Left, Updated
from presence.domain.peers.rights import Regranted
from presence.domain.permissions.bans import Bar
from presence.domain.permissions.revocations import Revoked
from presence.domain.permissions.tokens import GRANTS, Grants
from presence.domain.rooms.lists import ListedPeer
from presence.domain.rooms.rooms import PeerView
from presence.transport.wire.file_urls import links

Body = dict[str, Any]


def timestamp(instant: datetime) -> str:
    """Return an instant in UTC as ISO 8601 with milliseconds and ``Z`` (RFC 3339)."""
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def unix_time(seconds: float) -> str:
    """Return an instant given in seconds since 1970 as `timestamp` writes it."""
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def timestamp_of_text(instant: str) -> str:
    """Return the same of an instant that was read as text (see `storage.instants`)."""
    return f"{instant[:10]}T{instant[11:23]}Z"


def file_path(stored_name: str) -> str:
    """Return the path of a file as lists show it, relative to the server's root."""
    return f"uploads/{stored_name}"


def file_url(stored_name: str) -> str:
    """Return the address of a file on this server, signed where the server is locked."""
    query = urlencode(links().query(stored_name))
    return f"/uploads/{stored_name}{'?' + query if query else ''}"


def peer(view: PeerView) -> Body:
    """Return a peer as it stands in a list."""
    return {
        "peer_id": view.peer_id,
        "username": view.username,
        "joined_at": timestamp(view.joined_at),
        "is_active": view.is_active,
        "last_seen": timestamp(view.last_seen),
        "user_data": view.user_data,
        "uploaded_files": [file_path(name) for name in view.files],
        "session_count": view.session_count,
        "reason": None if view.is_active else view.away_reason,
        **_granted(view.grants),
    }


def listed_peer(listed: ListedPeer) -> Body:
    """Return the same of a peer that was read as text, its user data put in as it is."""
    return {
        "peer_id": listed.peer_id,
        "username": listed.username,
        "joined_at": timestamp_of_text(listed.joined_at),
        "is_active": listed.session_count > 0,
        "last_seen": timestamp_of_text(listed.last_seen),
        "user_data": orjson.Fragment(listed.user_data),
        "uploaded_files": [file_path(name) for name in listed.files],
        "session_count": listed.session_count,
        "reason": None if listed.session_count else listed.away_reason,
        **_granted(listed.grants),
    }


def _granted(grants: str | None) -> Body:
    """Return what lists say of a peer whose rights an admin has changed."""
    return {} if grants is None else {"grants": grants.split()}


def peer_in_full(view: PeerView, room_name: str, files: list[StoredFile]) -> Body:
    """Return a peer with its room and what is known of its files."""
    return {
        **peer(view),
        "room_name": room_name,
        "files": [
            {**stored_file(file), "uploaded_at": timestamp(file.uploaded_at)} for file in files
        ],
    }


def left(left: Left, reason: str) -> Body:
    """Return the body of ``leave_room_success``; `reason` says who ended the presence."""
    return {
        "room_name": left.room_name,
        "peer_id": left.peer_id,
        "is_active": left.is_active,
        "version": left.version,
        "reason": reason,
    }


def ban(bar: Bar) -> Body:
    """Return a ban as it is answered and listed; ``until`` is null where it is for good."""
    return {**closing(bar), "peer_id": bar.peer_id}


def closing(bar: Bar) -> Body:
    """Return the closing of a room; ``until`` is null where it is until it is reopened."""
    return {
        "room_name": bar.room_name,
        "until": None if bar.until is None else timestamp(bar.until),
        "reason": bar.reason,
        "made_at": timestamp(bar.made_at),
    }


def revoked(revoked: Revoked) -> Body:
    """Return a revocation as it is answered; ``until`` is null where it is for good."""
    return {
        "jti": revoked.jti,
        "peer_id": revoked.peer_id,
        "rooms": [pattern.text for pattern in revoked.rooms.patterns],
        "revoked_at": timestamp(revoked.made_at),
        "until": None if revoked.until is None else timestamp(revoked.until),
    }


def grants(grants: Grants) -> list[str]:
    """Return what a token allows, in the order in which it is always told."""
    return [grant for grant in GRANTS if grant in grants.allowed]


def regranted(regranted: Regranted) -> Body:
    """Return what a peer may do now in a room; ``grants`` is null where its token says it."""
    kept = regranted.grants
    return {
        "room_name": regranted.room_name,
        "peer_id": regranted.peer_id,
        "grants": None if kept is None else kept.split(),
        "version": regranted.version,
    }


def waiting(one: Waiting) -> Body:
    """Return somebody who waits in front of a room."""
    return {
        "peer_id": one.peer_id,
        "username": one.username,
        "user_data": one.user_data,
        "knocked_at": timestamp(one.knocked_at),
    }


def knocking(room_name: str, people: list[Waiting]) -> Body:
    """Return who waits in front of a room, the first to come first."""
    return {"room_name": room_name, "knocking": [waiting(one) for one in people]}


def user_data_success(updated: Updated) -> Body:
    """Return the body of ``update_user_data_success``: the whole merged object."""
    return {
        "room_name": updated.room_name,
        "peer_id": updated.peer_id,
        "user_data": updated.user_data,
        "version": updated.version,
    }


def user_data_notice(updated: Updated) -> Body:
    """Return the body of ``user_data_updated``, which the others in the room get."""
    return {
        **user_data_success(updated),
        "username": updated.username,
        "changed": updated.changed,
    }


def room_data_success(updated: UpdatedRoom) -> Body:
    """Return the body of ``update_room_data_success``: the whole merged object."""
    return {
        "room_name": updated.room_name,
        "room_data": updated.room_data,
        "version": updated.version,
    }


def room_data_notice(updated: UpdatedRoom) -> Body:
    """Return the body of ``room_data_updated``, which everybody in the room gets."""
    return {**room_data_success(updated), "changed": updated.changed, "by": updated.by}


def room_data(room_name: str, kept: Kept) -> Body:
    """Return the data of a room, and who changed it last."""
    return {
        "room_name": room_name,
        "room_data": kept.data,
        "version": kept.version,
        "by": kept.changed_by,
    }


def stored_file(file: StoredFile) -> Body:
    """Return what is known of a file, wherever it is described."""
    return {
        "filename": file.stored_name,
        "original_filename": file.original_name,
        "file_path": file_path(file.stored_name),
        "file_url": file_url(file.stored_name),
        "file_size": file.size,
        "content_type": file.content_type,
    }


def unsigned(body: Body) -> Body:
    """Return the same body with a file's address that opens nothing by itself."""
    return {**body, "file_url": body["file_url"].partition("?")[0]}


def file_change(change: FileChange) -> Body:
    """Return the answer to an upload or a file's deletion."""
    return {
        "success": True,
        **stored_file(change.file),
        "room_name": change.room_name,
        "peer_id": change.peer_id,
        "version": change.version,
    }


def file_notice(change: FileChange) -> Body:
    """Return the body of ``file_uploaded`` and ``file_deleted``, which the room gets."""
    return {**file_change(change), "username": change.username}
