"""What commands need that must be alone: databases that nobody serves from, and plain failures."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

import click
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from presence.config import InvalidSetting
from presence.domain.peers import workers
from presence.storage.copies import engines
from presence.storage.copies.engines import CannotCopy
from presence.storage.database import CannotServe
from presence.storage.models import Worker

# A process that was killed counts as running until its lease has run out.
_LEASE_SECONDS = workers.LEASE.total_seconds() + 2


@contextmanager
def unserved(engine: Engine) -> Generator[None]:
    """Make sure that no server uses a database, and keep one from an SQLite file meanwhile.

    Raises `CannotServe`.
    """
    with engines.claimed(engine):
        until = time.monotonic() + _LEASE_SECONDS
        while engine.dialect.name != "sqlite" and (serving := _living(engine)):
            if time.monotonic() > until:
                raise CannotServe(
                    f"{serving} of this server's processes serve from {engines.name(engine)}. Stop "
                    "them all, and run the command again."
                )
            time.sleep(0.5)
        yield


@contextmanager
def failures(advice: str) -> Generator[None]:
    """Say in a sentence what keeps a command from its end; `advice` says what to do then."""
    try:
        yield
    except (CannotCopy, CannotServe, InvalidSetting) as error:
        raise click.ClickException(str(error)) from None
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise click.ClickException(f"The database failed: {reason}. {advice}") from None
    except OSError as error:
        raise click.ClickException(f"{error}. {advice}") from None


def _living(engine: Engine) -> int:
    with engines.snapshot(engine) as connection:
        if not inspect(connection).has_table(Worker.__tablename__):
            return 0
        return len(workers.living(Session(bind=connection)))
