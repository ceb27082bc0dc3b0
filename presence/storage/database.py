"""How the server talks to its database: engine settings, read and write transactions, migration.

SQLite runs inside the process, so a query blocks every greenlet of a worker, and two writers in
one process can dead-lock: the second waits inside SQLite for a lock that the first, which never
gets to run again, holds. Hence the rule of this module: write transactions are short, contain
nothing that yields, and stand in one line (`writing`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import orjson
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from presence.config import Settings
from presence.storage.models import Base, db

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 1_000
# A second process may have to wait until the first has migrated a large database.
MIGRATION_TIMEOUT_MS = 60_000

migrate = Migrate(db=db, directory=str(MIGRATIONS), render_as_batch=True)
_write_lock = threading.RLock()


def init_app(app: Flask, settings: Settings) -> None:
    """Attach the database of `settings` to the app, with the settings each engine needs."""
    url = settings.resolved_database_url
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
    }
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    migrate.init_app(app)
    with app.app_context():
        if is_sqlite():
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
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once: a deferred transaction that first reads and then
        # writes fails when somebody wrote in between.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def writing() -> Generator[Session]:
    """Give a session in a write transaction; commit at the end, roll back on an exception.

    Needs an app context. Nothing inside may emit, sleep or do other input and output.
    """
    session = db.session()
    session.rollback()
    with _write_lock:
        try:
            session.connection(execution_options={"write": True})
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


@contextmanager
def reading() -> Generator[Session]:
    """Give a session in a read transaction: one consistent picture, and no connection kept after.

    Needs an app context, and must not stand inside `writing`.
    """
    session = db.session()
    session.rollback()
    try:
        yield session
    finally:
        session.rollback()


def is_sqlite() -> bool:
    """Tell whether the database is an SQLite file. Needs an app context."""
    return db.engine.dialect.name == "sqlite"


def insert_if_missing(session: Session, model: type[Base], values: dict[str, Any]) -> bool:
    """Insert a row unless a unique key forbids it; return whether it was inserted."""
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
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
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(model).values(values)
    session.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=change(statement.excluded))
    )


def upgrade() -> None:
    """Bring the tables up to date. Needs an app context.

    Safe to call in several processes at once: the migration runs in one transaction which the
    database lets only one of them hold (see ``migrations/env.py``).
    """
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    alembic.command.upgrade(config, "head")
