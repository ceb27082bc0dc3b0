"""The log of events: each in its place, so that whoever reads on by places misses none.

Transactions are committed in another order than that in which they get row ids: one that has the
smaller id may still be under way when the larger one can be seen already. So an event gets its
place only when it has been committed, from one transaction after the other (`put_in_order`), and
whoever sees a place sees all before it. Within a room the order of the row ids is that of the
versions, since a room is locked while something of it is written; a room's later event is never to
be seen without its earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from presence.storage.instants import UtcDateTime, instant_text
from presence.storage.models import (
    Event,
    EventLog,
    Outbox,
    WebhookFailure,
    WebhookQueue,
)
from presence.storage.prepared import Now, Prepared

# How many events get their places in one transaction, which nobody else writes beside in SQLite.
AT_ONCE = 500


class Told(NamedTuple):
    """An event in its place; ``at`` is as in `storage.instants`, ``facts`` is JSON."""

    position: int
    uid: str
    type: str
    at: str
    room_name: str
    version: int
    peer_id: str | None
    facts: str


class Page(NamedTuple):
    """Some events, and the place up to which there are no others of those that were asked for."""

    events: list[Told]
    position: int
    is_last: bool


class Ends(NamedTuple):
    """The last place that was given, and the last of those whose events are gone."""

    last: int
    gone: int


def put_in_order(session: Session, hooks: Sequence[str]) -> tuple[int, int | None]:
    """Give the next events that were committed their places, for these webhooks to be sent.

    Returns how many they were, and the last place that is given now; none, and None, where another
    process is doing it.
    """
    rows = _LOCK.rows(session)
    if not rows:
        return 0, None
    ((last,),) = rows
    waiting = _WAITING.rows(session, most=AT_ONCE)
    if not waiting:
        return 0, last
    ids = [row[0] for row in waiting]
    first, newest = ids[0], ids[-1]
    if newest - first + 1 == len(ids):
        # None is missing that may come later, as they mostly are; that costs half of the other.
        _APPEND_RUN.later(session, more=last + 1 - first, first=first, newest=newest)
        _TAKE_OUT_RUN.later(session, first=first, newest=newest)
    else:
        _APPEND.later(session, before=last, ids=ids)
        _TAKE_OUT.later(session, ids=ids)
    _COUNT.later(session, last=last + len(ids))
    _enqueue(session, hooks, [(room_name, last + n) for n, (_, room_name) in enumerate(waiting, 1)])
    return len(ids), last + len(ids)


def _enqueue(session: Session, hooks: Sequence[str], placed: Sequence[tuple[str, int]]) -> None:
    """Let webhooks be sent what has got its places, given with the names of the rooms."""
    first: dict[str, int] = {}
    for room_name, position in placed:
        first.setdefault(room_name, position)
    newest = dict(placed)
    # In one order, like everybody who locks several of them.
    for hook in sorted(hooks):
        for room_name in sorted(first):
            _QUEUE.later(
                session,
                of_hook=hook,
                room=room_name,
                before=first[room_name] - 1,
                newest=newest[room_name],
            )


def any_waiting(session: Session) -> bool:
    """Tell whether `put_in_order` would find anything."""
    return bool(_WAITING.rows(session, most=1))


def ends(session: Session) -> Ends:
    """Return where the log begins and ends."""
    return Ends(*_ENDS.rows(session)[0])


def read(
    session: Session,
    after: int,
    limit: int,
    condition: ColumnElement[bool] | None = None,
) -> Page:
    """Return the next events after a place that meet a condition, `limit` at most."""
    last = ends(session).last
    query = select(*_COLUMNS).where(Event.position > after, Event.position <= last)
    if condition is not None:
        query = query.where(condition)
    rows = session.execute(query.order_by(Event.position).limit(limit))
    events = [Told._make(row) for row in rows]
    if len(events) < limit:
        return Page(events, max(after, last), True)
    return Page(events, events[-1].position, events[-1].position == last)


def forget(session: Session, before: datetime, after: int, window: int) -> tuple[int, int | None]:
    """Delete events from before an instant that no webhook waits for, among the next rows.

    Returns how many, and the place of the last row that was looked at, or None at the end.
    """
    ((last, count, newest),) = _AHEAD.rows(session, after=after, window=window)
    if not count:
        return 0, None
    gone = _FORGET.rows(session, after=after, last=last, before=before)
    if gone:
        _NOTE_GONE.later(session, newest=max(gone)[0])
    return len(gone), last if count == window and newest < before else None


def _wanted_by(table: Any) -> ColumnElement[bool]:
    return exists().where(
        table.room_name == Event.room_name,
        table.after < Event.position,
        table.last >= Event.position,
    )


def columns() -> Sequence[Any]:
    """Return the columns that make a `Told`."""
    return _COLUMNS


_HAPPENING = ("uid", "type", "at", "room_name", "version", "peer_id", "facts")
_COLUMNS = (
    Event.position,
    Event.uid,
    Event.type,
    instant_text(Event.at),
    Event.room_name,
    Event.version,
    Event.peer_id,
    Event.facts,
)
_NEXT = (
    select(Event.position, Event.at)
    .where(Event.position > bindparam("after", type_=BigInteger))
    .order_by(Event.position)
    .limit(bindparam("window", type_=BigInteger))
    .subquery()
)
_AHEAD = Prepared(select(func.max(_NEXT.c.position), func.count(), func.max(_NEXT.c.at)))
_FORGET = Prepared(
    delete(Event)
    .where(
        Event.position > bindparam("after", type_=BigInteger),
        Event.position <= bindparam("last", type_=BigInteger),
        Event.at < bindparam("before", type_=UtcDateTime),
        ~_wanted_by(WebhookQueue),
        ~_wanted_by(WebhookFailure),
    )
    .returning(Event.position)
)
_NOTE_GONE = Prepared(
    update(EventLog).where(EventLog.gone < bindparam("newest")).values(gone=bindparam("newest"))
)
_ENDS = Prepared(select(EventLog.last_position, EventLog.gone))
_LOCK = Prepared(select(EventLog.last_position).with_for_update(skip_locked=True))
_WAITING = Prepared(
    select(Outbox.id, Outbox.room_name)
    .order_by(Outbox.id)
    .limit(bindparam("most", type_=BigInteger))
)


def _appending(position: Any, condition: ColumnElement[bool]) -> Prepared:
    """Return a statement that copies rows of the outbox into the log, each to a position."""
    found = select(position, *(getattr(Outbox, name) for name in _HAPPENING)).where(condition)
    return Prepared(insert(Event).from_select(("position", *_HAPPENING), found.order_by(Outbox.id)))


_IS_AMONG = Outbox.id.in_(bindparam("ids", expanding=True))
_APPEND = _appending(
    bindparam("before", type_=BigInteger) + func.row_number().over(order_by=Outbox.id), _IS_AMONG
)
_TAKE_OUT = Prepared(delete(Outbox).where(_IS_AMONG))
_IS_IN_RUN = Outbox.id.between(
    bindparam("first", type_=BigInteger), bindparam("newest", type_=BigInteger)
)
_APPEND_RUN = _appending(bindparam("more", type_=BigInteger) + Outbox.id, _IS_IN_RUN)
_TAKE_OUT_RUN = Prepared(delete(Outbox).where(_IS_IN_RUN))
_COUNT = Prepared(update(EventLog).values(last_position=bindparam("last")))


def _queueing(insert: Any) -> Any:
    statement = insert(WebhookQueue).values(
        hook=bindparam("of_hook"),
        room_name=bindparam("room"),
        after=bindparam("before"),
        last=bindparam("newest"),
        due_at=Now(),
        attempts=0,
    )
    return statement.on_conflict_do_update(
        index_elements=["hook", "room_name"], set_={"last": statement.excluded.last}
    )


_QUEUE = Prepared(_queueing)
