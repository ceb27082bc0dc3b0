"""How log records look: one line each, whatever is in them, and without secrets.

Imports nothing of the server but its settings: ``gunicorn.conf.py`` reads it before the worker has
patched the standard library.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TextIO

from presence.config import Settings

# Control characters (the line breaks and the escape among them), Unicode's own line and paragraph
# separators, what changes the direction of text, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_HIDDEN = "[secret]"
# For `OncePerMinute`.
_MINUTE = 60.0
_MOST_KEYS = 1000
# How much of a message is shown, and what of it is searched for secrets: all that may begin in what
# is shown, a token of the longest kind included. A client can have a line of 64 KB logged.
_LONGEST_SHOWN = 2000
_LONGEST_SEARCHED = _LONGEST_SHOWN + 5000

# What is secret by its form, wherever it turns up: a token, a header, a key with its value in a
# query, in JSON or in a printed dictionary, and the password in an address.
_KEYS = r"token|pid|secret|password|credential|signature|authorization|cookie"
_SECRETS = (
    # The header of a token is short; without an end to it this takes the square of a long word.
    (re.compile(r"\beyJ[\w-]{5,512}+\.[\w-]++\.[\w-]*+"), _HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/-]{6,}=*"), rf"\1 {_HIDDEN}"),
    (re.compile(rf"(?i)\b({_KEYS})=[^&\s\"'<>]+"), rf"\1={_HIDDEN}"),
    (
        re.compile(rf"(?i)(?<=[\"'])({_KEYS})([\"']\s*:\s*)(\"[^\"]*\"|'[^']*')"),
        rf"\1\2'{_HIDDEN}'",
    ),
    (re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@"), rf"\1:{_HIDDEN}@"),
)
# What is shorter would blot out ordinary words.
_MIN_SECRET = 6

# Colours: Werkzeug's development server puts them around lines of its own, terminal or not. What
# comes from clients it writes out before.
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_COLOURFUL = "werkzeug"

# What is known of the work during which a record is made, such as of a request; whoever knows it
# adds a function. Records that are given an attribute `about` say it themselves.
surroundings: set[Callable[[], dict[str, str]]] = set()
_LONGEST_ABOUT = 300

# Loggers of libraries that speak of every packet, or add a handler of their own otherwise.
_QUIET = ("engineio", "engineio.server", "socketio", "socketio.server")


class Formatter(logging.Formatter):
    r"""Makes a line of a record, as text or as JSON, and leaves the secrets of `settings` out.

    As text a line is ``time level logger: message [what it is about]``, with a traceback behind it;
    line breaks and other control characters stand as ``\n``, ``\x1b`` and so on.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._as_json = settings.log_format.lower() == "json"
        self._own_secrets = sorted(_secrets_of(settings), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        parts = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._shown(_message_of(record)),
        }
        about = {
            name: self.without_secrets(text[:_LONGEST_ABOUT])
            for name, text in _about(record).items()
        }
        if record.exc_info and record.exc_info[0]:
            parts["exception"] = self.without_secrets(self.formatException(record.exc_info))
        if self._as_json:
            return json.dumps({**parts, **about, "process": record.process})
        line = "{time} {level} {logger}: {message}".format(**parts)
        if about:
            line += f" [{' '.join(f'{name}={text}' for name, text in about.items())}]"
        return one_line(f"{line}\n{parts['exception']}" if "exception" in parts else line)

    def _shown(self, message: str) -> str:
        """Return the beginning of a message, and how much more of it there was."""
        text = self.without_secrets(message[:_LONGEST_SEARCHED])
        if len(text) <= _LONGEST_SHOWN and len(message) <= _LONGEST_SEARCHED:
            return text
        return f"{text[:_LONGEST_SHOWN]}… ({len(message)} characters)"

    def without_secrets(self, text: str) -> str:
        """Return `text` with what is secret in it hidden."""
        for secret in self._own_secrets:
            text = text.replace(secret, _HIDDEN)
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
        return text


class Printed(io.TextIOBase):
    """A stream that logs what is printed to it, line by line: libraries print what went wrong."""

    def __init__(self, logger: logging.Logger, level: int, otherwise: TextIO) -> None:
        self._logger = logger
        self._level = level
        # For what is printed while logging itself fails.
        self._otherwise = otherwise
        self._busy = threading.local()

    def write(self, text: str) -> int:
        """Log the lines of `text`."""
        if getattr(self._busy, "now", False):
            return self._otherwise.write(text)
        self._busy.now = True
        try:
            for line in text.splitlines():
                if line.strip():
                    self._logger.log(self._level, "%s", line)
        finally:
            self._busy.now = False
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Log several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: what was written is logged already."""


def set_up(settings: Settings) -> None:
    """Send every record of this process to stderr, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(settings))
    logging.getLogger().handlers[:] = [handler]
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def catch_printing() -> None:
    """Let what libraries print to stderr be records too; `set_up` must have been called."""
    if not isinstance(sys.stderr, Printed):
        sys.stderr = Printed(logging.getLogger("stderr"), logging.WARNING, sys.stderr)


def one_line(text: str) -> str:
    """Return `text` with every character that could break or recolour a line written out."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
        return _COLOUR.sub("", message) if record.name == _COLOURFUL else message
    except Exception:  # a format that does not fit its arguments must not cost the record
        return f"{record.msg} {record.args!r}"


def _about(record: logging.LogRecord) -> dict[str, str]:
    """Return what a record is about, by name: the request, or the socket and its event."""
    about: dict[str, str] = {}
    for known in surroundings:
        about |= known()
    return about | getattr(record, "about", {})


def _secrets_of(settings: Settings) -> set[str]:
    """Return the values of the settings that are secret, and the keys within them."""
    values = {str(getattr(settings, item.name)) for item in fields(settings) if not item.repr}
    values |= set(settings.keys_by_kid.values())
    return {value for value in values if len(value) >= _MIN_SECRET}


class OncePerMinute:
    """Logs warnings, of those with the same key one a minute: what clients cause again and again.

    Only so many keys are remembered; whoever has more causes more lines.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._logged: dict[Hashable, float] = {}

    def warning(self, key: Hashable, message: str, *args: object) -> None:
        """Log a warning, unless there was one with this key within the last minute."""
        now = time.monotonic()
        if now - self._logged.get(key, -_MINUTE) < _MINUTE:
            return
        if len(self._logged) >= _MOST_KEYS:
            self._logged.clear()
        self._logged[key] = now
        self._log.warning(message, *args)
