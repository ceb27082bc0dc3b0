"""The REST route by which a backend fetches what happened, and reads on where it was."""

from __future__ import annotations

import time
from typing import cast

import orjson
from flask import Blueprint, current_app, request

from presence import errors
from presence.domain.outbox import event_log
from presence.domain.outbox.event_log import Page
from presence.domain.permissions.tokens import EVENTS
from presence.errors import EventsGone, EventsNotKept, InvalidField
from presence.storage import database
from presence.storage.models import Event
from presence.transport.admission import request_access
from presence.transport.backend import event_bodies
from presence.transport.backend.couriers import Couriers
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.wire import described, messages, server_responses
from presence.transport.wire.messages import EventsQuery
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("backend_api", __name__, url_prefix="/api/webrtc")

LATEST = "latest"
# How often a request that waits looks whether the server is about to stop.
_LOOK_SECONDS = 1.0


@bp.get("/events")
@described.route(
    group="backend",
    answer=server_responses.Events,
    query=EventsQuery,
    errors=(errors.EventsNotKept, errors.EventsGone),
)
@needs(EVENTS)
def get_events() -> Body:
    """Return what happened after a cursor, the oldest first, and the cursor to read on from.

    With `wait` an answer without events comes only when nothing has happened for so long. An event
    that was committed is never left out, whichever process of the server is asked.
    """
    run = runtime()
    if run.settings.events_kept_seconds == 0:
        raise EventsNotKept
    query = _query()
    page = _page(query)
    if query.wait and not page.events:
        couriers = cast(Couriers, current_app.extensions["couriers"])
        with couriers.waiting() as may_wait:
            if may_wait:
                page = _next_page(run, couriers, query, page)
    return {
        "events": [orjson.Fragment(event_bodies.encoded(event)) for event in page.events],
        "cursor": event_bodies.cursor_of(page.position),
        "more": not page.is_last,
    }


def _next_page(run: Runtime, couriers: Couriers, query: EventsQuery, page: Page) -> Page:
    """Wait until a page has events, or for as long as is asked for."""
    until = time.monotonic() + query.wait
    seen = -1
    while not (page.events or run.stopping) and (left := until - time.monotonic()) > 0:
        if couriers.seen == seen:
            couriers.wait_for_news(min(_LOOK_SECONDS, left))
            continue
        seen = couriers.seen
        query.after = event_bodies.cursor_of(page.position)
        page = _page(query)
    return page


def _page(query: EventsQuery) -> Page:
    """Return the events that are asked for; raises `EventsGone`."""
    with database.reading() as session:
        last, gone = event_log.ends(session)
        if query.after == LATEST:
            query.after = event_bodies.cursor_of(last)
        after = gone if query.after is None else event_bodies.position_of(query.after)
        if after < gone:
            raise EventsGone(event_bodies.cursor_of(gone))
        if after > last:
            raise InvalidField("after", "is a cursor of another server. Read on without it.")
        condition = None
        if query.room is not None:
            condition = Event.room_name == query.room
        elif (grants := request_access.caller()) is not None:
            patterns = [pattern.parts for pattern in grants.room.patterns]
            condition = database.matches_any(session, Event.room_name, patterns)
        return event_log.read(session, after, query.limit, condition)


def _query() -> EventsQuery:
    """Return what is asked for; raises `InvalidField`, `NotGranted` or `Banned`."""
    given: dict[str, object] = dict(request.args.to_dict())
    for name, kind in (("limit", int), ("wait", float)):
        text = given.get(name)
        if isinstance(text, str):
            try:
                given[name] = kind(text) if text.isascii() and len(text) < 20 else text
            except ValueError:
                raise InvalidField(name, "must be a number.") from None
    query = messages.parse(EventsQuery, given)
    if query.room is not None:
        request_access.require(EVENTS, query.room)
    return query
