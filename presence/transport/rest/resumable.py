"""Uploads that go on where they were when the network comes back: the tus protocol, 1.0.0.

Core, creation, creation-with-upload, termination, checksum and expiration (tus.io, “Resumable
upload protocol 1.0.x”). Whose file it is stands in ``Upload-Metadata`` as ``room_name`` and
``peer_id``, beside ``filename``. With its last byte a file is checked, stored and announced like
one of the form; the address then answers GET with what the form's route would have answered.
"""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import cast

from flask import Blueprint, Response, request

from presence import errors
from presence.domain.permissions.tokens import UPLOAD
from presence.errors import (
    ChecksumMismatch,
    FileCheckBusy,
    FileTooLarge,
    InvalidField,
    MethodRefused,
    NotAPiece,
    PresenceError,
    TooManyUnfinished,
    TusVersionRefused,
    UploadLocked,
    UploadNotFound,
    UploadOffsetWrong,
    UploadUnfinished,
)
from presence.storage.blobs import DiskNearlyFull
from presence.storage.partial_uploads import Locked, PartialUpload, Superseded
from presence.transport.admission import request_access
from presence.transport.admission.error_handlers import (
    as_presence_error,
    drain_body,
    is_passing,
)
from presence.transport.engine.draining import yield_to_others
from presence.transport.process import hinting
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.rest import tus, uploads
from presence.transport.wire import described, messages, room_responses
from presence.transport.wire.messages import PeerAddress
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("resumable_api", __name__)

# Of a piece that breaks off less than this is lost.
_CHUNK = 16 * 1024
MAX_UNFINISHED_PER_PEER = 10
MAX_UNFINISHED = 1_000

_PIECE_ERRORS = (
    errors.UploadNotFound,
    errors.UploadOffsetWrong,
    errors.UploadLocked,
    errors.ChecksumMismatch,
    errors.TusVersionRefused,
    errors.NotAPiece,
    errors.InvalidField,
    *uploads.QUOTA_ERRORS,
    *uploads.FILE_ERRORS,
)


@bp.after_request
def say_what_it_speaks(response: Response) -> Response:
    """Add what clients of tus look for."""
    response.headers["Tus-Resumable"] = tus.VERSION
    response.headers["Cache-Control"] = "no-store"
    response.headers["Access-Control-Expose-Headers"] = tus.EXPOSED
    if request.method == "OPTIONS" or response.status_code == 412:
        response.headers["Tus-Version"] = tus.VERSION
    if request.method == "OPTIONS":
        response.headers["Tus-Extension"] = tus.EXTENSIONS
        response.headers["Tus-Max-Size"] = str(runtime().settings.max_upload_bytes)
        response.headers["Tus-Checksum-Algorithm"] = ",".join(tus.ALGORITHMS)
    return response


@bp.post("/api/webrtc/uploads")
@described.route(
    group="files",
    answer=(),
    status=201,
    headers=tus.CreationHeaders,
    media_type=tus.PIECE,
    errors=(errors.TooManyUnfinished, *_PIECE_ERRORS),
)
@needs(UPLOAD, acts=True)
def create() -> Response:
    """Begin a resumable upload (tus 1.0.0); ``Location`` is where its bytes go.

    They may begin in the body. ``Upload-Expires`` is when it is forgotten unless more comes.
    """
    return _answered(_create)


@bp.get("/api/webrtc/uploads/<upload_id>")
@described.route(
    group="files",
    answer=room_responses.FileChange,
    errors=(
        errors.UploadNotFound,
        errors.UploadUnfinished,
        *uploads.FILE_ERRORS,
        *uploads.QUOTA_ERRORS,
    ),
)
@needs(UPLOAD)
def look(upload_id: str) -> Response | Body:
    """Return what came of a resumable upload: its file, or what kept it out.

    HEAD tells in ``Upload-Offset`` how much has come, and from where to go on.
    """
    run = runtime()
    if request.method == "HEAD":
        return _answered(lambda run: _tell(run, _find(run, upload_id)))
    upload = _find(run, upload_id)
    if upload.outcome is None:
        raise UploadUnfinished(run.partial_uploads.offset(upload), upload.length)
    return _outcome(upload)


