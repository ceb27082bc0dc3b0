"""Files: attaching an uploaded one to a peer, finding it again, and removing it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from presence.domain.files import file_types
from presence.domain.files.file_types import FileType
from presence.domain.outbox import outbox
from presence.domain.peers import peer_rows
from presence.domain.rooms import activity, quotas, rooms
from presence.domain.rooms.quotas import NO_QUOTAS, Quotas
from presence.domain.rooms.rooms import LockedRoom
from presence.domain.values import clock, names
from presence.errors import UploadedFileNotFound
from presence.storage.models import File, Peer, Room

_MAX_ORIGINAL_NAME = 255
_MAX_GIVEN = file_types.MAX_NAME
_STORED_NAME = re.compile(r"[0-9a-f]{32}\.[a-z]{3,4}")
# Windows opens these instead of a file, with any extension (“Naming Files, Paths, and
# Namespaces”, Microsoft).
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file; ``size`` is in bytes."""

    stored_name: str
    original_name: str
    content_type: str
    size: int
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class OwnedFile:
    """An uploaded file with the peer it belongs to."""

    file: StoredFile
    peer_id: str
    username: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that a peer got or lost."""

    room_name: str
    peer_id: str
    username: str
    file: StoredFile
    version: int


def new_stored_name(file_type: FileType) -> str:
    """Return a name nobody can guess or choose, with the extension of the detected type."""
    return secrets.token_hex(16) + file_type.extension


def attach(
    session: Session,
    *,
    room_name: str,
    peer_id: str,
    stored_name: str,
    original_name: str,
    file_type: FileType,
    size: int,
    renew_seconds: float,
    limits: Quotas = NO_QUOTAS,
) -> FileChange:
    """Give a peer, active or not, an uploaded file.

    Its `original_name` is one of `clean_original_name`. Raises `RoomNotFound`, `PeerNotFound`,
    or the quota that the file would exceed.
    """
    room = rooms.change(session, room_name)
    peer = peer_rows.get(session, room, peer_id)
    quotas.add_file(session, room.id, peer.id, size, limits)
    file = StoredFile(
        stored_name,
        original_name,
        file_type.content_type,
        size,
        clock.now(),
    )
    session.execute(
        insert(File).values(
            peer_row_id=peer.id,
            stored_name=file.stored_name,
            original_name=file.original_name,
            content_type=file.content_type,
            size=file.size,
            uploaded_at=file.uploaded_at,
        )
    )
    peer_rows.touch(session, peer, renew_seconds)
    change = FileChange(room.name, peer.peer_id, peer.username, file, room.version)
    _record(session, room.id, activity.UPLOADED, change)
    _tell(session, room, outbox.FILE_UPLOADED, change)
    return change


def find(session: Session, stored_name: str) -> StoredFile:
    """Return an uploaded file by its stored name; raises `UploadedFileNotFound`."""
    _check_name(stored_name)
    row = session.execute(select(*_COLUMNS).where(File.stored_name == stored_name)).one_or_none()
    if row is None:
        raise UploadedFileNotFound(stored_name)
    return StoredFile(*row)


def owner(session: Session, room_name: str, stored_name: str) -> str:
    """Return the peer_id that a room's file belongs to; raises `UploadedFileNotFound`."""
    found_room, peer_id = place(session, stored_name)
    if found_room != room_name:
        raise UploadedFileNotFound(stored_name)
    return peer_id


def place(session: Session, stored_name: str) -> tuple[str, str]:
    """Return (room name, peer_id) of a file's owner; raises `UploadedFileNotFound`."""
    _check_name(stored_name)
    row = session.execute(
        select(Room.name, Peer.peer_id)
        .join(Peer, Peer.room_id == Room.id)
        .join(File, File.peer_row_id == Peer.id)
        .where(File.stored_name == stored_name)
    ).one_or_none()
    if row is None:
        raise UploadedFileNotFound(stored_name)
    return row.name, row.peer_id


