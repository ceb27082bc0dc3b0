"""Maintenance: everything can be read and nothing changed, while somebody works on the server.

A row of the database says so to every process. Each reads it again and again (`refresh`), and
between that knows it by heart, so that a write has nothing to ask.
"""

from __future__ import annotations

from datetime import datetime

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from presence.storage.models import Maintenance

_KNOWN = "presence-maintenance"


class ReadOnly(Exception):
    """Nothing may be changed now; `note` is what whoever runs the server says of it."""

    def __init__(self, note: str) -> None:
        super().__init__(note)
        self.note = note


def begin(session: Session, note: str, now: datetime) -> None:
    """Let nothing be changed from now on; `note`, up to 200 characters, is told to people."""
    end(session)
    session.add(Maintenance(id=1, since=now, note=note))


def end(session: Session) -> None:
    """Let everything be changed again."""
    session.execute(delete(Maintenance))


def refresh(session: Session) -> bool:
    """Learn from the database what holds for this process, and return whether that is new."""
    note = session.scalar(select(Maintenance.note))
    is_new = note != known()
    current_app.extensions[_KNOWN] = note
    return is_new


def known() -> str | None:
    """Return the note of the maintenance that this process knows of; None if there is none."""
    note: str | None = current_app.extensions.get(_KNOWN)
    return note


def check() -> None:
    """Raise `ReadOnly` during maintenance."""
    note = known()
    if note is not None:
        raise ReadOnly(note)
