"""What webhooks have not taken yet: room by room, in order, shared out among the workers.

A room's events go to a webhook one piece after the other: whoever sends some of them holds the
room's lease until they are taken or refused, so that nothing overtakes them. Rooms do not wait for
each other. Leases are written and compared on the database's clock; one whose worker has died, or
that has run out, is no lease any more, and what was being sent is sent again.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from presence.domain.outbox import event_log
from presence.domain.outbox.event_log import Told
from presence.storage import database
from presence.storage.models import (
    REASON_LENGTH,
    Event,
    UtcDateTime,
    WebhookFailure,
    WebhookQueue,
    Worker,
)
from presence.storage.prepared import Prepared

# Longer than a request may take.
LEASE = timedelta(seconds=30)
# For how long events are sent again before they count as failed, and how long those are kept.
PATIENCE = timedelta(days=3)
FAILED_KEPT = timedelta(days=30)
# The longest wait between two attempts.
_MAX_WAIT = 900.0
# How long what waits for a webhook is kept that no worker sends to.
_ABANDONED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events that a worker may send now, and the rooms that wait for what comes of it."""

    hook: str
    lease: str
    rooms: tuple[str, ...]
    events: list[Told]


def any_due(session: Session, hook: str, now: datetime, *, again: bool) -> bool:
    """Tell whether `claim` may find anything, as the clock of this machine has it."""
    return bool(_DUE[again].rows(session, of_hook=hook, now=now))


def claim(
    session: Session,
    hook: str,
    worker_id: str,
    *,
    again: bool,
    rooms: int,
    events: int,
    max_bytes: int,
) -> Batch | None:
    """Lease rooms whose events are due, and return the oldest of these events; None if none are.

    With `again` one room that was refused before, by itself; else up to `rooms` others. Their facts
    have no more than `max_bytes`, unless it is one event.
    """
    now = event_log.clock_now(session)
    most = 1 if again else rooms
    names = [row[0] for row in _FIND[again].rows(session, of_hook=hook, now=now, most=most)]
    if not names:
        return None
    lease = secrets.token_hex(8)
    _LEASE.later(session, of_hook=hook, rooms=names, own=lease, worker=worker_id, until=now + LEASE)
    found = _PENDING.rows(session, of_hook=hook, rooms=names, most=events)
    if not found:
        # Their events are gone.
        session.execute(
            delete(WebhookQueue)
            .where(WebhookQueue.hook == hook, WebhookQueue.room_name.in_(names))
            .execution_options(synchronize_session=False)
        )
        return None
    return Batch(hook, lease, tuple(sorted(names)), _fitting(found, max_bytes))


def taken(session: Session, batch: Batch) -> None:
    """Note that a webhook has taken the events of a batch."""
    now = event_log.clock_now(session)
    last = {event.room_name: event.position for event in batch.events}
    for room_name in batch.rooms:
        whose = {"of_hook": batch.hook, "of_lease": batch.lease, "room": room_name, "now": now}
        if room_name in last:
            _TAKEN.later(session, **whose, taken=last[room_name])
        else:
            _RELEASE.later(session, **whose)
    _DROP_DONE.later(session, of_hook=batch.hook, rooms=list(batch.rooms))


def refused(
    session: Session, batch: Batch, error: str, *, alone: bool, wait: float | None = None
) -> None:
    """Note that a webhook has not taken the events of a batch, and when they are to be sent again.

    With `alone` it has answered, so one room's events may be the reason: each of these rooms is
    tried by itself then. What has been refused for `PATIENCE` is given up.
    """
    now = database.now(session)
    queue = WebhookQueue
    rows = session.execute(
        select(queue.room_name, queue.after, queue.attempts, queue.failing_since, queue.last)
        .where(*_leased(batch))
        .order_by(queue.room_name)
        .with_for_update()
    ).all()
    concerned = {event.room_name for event in batch.events}
    whose = {"of_hook": batch.hook, "of_lease": batch.lease, "now": now}
    for row in rows:
        if row.room_name not in concerned:
            _RELEASE.later(session, **whose, room=row.room_name)
            continue
        since = row.failing_since or now
        attempts = row.attempts + 1 if alone or row.attempts else 0
        seconds = wait if wait is not None else wait_after(attempts)
        if alone and not row.attempts and len(concerned) > 1:
            seconds = 0.0
        after = row.after
        if since <= now - PATIENCE:
            after = _give_up(session, batch, row, now, error)
        _REFUSED.later(
            session,
            of_hook=batch.hook,
            of_lease=batch.lease,
            room=row.room_name,
            given_up=after,
            times=attempts,
            since=since,
            why=error[:REASON_LENGTH],
            again_at=now + timedelta(seconds=seconds),
        )
    _DROP_DONE.later(session, of_hook=batch.hook, rooms=list(batch.rooms))


def wait_after(attempts: int) -> float:
    """Return for how many seconds a room waits after so many attempts that have failed."""
    return float(min(2 ** min(attempts, 20), _MAX_WAIT))


