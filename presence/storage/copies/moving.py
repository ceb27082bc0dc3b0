"""Moving all rows to another database, while nobody serves either.

The source is only read. Until the move has ended and was checked, the target says of itself that
its tables are unfinished, so that no server starts with half of the rows. Every page of rows is
committed together with how many there are by then; a move that was ended by force goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from presence.storage import schema
from presence.storage.copies import engines, rows
from presence.storage.copies.engines import CannotCopy, Say
from presence.storage.copies.rows import Described, Digest, Row
from presence.storage.models import db

# How often progress is told.
_TELL_SECONDS = 2.0
# How many refused rows are named at once.
_MOST_NAMED = 10
# How far the move has come, by table; the row without a name says from where it comes.
_PROGRESS = Table(
    "move_progress",
    MetaData(),
    Column("table_name", String(64), primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("source", Text),
)


def move(source: Engine, target: Engine, say: Say) -> dict[str, Digest]:
    """Copy every row from one database to the other, check them, and let the target be served.

    `say` is told of the progress in sentences. Returns counts and sums by table. Raises
    `CannotCopy`; called again, it goes on where it was.
    """
    tables = rows.described()
    with engines.snapshot(source) as reading:
        _refuse_source(reading, source)
        if _is_moved(reading, target, tables):
            say(f"{engines.name(target)} has all of it already.")
            return {table.name: rows.digest(reading, table) for table in tables}
        done = _begin(source, target)
        if done:
            say(f"Going on with the move that was begun: {sum(done.values()):,} rows are there.")
        sums = _copy_all(reading, target, tables, done, say)
        wrong = _different(target, sums, tables, say)
        if wrong and done:
            say("The source is not as it was when the move began. Beginning afresh.")
            with engines.changing(target) as connection:
                _empty(connection)
            sums = _copy_all(reading, target, tables, {}, say)
            wrong = _different(target, sums, tables, say)
        if wrong:
            raise CannotCopy(
                f"What arrived is not what was sent: {', '.join(wrong)}. Nothing serves from the "
                "target; run the command again."
            )
    _refuse_served_meanwhile(source, sums, tables)
    with engines.changing(target) as connection:
        count_on(connection, tables)
        _PROGRESS.drop(connection)
        schema.set_revision(connection, schema.HEAD)
    return sums


def count_on(connection: Connection, tables: list[Described]) -> None:
    """Let new rows get ids that no row has; SQLite sees to that by itself."""
    if connection.dialect.name == "sqlite":
        return
    for described in tables:
        table = described.table()
        for name, kind, _ in described.columns:
            if kind != "integer" or described.key != (name,):
                continue
            sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, name)))
            if sequence is not None:
                last = connection.scalar(select(func.max(table.c[name])))
                connection.execute(select(func.setval(sequence, last or 1, last is not None)))


def insert_page(connection: Connection, table: Described, page: list[Row]) -> None:
    """Insert rows; raises `CannotCopy` with the names of those that the database refuses."""
    try:
        with connection.begin_nested():
            rows.write(connection, table, page)
        return
    except (StatementError, ValueError) as error:
        if not _is_refusal(error):
            raise
    refused = []
    for row in page:
        try:
            with connection.begin_nested():
                rows.write(connection, table, [row])
        except (StatementError, ValueError) as error:
            if not _is_refusal(error):
                raise
            refused.append(f"{_named(table, row)}: {_reason(error)}")
            if len(refused) == _MOST_NAMED:
                break
    raise CannotCopy(
        "The database refuses rows of "
        f"{table.name} that the other one has: {'; '.join(refused)}. Put them right or delete "
        "them where they come from, and run the command again."
    )


def _is_refusal(error: Exception) -> bool:
    """Tell whether it is about a row, and not about the connection or the disk."""
    return isinstance(error, (DataError, IntegrityError, ValueError)) or (
        isinstance(error, StatementError) and isinstance(error.orig, (ValueError, OverflowError))
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _named(table: Described, row: Row) -> str:
    names = [name for name, _, _ in table.columns]
    return ", ".join(f"{name} {row[names.index(name)]!r}" for name in table.key)


def _refuse_source(reading: Connection, source: Engine) -> None:
    revision = schema.revision(reading)
    if revision == schema.UNFINISHED:
        raise CannotCopy(f"{engines.name(source)} is itself the unfinished target of a move.")
    if revision != schema.HEAD:
        raise CannotCopy(
            f"The tables of {engines.name(source)} are not those of this version. Make a backup, "
            "run “flask db upgrade”, and then this command again."
        )


def _is_moved(reading: Connection, target: Engine, tables: list[Described]) -> bool:
    """Tell whether the target is a finished move of just these rows, as when the end was unseen."""
    with engines.changing(target) as connection:
        if schema.revision(connection) != schema.HEAD or is_empty(connection):
            return False
        there = {table.name: rows.digest(connection, table) for table in tables}
    return all(rows.digest(reading, table) == there[table.name] for table in tables)


def _begin(source: Engine, target: Engine) -> dict[str, int]:
    """Make the target's tables, or see how far a move from this source has come; rows by table."""
    origin = engines.name(source)
    with engines.changing(target) as connection:
        revision = schema.revision(connection)
        if revision == schema.UNFINISHED:
            if not inspect(connection).has_table(_PROGRESS.name):
                raise CannotCopy(f"{engines.name(target)} is unfinished, and not by a move.")
            name = _PROGRESS.c.table_name
            begun = connection.scalar(select(_PROGRESS.c.source).where(name == ""))
            if begun != origin:
                raise CannotCopy(
                    f"{engines.name(target)} holds an unfinished move from {begun}. Finish that "
                    "one, or give this one an empty database."
                )
            found = connection.execute(select(_PROGRESS).where(name != ""))
            return {row.table_name: row.rows for row in found}
        names = set(inspect(connection).get_table_names())
        if revision == schema.HEAD and is_empty(connection):
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(delete(table))
            schema.set_revision(connection, schema.UNFINISHED)
        elif names:
            raise CannotCopy(
                f"{engines.name(target)} holds something else already "
                f"({', '.join(sorted(names)[:5])}). Nothing of it was touched: give an empty "
                "database."
            )
        else:
            schema.create(connection, schema.UNFINISHED)
        _PROGRESS.create(connection)
        connection.execute(insert(_PROGRESS).values(table_name="", rows=0, source=origin))
    return {}


