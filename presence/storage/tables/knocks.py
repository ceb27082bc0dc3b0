"""The table of those who wait in front of rooms."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from presence.storage.instants import UtcDateTime
from presence.storage.models import (
    REASON_LENGTH,
    USERNAME_LENGTH,
    Base,
    JsonObject,
    Name,
    RowId,
)


class Knock(Base):
    """Somebody who waits to be admitted to a room, and is no peer of it by that.

    Like a session: by a socket and the worker that holds it, or over REST and so until an instant.
    ``refused`` is why it was turned away, until it was told so.
    """

    __tablename__ = "knocks"
    __table_args__ = (
        UniqueConstraint("sid"),
        Index("ix_knocks_room_name_peer_id", "room_name", "peer_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    room_name: Mapped[str] = mapped_column(Name)
    peer_id: Mapped[str] = mapped_column(Name)
    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH))
    user_data: Mapped[dict[str, Any]] = mapped_column(JsonObject)
    sid: Mapped[str | None] = mapped_column(String(64))
    worker_id: Mapped[str | None] = mapped_column(ForeignKey("workers.id", ondelete="CASCADE"))
    knocked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    refused: Mapped[str | None] = mapped_column(String(REASON_LENGTH))
