"""Statements that are built and compiled once, and then run by the database's driver itself.

Building a statement anew for every call, and leading it through SQLAlchemy's session, took nine
tenths of the CPU of an event: measured on SQLite, finding a peer by its id cost 700 µs that way,
185 µs with a statement kept at module level, and 8 µs here. What SQLAlchemy knows of tables, types
and dialects is still what makes the SQL; only its way through the session is spared. Whatever does
not run with every event is better off with `session.execute`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from presence.storage.drivers import Compiled, Driver

Row = tuple[Any, ...]
# Where a session keeps the driver of the transaction that it is in.
DRIVER = "driver"


class Prepared:
    """One statement, with a ``bindparam`` for each value that differs from run to run.

    It is given as SQLAlchemy's construct, or, where it needs what only the insert of a dialect can
    do (``on_conflict…``), as a function that makes it from the dialect's ``insert``.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def run(self, session: Session, **values: Any) -> int:
        """Run the statement; return how many rows it concerned."""
        driver, compiled = self._for(session)
        count: int = driver.ask(compiled, values).rowcount
        return count

    def later(self, session: Session, **values: Any) -> None:
        """Run the statement, at the latest with the next whose answer is waited for."""
        driver, compiled = self._for(session)
        driver.tell(compiled, values)

    def rows(self, session: Session, **values: Any) -> list[Row]:
        """Run the statement and return its rows, each column as its type has it in Python."""
        driver, compiled = self._for(session)
        return _fetched(driver.ask(compiled, values), compiled)

    def last_rows(self, session: Session, **values: Any) -> list[Row]:
        """Like `rows`, of a statement after which the transaction has nothing more to do.

        It may be committed by it, and whoever raises an error afterwards takes nothing back.
        """
        driver, compiled = self._for(session)
        return _fetched(driver.ask_last(compiled, values), compiled)

    def row(self, session: Session, **values: Any) -> Row | None:
        """Run the statement and return its only row, or None."""
        rows = self.rows(session, **values)
        return rows[0] if rows else None

    def last_row(self, session: Session, **values: Any) -> Row | None:
        """Like `row`, of a statement after which the transaction has nothing more to do."""
        rows = self.last_rows(session, **values)
        return rows[0] if rows else None

    def _for(self, session: Session) -> tuple[Driver, Compiled]:
        driver: Driver = session.info.get(DRIVER) or driver_of(session)
        compiled = self._compiled.get(driver.dialect.name)
        if compiled is None:
            compiled = self._compiled[driver.dialect.name] = self._compile(driver.dialect)
        return driver, compiled

    def _compile(self, dialect: Dialect) -> Compiled:
        statement = self._statement
        if not hasattr(statement, "compile"):
            insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
            statement = statement(insert)
        compiled = statement.compile(dialect=dialect)
        values = {name: bind for bind, name in compiled.bind_names.items()}
        before = [
            (name, process)
            for name, bind in values.items()
            if (process := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        ]
        columns = getattr(statement, "exported_columns", ())
        after = [
            (index, process)
            for index, column in enumerate(columns)
            if (process := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        return Compiled(
            compiled.string,
            tuple(compiled.positiontup) if compiled.positional else None,
            {name: bind.effective_value for name, bind in values.items() if not bind.required},
            before,
            after,
            next((name for name, bind in values.items() if bind.expanding), None),
        )


class ChangedHere(ColumnElement[bool]):
    """The condition that this very transaction has changed a row of a table, by its ``name``.

    On PostgreSQL each statement sees what was committed before it began. So one that changes a row
    may find none, and the next may see it: made by somebody else, and locked by nobody. On SQLite
    nobody else writes meanwhile. Not to be used after a savepoint, which is a transaction of its
    own to PostgreSQL.
    """

    inherit_cache = True
    type = Boolean()

    def __init__(self, name: str) -> None:
        self.name = name


@compiles(ChangedHere)
def _changed_here(_element: ChangedHere, _compiler: Any, **_how: Any) -> str:
    return "1 = 1"


@compiles(ChangedHere, "postgresql")
def _changed_here_on_postgresql(element: ChangedHere, _compiler: Any, **_how: Any) -> str:
    return f"{element.name}.xmin = pg_current_xact_id_if_assigned()::xid"


def driver_of(session: Session) -> Driver:
    """Return the driver of the transaction that a session is in."""
    connection = session.connection()
    return Driver(connection.connection, connection.dialect)


def _fetched(cursor: Any, compiled: Compiled) -> list[Row]:
    found: list[Row] = cursor.fetchall()
    if not compiled.after:
        return found
    converted = [list(row) for row in found]
    for index, process in compiled.after:
        for row in converted:
            row[index] = process(row[index])
    return [tuple(row) for row in converted]
