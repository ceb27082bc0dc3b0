"""The files of the pages: compressed once, and kept by browsers for good.

Their addresses have a folder that is the hash of all of them, so that an address never stands for
anything else. Without that folder a file has an address that stays, for programs of other origins
and for whoever reads; a browser asks again there whether it has changed.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound

from presence.transport.pages.assets import bundles

_VERSION = re.compile(r"v-[0-9a-f]{16}")
# The folder of what is made of several files.
_BUNDLES = "all/"
_TEXTS = frozenset({".js", ".css", ".svg", ".ts", ".json", ".md"})
# Below this, a compressed answer is hardly shorter.
_LEAST_BYTES = 600


@dataclass(frozen=True)
class _File:
    """A file as it is sent."""

    mimetype: str
    plain: bytes
    zipped: bytes | None
    etag: str


class StaticFiles:
    """Serves a folder of files, in place of Flask's own view of it."""

    def __init__(self, app: Flask, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._kept: dict[str, _File] = {}
        self._newest = 0
        self._version = ""

    @property
    def version(self) -> str:
        """The folder in the addresses of now: a hash of what is in every file."""
        # Whoever works on them sees each change; elsewhere they change with the server.
        if self._app.debug or not self._version:
            self._look()
        return self._version

    def serve(self, filename: str) -> Response:
        """Answer with a file, or a bundle of them."""
        version, _, rest = filename.partition("/")
        is_versioned = _VERSION.fullmatch(version) is not None
        name = rest if is_versioned else filename
        kept = self._find(name)
        response = send_from_directory(self._folder, name) if kept is None else _response(kept)
        if is_versioned and version == self.version:
            response.cache_control.no_cache = None
            response.cache_control.public = True
            response.cache_control.max_age = 31_536_000
            response.cache_control.immutable = True
        return response

    def _find(self, name: str) -> _File | None:
        """Return a file of text, as it was when it was first asked for."""
        if self._app.debug:
            self._look()
        if name in self._kept:
            return self._kept[name]
        if name.startswith(_BUNDLES):
            made = name.removeprefix(_BUNDLES)
            if made not in bundles.names():
                raise NotFound
            content = bundles.bundle(self._folder, made).encode()
        elif Path(name).suffix in _TEXTS and name in self._names():
            content = (self._folder / name).read_bytes()
        else:
            return None
        self._kept[name] = _file(name, content)
        return self._kept[name]

    def _names(self) -> set[str]:
        return {path.relative_to(self._folder).as_posix() for path in self._paths()}

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._folder.rglob("*") if path.is_file())

    def _look(self) -> None:
        """Find out what the files are now, unless none has changed."""
        paths = self._paths()
        newest = max((path.stat().st_mtime_ns for path in paths), default=0)
        if self._version and newest == self._newest:
            return
        digest = hashlib.sha256()
        for path in paths:
            digest.update(path.relative_to(self._folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self._kept.clear()
        self._newest = newest
        self._version = f"v-{digest.hexdigest()[:16]}"


def init_app(app: Flask) -> None:
    """Serve the app's static folder so, and let templates name bundles: ``bundle("room.js")``."""
    assert app.static_folder
    files = StaticFiles(app, Path(app.static_folder))
    app.view_functions["static"] = files.serve

    @app.url_defaults
    def version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values["filename"] = f"{files.version}/{values['filename']}"

    def bundle(name: str) -> str:
        return url_for("static", filename=_BUNDLES + name)

    app.jinja_env.globals["bundle"] = bundle
    app.after_request(_zip_page)


def _zip_page(response: Response) -> Response:
    """Compress a page, for a browser that says it can read that.

    Nothing in it is both secret and asked for from elsewhere, whose length could then be guessed:
    what is secret is shown to those who send a token themselves, which no other site makes them do.
    """
    if (
        response.mimetype != "text/html"
        or response.direct_passthrough
        or response.is_streamed
        or "Content-Encoding" in response.headers
    ):
        return response
    plain = response.get_data()
    if len(plain) < _LEAST_BYTES:
        return response
    response.vary.add("Accept-Encoding")
    if _reads_gzip():
        response.set_data(gzip.compress(plain, compresslevel=5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _reads_gzip() -> bool:
    return request.accept_encodings.quality("gzip") > 0


def _file(name: str, content: bytes) -> _File:
    mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
    zipped = gzip.compress(content, compresslevel=9, mtime=0)
    digest = hashlib.sha256(content).hexdigest()[:32]
    return _File(mimetype, content, zipped if len(zipped) < len(content) else None, digest)


def _response(file: _File) -> Response:
    """Return an answer with a file, compressed if its receiver can read that.

    A range is one of the file as it is, whose bytes a client can count.
    """
    is_zipped = file.zipped is not None and _reads_gzip() and "Range" not in request.headers
    body = file.zipped if is_zipped else file.plain
    response = Response(body, mimetype=file.mimetype)
    if is_zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.cache_control.no_cache = True
    # Two that are encoded differently are two to whoever compares (RFC 9110, section 8.8.3).
    response.set_etag(f"{file.etag}-gzip" if is_zipped else file.etag)
    response.make_conditional(request, accept_ranges=True, complete_length=len(file.plain))
    return response