@bp.patch("/api/webrtc/uploads/<upload_id>")
@described.route(
    group="files",
    answer=(),
    status=204,
    headers=tus.PieceHeaders,
    media_type=tus.PIECE,
    errors=_PIECE_ERRORS,
)
@needs(UPLOAD)
def send(upload_id: str) -> Response:
    """Take the next piece of a resumable upload; with the last one its file is checked and stored.

    A later request takes over from one whose connection was lost.
    """
    return _answered(lambda run: _take(run, _find(run, upload_id)))


@bp.delete("/api/webrtc/uploads/<upload_id>")
@described.route(
    group="files",
    answer=(),
    status=204,
    headers=tus.TusHeaders,
    errors=(errors.UploadNotFound, errors.UploadLocked, errors.TusVersionRefused),
)
@needs(UPLOAD)
def end(upload_id: str) -> Response:
    """End a resumable upload and forget what has come of it; a file that was stored stays."""
    return _answered(lambda run: _end(run, _find(run, upload_id)))


@bp.post("/api/webrtc/uploads/<upload_id>")
@described.route(
    group="files",
    answer=(),
    status=204,
    headers=tus.OverrideHeaders,
    media_type=tus.PIECE,
    errors=(errors.MethodRefused, *_PIECE_ERRORS),
)
@needs(UPLOAD)
def override(upload_id: str) -> Response:
    """Do what ``X-HTTP-Method-Override`` says, PATCH or DELETE, for clients that can only POST."""
    actions = {"PATCH": _take, "DELETE": _end, "HEAD": _tell}
    action = actions.get(request.headers.get("X-HTTP-Method-Override", "").upper())
    if action is None:
        drain_body()
        raise MethodRefused
    return _answered(lambda run: action(run, _find(run, upload_id)))


def _answered(act: Callable[[Runtime], Response]) -> Response:
    """Do something of the protocol, and let every fault leave the connection usable."""
    run = runtime()
    request.max_content_length = run.settings.max_upload_bytes
    try:
        if request.headers.get("Tus-Resumable") != tus.VERSION:
            raise TusVersionRefused
        return act(run)
    except (Locked, Superseded):
        drain_body()
        raise UploadLocked from None
    except PresenceError:
        drain_body()
        raise
    except DiskNearlyFull:
        drain_body()
        raise errors.DiskNearlyFull(run.settings.min_free_disk_bytes) from None
    except OSError as error:
        raise as_presence_error(error) from error


def _create(run: Runtime) -> Response:
    length = tus.number("Upload-Length")
    limit = run.settings.max_upload_bytes
    if length > limit:
        raise FileTooLarge(limit)
    metadata = request.headers.get("Upload-Metadata", "")
    told = tus.metadata(metadata)
    hinting.note(told, ("filename", "name", "filetype", "type", "room_name", "peer_id"))
    filename = told.get("filename") or told.get("name")
    if not filename:
        raise InvalidField("Upload-Metadata", "must have filename.")
    address = messages.parse(PeerAddress, told)
    _check_room(run, address, length)
    upload = run.partial_uploads.create(
        length=length,
        room_name=address.room_name,
        peer_id=address.peer_id,
        filename=filename,
        metadata=metadata,
    )
    response = Response(status=201)
    if length == 0 or request.mimetype == tus.PIECE:
        try:
            response = _take(run, upload, created=True)
        except BaseException:
            run.partial_uploads.remove(upload)
            raise
        response.status_code = 201
    response.location = f"{request.script_root}/api/webrtc/uploads/{upload.id}"
    _add_expiry(run, upload, response)
    return response


def _check_room(run: Runtime, address: PeerAddress, length: int) -> None:
    """Raise what keeps an upload of so many bytes from being begun, and count it."""
    promised = promised_by_peer = 0
    number = number_of_peer = 0
    for other in run.partial_uploads.unfinished():
        number += 1
        promised += other.length
        if (other.room_name, other.peer_id) == (address.room_name, address.peer_id):
            number_of_peer += 1
            promised_by_peer += other.length
    if number >= MAX_UNFINISHED:
        raise TooManyUnfinished(MAX_UNFINISHED)
    uploads.check_server(run, length + promised)
    uploads.check_peer(run, address, length + promised_by_peer)
    if number_of_peer >= MAX_UNFINISHED_PER_PEER:
        raise TooManyUnfinished(MAX_UNFINISHED_PER_PEER)


