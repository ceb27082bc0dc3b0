"""The path of a request as the rest of the server reads it: in UTF-8, without what stands before.

A server may stand below a path of a site, such as ``/presence``. Some proxies take that prefix off
before they pass a request on, others leave it; both are served. Which prefix it is a setting says,
or ``X-Forwarded-Prefix`` where proxies are trusted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from presence.config import Settings
from presence.errors import AddressUnreadable, PrefixRefused, PrefixUnknown, PresenceError
from presence.logs import OncePerMinute
from presence.setting_values import OWN_PATHS, is_path
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import http_answer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_FORWARDED = "HTTP_X_FORWARDED_PREFIX"
_LONGEST = 512
_ESCAPED = re.compile(r"%[89a-fA-F][0-9a-fA-F]|[^\x00-\x7f]")
# The beginning of a request's target as proxies are sent it (RFC 9112, section 3.2.2).
_ABSOLUTE = re.compile(r"(?i)(?:http|ws)s?://(?:[^/?#@]*@)?([^/?#]*)")


# One of the server's paths below another one.
_BELOW = re.compile(rf"(.+?)/(?:{'|'.join(map(re.escape, sorted(OWN_PATHS)))})(?:/.*)?", re.DOTALL)


class Paths:
    """Takes the prefix off every path, and refuses addresses that are not in UTF-8.

    What stands below a prefix of which nobody told is refused too, and logged, for it may be a
    client of Socket.IO that shows no sentence.
    """

    def __init__(self, wsgi_app: WSGIApplication, settings: Settings) -> None:
        self._wsgi_app = wsgi_app
        self._log = OncePerMinute(logging.getLogger(__name__))
        self._prefix = settings.path_prefix
        self._proxies = settings.trusted_proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer it with what is wrong with its address."""
        _read_anew(environ)
        told = bool(self._proxies and not self._prefix and environ.get(_FORWARDED))
        try:
            check_encoding(str(environ.get("PATH_INFO", "")), str(environ.get("QUERY_STRING", "")))
            prefix = forwarded_prefix(environ, self._proxies) if told else self._prefix
            if not prefix:
                _check_place(environ)
        except PresenceError as error:
            if isinstance(error, PrefixUnknown):
                address = address_of(environ)
                self._log.warning(address, "%s: %s", address, error.detail)
            status, headers, body = http_answer(error, environ)
            start_response(status, headers)
            return [body]
        if prefix:
            take_off(prefix, environ)
        if not told:
            return self._wsgi_app(environ, start_response)

        def begin(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            # Nobody's cache is to give others a page with the prefix of this request.
            headers.append(("Vary", "X-Forwarded-Prefix"))
            return start_response(status, headers, *error)

        return self._wsgi_app(environ, begin)


def forwarded_prefix(environ: WSGIEnvironment, proxies: int) -> str:
    """Return what the last `proxies` proxies have taken off the path, the outermost first.

    Raises `PrefixRefused` for what is no path, such as ``//evil.example``.
    """
    text = str(environ.get(_FORWARDED, ""))
    if len(text) > _LONGEST:
        raise PrefixRefused
    prefix = ""
    for value in text.split(",")[-proxies:]:
        part = value.strip().rstrip("/")
        if part and not is_path(part):
            raise PrefixRefused
        prefix += part
    return prefix


def take_off(prefix: str, environ: WSGIEnvironment) -> None:
    """Make the path one below the prefix, if the proxy has not done so."""
    path = str(environ.get("PATH_INFO", ""))
    if prefix.split("/")[1] not in OWN_PATHS and f"{path}/".startswith(f"{prefix}/"):
        environ["PATH_INFO"] = path[len(prefix) :] or "/"
    environ["SCRIPT_NAME"] = str(environ.get("SCRIPT_NAME", "")) + prefix


def _read_anew(environ: WSGIEnvironment) -> None:
    """Put right what servers make of a target that is more than a path and a query in ASCII.

    One takes a whole address for a path, another replaces bytes that are not in UTF-8, so that two
    names become one, a third takes those that are and were not escaped for letters of Latin-1.
    """
    environ.setdefault("QUERY_STRING", "")
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    if "werkzeug.socket" in environ:
        target = target.encode("latin-1").decode()  # it has each byte as two
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        target = target[absolute.end() :]
        target = target if target.startswith("/") else f"/{target}"
        environ["HTTP_HOST"] = absolute[1]
    elif not target.startswith("/") or not ("#" in target or _ESCAPED.search(target)):
        return
    path, _, query = target.partition("#")[0].partition("?")
    try:
        environ["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
    except UnicodeEncodeError:
        return  # the server had an idea of its own of what its letters are
    environ["QUERY_STRING"] = query


def _check_place(environ: WSGIEnvironment) -> None:
    """Raise `PrefixUnknown` for an own path below something that may be a prefix."""
    path = str(environ.get("PATH_INFO", ""))
    if path.startswith("/") and path.split("/", 2)[1] in OWN_PATHS:
        return
    found = _BELOW.fullmatch(path)
    if found is not None and is_path(found[1]):
        raise PrefixUnknown(found[1])


def check_encoding(path: str, query: str) -> None:
    """Raise `AddressUnreadable` for a path or query that is not in UTF-8.

    They are as PEP 3333 has them: each character is one byte, and those of the query are escaped.
    Read with what is wrong replaced, two names would become one.
    """
    try:
        if not path.isascii():
            path.encode("latin-1").decode()
        if _ESCAPED.search(query):
            # Each by itself: two halves of a character are none.
            for part in re.split("[&=]", query):
                unquote_to_bytes(part.encode("latin-1")).decode()
    except UnicodeError:
        raise AddressUnreadable from None
