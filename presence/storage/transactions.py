"""Transactions that cost little to begin and end, with a session in them for whoever wants one.

SQLAlchemy's session takes 200 µs to begin and end a transaction (its own states, options and events
on top of the connection's), several times what the database needs. Here the driver begins and
commits, which costs 25 µs with everything; `Prepared` statements go to the driver as well. A
session is joined to the transaction all the same, and takes part in it as soon as it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from presence.storage import prepared
from presence.storage.drivers import Driver, database_errors
from presence.storage.round_trips import RoundTrips

# Set on the driver's connection while a transaction is begun, so that a session which joins does
# not begin another one.
_BEGUN = "begun"
# What the sessions of an engine find in their ``info``.
_infos: WeakKeyDictionary[Engine, dict[str, Any]] = WeakKeyDictionary()


def give(engine: Engine, name: str, value: Any) -> None:
    """Let every session that has a transaction of an engine find something in its ``info``."""
    _infos.setdefault(engine, {})[name] = value


class _SessionOnDemand:
    """Stands for a session, which is made when something is asked of it.

    That takes as long as some statements do, and `Prepared` ones, all that most transactions have,
    ask only for the driver.
    """

    def __init__(self, engine: Engine, driver: Driver) -> None:
        self.info = {prepared.DRIVER: driver, **_infos.get(engine, {})}
        self._engine = engine
        self._driver = driver
        self._made: Session | None = None

    def __getattr__(self, name: str) -> Any:
        """Return what the session has by this name."""
        self._driver.join()
        if self._made is None:
            connection = Connection(self._engine, self._driver.pooled)
            self._made = Session(bind=connection, info=self.info)
        return getattr(self._made, name)

    def joined(self) -> Session | None:
        """Return the session if it was made and has taken part in the transaction."""
        made = self._made
        return made if made is not None and made.in_transaction() else None

    def leave(self) -> None:
        """Let the session go, with what it has not committed."""
        joined = self.joined()
        if joined is not None:
            connection = cast(Connection, joined.get_bind())
            joined.close()
            connection.rollback()


@contextmanager
def begun(engine: Engine, begin: Callable[[Any], None]) -> Generator[Session]:
    """Give a session in a transaction, which is rolled back unless `commit` was called.

    `begin` begins it on the driver's connection.
    """
    with database_errors(engine.dialect):
        pooled = engine.raw_connection()
    driver = Driver(pooled, engine.dialect)
    try:
        with database_errors(driver.dialect):
            begin(driver.connection)
        pooled.info[_BEGUN] = True
        session = _SessionOnDemand(engine, driver)
        try:
            yield cast(Session, session)
        finally:
            session.leave()
    finally:
        pooled.info.pop(_BEGUN, None)
        pooled.close()  # rolls back what was not committed


@contextmanager
def conversed(engine: Engine, beginning: str) -> Generator[Session]:
    """Like `begun`, on PostgreSQL: `beginning` goes with the first statement that is run."""
    driver = RoundTrips(engine, beginning)
    try:
        session = _SessionOnDemand(engine, driver)
        try:
            yield cast(Session, session)
        finally:
            session.leave()
    finally:
        driver.close()


def is_begun(connection: Connection) -> bool:
    """Tell whether the driver is in a transaction already that a session now joins."""
    return _BEGUN in connection.info


def commit(session: Session) -> None:
    """Commit the transaction of a session that `begun` or `conversed` gave."""
    joined = cast(_SessionOnDemand, session).joined()
    if joined is not None:
        joined.commit()
    driver: Driver = session.info[prepared.DRIVER]
    driver.commit()
