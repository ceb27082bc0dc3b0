"""Making a backup of rows and files that belong together, while servers go on.

The rows are those of one instant. Their files are in another place, where they come before their
rows and go with them, and never change. So the files are copied first, then the rows are frozen and
the files that came since are copied; a file that went in between takes the rows with it: they are
frozen anew, which costs only what has changed since. A backup has every file of its rows.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Engine, select

from presence.storage import schema
from presence.storage.blobs import LocalBlobs
from presence.storage.copies import archives, engines, rows
from presence.storage.copies.archives import NewArchive
from presence.storage.copies.engines import CannotCopy, Say
from presence.storage.copies.rows import Described, Digest
from presence.storage.models import File

# How often the rows are frozen anew; each time takes moments, as all but new files are there.
_TRIES = 50
# After how many of them a file whose row stays, but whose bytes do not come, counts as lost.
_PATIENCE = 4
_PAUSE_SECONDS = 0.3
_TELL_SECONDS = 2.0
# In the upload folder: when the last backup was finished.
LAST = ".last-backup"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup has; ``lost`` are files that had no bytes any more when it was made."""

    rows: int
    files: int
    bytes: int
    lost: list[str]


def back_up(engine: Engine, blobs: LocalBlobs, place: Path, say: Say) -> BackedUp:
    """Make a backup at a place where nothing is; packed into one file if that ends in ``.tar``.

    Raises `CannotCopy`, `OSError`, and the database's errors; then there is no backup.
    """
    with engines.snapshot(engine) as connection:
        if schema.revision(connection) != schema.HEAD:
            raise CannotCopy(
                f"The tables of {engines.name(engine)} are not those of this version. Make the "
                "backup with the version that they are of, or run “flask db upgrade” first."
            )
        early = _stored_names(connection)
    archive = NewArchive(place)
    try:
        return _fill(archive, engine, _Files(archive, blobs, say), early, say)
    finally:
        archive.discard()


def last_backup(folder: Path) -> float:
    """Return when the last backup was finished, in seconds since 1970; 0 if there was none."""
    try:
        return (folder / LAST).stat().st_mtime
    except OSError:
        return 0


def _fill(
    archive: NewArchive, engine: Engine, files: _Files, early: list[str], say: Say
) -> BackedUp:
    files.copy(early)
    for attempt in range(_TRIES):
        with engines.snapshot(engine) as connection:
            began = datetime.now(UTC)
            names = _stored_names(connection)
            lost = files.copy(names)
            if not lost or (attempt >= _PATIENCE and lost == _still_known(engine, lost)):
                tables = [_write(archive, connection, t, say) for t in rows.described()]
                break
        time.sleep(_PAUSE_SECONDS)
    else:
        raise CannotCopy(
            "Files are deleted faster than they can be copied. Try again when less goes on."
        )
    kept = files.finish(names)
    archive.finish(
        {
            "made_at": began.isoformat(),
            "revision": schema.HEAD,
            "database": engine.dialect.name,
            "tables": tables,
            "files": {
                "count": len(kept),
                "bytes": sum(kept.values()),
                "sha256": archive.sha256(archives.FILES),
                "lost": sorted(lost),
            },
        }
    )
    count = sum(table["rows"] for table in tables)
    return BackedUp(count, len(kept), sum(kept.values()), sorted(lost))


def _stored_names(connection: Connection) -> list[str]:
    return sorted(connection.scalars(select(File.stored_name)))


def _still_known(engine: Engine, names: Iterable[str]) -> set[str]:
    """Return which files have a row now."""
    with engines.snapshot(engine) as connection:
        return set(names) & set(_stored_names(connection))


def _write(archive: NewArchive, connection: Connection, table: Described, say: Say) -> Any:
    """Write the rows of a table; return what the backup says of it."""
    sums = Digest()
    told = time.monotonic()
    name = archives.rows_of(table.name)
    with archive.create(name) as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed:
        for page in rows.pages(connection, table):
            sums.add(page)
            packed.write(b"".join(map(rows.line, page)))
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                say(f"{table.name}: {sums.count:,} rows")
    return {**table.body(), **sums.body(), "sha256": archive.sha256(name)}


class _Files:
    """The files that have been copied so far, each with its size and SHA-256."""

    def __init__(self, archive: NewArchive, blobs: LocalBlobs, say: Say) -> None:
        self._archive = archive
        self._blobs = blobs
        self._say = say
        self._copied: dict[str, tuple[int, str]] = {}

    def copy(self, names: Iterable[str]) -> set[str]:
        """Copy those that are not there yet; return those that have no bytes."""
        lost = set()
        told = time.monotonic()
        for name in names:
            if name in self._copied:
                continue
            try:
                with self._blobs.reading(name) as source:
                    inside = archives.bytes_of(name)
                    with self._archive.create(inside) as target:
                        self._copied[name] = archives.copy(cast(Any, source), target.write)
            except FileNotFoundError:
                lost.add(name)
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                self._say(f"files: {len(self._copied):,}")
        return lost

    def finish(self, names: Iterable[str]) -> dict[str, int]:
        """Keep those with these names, list them, and return their sizes."""
        wanted = set(names) & self._copied.keys()
        for name in self._copied.keys() - wanted:
            (self._archive.folder / archives.bytes_of(name)).unlink()
        with self._archive.create(archives.FILES) as file:
            for name in sorted(wanted):
                size, sha256 = self._copied[name]
                entry = {"name": name, "size": size, "sha256": sha256}
                file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        return {name: self._copied[name][0] for name in wanted}
