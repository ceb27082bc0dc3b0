"""The table of requests that have a key of their caller."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from presence.storage.instants import UtcDateTime
from presence.storage.models import Base


class IdempotencyKey(Base):
    """A request with a key of its caller: one that is being done, or what was answered to it.

    Everything is hashed. ``claim`` is who does it now, until ``ends_at``; afterwards it is null,
    ``status`` is that of the answer, and ``ends_at`` when it is forgotten. ``answer`` is sealed
    with the key itself, which is not here; null where it was too large.
    """

    __tablename__ = "idempotency_keys"

    caller: Mapped[str] = mapped_column(String(32), primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(32))
    claim: Mapped[str | None] = mapped_column(String(32))
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    status: Mapped[int | None] = mapped_column(Integer)
    answer: Mapped[str | None] = mapped_column(Text)
