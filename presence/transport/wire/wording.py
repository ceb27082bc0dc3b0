"""Words for logs, commands and pages: numbers with nouns, why a database or a field is wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic_core import ErrorDetails

from presence.config import Settings


def plural(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def why_not(error: Exception, url: str) -> str:
    """Return in a sentence why a database cannot be used, and what to do about it.

    `url` is the setting, of which the password is left out; `error` what its driver or the system
    said.
    """
    place = re.sub(r"(?<=://)([^/@:]*):[^/]*@", r"\1@", url)
    is_file = url.startswith("sqlite:")
    reason = str(getattr(error, "orig", None) or getattr(error, "strerror", None) or error)
    if is_file and "unable to open" in reason:
        reason = _why_unopened(Settings(database_url=url).database_file) or reason
    reason = re.sub(r"\s+", " ", reason.split("\n", maxsplit=1)[0]).strip().rstrip(".")
    beside = getattr(error, "filename", None)
    if beside and not url.endswith(str(beside)) and os.path.lexists(beside):
        reason = f"{beside}: {reason}"
    known = _OF_FILES if is_file else _OF_SERVERS
    advice = next(advice for words, advice in known.items() if re.search(words, reason))
    return f"The database {place} cannot be used: {reason[:300]}. {advice}"


def _why_unopened(file: Path | None) -> str | None:
    """Return what the system says of a file that SQLite could not open; None if nothing."""
    if file is None:
        return None
    try:
        file.open("r+b").close()
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror
    return None


# What to do, by the words of a driver or of the system.
_OF_FILES = {
    "locked|busy": "Another program holds it: end that one, then start again.",
    "full|No space": "Make room on its disk, then start again.",
    "(Is a|Not a) directory|symbolic links": "Name a file that can be there, such as "
    "DATABASE_URL=sqlite:////path/to/presence.db.",
    "": "Let the user that runs the server write to its folder, or name another place, such as "
    "DATABASE_URL=sqlite:////path/to/presence.db.",
}
_OF_SERVERS = {
    "database .* does not exist": "Make it (createdb), or correct its name in DATABASE_URL.",
    "password|authentication|role|pg_hba|no encryption": "Correct user and password in "
    "DATABASE_URL, or let PostgreSQL take them (pg_hba.conf).",
    "permission denied": "Let its user make tables: GRANT USAGE, CREATE ON SCHEMA public TO ….",
    "": "Start PostgreSQL, or correct host and port in DATABASE_URL.",
}


def reason(error: ErrorDetails) -> str:
    """Turn pydantic's ``Input should be …`` into the end of a sentence about the field."""
    known = _REASONS.get(error["type"])
    if known is not None:
        return known
    message = _SUBJECT.sub("must ", error["msg"], count=1).replace(" after validation", "")
    if isinstance(error["input"], str):
        message = _ITEMS.sub(r"\1character", message)
    return message.rstrip(".") + "."


# How pydantic begins, and what it calls the characters of a text that it was not told is one.
_SUBJECT, _ITEMS = re.compile(r"^\w+ should "), re.compile(r"(\d )item")
_REASONS = {
    "model_type": "must be a JSON object.",
    "dict_type": "must be a JSON object.",
    "list_type": "must be a JSON list.",
    "string_unicode": "must be valid Unicode; it contains half of a surrogate pair.",
}
