"""Looks of the doctor at what the server keeps: database, migrations, folders, disk, bucket."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from presence.config import Settings
from presence.storage import database, maintenance, schema
from presence.storage.blobs import ObjectStoreError
from presence.transport.commands import outside_checks
from presence.transport.commands.findings import Finding, fault, looked, warning, well
from presence.transport.process.runtime import Runtime
from presence.transport.wire.serializers import timestamp
from presence.transport.wire.wording import why_not

# So many uploaded files say how they all are.
_MOST_LOOKED_AT = 1000

_MIGRATIONS = {
    "current": "the tables are those of this version",
    "empty": "no tables yet; the first start makes them",
}


def look(run: Runtime) -> Iterator[Finding]:
    """Yield what is found. Needs an app context."""
    checks: tuple[Callable[[Runtime], Iterator[Finding]], ...] = (
        _database,
        _uploads,
        _disk,
        _modes,
    )
    for check in checks:
        yield from looked(check.__name__.strip("_"), check(run))


def _database(run: Runtime) -> Iterator[Finding]:
    settings = run.settings
    file = settings.database_file
    try:
        if file is not None:
            _writable(file.parent)
            if not os.path.lexists(file):
                database.check_lock(file)
                yield well("database", f"{file} will be made at the first start")
                return
            database.check_soundness(file)
            database.check_lock(file)
        with database.reading() as session:
            there = database.now(session)
        state = schema.state()
    except (DBAPIError, OSError, sqlite3.Error) as error:
        yield fault("database", why_not(error, settings.database_url))
        return
    except database.CannotServe as error:
        yield fault("database", str(error))
        return
    serving = database.served_by(file) if file is not None else None
    yield well("database", f"answers{f', and process {serving} serves it' if serving else ''}")
    if file is None:
        yield from outside_checks.clock_beside("PostgreSQL", there.timestamp())
        yield from _connections(settings)
    if state in _MIGRATIONS:
        yield well("migrations", _MIGRATIONS[state])
        if state == "current":
            yield from _maintenance()
    else:
        yield warning(
            "migrations",
            "the tables are of an older version, and the next start brings them up to date. Back "
            "the database up first (docs/operations.md).",
        )


def _maintenance() -> Iterator[Finding]:
    with database.reading() as session:
        maintenance.refresh(session)
    pause = maintenance.known()
    if pause is None:
        yield well("maintenance", "there is none: everything can be changed")
        return
    yield warning(
        "maintenance",
        f"nothing can be changed since {timestamp(pause.since)}"
        f"{f' ({pause.note})' if pause.note else ''}. “flask maintenance off” ends it.",
    )


def _connections(settings: Settings) -> Iterator[Finding]:
    with database.reading() as session:
        most = int(str(session.execute(text("SHOW max_connections")).scalar_one()))
    if settings.database_connections > most - 3:
        yield fault(
            "database",
            f"PostgreSQL takes {most} connections, fewer than PRESENCE_DATABASE_CONNECTIONS="
            f"{settings.database_connections} for each process. Raise max_connections there, or "
            "lower that.",
        )


def _uploads(run: Runtime) -> Iterator[Finding]:
    folder = run.settings.upload_path
    try:
        _writable(folder)
    except OSError as error:
        yield fault(
            "uploads",
            f"the folder {folder} cannot be written to: {error.strerror}. Let the user that runs "
            "the server write to it, or name another one: UPLOAD_DIR=…",
        )
        return
    yield well("uploads", f"{folder} can be written to")
    if run.settings.upload_url:
        try:
            run.blobs.check_bucket()
        except ObjectStoreError as error:
            yield fault(
                "bucket",
                f"{run.settings.upload_url} cannot be used: {error.reason}. Look at UPLOAD_URL, "
                "PRESENCE_S3_ENDPOINT and the keys in AWS_….",
            )
        else:
            yield well("bucket", f"{run.settings.upload_url} answers")


def _disk(run: Runtime) -> Iterator[Finding]:
    settings, file = run.settings, run.settings.database_file
    folders = {"uploads": settings.upload_path, **({"database": file.parent} if file else {})}
    least = settings.min_free_disk_bytes
    for what, folder in folders.items():
        if _standing(folder) is None:
            continue
        free = shutil.disk_usage(str(_standing(folder))).free
        says = f"{free // 2**20} MiB are free for the {what}, {least // 2**20} are to stay free"
        if free < least:
            yield fault("disk", f"{says}. Make room, or lower PRESENCE_MIN_FREE_DISK_BYTES.")
        elif free < 2 * least:
            yield warning("disk", says)
        else:
            yield well("disk", says)


def _modes(run: Runtime) -> Iterator[Finding]:
    file = run.settings.database_file
    # A folder whose names may be read, as a clone has it, gives nothing away of what is in it.
    stored = islice(run.settings.upload_path.glob("[0-9a-f]*.*"), _MOST_LOOKED_AT)
    kept = [*stored, *([file] if file else [])]
    seen = [path for path in kept if path.exists() and outside_checks.is_readable_by_others(path)]
    # What is in a folder that others may not enter they may not read either.
    seen = [path for path in seen if path.parent.stat().st_mode & 0o001]
    for path in {path if path == file else path.parent for path in seen}:
        yield warning(
            "modes", f"{path} may be read by everybody on this machine: chmod o-rwx {path}"
        )
    if not seen:
        yield well("modes", "database and uploads are their owner's alone")


def _standing(path: Path) -> Path | None:
    """Return the first folder above a path that is there."""
    return next((part for part in (path, *path.parents) if part.is_dir()), None)


def _writable(folder: Path) -> None:
    """Raise `OSError` unless files can be made in a folder, or in what it would be made in."""
    for part in (folder, *folder.parents):
        if os.path.lexists(part):
            with tempfile.TemporaryFile(dir=part):
                return
