"""Statements that are built and compiled once, and then run by the database's driver itself.

Building a statement anew for every call, and leading it through SQLAlchemy's session, took nine
tenths of the CPU of an event: measured on SQLite, finding a peer by its id cost 700 µs that way,
185 µs with a statement kept at module level, and 8 µs here. What SQLAlchemy knows of tables, types
and dialects is still what makes the SQL; only its way through the session is spared. Whatever does
not run with every event is better off with `session.execute`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

Row = tuple[Any, ...]
_Processor = Callable[[Any], Any]
# Where a session keeps the driver's connection of the transaction that it is in.
DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class Driver:
    """The driver's own connection, and the dialect of its database."""

    connection: Any
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement as one dialect has it."""

    sql: str
    # The names of its values in the order in which the SQL has them; None where it names them.
    order: Sequence[str] | None
    fixed: dict[str, Any]
    before: list[tuple[str, _Processor]]
    after: list[tuple[int, _Processor]]
    # The name of the value that is a list, for ``in_(bindparam(…, expanding=True))``.
    many: str | None

    def expanded(self, values: dict[str, Any]) -> tuple[str, Sequence[str] | None]:
        """Return the SQL and the order of values with a place for each item of the list."""
        assert self.many is not None
        items = values.pop(self.many)
        names = [f"{self.many}_{number}" for number in range(len(items))]
        values.update(zip(names, items, strict=True))
        places = ", ".join("?" if self.order is not None else f"%({name})s" for name in names)
        sql = self.sql.replace(f"__[POSTCOMPILE_{self.many}]", places)
        if self.order is None:
            return sql, None
        return sql, [
            place for name in self.order for place in (names if name == self.many else [name])
        ]


class Prepared:
    """One statement, with a ``bindparam`` for each value that differs from run to run.

    It is given as SQLAlchemy's construct, or, where it needs what only the insert of a dialect can
    do (``on_conflict…``), as a function that makes it from the dialect's ``insert``.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, session: Session, **values: Any) -> int:
        """Run the statement; return how many rows it concerned."""
        count: int = self._execute(session, values)[0].rowcount
        return count

    def rows(self, session: Session, **values: Any) -> list[Row]:
        """Run the statement and return its rows, each column as its type has it in Python."""
        cursor, compiled = self._execute(session, values)
        found: list[Row] = cursor.fetchall()
        if not compiled.after:
            return found
        converted = [list(row) for row in found]
        for index, process in compiled.after:
            for row in converted:
                row[index] = process(row[index])
        return [tuple(row) for row in converted]

    def row(self, session: Session, **values: Any) -> Row | None:
        """Run the statement and return its only row, or None."""
        rows = self.rows(session, **values)
        return rows[0] if rows else None

    def _execute(self, session: Session, values: dict[str, Any]) -> tuple[Any, _Compiled]:
        driver = session.info.get(DRIVER) or driver_of(session)
        compiled = self._compiled.get(driver.dialect.name)
        if compiled is None:
            compiled = self._compiled[driver.dialect.name] = self._compile(driver.dialect)
        if compiled.fixed:
            values = compiled.fixed | values
        for name, process in compiled.before:
            values[name] = process(values[name])
        sql, order = compiled.expanded(values) if compiled.many else (compiled.sql, compiled.order)
        parameters: Any = values if order is None else [values[name] for name in order]
        cursor = driver.connection.cursor()
        try:
            cursor.execute(sql, parameters)
        except driver.dialect.loaded_dbapi.Error as error:
            raise _as_database_error(error, driver.dialect, sql, parameters) from error
        return cursor, compiled

    def _compile(self, dialect: Dialect) -> _Compiled:
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
        return _Compiled(
            compiled.string,
            tuple(compiled.positiontup) if compiled.positional else None,
            {name: bind.effective_value for name, bind in values.items() if not bind.required},
            before,
            after,
            next((name for name, bind in values.items() if bind.expanding), None),
        )


def driver_of(session: Session) -> Driver:
    """Return the driver's connection of the transaction that a session is in."""
    connection = session.connection()
    return Driver(connection.connection.driver_connection, connection.dialect)


@contextmanager
def database_errors(dialect: Dialect) -> Generator[None]:
    """Raise what SQLAlchemy would raise for an error of the driver."""
    try:
        yield
    except dialect.loaded_dbapi.Error as error:
        raise _as_database_error(error, dialect) from error


def _as_database_error(
    error: Exception, dialect: Dialect, sql: str | None = None, parameters: Any = None
) -> Exception:
    base = dialect.loaded_dbapi.Error
    # Without the parameters, which are people's data and have no business in the log.
    return DBAPIError.instance(sql, parameters, error, base, hide_parameters=True, dialect=dialect)
