"""How this server uses PostgreSQL: what a connection is given, and how long it may be waited for.

PostgreSQL ends by itself what takes too long (`_SETTINGS`), but a server that hangs, or a network
that swallows packets, ends nothing. So every wait for an answer has an end on this side too, which
closes the connection. All these times stay well below the ping timeout: a request is answered, if
only with an error, before anybody takes its connection for dead.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

from presence.config import Settings
from presence.storage.turnstile import Turnstile

# What a statement may take, however patient the pings are.
_MAX_STATEMENT_SECONDS = 2.5
# How long one attempt waits for a server that has left another without an answer.
_PROBE_SECONDS = 1.0
# How long a connection that others use is waited for.
_TURN_SECONDS = 2.5
_turnstiles: WeakKeyDictionary[Engine, Turnstile] = WeakKeyDictionary()
# The codes of errors that say "somebody else was faster, or slower" (PostgreSQL, appendix A):
# serialization_failure, deadlock_detected and lock_not_available; and query_canceled.
_LOCKED = {"40001", "40P01", "55P03"}
_BUSY = {*_LOCKED, "57014"}


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the options of an engine for greenlets or threads that come by the hundred.

    A connection is borrowed for one transaction. Whoever finds none waits a bounded time, and
    one that PostgreSQL has closed meanwhile, as a restart does, is replaced before it is used (see
    `configure`).
    """
    seconds = _statement_seconds(settings)
    return {
        "pool_size": settings.database_connections,
        "max_overflow": 0,
        "pool_timeout": seconds,
        "pool_use_lifo": True,
        "connect_args": {
            "connection_factory": _connection_class(),
            "connect_timeout": max(2, round(seconds)),
            "application_name": "presence",
        },
    }


def patient_arguments() -> dict[str, Any]:
    """Return the arguments of connections for one long job, which are waited for as it takes."""

    class Patient(_connection_class()):  # type: ignore[misc]
        patience = None

    return {"connection_factory": Patient, "connect_timeout": 10, "application_name": "presence"}


def configure(engine: Engine, settings: Settings) -> None:
    """Give every connection of an engine its time limits, on both sides."""
    _wait_with_an_end()
    _turnstiles[engine] = Turnstile(settings.database_connections)
    seconds = _statement_seconds(settings)
    patience = seconds * 1.2
    milliseconds = int(seconds * 1000)
    limits = (
        f"SET statement_timeout = {milliseconds};"
        f"SET lock_timeout = {milliseconds * 4 // 5};"
        f"SET idle_in_transaction_session_timeout = {milliseconds * 4};"
        # Every query is small; compiling one would take longer than running it.
        "SET jit = off;"
        # All of them find rows by keys that an index has, whatever the values are.
        "SET plan_cache_mode = force_generic_plan"
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.patience = patience
        with connection.cursor() as cursor:
            cursor.execute(limits)
        connection.commit()

    @event.listens_for(engine, "checkout")
    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        # An idle connection has nothing to read but its end. Asking the server would take as long
        # as a statement does.
        try:
            connection.poll()
        except connection.OperationalError as error:
            raise InvalidatePoolError from error


class NoTurn(Exception):
    """All connections were in use for too long."""


@contextmanager
def turn(engine: Engine) -> Generator[None]:
    """Hold the right to a connection; whoever has waited longest gets it next.

    Raises `NoTurn`.
    """
    entered = False
    try:
        with _turnstiles[engine].passed(_TURN_SECONDS):
            entered = True
            yield
    except TimeoutError as error:
        if entered:
            raise
        raise NoTurn from error


def is_busy(error: DBAPIError) -> bool:
    """Tell whether a statement failed only because others held what it needed."""
    return getattr(error.orig, "pgcode", None) in _BUSY


def is_locked(error: DBAPIError) -> bool:
    """Tell whether a statement failed because of what others hold, and soon may not any more."""
    return getattr(error.orig, "pgcode", None) in _LOCKED


def take_all_the_time(connection: Any) -> None:
    """Lift the limits of a driver's connection for as long as its transaction lasts."""
    connection.patience = None
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")


def _statement_seconds(settings: Settings) -> float:
    return min(_MAX_STATEMENT_SECONDS, settings.ping_timeout / 2)


def _connection_class() -> type:
    """Return psycopg2's connection class, with room for how long it is waited for.

    The driver is imported only where it is used: it is not needed beside SQLite.
    """
    import psycopg2.extensions  # noqa: PLC0415

    class Connection(psycopg2.extensions.connection):
        """A connection; ``patience`` is how many seconds an answer may take, None for ever.

        ``is_unanswered`` tells that one took longer; ``prepared`` are the names of its statements,
        None where that is not known.
        """

        patience: float | None = _MAX_STATEMENT_SECONDS
        is_unanswered = False

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.prepared: set[str] | None = set()

    return Connection


class _Suspicion:
    """Whether the server is suspected to hang, since it left somebody without an answer.

    Then all would wait for it in turn, each with a room locked: so one at a time tries, and the
    others are refused at once, until it answers again.
    """

    def __init__(self) -> None:
        self._hangs = False
        self._probe = threading.Lock()

    def wait(self, poll: Any, patience: float) -> bool:
        """Call `poll` with the time left until it returns true; return false when that is over."""
        probing = self._hangs
        if probing and not self._probe.acquire(blocking=False):
            return False
        try:
            until = time.monotonic() + (min(patience, _PROBE_SECONDS) if probing else patience)
            while not poll(until - time.monotonic()):
                if time.monotonic() >= until:
                    self._hangs = True
                    return False
            self._hangs = False
            return True
        finally:
            if probing:
                self._probe.release()


def _wait_with_an_end() -> None:
    """Let psycopg2 wait where greenlets can run meanwhile, and not for ever.

    The driver closes a connection when waiting for it raises.
    """
    import psycopg2  # noqa: PLC0415
    from psycopg2 import extensions  # noqa: PLC0415

    suspicion = _Suspicion()

    def wait(connection: Any) -> None:
        def poll(seconds: float | None) -> bool:
            state = connection.poll()
            if state == extensions.POLL_OK:
                return True
            _wait_for(connection.fileno(), state == extensions.POLL_WRITE, seconds)
            return False

        patience = getattr(connection, "patience", _MAX_STATEMENT_SECONDS)
        if patience is None:
            while not poll(None):
                pass
        elif not suspicion.wait(poll, patience):
            connection.is_unanswered = True
            raise psycopg2.OperationalError(f"PostgreSQL does not answer ({patience:g} s)")

    extensions.set_wait_callback(wait)


def _wait_for(descriptor: int, writing: bool, seconds: float | None) -> None:
    """Wait until a descriptor is ready, or the time is over."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
        poll.poll(None if seconds is None else max(0, seconds * 1000))
    else:
        # On eventlet there is no poll; its select takes any descriptor, not only the first 1,024.
        ready = [descriptor]
        select.select(
            [] if writing else ready, ready if writing else [], [], seconds and max(0, seconds)
        )
