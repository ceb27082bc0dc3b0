"""Databases that are opened for one long job: without the limits of a server that has to answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from presence.config import Settings
from presence.storage import database, postgresql
from presence.storage.database import CannotServe

# Tells an operator how far a long job is.
Say = Callable[[str], None]

# How long another process may hold the lock of an SQLite file, as a server does for moments.
_LOCK_MS = 60_000


class CannotCopy(Exception):
    """Rows or files cannot be brought where they are to go; the message says why and what to do."""


def open_database(url: str, *, references: bool = True) -> Engine:
    """Return an engine for the database that DATABASE_URL would name so.

    Without `references` SQLite does not look after them. Raises `presence.config.InvalidSetting`.
    Nothing is connected to or made yet.
    """
    settings = Settings(database_url=url)
    shared = settings.has_shared_database
    engine = create_engine(
        settings.resolved_database_url,
        poolclass=NullPool,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        hide_parameters=True,
        connect_args=postgresql.patient_arguments() if shared else {},
    )
    if not shared:
        _configure_sqlite(engine, references)
    return engine


@contextmanager
def claimed(engine: Engine) -> Generator[None]:
    """Keep every server from an SQLite file meanwhile; other databases are not claimed.

    Raises `CannotServe` where one has it.
    """
    if engine.dialect.name != "sqlite":
        yield
        return
    file = Path(str(engine.url.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = database.claim_file(Path(f"{file}.lock"))
    try:
        yield
    finally:
        lock.close()


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """Give a connection that sees the database as it is now, whatever is committed meanwhile.

    Nobody waits for it. Raises `CannotServe` where there is no such SQLite file.
    """
    if engine.dialect.name == "sqlite":
        if not Path(str(engine.url.database)).exists():
            raise CannotServe(f"There is no database {engine.url.database}.")
        with engine.connect() as connection, connection.begin():
            # SQLite takes its picture with the first thing that is read.
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
            yield connection
        return
    with engine.connect() as connection:
        reading = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with reading.begin():
            yield reading


@contextmanager
def changing(engine: Engine) -> Generator[Connection]:
    """Give a connection in a write transaction, committed at the end."""
    with engine.connect() as connection:
        connection.execution_options(write=True)
        with connection.begin():
            yield connection


def name(engine: Engine) -> str:
    """Return where a database is, for people: without the password."""
    return engine.url.set(drivername=engine.dialect.name).render_as_string(hide_password=True)


def _configure_sqlite(engine: Engine, references: bool) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={_LOCK_MS}",
            f"foreign_keys={'ON' if references else 'OFF'}",
            "journal_mode=WAL",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
