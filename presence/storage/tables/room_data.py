"""The table of what rooms keep for all who are in them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from presence.storage.models import Base, Name


class RoomData(Base):
    """The data of a room, which has a row once somebody gave it any.

    ``data`` is a JSON object as compact text, of which the database is asked nothing, and ``size``
    its length in bytes. When it changed last stands in `Room.data_version`; ``changed_by`` is the
    peer who did it, null for a backend and for a peer that was erased.
    """

    __tablename__ = "room_data"

    room_id: Mapped[int] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    data: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    changed_by: Mapped[str | None] = mapped_column(Name)
