"""Receiving files, streamed to disk, and serving them so that no browser runs what is in them."""

from __future__ import annotations

from typing import IO

from flask import Blueprint, Flask, Request, Response, request, send_file
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from presence import errors
from presence.domain import file_types, files
from presence.domain.tokens import LIST, UPLOAD
from presence.errors import (
    FileTooLarge,
    InvalidField,
    InvalidJson,
    MessageTooLarge,
    TooManyUploads,
    UploadedFileNotFound,
)
from presence.storage import database
from presence.storage.blobs import BlobTooLarge, PendingBlob
from presence.transport import access, answers, described, messages, wire
from presence.transport.error_handlers import as_presence_error
from presence.transport.messages import PeerAddress, UploadForm
from presence.transport.runtime import Runtime, runtime
from presence.transport.wire import Body

bp = Blueprint("uploads_api", __name__)

# What a multipart request may have besides the file's bytes: boundaries, headers, the fields.
_FORM_BYTES = 64 * 1024
# One is wanted; a second is needed to see that there is one too many.
_MAX_FILES = 2


class UploadRequest(Request):
    """A request whose uploaded files go straight into the upload folder, counted as they come."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        run = runtime()
        if len(self.received) >= _MAX_FILES:
            raise InvalidField("file", "may be given only once.")
        blob = run.blobs.receive(run.settings.max_upload_bytes)
        self.received.append(blob)
        return blob  # type: ignore[return-value]

    @property
    def received(self) -> list[PendingBlob]:
        """The files that this request has begun to receive."""
        received: list[PendingBlob] = self.__dict__.setdefault("_received", [])
        return received


def init_app(app: Flask) -> None:
    """Make the app receive files this way."""
    app.request_class = UploadRequest
    app.register_blueprint(bp)


@bp.post("/api/webrtc/upload")
@described.route(
    group="files",
    answer=answers.FileChange,
    form=UploadForm,
    errors=(
        errors.RoomNotFound,
        errors.PeerNotFound,
        errors.FileTooLarge,
        errors.FileTypeRefused,
        errors.ImageTooLarge,
        errors.TooManyUploads,
    ),
)
@access.needs(UPLOAD, acts=True)
def upload() -> Body:
    """Receive one file for a peer, announcing it to the room."""
    run = runtime()
    try:
        file, address = _receive(run)
        run.rates.count(TooManyUploads, address.room_name, address.peer_id)
        return _attach(run, file, address)
    except OSError as error:
        raise as_presence_error(error) from error
    finally:
        # Whatever was not moved into place goes, after a broken connection too.
        for blob in request.received:  # type: ignore[attr-defined]
            blob.discard()


@bp.get("/uploads/<filename>")
@described.route(
    group="files", answer=file_types.CONTENT_TYPES, errors=(errors.UploadedFileNotFound,)
)
@access.needs(LIST, by_link=True)
def serve(filename: str) -> Response:
    """Return a file's bytes with the type that was found when it came in."""
    with database.reading() as session:
        file = files.find(session, filename)
        room_name, _ = files.place(session, filename) if access.caller() else ("", "")
    access.require(LIST, room_name)
    try:
        response = send_file(
            runtime().blobs.path(file.stored_name),
            mimetype=file.content_type,
            as_attachment=file.content_type not in file_types.IMAGE_TYPES,
            download_name=file.original_name,
            conditional=True,
            etag=file.stored_name,
            max_age=3600,
        )
    except FileNotFoundError:
        raise UploadedFileNotFound(filename) from None
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.cache_control.private = True
    return response


def _receive(run: Runtime) -> tuple[FileStorage, PeerAddress]:
    """Read the form: the file and whose it is. Raises what is wrong with it."""
    limit = run.settings.max_upload_bytes
    request.max_content_length = limit + _FORM_BYTES
    try:
        form, uploaded = request.form, request.files.getlist("file")
    except BlobTooLarge:
        raise FileTooLarge(limit) from None
    except RequestEntityTooLarge:
        if (request.content_length or limit + 1) > limit:
            raise FileTooLarge(limit) from None
        raise MessageTooLarge(_FORM_BYTES) from None
    except HTTPException:
        raise
    except ValueError as error:
        raise InvalidJson(
            "The form cannot be read. Send multipart/form-data with file, room_name and peer_id."
        ) from error
    if len(uploaded) != 1 or not uploaded[0].filename:
        reason = "may be given only once." if len(uploaded) > 1 else "is required, with a name."
        raise InvalidField("file", reason)
    address = messages.parse(PeerAddress, form.to_dict())
    access.require(UPLOAD, address.room_name, address.peer_id)
    return uploaded[0], address


def _attach(run: Runtime, file: FileStorage, address: PeerAddress) -> Body:
    """Store a received file: its row is committed first, then its bytes are moved into place."""
    blob = file.stream
    assert isinstance(blob, PendingBlob)
    assert file.filename
    blob.flush()
    kind = file_types.detect(blob.file, file.filename, max_pixels=run.settings.max_image_pixels)
    stored_name = files.new_stored_name(kind)
    run.blobs.name(blob, stored_name)
    with run.announcer.in_order(address.room_name):
        with database.writing() as session:
            change = files.attach(
                session,
                room_name=address.room_name,
                peer_id=address.peer_id,
                stored_name=stored_name,
                original_name=file.filename,
                file_type=kind,
                size=blob.size,
                renew_seconds=run.settings.rest_session_seconds,
            )
        try:
            run.blobs.keep(blob, stored_name)
            run.counters.uploaded(blob.size)
        except OSError:
            with database.writing() as session:
                files.remove(session, address.room_name, stored_name)
            raise
        run.announcer.emit("file_uploaded", wire.file_notice(change), change.room_name)
    run.announcer.mark(change.room_name)
    return wire.file_change(change)
