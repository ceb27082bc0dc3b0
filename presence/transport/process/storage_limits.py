"""Whether the database may take in more: how much it holds, and what is left of the disk under it.

Looked at every few seconds, because asking costs a query; what is refused then is only what adds
something. A database on another machine has its own disk to look after.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from presence.storage import database
from presence.transport.process.runtime import Runtime

log = logging.getLogger(__name__)

_SECONDS = 5.0


def init_app(run: Runtime) -> None:
    """Look at the start, and then every few seconds."""

    def look() -> None:
        reason = _why_full(run)
        if reason and not run.limits.is_full:
            log.warning("nothing more is added to the database: %s", reason)
        elif run.limits.is_full and not reason:
            log.warning("the database takes in more again")
        run.limits = replace(run.limits, is_full=bool(reason))

    run.at_start(look)
    run.upkeep.every(_SECONDS, look, "the size of the database could not be read")


def _why_full(run: Runtime) -> str:
    """Return why nothing may be added, or nothing."""
    settings = run.settings
    if settings.max_database_bytes:
        with database.reading() as session:
            size = database.size(session)
        if size >= settings.max_database_bytes:
            return f"it holds {size} bytes, and may hold {settings.max_database_bytes}"
    path = database.path()
    if path is not None:
        free = shutil.disk_usage(Path(path).parent).free
        floor = settings.min_free_disk_bytes
        if free < floor:
            return f"{free} bytes are free on its disk, and {floor} have to stay free"
    return ""