def is_empty(connection: Connection) -> bool:
    """Tell whether nothing but what every start makes is in the tables of this version."""
    made = {"usage", "workers"}
    return not any(
        connection.execute(select(text("1")).select_from(table).limit(1)).first()
        for table in db.metadata.sorted_tables
        if table.name not in made
    )


def _empty(connection: Connection) -> None:
    for table in reversed(db.metadata.sorted_tables):
        connection.execute(delete(table))
    connection.execute(delete(_PROGRESS).where(_PROGRESS.c.table_name != ""))


def _copy_all(
    reading: Connection, target: Engine, tables: list[Described], done: dict[str, int], say: Say
) -> dict[str, Digest]:
    """Copy what is missing of every table; return what the source has."""
    return {
        table.name: _copy(reading, target, table, done.get(table.name, 0), say) for table in tables
    }


def _copy(reading: Connection, target: Engine, table: Described, done: int, say: Say) -> Digest:
    total = reading.scalar(select(func.count()).select_from(table.table())) or 0
    sums = Digest()
    told = time.monotonic()
    for page in _readable(reading, table, sums):
        missing = page[max(0, done - sums.count) :]
        sums.add(page)
        if missing:
            with engines.changing(target) as connection:
                insert_page(connection, table, missing)
                _note(connection, table.name, sums.count)
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            say(f"{table.name}: {sums.count:,} of {total:,}")
    if sums.count:
        say(f"{table.name}: {sums.count:,} rows")
    return sums


def _readable(reading: Connection, table: Described, sums: Digest) -> Iterator[list[Row]]:
    """Yield the pages of a table; raises `CannotCopy` where a value is not of its kind."""
    try:
        yield from rows.pages(reading, table)
    except (ValueError, TypeError) as error:
        raise CannotCopy(
            f"One of the {rows.PAGE} rows of {table.name} after the first {sums.count:,} cannot be "
            f"read: {error}. Put it right, and run the command again."
        ) from None


def _note(connection: Connection, name: str, count: int) -> None:
    noted = connection.execute(
        update(_PROGRESS).where(_PROGRESS.c.table_name == name).values(rows=count)
    )
    if not noted.rowcount:
        connection.execute(insert(_PROGRESS).values(table_name=name, rows=count))


def _different(
    target: Engine, sums: dict[str, Digest], tables: list[Described], say: Say
) -> list[str]:
    """Return what is wrong with the tables of the target, which are read again."""
    say("Checking what has arrived.")
    wrong = []
    with engines.snapshot(target) as connection:
        for table in tables:
            found, sent = rows.digest(connection, table), sums[table.name]
            if found != sent:
                wrong.append(f"{table.name} ({sent.count:,} rows sent, {found.count:,} there)")
    return wrong


def _refuse_served_meanwhile(
    source: Engine, sums: dict[str, Digest], tables: list[Described]
) -> None:
    """Refuse to end where somebody has changed the source since it was read.

    An SQLite file was claimed for all the time.
    """
    if source.dialect.name == "sqlite":
        return
    with engines.snapshot(source) as reading:
        changed = [t.name for t in tables if rows.digest(reading, t) != sums[t.name]]
    if changed:
        raise CannotCopy(
            f"The source was changed meanwhile ({', '.join(changed)}): a server must have run. "
            "Stop it, and run the command again."
        )
