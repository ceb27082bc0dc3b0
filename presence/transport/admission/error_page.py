"""What a person reads in a browser where the server's own pages cannot be shown.

The page needs nothing else from the server, which may refuse to give anything: it is one file, and
its policy names its style by hash.
"""

from __future__ import annotations

import base64
import hashlib
import html
from typing import TYPE_CHECKING

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from presence.transport.admission.security_headers import CSP, policy

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# What a browser sends when somebody follows a link or a form.
_METHODS = ("GET", "HEAD", "POST")
# Whoever asks for these is a program, or an element of a page.
_FOR_PROGRAMS = ("/api/", "/uploads/", "/socket.io/", "/static/")

_STYLE = (
    "body{max-width:38rem;margin:15vh auto;padding:0 1.5rem;font:1rem/1.6 system-ui,sans-serif;"
    "overflow-wrap:anywhere}h1{font-size:1.6rem;line-height:1.2}"
)
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>A problem · Presence</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>That did not work</h1>
<p>%s</p>
</main>
</body>
</html>
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = policy(
    {"default-src": "'none'", "style-src": f"'sha256-{_HASH}'", "frame-ancestors": "'none'"}
)
HEADERS = {"Content-Type": "text/html; charset=utf-8", CSP: _POLICY, "Cache-Control": "no-store"}


def is_wanted(environ: WSGIEnvironment) -> bool:
    """Tell whether a person in a browser asks, and not a program."""
    path = str(environ.get("PATH_INFO", ""))
    if environ["REQUEST_METHOD"] not in _METHODS or path.startswith(_FOR_PROGRAMS):
        return False
    # A page's own scripts ask for a part of it: they read the reason, and say it there.
    if "HTTP_HX_REQUEST" in environ:
        return False
    accepted = parse_accept_header(environ.get("HTTP_ACCEPT"), MIMEAccept)
    return accepted.best_match(["application/json", "text/html"]) == "text/html"


def explaining(detail: str) -> str:
    """Return the page that says a sentence; it is sent with `HEADERS`."""
    return _PAGE % html.escape(detail)
