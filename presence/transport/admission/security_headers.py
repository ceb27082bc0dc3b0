"""The headers that tell a browser what it may do with an answer: one place for all of them.

`Headers` gives every answer the strictest ones, Socket.IO's and refusals included; a page, which
has to load scripts and may use the camera, sets its own with `protect_page`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CSP, _PERMISSIONS = "Content-Security-Policy", "Permissions-Policy"
_REFERRER = "Referrer-Policy"
_ALLOWED_ORIGIN = "access-control-allow-origin"

# Devices and powers of the browser that nothing here uses.
_NEVER = "geolocation=(), payment=(), usb=(), serial=(), midi=(), hid=()"
_NOT_EVEN_CALLS = f"camera=(), microphone=(), display-capture=(), {_NEVER}"
_CALLS = f"camera=(self), microphone=(self), display-capture=(self), {_NEVER}"

PAGE_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # An avatar may be a data: address; the picture of a call's own camera is a blob:.
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def policy(directives: dict[str, str]) -> str:
    """Return a Content-Security-Policy header."""
    return "; ".join(f"{name} {value}" for name, value in directives.items())


# What an answer gets that sets nothing of its own: it is data, and no page at all.
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    (CSP, policy({"default-src": "'none'", "frame-ancestors": "'none'"})),
    (_REFERRER, "no-referrer"),
    (_PERMISSIONS, _NOT_EVEN_CALLS),
)


def protect_page(response: Response, **directives: str) -> Response:
    """Let a page load nothing from elsewhere and run nothing that stands in its text.

    `directives` change its policy, with ``_`` for ``-`` in their names. What is no page, such as a
    picture in it, keeps the strictest headers.
    """
    if response.mimetype != "text/html":
        return response
    changed = {name.replace("_", "-"): value for name, value in directives.items()}
    response.headers.setdefault(CSP, policy({**PAGE_POLICY, **changed}))
    response.headers[_REFERRER] = "same-origin"
    response.headers[_PERMISSIONS] = _CALLS
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


class Headers:
    """Adds to every answer the headers of `ALWAYS` that it does not set itself."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        more: tuple[tuple[str, str], ...] = ALWAYS
        # Below a prefix, perhaps, and not tidied yet.
        if "/socket.io" in str(environ.get("PATH_INFO", "")):
            # A cache would give the connection of one client to another.
            more = (*more, ("Cache-Control", "no-store"))
        if environ.get("SERVER_SOFTWARE", "").startswith("Werkzeug"):
            # It would tell its version, and Python's, where nothing else is said.
            more = (*more, ("Server", "presence"))

        def begin(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            own = {name.lower(): value for name, value in headers}
            headers.extend(item for item in more if item[0].lower() not in own)
            if own.get(_ALLOWED_ORIGIN, "*") != "*" and "origin" not in own.get("vary", "").lower():
                # It is for pages of this origin, and a cache must not show it to others.
                headers.append(("Vary", "Origin"))
            return start_response(status, headers, *error)

        return self._wsgi_app(environ, begin)
