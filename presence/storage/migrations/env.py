"""Runs the migrations in one transaction that only one process can hold at a time."""

from typing import Any, cast

from alembic import context
from sqlalchemy import text

from presence.storage import postgresql
from presence.storage.database import BUSY_TIMEOUT_MS, MIGRATION_TIMEOUT_MS
from presence.storage.models import db

# Any number will do, as long as nothing else in the database takes an advisory lock with it.
POSTGRESQL_LOCK = 3_001_001


def run() -> None:
    """Apply what is missing, or do nothing."""
    with db.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        driver = cast(Any, connection.connection.driver_connection)
        patience = getattr(driver, "patience", None)
        if sqlite:
            # Rebuilding a table drops the old one, which would delete what refers to it.
            driver.execute("PRAGMA foreign_keys=OFF")
            driver.execute(f"PRAGMA busy_timeout={MIGRATION_TIMEOUT_MS}")
        connection.execution_options(write=True)  # changes the connection itself
        with connection.begin():
            if not sqlite:
                postgresql.take_all_the_time(driver)
                connection.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": POSTGRESQL_LOCK})
            context.configure(
                connection=connection,
                target_metadata=db.metadata,
                render_as_batch=True,
                transactional_ddl=True,
            )
            with context.begin_transaction():
                context.run_migrations()
        if sqlite:
            driver.execute("PRAGMA foreign_keys=ON")
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        else:
            driver.patience = patience


run()
