"""Putting a backup back: checked before anything is touched, and all of it or nothing.

Files are put in place first; without rows nobody sees them. The rows then come in one step: an
SQLite file is made anew and takes the place of the old one, which is put aside; in PostgreSQL it is
one transaction. A backup of an older version is brought up to date in that step.
"""

from __future__ import annotations

import gzip
import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, delete, inspect

from presence.setting_values import sqlite_url
from presence.storage import schema
from presence.storage.blobs import LocalBlobs
from presence.storage.copies import archives, engines, moving, rows
from presence.storage.copies.archives import Archive
from presence.storage.copies.engines import CannotCopy, Say
from presence.storage.copies.rows import Described, Row
from presence.storage.models import db

_TELL_SECONDS = 2.0


def check(archive: Archive, say: Say) -> None:
    """Read all of a backup; raises `CannotCopy` unless everything is as it was written."""
    revision = archive.manifest.get("revision")
    if revision not in schema.REVISIONS:
        raise CannotCopy(
            f"{archive.place} is of a version that this one does not know ({revision!r}). Restore "
            "it with the version that made it, or a later one."
        )
    for table, body in _tables(archive):
        archive.check(archives.rows_of(table.name), str(body["sha256"]))
    archive.check(archives.FILES, str(archive.manifest["files"]["sha256"]))
    told = time.monotonic()
    for number, entry in enumerate(_files(archive)):
        archive.check(archives.bytes_of(entry["name"]), entry["sha256"], entry["size"])
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            say(f"files checked: {number + 1:,} of {archive.manifest['files']['count']:,}")


def restore(archive: Archive, engine: Engine, blobs: LocalBlobs, say: Say, replace: bool) -> None:
    """Bring rows and files of a checked backup into a database and an upload folder or bucket.

    `replace` lets it take the place of what is there. Nobody may serve meanwhile. Raises
    `CannotCopy` with the database as it was; files that were put in place by then have no rows.
    """
    _refuse_occupied(engine, replace)
    _put_files(archive, blobs, say)
    if engine.dialect.name == "sqlite":
        _replace_file(archive, engine, say)
    else:
        with engines.changing(engine) as connection:
            _drop_tables(connection, archive)
            _fill(archive, connection, say)


def _tables(archive: Archive) -> list[tuple[Described, dict[str, Any]]]:
    try:
        return [(Described.of(body), body) for body in archive.manifest["tables"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CannotCopy(f"{archive.place} is damaged: its tables are unknown: {error}.") from None


def _files(archive: Archive) -> Iterator[dict[str, Any]]:
    with archive.open(archives.FILES) as file:
        for line in file:
            yield orjson.loads(line)


def _refuse_occupied(engine: Engine, replace: bool) -> None:
    if replace or (engine.dialect.name == "sqlite" and not _exists(engine)):
        return
    with engines.snapshot(engine) as connection:
        found = inspect(connection).get_table_names()
        if found and (
            schema.revision(connection) != schema.HEAD or not moving.is_empty(connection)
        ):
            raise CannotCopy(
                f"{engines.name(engine)} is not empty. Give --replace to put the backup in its "
                "place, or set DATABASE_URL to another database."
            )


def _exists(engine: Engine) -> bool:
    path = Path(str(engine.url.database))
    return path.exists() and path.stat().st_size > 0


def _put_files(archive: Archive, blobs: LocalBlobs, say: Say) -> None:
    told = time.monotonic()
    for number, entry in enumerate(_files(archive)):
        blob = blobs.receive(entry["size"])
        try:
            with archive.open(archives.bytes_of(entry["name"])) as source:
                archives.copy(source, blob.write)
            blobs.name(blob, entry["name"])
            blobs.keep(blob, entry["name"])
        finally:
            blob.discard()
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            say(f"files: {number + 1:,} of {archive.manifest['files']['count']:,}")


def _replace_file(archive: Archive, engine: Engine, say: Say) -> None:
    """Make a database beside the old one, and let it take its place when it is whole."""
    path = Path(str(engine.url.database))
    made = Path(f"{path}.restoring")
    leftovers = [made, Path(f"{made}-wal"), Path(f"{made}-shm")]
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    try:
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # Tables that are made anew on the way to this version take nothing with them.
        new = engines.open_database(sqlite_url(made), references=False)
        with engines.changing(new) as connection:
            _fill(archive, connection, say)
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise CannotCopy(f"Rows of the backup refer to what is not in it: {broken}.")
        _put_aside(path, say)
        os.replace(made, path)
    finally:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)


def _put_aside(path: Path, say: Say) -> None:
    """Keep the old database under another name, with what its log still has."""
    if not path.exists():
        return
    name = f"{path}.before-{time.strftime('%Y-%m-%d-%H%M%S')}"
    aside = next(
        free for number in itertools.count(1) if not Path(free := f"{name}-{number}").exists()
    )
    with suppress(sqlite3.DatabaseError):  # a damaged one is put aside as it is
        old = sqlite3.connect(path)
        try:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            old.close()
    os.link(path, aside)
    for end in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{aside}{end}")
    say(f"The database that was there is {aside} now.")


def _drop_tables(connection: Connection, archive: Archive) -> None:
    """Remove the tables of this server, of whichever version; raises `CannotCopy` for others."""
    ours = {table.name for table in db.metadata.sorted_tables}
    ours |= {table.name for table, _ in _tables(archive)} | schema.OWN
    found = set(inspect(connection).get_table_names())
    if found - ours:
        raise CannotCopy(
            f"{engines.name(connection.engine)} has tables that are not this server's "
            f"({', '.join(sorted(found - ours)[:5])}). Give it a database of its own."
        )
    for name in sorted(found):
        connection.exec_driver_sql(f'DROP TABLE "{name}" CASCADE')


def _fill(archive: Archive, connection: Connection, say: Say) -> None:
    """Make the tables as they were, insert the rows, compare them, and bring all up to date."""
    tables = _tables(archive)
    schema.build(connection, archive.manifest["revision"])
    for table, _ in reversed(tables):
        connection.execute(delete(table.table()))
    for table, body in tables:
        for page in _pages(archive, table):
            moving.insert_page(connection, table, page)
        if body["rows"]:
            say(f"{table.name}: {body['rows']:,} rows")
    moving.count_on(connection, [table for table, _ in tables])
    for table, body in tables:
        found = rows.digest(connection, table).body()
        if found != {"rows": body["rows"], "sum": body["sum"]}:
            raise CannotCopy(f"What arrived in {table.name} is not what the backup has.")
    schema.migrate(connection)


def _pages(archive: Archive, table: Described) -> Iterator[list[Row]]:
    name = archives.rows_of(table.name)
    with archive.open(name) as raw, gzip.GzipFile(fileobj=raw) as lines:
        while some := list(islice(lines, rows.PAGE)):
            try:
                yield [rows.of_line(table, line) for line in some]
            except (ValueError, TypeError) as error:
                raise CannotCopy(f"{archive.place} is damaged: {name}: {error}.") from None
