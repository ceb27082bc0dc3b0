"""Receiving files, streamed to disk, and serving them so that no browser runs what is in them."""

from __future__ import annotations

from flask import Blueprint, Response, request, send_file
from werkzeug.exceptions import RequestEntityTooLarge

from presence import errors
from presence.domain.files import file_types, files
from presence.domain.files.file_types import FileType
from presence.domain.permissions.tokens import LIST, UPLOAD
from presence.domain.rooms import quotas
from presence.errors import (
    FileTooLarge,
    InvalidField,
    InvalidJson,
    MessageTooLarge,
    PresenceError,
    TooManyUploads,
    UploadedFileNotFound,
)
from presence.storage import database
from presence.storage.blobs import BlobTooLarge, DiskNearlyFull, PendingBlob
from presence.transport.admission import request_access
from presence.transport.admission.error_handlers import as_presence_error, drain_body
from presence.transport.process import hinting
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.rest.upload_form import FORM_BYTES, IncomingForm
from presence.transport.wire import described, messages, room_responses, serializers
from presence.transport.wire.messages import PeerAddress, UploadForm
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("uploads_api", __name__)

# What may keep a file from being taken, before and after its bytes have come.
QUOTA_ERRORS = (
    errors.RoomNotFound,
    errors.PeerNotFound,
    errors.FileTooLarge,
    errors.TooManyUploads,
    errors.TooManyFiles,
    errors.PeerStorageFull,
    errors.RoomStorageFull,
    errors.ServerStorageFull,
    errors.DiskNearlyFull,
)
FILE_ERRORS = (
    errors.FileTypeRefused,
    errors.ImageTooLarge,
    errors.FileTooComplex,
    errors.FileCheckBusy,
)


@bp.post("/api/webrtc/upload")
@described.route(
    group="files",
    answer=room_responses.FileChange,
    form=UploadForm,
    errors=(errors.InvalidJson, *QUOTA_ERRORS, *FILE_ERRORS),
)
@needs(UPLOAD, acts=True)
def upload() -> Body:
    """Receive one file for a peer, announcing it to the room."""
    run = runtime()
    form = IncomingForm(lambda: run.blobs.receive(run.settings.max_upload_bytes))
    try:
        address = _receive(run, form)
        assert form.blob is not None
        return store(run, form.blob, form.filename, address)
    except PresenceError:
        drain_body()
        raise
    except DiskNearlyFull:
        drain_body()
        raise errors.DiskNearlyFull(run.settings.min_free_disk_bytes) from None
    except OSError as error:
        raise as_presence_error(error) from error
    finally:
        hinting.note(form.names)
        # Whatever was not moved into place goes, after a broken connection too.
        form.discard()


@bp.get("/uploads/<filename>")
@described.route(
    group="files", answer=file_types.CONTENT_TYPES, errors=(errors.UploadedFileNotFound,)
)
@needs(LIST, by_link=True)
def serve(filename: str) -> Response:
    """Return a file's bytes with the type that was found when it came in."""
    with database.reading() as session:
        file = files.find(session, filename)
        room_name, _ = files.place(session, filename) if request_access.caller() else ("", "")
    request_access.require(LIST, room_name)
    is_image = file.content_type in file_types.IMAGE_TYPES
    link = runtime().blobs.link(
        file.stored_name, file.content_type, file.original_name, inline=is_image
    )
    if link is not None:
        return _elsewhere(link)
    try:
        response = send_file(
            runtime().blobs.path(file.stored_name),
            mimetype=file.content_type,
            as_attachment=not is_image,
            download_name=file.original_name,
            conditional=True,
            etag=file.stored_name,
            max_age=3600,
        )
    except FileNotFoundError:
        raise UploadedFileNotFound(filename) from None
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    # Never kept by what others share: the address may be a secret, and the file may be erased.
    response.cache_control.public = False
    response.cache_control.private = True
    return response


def _elsewhere(link: str) -> Response:
    """Send a client to where it can fetch a file for a short time."""
    response = Response(status=302)
    response.location = link
    response.cache_control.no_store = True
    return response


