"""How webhooks stand: what waits for them, since when, and what was given up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from presence.storage.models import Event, Outbox, WebhookFailure, WebhookQueue

# What waits is counted up to here, and its age is that of the oldest in so many rooms.
MOST_COUNTED = 10_000
_HEADS = 100


class Standing(NamedTuple):
    """How many events wait for a webhook and since when, and how many were given up.

    Neither is counted beyond `MOST_COUNTED`.
    """

    hook: str
    rooms: int
    waiting: int
    oldest: datetime | None
    failing_rooms: int
    failed: int
    error: str | None


def standings(session: Session, hooks: Iterable[str]) -> list[Standing]:
    """Return how each webhook stands."""
    return [_standing(session, hook) for hook in hooks]


def unordered(session: Session) -> int:
    """Return how many events have no place yet."""
    return session.scalar(select(func.count()).select_from(Outbox)) or 0


def _standing(session: Session, hook: str) -> Standing:
    queue, failures = WebhookQueue, WebhookFailure
    rooms, failing = session.execute(
        select(func.count(), func.count(queue.failing_since)).where(queue.hook == hook)
    ).one()
    # The room that waits for the oldest place; not by a look at all that is kept.
    first = (
        select(Event.at)
        .where(_between(queue))
        .order_by(Event.position)
        .limit(1)
        .correlate(queue)
        .scalar_subquery()
    )
    heads = select(first.label("at")).where(queue.hook == hook).order_by(queue.after).limit(_HEADS)
    error = session.scalar(
        select(queue.error)
        .where(queue.hook == hook, queue.error.is_not(None))
        .order_by(queue.failing_since.desc())
        .limit(1)
    )
    return Standing(
        hook,
        rooms,
        _count(session, queue, hook),
        session.scalar(select(func.min(heads.subquery().c.at))),
        failing,
        _count(session, failures, hook),
        error,
    )


def _between(table: Any) -> ColumnElement[bool]:
    """Return the condition that an event is among those that a row of the queue stands for."""
    return and_(
        table.room_name == Event.room_name,
        Event.position > table.after,
        Event.position <= table.last,
    )


def _count(session: Session, table: Any, hook: str) -> int:
    """Count the events that rows of a webhook stand for, up to `MOST_COUNTED`."""
    some = select(Event.position).join(table, _between(table)).where(table.hook == hook)
    counted = some.limit(MOST_COUNTED).subquery()
    return session.scalar(select(func.count()).select_from(counted)) or 0
