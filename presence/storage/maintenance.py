"""Maintenance: everything can be read and nothing changed, while somebody works on the server.

A row of the database says so to every process. Each reads it again and again (`refresh`), and
between that knows it by heart, so that a write has nothing to ask.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from presence.storage.models import Maintenance

_KNOWN = "presence-maintenance"


class Pause(NamedTuple):
    """Since when nothing may be changed, and what whoever runs the server says of it."""

    since: datetime
    note: str


class ReadOnly(Exception):
    """Nothing may be changed now."""

    def __init__(self, pause: Pause) -> None:
        super().__init__(pause.note)
        self.pause = pause


def begin(session: Session, note: str, now: datetime) -> None:
    """Let nothing be changed from now on; `note`, up to 200 characters, is told to people."""
    end(session)
    session.add(Maintenance(id=1, since=now, note=note))


def end(session: Session) -> None:
    """Let everything be changed again."""
    session.execute(delete(Maintenance))


def refresh(session: Session) -> bool:
    """Learn from the database what holds for this process, and return whether that is new."""
    row = session.execute(select(Maintenance.since, Maintenance.note)).one_or_none()
    pause = Pause(row.since, row.note) if row else None
    is_new = pause != known()
    current_app.extensions[_KNOWN] = pause
    return is_new


def known() -> Pause | None:
    """Return the maintenance that this process knows of; None if there is none."""
    pause: Pause | None = current_app.extensions.get(_KNOWN)
    return pause


def check() -> None:
    """Raise `ReadOnly` during maintenance."""
    pause = known()
    if pause is not None:
        raise ReadOnly(pause)