def _receive(run: Runtime, form: IncomingForm) -> PeerAddress:
    """Read the form and return whose file it brings. Raises what is wrong with it."""
    limit = run.settings.max_upload_bytes
    request.max_content_length = limit + FORM_BYTES
    try:
        if _at_least() > limit:
            raise FileTooLarge(limit)
        check_server(run, _at_least())
        if request.mimetype != "multipart/form-data":
            raise InvalidField("file", "is required, in a form of multipart/form-data.")
        form.read(
            request.stream,
            request.mimetype_params.get("boundary", ""),
            lambda fields: check_peer(run, messages.parse(PeerAddress, fields), _at_least()),
        )
    except BlobTooLarge:
        raise FileTooLarge(limit) from None
    except RequestEntityTooLarge:
        if (request.content_length or limit + 1) > limit:
            raise FileTooLarge(limit) from None
        raise MessageTooLarge(FORM_BYTES) from None
    except ValueError as error:
        raise InvalidJson(
            "The form cannot be read. Send multipart/form-data with file, room_name and peer_id."
        ) from error
    return messages.parse(PeerAddress, form.fields)


def check_server(run: Runtime, size: int) -> None:
    """Raise what keeps an upload of at least `size` bytes from being stored, whoever sends it."""
    if not run.blobs.has_space(size):
        raise DiskNearlyFull
    with database.reading() as session:
        quotas.check_server(session, size, run.quotas)


def check_peer(run: Runtime, address: PeerAddress, size: int) -> None:
    """Raise what keeps this peer from uploading a file of at least `size` bytes, and count it."""
    request_access.require(UPLOAD, address.room_name, address.peer_id)
    run.rates.count(TooManyUploads, address.room_name, address.peer_id)
    with database.reading() as session:
        quotas.check(session, address.room_name, address.peer_id, size, run.quotas)


def _at_least() -> int:
    """Return how many bytes the file of this request has at least, as far as is known."""
    return max(0, (request.content_length or 0) - FORM_BYTES)


def store(run: Runtime, blob: PendingBlob, filename: str, address: PeerAddress) -> Body:
    """Check a received file, attach it to its peer, announce it, and return the answer.

    Its row is committed first, then its bytes are moved into place. Raises what is wrong with it.
    """
    kind = _checked(run, blob, filename)
    original_name = files.clean_original_name(filename, kind)
    stored_name = files.new_stored_name(kind)
    run.blobs.name(blob, stored_name)
    with run.announcer.in_order(address.room_name):
        with database.writing() as session:
            change = files.attach(
                session,
                room_name=address.room_name,
                peer_id=address.peer_id,
                stored_name=stored_name,
                original_name=original_name,
                file_type=kind,
                size=blob.size,
                renew_seconds=run.settings.rest_session_seconds,
                limits=run.quotas,
            )
        try:
            run.blobs.keep(blob, stored_name)
            run.counters.uploaded(blob.size)
        except OSError:
            with database.writing() as session:
                files.remove(session, address.room_name, stored_name)
            raise
        run.announcer.emit("file_uploaded", serializers.file_notice(change), change.room_name)
    run.announcer.mark(change.room_name, told=True)
    body = serializers.file_change(change)
    return body if request_access.allows(LIST, change.room_name) else serializers.unsigned(body)


def _checked(run: Runtime, blob: PendingBlob, filename: str) -> FileType:
    """Return the type of a received file, whose picture is made anew where the operator wants."""
    blob.flush()
    assert blob.path is not None
    anew = blob.path.with_name(f"{blob.path.name}+") if run.settings.reencode_images else None
    try:
        kind = run.file_checks.check(blob.path, filename, into=anew)
        if anew is not None and kind.is_image:
            blob.replace(anew)
            if blob.size > run.settings.max_upload_bytes:
                raise FileTooLarge(run.settings.max_upload_bytes)
        return kind
    finally:
        if anew is not None:
            anew.unlink(missing_ok=True)
