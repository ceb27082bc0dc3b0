"""Bringing the tables up to date: made at once in an empty database, migrated in one of before.

alembic, which migrates, is only taken in where it has something to do: that was a fifth of the time
that a start of the server takes.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click
from flask import Flask
from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    inspect,
    select,
)

from presence.storage import postgresql
from presence.storage.database import BUSY_TIMEOUT_MS, CannotServe
from presence.storage.models import EventLog, Usage, db

MIGRATIONS = Path(__file__).parent / "migrations"
REVISIONS = sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
HEAD = REVISIONS[-1]
# What stands for the revision while rows are being brought into a database.
UNFINISHED = "unfinished"

# A second process may have to wait until the first has migrated a large database.
_TIMEOUT_MS = 60_000
# Any number will do, as long as nothing else in the database takes an advisory lock with it.
_POSTGRESQL_LOCK = 3_001_001
# As alembic makes it.
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_VERSION.primary_key.name = "alembic_version_pkc"
# Tables of this server that hold nothing of anybody's.
OWN = {_VERSION.name, "move_progress"}


def init_app(app: Flask) -> None:
    """Add the command ``flask db``, where a command of `flask` is being run."""
    if click.get_current_context(silent=True) is not None:
        from flask_migrate import Migrate  # noqa: PLC0415

        Migrate(app, db, directory=str(MIGRATIONS), render_as_batch=True)


def is_current() -> bool:
    """Tell whether the tables are those of this version of the server. Needs an app context."""
    with db.engine.connect() as connection:
        return revision(connection) == HEAD


def state() -> str:
    """Return “empty”, “current” or “older” for what the tables are. Needs an app context.

    Raises `CannotServe` where they are of a newer version, or another program's.
    """
    with db.engine.connect() as connection:
        found = revision(connection)
        if found is None:
            _refuse_foreign(connection)
            return "empty"
    _check_revision(found)
    return "current" if found == HEAD else "older"


def upgrade() -> None:
    """Bring the tables up to date. Needs an app context.

    Safe to call in several processes at once: it is done in one transaction which the database lets
    only one of them hold. Raises `CannotServe` where the tables are of a newer version; they are
    left as they are.
    """
    if is_current():
        return
    with alone() as connection:
        found = revision(connection)
        if found == HEAD:
            return  # another process was faster
        if found is None:
            _refuse_foreign(connection)
            create(connection, HEAD)
            connection.execute(insert(Usage).values(id=1, rooms=0, file_bytes=0, first_version=0))
            connection.execute(insert(EventLog).values(id=1, last_position=0, gone=0))
            return
    _check_revision(found)
    _migrate("head")


def _check_revision(found: str) -> None:
    """Raise `CannotServe` for tables that no version up to this one has made."""
    if found == UNFINISHED:
        raise CannotServe(
            "The database has only a part of its rows yet: a “flask move-database” to it has not "
            "ended. Run that again, with the settings of then, until it says that all is there."
        )
    if not re.fullmatch(r"\d{4}", found):
        raise CannotServe(
            "The database belongs to another program (its migrations are at "
            f"{found!r}). It was left as it is. Give this server one of its own: DATABASE_URL."
        )
    if found not in REVISIONS:
        raise CannotServe(
            "The tables of the database are of a version that this one does not know "
            f"({found!r}). They were left as they are. Start the version that made them, or put "
            "back the backup from before the upgrade."
        )


def _refuse_foreign(connection: Connection) -> None:
    """Raise `CannotServe` for a database in which another program has tables.

    PostgreSQL may be shared, as long as no table of ours is there.
    """
    found = set(inspect(connection).get_table_names())
    if connection.dialect.name != "sqlite":
        found &= set(db.metadata.tables)
    if found:
        raise CannotServe(
            f"The database has tables of another program ({', '.join(sorted(found)[:3])}). It was "
            "left as it is. Give this server one of its own: DATABASE_URL."
        )


@contextmanager
def alone() -> Generator[Connection]:
    """Give a connection in a transaction that only one process can hold at a time.

    What is deleted for a while, as where a table is made anew, takes nothing with it.
    """
    with db.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        driver = cast(Any, connection.connection.driver_connection)
        patience = getattr(driver, "patience", None)
        if sqlite:
            # Rebuilding a table drops the old one, which would delete what refers to it.
            driver.execute("PRAGMA foreign_keys=OFF")
            driver.execute(f"PRAGMA busy_timeout={_TIMEOUT_MS}")
        connection.execution_options(write=True)  # changes the connection itself
        with connection.begin():
            if not sqlite:
                postgresql.take_all_the_time(driver)
                connection.execute(select(func.pg_advisory_xact_lock(_POSTGRESQL_LOCK)))
            yield connection
        if sqlite:
            driver.execute("PRAGMA foreign_keys=ON")
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        else:
            driver.patience = patience


def create(connection: Connection, named: str) -> None:
    """Make the tables of this version, without a row, and name their revision."""
    db.metadata.create_all(connection)
    _VERSION.create(connection)
    connection.execute(_VERSION.insert().values(version_num=named))


def build(connection: Connection, named: str) -> None:
    """Make the tables as this version or an earlier one had them, in the transaction given."""
    if named == HEAD:
        create(connection, HEAD)
    else:
        _migrate(named, connection)


def migrate(connection: Connection) -> None:
    """Bring tables of an earlier version up to date, in the transaction given."""
    if revision(connection) != HEAD:
        _migrate("head", connection)


def _migrate(named: str, connection: Connection | None = None) -> None:
    import alembic.command  # noqa: PLC0415
    import alembic.config  # noqa: PLC0415

    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, named)


def set_revision(connection: Connection, named: str) -> None:
    """Name the revision of the tables anew."""
    connection.execute(delete(_VERSION))
    connection.execute(_VERSION.insert().values(version_num=named))


def revision(connection: Connection) -> str | None:
    """Return which version the tables are of; None where there are none."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))
