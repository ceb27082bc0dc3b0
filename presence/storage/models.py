"""The tables: rooms, the peers in them, why a peer is active, who serves it, and its files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from presence.storage.instants import UtcDateTime

NAME_LENGTH = 128
USERNAME_LENGTH = 64
REASON_LENGTH = 200


class Base(DeclarativeBase):
    """Base of every table; the naming convention lets migrations name every constraint."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# SQLite counts rows up only in a column of type INTEGER; PostgreSQL needs 64 bits.
RowId = BigInteger().with_variant(Integer, "sqlite")
# In the order of code points everywhere, as Python sorts, whatever language a database speaks.
Name = String(NAME_LENGTH).with_variant(String(NAME_LENGTH, collation="C"), "postgresql")
JsonObject = JSON().with_variant(JSONB, "postgresql")


def _where_it_ends(name: str) -> Index:
    """Return an index of ``expires_at`` that has only the rows with one, which are few.

    Every index that a row is in is one page more to write.
    """
    has_end = text("expires_at IS NOT NULL")
    return Index(name, "expires_at", sqlite_where=has_end, postgresql_where=has_end)


class Room(Base):
    """A room; its version is raised by one in every transaction that changes what it shows.

    ``active_peers`` is what counting those of its peers who have sessions gives.
    """

    __tablename__ = "rooms"
    __table_args__ = (
        # Only of the few rooms that have one.
        Index(
            "ix_rooms_keep_inactive",
            "keep_inactive",
            sqlite_where=text("keep_inactive IS NOT NULL"),
            postgresql_where=text("keep_inactive IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    max_peers: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger, default=0)
    active_peers: Mapped[int] = mapped_column(Integer, server_default="0")
    file_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Who made it, as far as it is counted against somebody: see `PRESENCE_MAX_ROOMS_EACH`.
    made_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH), index=True)
    # Since when it has had no peer at all, active or not; not looked at while it has one.
    empty_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Whether it was made as a room, and so stays until it is removed as one.
    is_made: Mapped[bool] = mapped_column(Boolean, server_default=false())
    # For how many seconds it keeps peers after they were last seen; null: as long as the server.
    keep_inactive: Mapped[int | None] = mapped_column(Integer)
    # What joining it asks for, hashed; null: nothing.
    password_hash: Mapped[str | None] = mapped_column(Text)
    # Whether who joins waits to be admitted.
    has_lobby: Mapped[bool] = mapped_column(Boolean, server_default=false())
    # The version when its data last changed (`tables.room_data`); 0 where it never had any.
    data_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # The numbers of the newest kept broadcast, and of the newest that was too old or one too many.
    last_broadcast: Mapped[int] = mapped_column(BigInteger, server_default="0")
    gone_broadcast: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Peer(Base):
    """Somebody who is or was in a room. Active exactly while `PeerSession` rows point here."""

    __tablename__ = "peers"
    __table_args__ = (
        UniqueConstraint("room_id", "peer_id"),
        Index("ix_peers_room_id_changed_version", "room_id", "changed_version"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    peer_id: Mapped[str] = mapped_column(Name)
    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH))
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    user_data: Mapped[dict[str, Any]] = mapped_column(JsonObject)
    # The room's version when user_data last changed.
    data_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # The room's version when anything that a list shows of the peer last changed.
    changed_version: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Why its last session ended; says nothing while the peer is active.
    away_reason: Mapped[str | None] = mapped_column(String(16))
    # What an admin lets it do in the room, with blanks between; null: what its token says.
    grants: Mapped[str | None] = mapped_column(String(200))


class Worker(Base):
    """A running server process. It renews its row; one that stops doing so has died."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    renewed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PeerSession(Base):
    """One reason why a peer is active.

    Either a live socket, with its Socket.IO id in ``sid`` and the worker that holds it, or a REST
    join, without a sid and with the instant at which it ends unless it is renewed. A socket that
    was lost and may come back within the grace has both.
    """

    __tablename__ = "sessions"
    __table_args__ = (_where_it_ends("ix_sessions_expires_at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    peer_row_id: Mapped[int] = mapped_column(ForeignKey("peers.id", ondelete="CASCADE"), index=True)
    sid: Mapped[str | None] = mapped_column(String(64), unique=True)
    # Not indexed: sessions are looked through by it only when a worker comes or goes.
    worker_id: Mapped[str | None] = mapped_column(ForeignKey("workers.id", ondelete="CASCADE"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Recovery(Base):
    """A secret, hashed, that gives a lost connection its peer back; good while its session lives.

    ``expires_at`` is set when that session has ended without the peer having left.
    """

    __tablename__ = "recoveries"
    __table_args__ = (_where_it_ends("ix_recoveries_expires_at"),)

    secret_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    peer_row_id: Mapped[int] = mapped_column(ForeignKey("peers.id", ondelete="CASCADE"), index=True)
    sid: Mapped[str] = mapped_column(String(64), index=True)
    deltas: Mapped[bool] = mapped_column(Boolean)
    states: Mapped[bool] = mapped_column(Boolean, server_default=false())
    data_notices: Mapped[bool] = mapped_column(Boolean, server_default=true())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Ban(Base):
    """A peer id that may not join a room; for good where there is no ``until``.

    By names, not rows: the peer may be erased, or not have come yet.
    """

    __tablename__ = "bans"

    room_name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    peer_id: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Closing(Base):
    """A room that nobody may join; until it is opened again where there is no ``until``."""

    __tablename__ = "closings"

    room_name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)


class File(Base):
    """An uploaded file: its bytes lie in the upload folder under ``stored_name``."""

    __tablename__ = "files"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    peer_row_id: Mapped[int] = mapped_column(ForeignKey("peers.id", ondelete="CASCADE"), index=True)
    stored_name: Mapped[str] = mapped_column(String(48), unique=True)
    original_name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(128))
    size: Mapped[int] = mapped_column(BigInteger)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Usage(Base):
    """What the server holds altogether, in one row, beside what it counts.

    ``first_version`` is what a room begins with that is made now: later than the last version of
    any room that was removed.
    """

    __tablename__ = "usage"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    rooms: Mapped[int] = mapped_column(Integer)
    file_bytes: Mapped[int] = mapped_column(BigInteger)
    first_version: Mapped[int] = mapped_column(BigInteger)


class Maintenance(Base):
    """That nothing may be changed now, in one row while it is so."""

    __tablename__ = "maintenance"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(String(200))


class Activity(Base):
    """Something a peer did, for the room's diary; it stays when the peer's name changes."""

    __tablename__ = "activity"
    __table_args__ = (Index("ix_activity_room_id_peer_id_at_id", "room_id", "peer_id", "at", "id"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(16))
    peer_id: Mapped[str] = mapped_column(Name)
    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH))
    times: Mapped[int] = mapped_column(Integer, default=1)
    detail: Mapped[dict[str, Any]] = mapped_column(JsonObject)


class Occupancy(Base):
    """How many peers were active in a room in a minute in which that changed.

    ``minute`` counts from 1970; ``peak`` is the most at once after a change, ``last`` the number
    at the minute's end.
    """

    __tablename__ = "occupancy"

    room_id: Mapped[int] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True
    )
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    peak: Mapped[int] = mapped_column(Integer)
    last: Mapped[int] = mapped_column(Integer)


class _Happening:
    """What is kept of something that happened in a room; ``facts`` is a JSON object."""

    uid: Mapped[str] = mapped_column(String(32))
    type: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    room_name: Mapped[str] = mapped_column(Name)
    version: Mapped[int] = mapped_column(BigInteger)
    peer_id: Mapped[str | None] = mapped_column(Name)
    # Not parsed by the database, which asks for nothing in it.
    facts: Mapped[str] = mapped_column(Text)


class Outbox(_Happening, Base):
    """An event that has no place among the others yet, written with the change that it tells of.

    The ids of one room's rise with its versions. Those of several rooms do not say which was
    committed first, so nobody may read on by them.
    """

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)


class Event(_Happening, Base):
    """An event in its place: whoever sees one sees all that have a smaller ``position``."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_room_name_position", "room_name", "position"),
        # For what is told of a peer that is erased.
        Index("ix_events_room_name_peer_id", "room_name", "peer_id"),
    )

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class EventLog(Base):
    """How far the events have got, in one row: the last place that was given.

    ``gone`` is the last place of those that were kept for long enough and are no more.
    """

    __tablename__ = "event_log"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    last_position: Mapped[int] = mapped_column(BigInteger)
    gone: Mapped[int] = mapped_column(BigInteger)


class WebhookQueue(Base):
    """A room with events that a webhook has not taken yet: those in ``(after, last]``.

    ``hook`` stands for its address. While a worker sends some of them it holds the room's
    ``lease``. ``attempts`` have failed in a row, the first of them at ``failing_since``.
    """

    __tablename__ = "webhook_queue"
    __table_args__ = (
        Index("ix_webhook_queue_hook_due_at", "hook", "due_at"),
        # For events of which it is asked whether any webhook still waits for them.
        Index("ix_webhook_queue_room_name", "room_name"),
    )

    hook: Mapped[str] = mapped_column(String(32), primary_key=True)
    room_name: Mapped[str] = mapped_column(Name, primary_key=True)
    after: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
    lease: Mapped[str | None] = mapped_column(String(32))
    leased_by: Mapped[str | None] = mapped_column(String(32))
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class WebhookFailure(Base):
    """Events of a room that a webhook would not take for too long: those in ``(after, last]``."""

    __tablename__ = "webhook_failures"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    hook: Mapped[str] = mapped_column(String(32), index=True)
    room_name: Mapped[str] = mapped_column(Name, index=True)
    after: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(String(REASON_LENGTH))


db = SQLAlchemy(model_class=Base)
