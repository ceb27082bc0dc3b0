"""Couriers: what happened gets its place in the log, and is carried to the webhooks.

Each process has some of them for each webhook, and they share the rooms with those of the others.
Some carry what was never refused, many rooms at once; others one room each that was refused
before, so that what keeps failing holds up nobody. A backend that is away is left alone by all of
them for a while, longer each time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter

from sqlalchemy.orm import Session

from presence.domain.outbox import deliveries, event_log, outbox, queues
from presence.domain.outbox.deliveries import Batch
from presence.domain.peers import workers
from presence.domain.values import clock
from presence.storage import database, maintenance
from presence.storage.models import db
from presence.storage.transactions import give
from presence.transport.backend.sending import Answer, Sender
from presence.transport.process.runtime import Runtime
from presence.transport.wire.wording import plural

log = logging.getLogger(__name__)

# Requests to one webhook that this process has under way at once, of each of the two kinds.
_AT_ONCE = 2
MOST_EVENTS = 100
_MOST_ROOMS = 100
_MOST_BYTES = 512 * 1024
# How long it is gathered what happens, and after how long it is looked without having been called.
_GATHER_SECONDS = 0.2
_POLL_SECONDS = 0.5
# How long a courier waits after a request that was not full, for what is to be told with the next:
# a request takes as much CPU as some changes.
_PACE_SECONDS = 0.5
# How often a courier looks for what nobody called it for, such as what a dead worker was sending.
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# After so many refusals in a row it was the backend, and not a few rooms.
_REFUSALS = 20
# Requests that wait for events; each has a thread of its own where the server runs on threads.
_MOST_WAITING = 100
_TIDY_SECONDS = 60.0
_FORGET_SECONDS = 5.0
_WINDOW = 500


def init_app(run: Runtime) -> None:
    """Have events written down, put in order, carried to webhooks, and forgotten in the end."""
    with run.app.app_context():
        if run.wanted is not None:
            give(db.engine, outbox.WANTED, run.wanted)
    couriers = run.app.extensions["couriers"] = Couriers(run)
    run.at_start(couriers.start)
    if run.wanted is not None:
        forgetter = _Forgetter(run)
        run.upkeep.every(_FORGET_SECONDS, forgetter.step, "events could not be forgotten")
        run.upkeep.every(_TIDY_SECONDS, couriers.tidy, "what webhooks left could not be forgotten")
        run.at_end(couriers.stop)


class Couriers:
    """Those of this process. ``senders`` has one for each webhook."""

    def __init__(self, run: Runtime) -> None:
        settings = run.settings
        secrets = [part.strip() for part in settings.webhook_secrets.split(",") if part.strip()]
        self.senders = [Sender(url, secrets, 2 * _AT_ONCE) for url in settings.hooks]
        self._run = run
        self._is_stopped = False
        # What has failed, and was said.
        self._failing: set[str] = set()
        self._places = threading.Semaphore(_MOST_WAITING)
        # Set and replaced whenever events have got their places.
        self._news = threading.Event()
        self._seen = 0
        self._breaks = {sender.key: _Break() for sender in self.senders}

    def start(self) -> None:
        """Begin to carry, or forget what was written down while events were wanted."""
        run = self._run
        if run.wanted is None:
            self._forget_all()
            return
        run.socketio.start_background_task(self._put_in_order)
        for sender in self.senders:
            for again in (False, True):
                for number in range(_AT_ONCE):
                    run.socketio.start_background_task(self._carry, sender, again, number > 0)

    def stop(self) -> None:
        """Begin nothing any more, and keep nobody waiting for news."""
        self._is_stopped = True
        self._news.set()

    @property
    def _is_over(self) -> bool:
        return self._is_stopped or self._run.resting

    def wait_for_news(self, seconds: float) -> None:
        """Wait until further events have got their places, but no longer than so many seconds."""
        if not self._is_over:
            self._news.wait(seconds)

    @contextmanager
    def waiting(self) -> Generator[bool]:
        """Hold one of the places of requests that wait; tells whether there was one."""
        got = self._places.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                self._places.release()

    @property
    def seen(self) -> int:
        """The last place that this process knows was given."""
        return self._seen

    def tidy(self) -> None:
        """Forget what waits for webhooks that are no more."""
        with database.writing(upkeep=True) as session:
            rooms = queues.tidy(session, [sender.key for sender in self.senders])
        if rooms:
            log.warning(
                "forgot what waited in %s for webhooks that PRESENCE_WEBHOOK_URLS does not have "
                "any more",
                plural(rooms, "room", "rooms"),
            )

    def _forget_all(self) -> None:
        """Forget what was written down while events were wanted, if no other process wants it."""
        with database.reading() as session:
            is_any = event_log.any_waiting(session) or event_log.ends(session).last > 0
            if not is_any or workers.living(session) - {self._run.worker_id}:
                return
        with database.writing(upkeep=True) as session:
            forgotten = outbox.forget_all(session)
        if forgotten:
            log.warning(
                "nobody is to be told of events any more (PRESENCE_WEBHOOK_URLS, "
                "PRESENCE_KEEP_EVENTS); forgot %s",
                plural(forgotten, "event", "events"),
            )

    def _put_in_order(self) -> None:
        """Give what is committed its places, again and again."""
        while not self._is_over:
            is_called = self._run.stirred.wait(_POLL_SECONDS)
            self._run.stirred.clear()
            if is_called:
                self._run.socketio.sleep(_GATHER_SECONDS)
            self._safely(partial(self._order_all, is_called), "events could not be put in order")

    def _order_all(self, is_called: bool) -> bool:
        if not is_called:
            with database.reading() as session:
                waiting, known = event_log.any_waiting(session), event_log.ends(session)
            self._tell_news(known.last)
            if not waiting:
                return True
        hooks = [sender.key for sender in self.senders]
        placed = -1
        while placed and not self._is_over:
            with database.writing(upkeep=True) as session:
                placed, last = event_log.put_in_order(session, hooks)
            self._tell_news(last)
            if placed < event_log.AT_ONCE:
                break
            self._run.socketio.sleep(0)
        return True

    def _tell_news(self, last: int | None) -> None:
        """Let go on who waits for events, if there are others up to this place."""
        if last is not None and last > self._seen:
            self._seen = last
            news, self._news = self._news, threading.Event()
            news.set()

    def _carry(self, sender: Sender, again: bool, is_second: bool) -> None:
        """Carry what is due to a webhook, again and again.

        The first of its kind is called when there is something new; the second one looks for
        itself, and finds something where the first one has its hands full.
        """
        pause = self._breaks[sender.key]
        while not self._is_over:
            wait = pause.seconds_left()
            if wait > 0:
                self._run.socketio.sleep(min(wait, _POLL_SECONDS))
                continue
            seen = self._seen
            failure = f"events could not be sent to {sender.name}"
            if self._safely(lambda: self._carry_on(sender, again), failure):
                continue
            if again or is_second:
                self._run.socketio.sleep(_LOOK_SECONDS)
            else:
                self._run.socketio.sleep(_PACE_SECONDS)
                if self._seen == seen:
                    self.wait_for_news(_LOOK_SECONDS)

    def _carry_on(self, sender: Sender, again: bool) -> bool:
        """Send batches for as long as each is taken and there is likely to be another one.

        Returns whether there is after a refusal.
        """
        with database.reading() as session:
            if not deliveries.any_due(session, sender.key, clock.now(), again=again):
                return False
        with database.writing(upkeep=True) as session:
            batch = self._claim(session, sender, again)
        while batch is not None:
            answer = sender.send(batch.events)
            self._run.counters.webhook_requests["refused" if answer.error else "taken"] += 1
            goes_on = again or not batch.is_all or len(batch.rooms) == _MOST_ROOMS
            if answer.error:
                self._note_refusal(sender, batch, answer)
                return goes_on
            batch = self._note_taken(sender, batch, again, goes_on=goes_on)
        return False

    def _claim(self, session: Session, sender: Sender, again: bool) -> Batch | None:
        return deliveries.claim(
            session,
            sender.key,
            self._run.worker_id,
            again=again,
            rooms=_MOST_ROOMS,
            events=MOST_EVENTS,
            max_bytes=_MOST_BYTES,
        )

    def _note_taken(
        self, sender: Sender, batch: Batch, again: bool, *, goes_on: bool
    ) -> Batch | None:
        """Note that a batch was taken; return the next one, in the same transaction, if any."""
        following = None
        goes_on = goes_on and not self._is_over and maintenance.known() is None
        with database.writing(upkeep=True) as session:
            deliveries.taken(session, batch)
            if goes_on:
                following = self._claim(session, sender, again)
        if self._breaks[sender.key].is_over():
            # It is there again: what waits need not wait for as long as it was to.
            with database.writing(upkeep=True) as session:
                queues.hurry(session, sender.key)
            log.info("the webhook %s takes events again", sender.name)
        now, latency = time.time(), self._run.counters.webhook_latency
        for text, events in groupby(batch.events, attrgetter("at")):
            at = datetime.fromisoformat(f"{text}+00:00").timestamp()
            latency.observe(max(0.0, now - at), len(list(events)))
        return following

    def _note_refusal(self, sender: Sender, batch: Batch, answer: Answer) -> None:
        with database.writing(upkeep=True) as session:
            deliveries.refused(
                session, batch, answer.error, alone=not answer.is_away, wait=answer.wait
            )
        if self._breaks[sender.key].refused(answer):
            log.warning(
                "the webhook %s does not take events (%s); they wait", sender.name, answer.error
            )

    def _safely(self, do: Callable[[], bool], failure: str) -> bool:
        """Do something in an app context unless nothing may be changed; False where it failed."""
        try:
            with self._run.app.app_context():
                done = maintenance.known() is None and do()
            self._failing.discard(failure)
            return done
        except Exception:
            if failure not in self._failing:  # once, however long a database is away
                self._failing.add(failure)
                log.exception("%s; trying again", failure)
            self._run.socketio.sleep(_RETRY_SECONDS)
        return False


class _Break:
    """How long a webhook is left alone by this process."""

    def __init__(self) -> None:
        self._until = 0.0
        self._next = _FIRST_PAUSE
        self._refusals = 0
        self._is_on = False

    def seconds_left(self) -> float:
        """Return for how many seconds nothing is to be sent."""
        return self._until - time.monotonic()

    def refused(self, answer: Answer) -> bool:
        """Note a refusal; return whether the backend is left alone from now on, and was not.

        One that answers is not: its rooms wait each for itself.
        """
        self._refusals += 1
        if not answer.is_away:
            return False
        if self.seconds_left() > 0:
            return False  # sent before another one was refused
        is_new, self._is_on = not self._is_on, True
        self._until = time.monotonic() + max(self._next, answer.wait or 0.0)
        self._next = min(2 * self._next, _LONGEST_PAUSE)
        return is_new

    def is_over(self) -> bool:
        """Note that events were taken; return whether the backend took none before."""
        was_on = self._is_on or self._refusals >= _REFUSALS
        self._is_on = False
        self._refusals, self._next, self._until = 0, _FIRST_PAUSE, 0.0
        return was_on


class _Forgetter:
    """Walks the log and deletes what was kept for long enough, a little at a time."""

    def __init__(self, run: Runtime) -> None:
        self._run = run
        self._after = 0

    def step(self) -> None:
        """Look at the next few events. Needs an app context."""
        kept = self._run.settings.events_kept_seconds
        if kept is None or maintenance.known() is not None:
            return
        gone = 1
        while gone:  # where all that is old is still waited for, the next step looks further
            with database.writing(upkeep=True) as session:
                before = database.now(session) - timedelta(seconds=kept)
                gone, last = event_log.forget(session, before, self._after, _WINDOW)
            self._after = last or 0
            if last is None:
                return
            self._run.socketio.sleep(0)