def _find(run: Runtime, upload_id: str) -> PartialUpload:
    """Return the upload of an address, if the caller may upload for its peer."""
    try:
        upload = run.partial_uploads.find(upload_id)
    except LookupError:
        raise UploadNotFound from None
    request_access.require(UPLOAD, upload.room_name, upload.peer_id)
    return upload


def _tell(run: Runtime, upload: PartialUpload) -> Response:
    """Say how much of an upload has come. Whoever asks goes on with it, and nobody else."""
    if upload.outcome is not None:
        _outcome(upload)
    run.partial_uploads.take_over(upload)
    response = Response()
    response.headers["Upload-Offset"] = str(run.partial_uploads.offset(upload))
    response.headers["Upload-Length"] = str(upload.length)
    if upload.metadata:
        response.headers["Upload-Metadata"] = upload.metadata
    _add_expiry(run, upload, response)
    return response


def _take(run: Runtime, upload: PartialUpload, *, created: bool = False) -> Response:
    """Take a piece from the body, and end the upload with the last one."""
    if request.mimetype != tus.PIECE and not created:
        raise NotAPiece
    offset = 0 if created else tus.number("Upload-Offset")
    checksum = tus.Checksum.of_request()
    turn = run.partial_uploads.take_over(upload)
    if offset != run.partial_uploads.offset(upload):
        raise UploadOffsetWrong(run.partial_uploads.offset(upload))
    if (request.content_length or 0) > upload.length - offset:
        raise InvalidField("Upload-Offset", "and the length of the piece go beyond Upload-Length.")
    if upload.outcome is None:
        with run.partial_uploads.receiving(upload, turn, apart=checksum is not None) as piece:
            if request.mimetype == tus.PIECE:
                _read_into(piece.write, upload.length - offset, checksum)
            if checksum is not None and not checksum.matches():
                raise ChecksumMismatch
            piece.accept()
            if run.partial_uploads.offset(upload) == upload.length:
                _finish(run, upload)
    else:
        _outcome(upload)
    upload = run.partial_uploads.find(upload.id)
    response = Response(status=204)
    response.headers["Upload-Offset"] = str(run.partial_uploads.offset(upload))
    _add_expiry(run, upload, response)
    return response


def _read_into(write: Callable[[bytes], None], left: int, checksum: tus.Checksum | None) -> None:
    """Take the body as it comes; what has come before it breaks off is kept."""
    while chunk := request.stream.read(min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise InvalidField(
                "Upload-Offset", "and the length of the piece go beyond Upload-Length."
            )
        if checksum is not None:
            checksum.update(chunk)
        write(chunk)
        yield_to_others()


def _finish(run: Runtime, upload: PartialUpload) -> None:
    """Check and store the file of an upload that has come whole, and keep what came of it.

    Where only the server is at fault it stays as it is, and an empty piece tries again.
    """
    with run.partial_uploads.ending(upload):
        blob = run.blobs.adopt(run.partial_uploads.path(upload), run.settings.max_upload_bytes)
        address = PeerAddress(room_name=upload.room_name, peer_id=upload.peer_id)
        try:
            answer = uploads.store(run, blob, upload.filename, address)
        except PresenceError as error:
            if not is_passing(error) and not isinstance(error, FileCheckBusy):
                refusal = {"detail": error.detail, "extra": error.extra}
                run.partial_uploads.finish(upload, {"condition": type(error).__name__, **refusal})
            raise
        finally:
            blob.discard()
        run.partial_uploads.finish(upload, {"answer": answer})


def _outcome(upload: PartialUpload) -> Body:
    """Return what the form's route would have answered; raises what it would have raised."""
    outcome = upload.outcome
    assert outcome is not None
    if "answer" in outcome:
        return cast(Body, outcome["answer"])
    raise errors.told(outcome["condition"], outcome["detail"], outcome["extra"])


def _end(run: Runtime, upload: PartialUpload) -> Response:
    run.partial_uploads.take_over(upload)
    with run.partial_uploads.ending(upload):
        run.partial_uploads.remove(upload)
    return Response(status=204)


def _add_expiry(run: Runtime, upload: PartialUpload, response: Response) -> None:
    """Say when an upload is forgotten (RFC 9110, section 5.6.7)."""
    expires_at = run.partial_uploads.expires_at(upload)
    response.headers["Upload-Expires"] = formatdate(expires_at, usegmt=True)
