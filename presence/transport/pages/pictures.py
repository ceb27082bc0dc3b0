"""What the pages show of files: thumbnails, PDFs to look at, and avatars that stand in user data.

Each is at an address of its own, so that a browser asks for it once, however often what is around
it changes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from flask import Blueprint, Response, send_file

from presence.domain.files import file_types, files
from presence.domain.files.files import StoredFile
from presence.domain.permissions.tokens import LIST
from presence.domain.rooms import rooms
from presence.errors import (
    FileTooComplex,
    FileTypeRefused,
    ImageTooLarge,
    InvalidField,
    RoomNotFound,
    UploadedFileNotFound,
)
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.wire import messages
from presence.transport.wire.messages import PeerAddress
from presence.transport.wire.needs import needs

bp = Blueprint("pictures", __name__)

_INLINE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+=*)")
_PIECE = 64 * 1024
_STRAYS_SECONDS = 600
# More than any thumbnail takes on the disk.
_MOST_BYTES = 256 * 1024
# As long as a file is kept by browsers; an avatar's address says what is in it.
_FILE_SECONDS, _AVATAR_SECONDS = 3600, 86_400


def init_app(run: Runtime) -> None:
    """Remove now and then the thumbnails of files that another machine deleted."""

    def sweep() -> None:
        def known(names: set[str]) -> set[str]:
            with database.reading() as session:
                return files.known(session, names)

        run.blobs.thumbnails.forget(run.blobs.thumbnails.strays(known))

    run.upkeep.every(_STRAYS_SECONDS, sweep, "thumbnails without a file could not be removed")


@bp.get("/uploads/<filename>/thumbnail")
@needs(LIST, by_link=True)
def thumbnail(filename: str) -> Response:
    """Return a small picture of an uploaded one, for whoever may have the file."""
    run = runtime()
    file = _file(filename)
    if file.content_type not in file_types.IMAGE_TYPES:
        raise UploadedFileNotFound(filename)
    try:
        path = run.blobs.thumbnails.find(filename, lambda into: _draw(run, filename, into))
        picture = path.read_bytes() if path else None
    except FileNotFoundError:
        picture = None
    with database.reading() as session:
        # Deleted meanwhile, perhaps: then nothing of it is to stay.
        if not files.known(session, {filename}):
            run.blobs.thumbnails.forget([filename])
            picture = None
    if picture is None:
        raise UploadedFileNotFound(filename)
    return _answer(picture, "image/webp", filename, _FILE_SECONDS)


@bp.get("/uploads/<filename>/preview")
@needs(LIST, by_link=True)
def preview(filename: str) -> Response:
    """Return a picture or a PDF to be shown within a page, for whoever may have the file.

    From this server also where files are in a bucket: a page loads nothing from other hosts.
    """
    run = runtime()
    file = _file(filename)
    if file.content_type not in {*file_types.IMAGE_TYPES, file_types.PDF.content_type}:
        raise UploadedFileNotFound(filename)
    opened = ExitStack()
    try:
        body = opened.enter_context(run.blobs.reading(filename))
    except FileNotFoundError:
        raise UploadedFileNotFound(filename) from None
    response = Response(iter(lambda: body.read(_PIECE), b""), mimetype=file.content_type)
    response.call_on_close(opened.close)
    response.content_length = file.size
    called = quote(file.original_name, safe="")
    response.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{called}"
    # A viewer of the browser shows it, and nothing in it runs.
    policy = "sandbox; default-src 'none'; frame-ancestors 'self'"
    return _private(response, policy, _FILE_SECONDS)


@bp.get("/rooms/<room_name>/avatars/<peer_id>/<filename>")
@needs(LIST, by_link=True)
def avatar(room_name: str, peer_id: str, filename: str) -> Response:
    """Return the picture that a peer has in its user data, as long as it is the one meant."""
    try:
        address = messages.parse(PeerAddress, {"room_name": room_name, "peer_id": peer_id})
        with database.reading() as session:
            found = rooms.view(session, address.room_name, only=address.peer_id).peers
    except (InvalidField, RoomNotFound):
        found = []
    inline = found[0].user_data.get("avatar") if found else None
    match = _INLINE.fullmatch(inline) if isinstance(inline, str) else None
    if match is None or not isinstance(inline, str) or inline_name(inline) != filename:
        raise UploadedFileNotFound(filename)
    try:
        picture = base64.b64decode(match[2])
    except ValueError:
        raise UploadedFileNotFound(filename) from None
    return _answer(picture, f"image/{match[1]}", filename, _AVATAR_SECONDS)


def inline_name(address: str) -> str | None:
    """Return the name at which an inline picture can be had; None for any other address."""
    match = _INLINE.fullmatch(address)
    if match is None:
        return None
    return f"{hashlib.blake2b(address.encode(), digest_size=16).hexdigest()}.{match[1]}"


def _file(filename: str) -> StoredFile:
    """Return a file that the current request may have."""
    with database.reading() as session:
        file = files.find(session, filename)
        room_name, _ = files.place(session, filename) if request_access.caller() else ("", "")
    request_access.require(LIST, room_name)
    return file


def _draw(run: Runtime, filename: str, into: Path) -> bool:
    """Write a thumbnail; tell whether the picture is one of which there can be one."""
    if not run.blobs.has_space(_MOST_BYTES):
        raise UploadedFileNotFound(filename)
    try:
        with run.blobs.at_hand(filename) as path:
            run.file_checks.thumbnail(path, filename, into)
    except (FileTypeRefused, FileTooComplex, ImageTooLarge):
        return False
    return True


def _answer(picture: bytes, content_type: str, name: str, seconds: int) -> Response:
    response = send_file(
        io.BytesIO(picture), mimetype=content_type, etag=name, max_age=seconds, conditional=True
    )
    return _private(response, "sandbox; default-src 'none'", seconds)


def _private(response: Response, policy: str, seconds: int) -> Response:
    response.headers["Content-Security-Policy"] = policy
    response.cache_control.max_age = seconds
    # Never kept by what others share: the address may be a secret, and the file may be erased.
    response.cache_control.public = False
    response.cache_control.private = True
    return response