def of_peer(session: Session, room_name: str, peer_id: str) -> list[StoredFile]:
    """Return a peer's files, oldest first."""
    rows = session.execute(
        select(*_COLUMNS)
        .join(Peer, Peer.id == File.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
        .where(Room.name == room_name, Peer.peer_id == peer_id)
        .order_by(File.uploaded_at, File.id)
    )
    return [StoredFile(*row) for row in rows]


def of_room(session: Session, room_name: str, limit: int) -> list[OwnedFile]:
    """Return the newest `limit` files of a room with their owners, newest first."""
    rows = session.execute(
        select(*_COLUMNS, Peer.peer_id, Peer.username)
        .join(Peer, Peer.id == File.peer_row_id)
        .join(Room, Room.id == Peer.room_id)
        .where(Room.name == room_name)
        .order_by(File.uploaded_at.desc(), File.id.desc())
        .limit(limit)
    )
    return [OwnedFile(StoredFile(*row[:-2]), row[-2], row[-1]) for row in rows]


def remove(
    session: Session, room_name: str, stored_name: str, *, by_peer: bool = True
) -> FileChange:
    """Delete the row of a room's file; the caller removes the bytes.

    It counts as something that its owner did unless `by_peer` is false. Raises `RoomNotFound` or
    `UploadedFileNotFound`.
    """
    room = rooms.change(session, room_name)
    row = session.execute(
        select(Peer.peer_id, Peer.username, Peer.id, *_COLUMNS)
        .join(Peer, Peer.id == File.peer_row_id)
        .where(Peer.room_id == room.id, File.stored_name == stored_name)
    ).one_or_none()
    if row is None:
        raise UploadedFileNotFound(stored_name)
    session.execute(
        delete(File)
        .where(File.stored_name == stored_name)
        .execution_options(synchronize_session=False)
    )
    peer_rows.mark(session, row[2])
    change = FileChange(room.name, row[0], row[1], StoredFile(*row[3:]), room.version)
    quotas.remove_files(session, room.id, change.file.size)
    if by_peer:
        _record(session, room.id, activity.FILE_DELETED, change)
    _tell(session, room, outbox.FILE_DELETED, change)
    return change


def is_stored_name(name: str) -> bool:
    """Tell whether a file has a name as `new_stored_name` makes them."""
    return _STORED_NAME.fullmatch(name) is not None


def known(session: Session, stored_names: set[str]) -> set[str]:
    """Return which of the stored names have a row."""
    return set(session.scalars(select(File.stored_name).where(File.stored_name.in_(stored_names))))


def clean_original_name(name: str, file_type: FileType) -> str:
    """Return a client's file name without folders and control characters, shortened.

    The extension is kept when the name is shortened, and stands alone for a name of nothing else.
    Full stops and spaces at the end go. A name that Windows takes for a device gets an underscore
    before it.
    """
    # Normalising takes longer the more marks follow one letter, so it is not given them all.
    given = name[-_MAX_GIVEN:].replace("\\", "/").rsplit("/", 1)[-1][: 2 * _MAX_ORIGINAL_NAME]
    base = names.without_control_characters(given).lstrip().rstrip(". ")
    if _DEVICE.match(base):
        base = "_" + base
    if len(base) > _MAX_ORIGINAL_NAME:
        base = base[: _MAX_ORIGINAL_NAME - len(file_type.extension)] + file_type.extension
    return base or "file" + file_type.extension


def _record(session: Session, room_id: int, kind: str, change: FileChange) -> None:
    activity.record(
        session,
        room_id,
        kind,
        peer_id=change.peer_id,
        username=change.username,
        at=clock.now(),
        filename=change.file.stored_name,
        original_filename=change.file.original_name,
    )


def _tell(session: Session, room: LockedRoom, kind: str, change: FileChange) -> None:
    facts = {
        "username": change.username,
        "filename": change.file.stored_name,
        "original_filename": change.file.original_name,
        "file_size": change.file.size,
        "content_type": change.file.content_type,
    }
    outbox.tell(session, kind, room, clock.now(), change.peer_id, **facts)


_COLUMNS = (
    File.stored_name,
    File.original_name,
    File.content_type,
    File.size,
    File.uploaded_at,
)


def _check_name(stored_name: str) -> None:
    """Raise `UploadedFileNotFound` for what is no name, and what PostgreSQL takes no text with."""
    if "\0" in stored_name:
        raise UploadedFileNotFound(stored_name)
