"""Rows in a form that is the same whatever database they are in, and sums of them.

A table is described by the names and kinds of its columns, so that a copy of an older version can
be read as well. A row is a list of values as JSON has them, in the order of the columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from presence.storage.instants import UtcDateTime
from presence.storage.models import db

Row = Sequence[Any]
# Rows that are read, or written, in one go.
PAGE = 2_000
# The whole numbers that JSON is read as here; beyond them both databases give a float.
_WHOLE = range(-(2**63), 2**64)


class UnknownKind(Exception):
    """A column is of a kind that cannot be copied; the message names it."""


@dataclass(frozen=True, slots=True)
class Described:
    """A table: ``columns`` by name with their kind and whether they may be empty, and its key."""

    name: str
    columns: tuple[tuple[str, str, bool], ...]
    key: tuple[str, ...]

    def body(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"name": self.name, "columns": [list(c) for c in self.columns], "key": [*self.key]}

    @classmethod
    def of(cls, body: Any) -> Described:
        """Return what `body` made; raises `KeyError`, `TypeError` or `ValueError` for others."""
        columns = tuple((str(name), str(kind), bool(null)) for name, kind, null in body["columns"])
        for name, kind, _ in columns:
            if kind not in _TYPES:
                raise ValueError(f"column {name} is of an unknown kind, {kind}")
        return cls(str(body["name"]), columns, tuple(map(str, body["key"])))

    def table(self) -> Table:
        """Return it as SQLAlchemy knows tables, to read and write rows."""
        columns = [Column(name, _type(kind, empty)) for name, kind, empty in self.columns]
        return Table(self.name, MetaData(), *columns)


def described() -> list[Described]:
    """Return every table of this version, those that others refer to first."""
    return [_describe(table) for table in db.metadata.sorted_tables]


def pages(connection: Connection, described: Described) -> Iterator[list[Row]]:
    """Yield all rows of a table in the order of its key, some at a time."""
    table = described.table()
    key = [table.c[name] for name in described.key]
    places = [table.columns.keys().index(name) for name in described.key]
    query = select(table).order_by(*key).limit(PAGE)
    after: list[Any] | None = None
    while True:
        further = query if after is None else query.where(tuple_(*key) > tuple_(*after))
        if after is not None and len(key) == 1:
            further = query.where(key[0] > after[0])
        page: list[Row] = [tuple(row) for row in connection.execute(further)]
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = [page[-1][place] for place in places]


def write(connection: Connection, described: Described, page: Iterable[Row]) -> None:
    """Insert rows as `pages` or `of_line` gives them."""
    names = [name for name, _, _ in described.columns]
    values = [dict(zip(names, row, strict=True)) for row in page]
    if values:
        connection.execute(insert(described.table()), values)


def line(row: Row) -> bytes:
    """Return a row as one line of JSON."""
    return orjson.dumps(
        list(row), default=_hex, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    )


def of_line(described: Described, text: bytes) -> Row:
    """Return the row that `line` wrote; raises `ValueError` or `TypeError` for what it did not."""
    values: list[Any] = orjson.loads(text)
    if len(values) != len(described.columns):
        raise ValueError("a row has another number of values than its table has columns")
    for place, (_, kind, _) in enumerate(described.columns):
        value = values[place]
        if value is not None and kind in _READ:
            values[place] = _READ[kind](value)
    return values


class Digest:
    """How many rows, and a sum of them in which their order does not matter."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def add(self, page: Iterable[Row]) -> None:
        """Count rows in.

        Numbers within JSON count as equal where they are: PostgreSQL makes 1e16 a whole number.
        """
        for row in page:
            text = orjson.dumps(
                [_plain(value) for value in row],
                default=_hex,
                option=orjson.OPT_UTC_Z | orjson.OPT_SORT_KEYS,
            )
            short = hashlib.blake2b(text, digest_size=8).digest()
            self.total = (self.total + int.from_bytes(short, "big")) % 2**64
            self.count += 1

    def body(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"rows": self.count, "sum": f"{self.total:016x}"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and self.body() == other.body()

    __hash__ = None  # type: ignore[assignment]


def digest(connection: Connection, described: Described) -> Digest:
    """Read a whole table, and return its sum."""
    made = Digest()
    for page in pages(connection, described):
        made.add(page)
    return made


def _describe(table: Table) -> Described:
    columns = tuple((c.name, _kind(c), bool(c.nullable)) for c in table.columns)
    return Described(table.name, columns, tuple(c.name for c in table.primary_key))


def _kind(column: Column[Any]) -> str:
    for known, kind in _KINDS:
        if isinstance(column.type, known):
            return kind
    raise UnknownKind(f"{column.table.name}.{column.name} is of a kind that cannot be copied")


def _type(kind: str, may_be_empty: bool) -> TypeEngine[Any]:
    if kind == "json":
        # An empty column and JSON's own null are two things.
        return JSON(none_as_null=may_be_empty).with_variant(
            JSONB(none_as_null=may_be_empty), "postgresql"
        )
    return _TYPES[kind]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() and int(value) in _WHOLE else value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _hex(value: Any) -> str:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    raise TypeError


_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (UtcDateTime, "instant"),
    (DateTime, "instant"),
    (JSON, "json"),
    (Boolean, "boolean"),
    (Integer, "integer"),
    (Float, "number"),
    (LargeBinary, "bytes"),
    (String, "text"),
)
_TYPES: dict[str, TypeEngine[Any]] = {
    "instant": UtcDateTime(),
    "json": JSON(),
    "boolean": Boolean(),
    "integer": BigInteger(),
    "number": Float(),
    "bytes": LargeBinary(),
    "text": String(),
}
_READ = {"instant": datetime.fromisoformat, "bytes": bytes.fromhex}
