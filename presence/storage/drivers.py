"""Statements as the database's driver runs them, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError

Processor = Callable[[Any], Any]


@dataclass(slots=True)
class Compiled:
    """A statement as one dialect has it."""

    sql: str
    # The names of its values in the order in which the SQL has them; None where it names them.
    order: Sequence[str] | None
    fixed: dict[str, Any]
    before: list[tuple[str, Processor]]
    after: list[tuple[int, Processor]]
    # The name of the value that is a list, for ``in_(bindparam(…, expanding=True))``.
    many: str | None
    # What a driver makes of it once and wants again.
    by_driver: Any = None

    def bound(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values as the driver takes them, those included that never differ."""
        bound = self.fixed | values
        for name, process in self.before:
            bound[name] = process(bound[name])
        return bound

    def parameters(self, values: dict[str, Any]) -> tuple[str, Any]:
        """Return the SQL and what the driver takes with it."""
        bound = self.bound(values)
        if self.many is None and self.order is not None:
            return self.sql, [bound[name] for name in self.order]
        sql, order = self.expanded(bound)
        return sql, bound if order is None else [bound[name] for name in order]

    def expanded(self, values: dict[str, Any]) -> tuple[str, Sequence[str] | None]:
        """Return the SQL and the order of values with a place for each item of the list."""
        if self.many is None:
            return self.sql, self.order
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


class Driver:
    """The driver's own connection, in a transaction that somebody else has begun.

    What runs on it may say that nobody waits for its answer (`tell`), or that the transaction ends
    with it (`ask_last`). That makes a difference only where each answer is a round trip: see
    `round_trips`.
    """

    def __init__(self, pooled: Any, dialect: Dialect) -> None:
        self.pooled = pooled
        self.connection = pooled.driver_connection
        self.dialect = dialect
        self._error = dialect.loaded_dbapi.Error

    def ask(self, statement: Compiled, values: dict[str, Any]) -> Any:
        """Run a statement; return its cursor."""
        sql, parameters = statement.parameters(values)
        cursor = self.connection.cursor()
        try:
            cursor.execute(sql, parameters)
        except self._error as error:
            raise _told(self.dialect, sql, error) from error
        return cursor

    def ask_last(self, statement: Compiled, values: dict[str, Any]) -> Any:
        """Run the statement with which the transaction ends; return its cursor."""
        return self.ask(statement, values)

    def tell(self, statement: Compiled, values: dict[str, Any]) -> None:
        """Run a statement whose answer nobody waits for."""
        self.ask(statement, values)

    def join(self) -> None:
        """Let somebody else run statements on the connection, after those that were told."""

    def commit(self) -> None:
        """Commit what was done."""
        with database_errors(self.dialect):
            self.connection.commit()


@contextmanager
def database_errors(dialect: Dialect, sql: str | None = None) -> Generator[None]:
    """Raise what SQLAlchemy would raise for an error of the driver, without any values."""
    try:
        yield
    except dialect.loaded_dbapi.Error as error:
        raise _told(dialect, sql, error) from error


def _told(dialect: Dialect, sql: str | None, error: Exception) -> BaseException:
    """Return what SQLAlchemy would raise, without the parameters.

    They are people's data and have no business in the log.
    """
    base = dialect.loaded_dbapi.Error
    return DBAPIError.instance(sql, (), error, base, hide_parameters=True, dialect=dialect)
