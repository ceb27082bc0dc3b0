"""How the server talks to its database: engine settings, read and write transactions.

SQLite runs inside the process, so a query blocks every greenlet of a worker, and two writers in
one process can dead-lock: the second waits inside SQLite for a lock that the first, which never
gets to run again, holds. Hence the rule of this module: write transactions are short, contain
nothing that yields, and stand in one line (`writing`). With PostgreSQL (see `postgresql`) they run
side by side, and wait for each other only at the row of a room that both change.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson
from flask import Flask
from sqlalchemy import ColumnElement, Connection, Engine, event, false, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.orm import Session

from presence.config import Settings
from presence.storage import maintenance, postgresql, round_trips, transactions
from presence.storage.instants import UtcDateTime
from presence.storage.models import Base, db

# Waiting inside SQLite stops every greenlet of the process, so it is kept short; `writing` tries
# again, letting the others run in between.
BUSY_TIMEOUT_MS = 20
WRITE_TIMEOUT_SECONDS = 3.0
# `checkpoints` works the log of changes off much sooner; at this length (64 MB) SQLite does it.
_MOST_LOG_PAGES = 16_000
_RETRY_SECONDS = 0.02

_write_lock = threading.RLock()
# How long a process that ends may keep the database from its successor.
_CLAIM_SECONDS = 10.0


class CannotServe(Exception):
    """The database cannot be served from; the message says why and what to do."""


class DatabaseBusy(Exception):
    """No write transaction could be begun in time."""


class RowsBusy(DatabaseBusy):
    """Somebody else held rows for too long; nothing was written."""


def init_app(app: Flask, settings: Settings) -> None:
    """Attach the database of `settings` to the app, with the settings each engine needs."""
    url = settings.resolved_database_url
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    shared = settings.has_shared_database
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
        # An error would print them into the log, user data and all.
        "hide_parameters": True,
        **(postgresql.engine_options(settings) if shared else {}),
    }
    if settings.database_file is not None:
        # What keeps it from being made is told where the file is opened.
        with suppress(OSError):
            settings.database_file.parent.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    with app.app_context():
        if shared:
            postgresql.configure(db.engine, settings)
        else:
            _configure_sqlite(db.engine)


def _configure_sqlite(engine: Engine) -> None:
    """Set SQLite up for one process with many short transactions."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        # Python's driver would begin transactions by itself, and later than we want.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"wal_autocheckpoint={_MOST_LOG_PAGES}",
            # What is deleted is overwritten with zeros, not only given free.
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not transactions.is_begun(connection):
            # IMMEDIATE as in `writing`; migrations ask for it.
            write = connection.get_execution_options().get("write", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def writing(*, upkeep: bool = False) -> Generator[Session]:
    """Give a session in a write transaction; commit at the end, roll back on an exception.

    Needs an app context. Nothing inside may emit, sleep or do other input and output. `upkeep` is
    for what has to be true whatever happens, such as who is connected. Raises `DatabaseBusy` when
    somebody else has been writing for too long, and `maintenance.ReadOnly` during maintenance.
    """
    if not upkeep:
        maintenance.check()
    engine = db.engine
    if engine.dialect.name == "sqlite":
        until = time.monotonic() + WRITE_TIMEOUT_SECONDS
        with _in_line(), transactions.begun(engine, partial(_begin_writing, until)) as session:
            yield session
            transactions.commit(session)
        return
    try:
        with postgresql.turn(engine), transactions.conversed(engine, round_trips.BEGIN) as session:
            yield session
            transactions.commit(session)
    except DBAPIError as error:
        if postgresql.is_locked(error):
            raise RowsBusy from error
        if postgresql.is_busy(error):
            raise DatabaseBusy from error
        raise
    except postgresql.NoTurn as error:
        raise DatabaseBusy from error


@contextmanager
def _in_line() -> Generator[None]:
    """Let no other greenlet or thread of this process write meanwhile; raises `DatabaseBusy`."""
    if not _write_lock.acquire(timeout=WRITE_TIMEOUT_SECONDS):
        raise DatabaseBusy
    try:
        yield
    finally:
        _write_lock.release()


def _begin_writing(until: float, connection: sqlite3.Connection) -> None:
    """Begin a write transaction as soon as no other process has one, or give up at `until`.

    IMMEDIATE takes the write lock at once: a deferred transaction that first reads and then writes
    fails when somebody wrote in between.
    """
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            if time.monotonic() > until:
                raise DatabaseBusy from error
            time.sleep(_RETRY_SECONDS)


@contextmanager
def reading() -> Generator[Session]:
    """Give a session in a read transaction: one consistent picture, and no connection kept after.

    Needs an app context, and must not stand inside `writing`.
    """
    engine = db.engine
    if engine.dialect.name == "sqlite":
        with transactions.begun(engine, _begin_reading) as session:
            yield session
    else:
        reading = round_trips.BEGIN_READING
        try:
            with postgresql.turn(engine), transactions.conversed(engine, reading) as session:
                yield session
        except postgresql.NoTurn as error:
            raise DatabaseBusy from error


def _begin_reading(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")


def now(session: Session) -> datetime:
    """Return the current instant in UTC on the database's clock.

    Several machines agree on it, whatever their own clocks say. An SQLite file has none, but is
    on the machine of the one process that uses it.
    """
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    return session.execute(select(func.clock_timestamp(type_=UtcDateTime()))).scalar_one()


def is_sqlite() -> bool:
    """Tell whether the database is an SQLite file. Needs an app context."""
    return db.engine.dialect.name == "sqlite"


def path() -> str | None:
    """Return where the SQLite file is; None for other databases. Needs an app context."""
    name = db.engine.url.database
    return name if is_sqlite() and name not in (None, "", ":memory:") else None


def size(session: Session) -> int:
    """Return how many bytes the database takes for what is in it."""
    if is_sqlite():
        query = (
            "SELECT (p.page_count - f.freelist_count) * s.page_size "
            "FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s"
        )
    else:
        query = "SELECT pg_database_size(current_database())"
    return int(session.execute(text(query)).scalar_one())


def scrub() -> bool:
    """See to it that nothing of what was deleted is left in the database's files.

    SQLite overwrites what is deleted, but the log of its last changes still has the pages as they
    were until it is worked off and emptied. PostgreSQL's own vacuum does the like. Returns False
    if somebody who is reading keeps that from being done now. Needs an app context, and no
    transaction.
    """
    if not is_sqlite():
        return True
    connection = db.engine.raw_connection()
    try:
        # Not within a transaction, which SQLAlchemy would begin.
        busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.close()
    return not busy


def claim() -> IO[str] | None:
    """Make sure that this process alone serves an SQLite file, and that the file is sound.

    Returns what must be kept open for as long as the process serves (None for other databases,
    which know how to be shared). Needs an app context. Raises `CannotServe`, with the file as it
    was.
    """
    file = path()
    if file is None:
        return None
    lock = claim_file(Path(f"{file}.lock"))
    try:
        check_soundness(file)
    except BaseException:
        lock.close()
        raise
    return lock


def check_soundness(file: str | Path) -> None:
    """Raise `CannotServe` if the SQLite file is damaged. Needs an app context."""
    try:
        with db.engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    except (DatabaseError, sqlite3.DatabaseError) as error:
        if isinstance(getattr(error, "orig", error), sqlite3.OperationalError):
            raise  # it is not the file that is wrong
        found = str(getattr(error, "orig", error))
    if found != "ok":
        raise CannotServe(
            f"The database {file} is damaged ({found}). It was left as it is. Put a good copy in "
            "its place, or move it away to begin with an empty one."
        )


def check_lock(file: Path) -> None:
    """Raise `OSError` if the lock of an SQLite file is there and cannot be opened."""
    lock = Path(f"{file}.lock")
    if os.path.lexists(lock):
        lock.open("a+").close()


def served_by(file: Path) -> str | None:
    """Return the id of the process that serves an SQLite file now, or None."""
    try:
        with Path(f"{file}.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return lock.read().strip() or "unknown"
    except OSError:
        pass
    return None


def claim_file(path: Path) -> IO[str]:
    """Open and lock a file; waits for a process that is about to end. Raises `CannotServe`."""
    lock = path.open("a+")
    until = time.monotonic() + _CLAIM_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() < until:
                time.sleep(0.1)
                continue
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise CannotServe(
                f"Another process ({owner}) is serving the database {path.with_suffix('')}. An "
                "SQLite file takes one process: stop that one, or give this one a DATABASE_URL "
                "of its own."
            ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def matches(session: Session, column: Any, parts: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a column has these texts in this order, anything between them.

    It begins with the first and ends with the last; case matters. SQLite's LIKE ignores it.
    """
    condition: ColumnElement[bool]
    if session.get_bind().dialect.name == "sqlite":
        pattern = "*".join(re.sub(r"([*?\[])", r"[\1]", part) for part in parts)
        condition = column.op("GLOB")(pattern)
    else:
        pattern = "%".join(re.sub(r"([%_\\])", r"\\\1", part) for part in parts)
        condition = column.like(pattern, escape="\\")
    return condition


def matches_any(
    session: Session, column: Any, texts: Iterable[Sequence[str]]
) -> ColumnElement[bool]:
    """Return the condition that a column `matches` one of several lists of parts."""
    return or_(false(), *(matches(session, column, parts) for parts in texts))


def insert_if_missing(session: Session, model: type[Base], values: dict[str, Any]) -> bool:
    """Insert a row unless a unique key forbids it; return whether it was inserted."""
    dialect = session.get_bind().dialect.name
    insert = postgresql_insert if dialect == "postgresql" else sqlite_insert
    result = session.execute(insert(model).values(values).on_conflict_do_nothing())
    return bool(result.rowcount)  # type: ignore[attr-defined]


def insert_or_update(
    session: Session,
    model: type[Base],
    values: dict[str, Any],
    keys: list[str],
    change: Callable[[Any], dict[str, Any]],
) -> None:
    """Insert a row, or change the one that has the same `keys`.

    `change` gets the values that could not be inserted, and returns what to set.
    """
    dialect = session.get_bind().dialect.name
    insert = postgresql_insert if dialect == "postgresql" else sqlite_insert
    statement = insert(model).values(values)
    session.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=change(statement.excluded))
    )