def hurry(session: Session, hook: str | None = None) -> int:
    """Let everything that waits for a webhook, or for any, be sent now; return how many rooms."""
    now = database.now(session)
    conditions = [WebhookQueue.due_at > now]
    if hook is not None:
        conditions.append(WebhookQueue.hook == hook)
    result = session.execute(
        update(WebhookQueue)
        .where(*conditions)
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def retry_failed(session: Session) -> int:
    """Send what was given up once more, and what followed it in its rooms; return how many rooms.

    In the order of each room, so that what followed is sent again too.
    """
    now = database.now(session)
    failures = session.execute(
        select(
            WebhookFailure.hook,
            WebhookFailure.room_name,
            func.min(WebhookFailure.after),
            func.max(WebhookFailure.last),
        )
        .group_by(WebhookFailure.hook, WebhookFailure.room_name)
        .order_by(WebhookFailure.hook, WebhookFailure.room_name)
    ).all()
    for hook, room_name, first, newest in failures:
        after, last = first, newest
        waiting = (WebhookQueue.hook == hook, WebhookQueue.room_name == room_name)
        row = session.execute(
            select(WebhookQueue.after, WebhookQueue.last).where(*waiting).with_for_update()
        ).one_or_none()
        if row is not None:
            session.execute(delete(WebhookQueue).where(*waiting))
            after, last = min(after, row.after), max(last, row.last)
        session.add(
            WebhookQueue(
                hook=hook, room_name=room_name, after=after, last=last, due_at=now, attempts=0
            )
        )
    session.flush()
    session.execute(delete(WebhookFailure))
    return len(failures)


def tidy(session: Session, hooks: Collection[str]) -> None:
    """Forget what waits for webhooks that are no more, and what was given up long ago."""
    now = database.now(session)
    session.execute(
        delete(WebhookQueue)
        .where(WebhookQueue.hook.not_in(hooks), WebhookQueue.due_at < now - _ABANDONED)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(WebhookFailure)
        .where(WebhookFailure.failed_at < now - FAILED_KEPT)
        .execution_options(synchronize_session=False)
    )


def _fitting(rows: Sequence[Sequence[Any]], max_bytes: int) -> list[Told]:
    """Return as many events as may go together."""
    events: list[Told] = []
    size = 0
    for row in rows:
        event = Told(*row)
        size += len(event.facts)
        if events and size > max_bytes:
            break
        events.append(event)
    return events


def _leased(batch: Batch) -> tuple[ColumnElement[bool], ...]:
    return (WebhookQueue.hook == batch.hook, WebhookQueue.lease == batch.lease)


def _give_up(
    session: Session, batch: Batch, row: Row[*tuple[object, ...]], now: datetime, error: str
) -> int:
    """Note events of a room as failed: those just refused, and whatever else is as old."""
    refused = max(e.position for e in batch.events if e.room_name == row.room_name)
    old = session.scalar(
        select(func.max(Event.position)).where(
            Event.room_name == row.room_name,
            Event.position > row.after,
            Event.position <= row.last,
            Event.at <= now - PATIENCE,
        )
    )
    last = max(refused, old or 0)
    session.add(
        WebhookFailure(
            hook=batch.hook,
            room_name=row.room_name,
            after=row.after,
            last=last,
            failed_at=now,
            error=error[:REASON_LENGTH],
        )
    )
    session.flush()
    return last


_DUE = {
    again: Prepared(
        select(WebhookQueue.hook)
        .where(
            WebhookQueue.hook == bindparam("of_hook"),
            WebhookQueue.due_at <= bindparam("now"),
            WebhookQueue.attempts > 0 if again else WebhookQueue.attempts == 0,
        )
        .limit(1)
    )
    for again in (False, True)
}
_FREE_ROOM = or_(
    WebhookQueue.leased_by.is_(None),
    WebhookQueue.leased_until < bindparam("now", type_=UtcDateTime),
    ~exists().where(Worker.id == WebhookQueue.leased_by),
)
_FIND = {
    again: Prepared(
        select(WebhookQueue.room_name)
        .where(
            WebhookQueue.hook == bindparam("of_hook"),
            WebhookQueue.due_at <= bindparam("now", type_=UtcDateTime),
            WebhookQueue.attempts > 0 if again else WebhookQueue.attempts == 0,
            _FREE_ROOM,
        )
        .order_by(WebhookQueue.due_at)
        .limit(bindparam("most", type_=BigInteger))
        .with_for_update(skip_locked=True, of=WebhookQueue)
    )
    for again in (False, True)
}
_OF_ROOMS = (
    WebhookQueue.hook == bindparam("of_hook"),
    WebhookQueue.room_name.in_(bindparam("rooms", expanding=True)),
)
_LEASE = Prepared(
    update(WebhookQueue)
    .where(*_OF_ROOMS)
    .values(lease=bindparam("own"), leased_by=bindparam("worker"), leased_until=bindparam("until"))
)
_PENDING = Prepared(
    select(*event_log.columns())
    .join(
        WebhookQueue,
        and_(WebhookQueue.room_name == Event.room_name, Event.position > WebhookQueue.after),
    )
    .where(*_OF_ROOMS, Event.position <= WebhookQueue.last)
    .order_by(Event.position)
    .limit(bindparam("most", type_=BigInteger))
)
_OWN = (
    WebhookQueue.hook == bindparam("of_hook"),
    WebhookQueue.room_name == bindparam("room"),
    WebhookQueue.lease == bindparam("of_lease"),
)
_FREE = {"lease": None, "leased_by": None, "leased_until": None}
_RELEASE = Prepared(update(WebhookQueue).where(*_OWN).values(due_at=bindparam("now"), **_FREE))
_TAKEN = Prepared(
    update(WebhookQueue)
    .where(*_OWN)
    .values(
        after=bindparam("taken"),
        due_at=bindparam("now"),
        attempts=0,
        failing_since=None,
        error=None,
        **_FREE,
    )
)
_REFUSED = Prepared(
    update(WebhookQueue)
    .where(*_OWN)
    .values(
        after=bindparam("given_up"),
        attempts=bindparam("times"),
        failing_since=bindparam("since"),
        error=bindparam("why"),
        due_at=bindparam("again_at"),
        **_FREE,
    )
)
_DROP_DONE = Prepared(
    delete(WebhookQueue).where(
        WebhookQueue.hook == bindparam("of_hook"),
        WebhookQueue.room_name.in_(bindparam("rooms", expanding=True)),
        WebhookQueue.after >= WebhookQueue.last,
    )
)
