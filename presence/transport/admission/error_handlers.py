"""Turns every condition into an answer: JSON with `detail` and `code`, and the right status.

A person whose browser asks for a page gets the sentence as one.
"""

from __future__ import annotations

import errno
import logging
import secrets
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from flask import Flask, Response, has_request_context, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest, HTTPException

from presence import errors, logs
from presence.errors import PresenceError
from presence.storage.database import DatabaseBusy
from presence.storage.maintenance import ReadOnly
from presence.transport.admission import error_page
from presence.transport.engine.draining import drain
from presence.transport.websocket import protocol
from presence.transport.wire import json_codec
from presence.transport.wire.serializers import timestamp

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

STATUS: dict[type[PresenceError], int] = {
    errors.InvalidJson: 400,
    errors.UnknownEvent: 400,
    errors.MetricsTokenRequired: 401,
    errors.AddressUnknown: 404,
    errors.MethodRefused: 405,
    errors.RoomNotFound: 404,
    errors.PeerNotFound: 404,
    errors.UnknownPeer: 404,
    errors.UploadedFileNotFound: 404,
    errors.NotJoined: 409,
    errors.PeerInactive: 409,
    errors.RoomNotMade: 404,
    errors.RoomFull: 409,
    errors.SignalExpired: 410,
    errors.SignalTooLarge: 413,
    errors.StateTooLarge: 413,
    errors.Conflict: 409,
    errors.RoomDataConflict: 409,
    errors.BroadcastsNotKept: 409,
    errors.TooManyFiles: 409,
    errors.TooManyRooms: 409,
    errors.TooManyRoomsMade: 409,
    errors.PeerStorageFull: 409,
    errors.RoomStorageFull: 409,
    errors.UserDataTooLarge: 413,
    errors.RoomDataTooLarge: 413,
    errors.FileTooLarge: 413,
    errors.MessageTooLarge: 413,
    errors.FileTypeRefused: 415,
    errors.ImageTooLarge: 413,
    errors.FileTooComplex: 413,
    errors.UploadNotFound: 404,
    errors.UploadUnfinished: 409,
    errors.UploadOffsetWrong: 409,
    errors.TooManyUnfinished: 409,
    errors.TusVersionRefused: 412,
    errors.NotAPiece: 415,
    errors.UploadLocked: 423,
    # As the checksum extension of tus has it; no registry knows the number.
    errors.ChecksumMismatch: 460,
    errors.FileCheckBusy: 503,
    errors.InvalidField: 422,
    errors.TooManyRequests: 429,
    errors.TooManyConnects: 429,
    errors.TooManyFailedTokens: 429,
    errors.TooManyUploads: 429,
    errors.TooManyWrongPasswords: 429,
    errors.TooManyGuesses: 429,
    errors.TooManyEvents: 429,
    errors.Flooding: 429,
    errors.TooManySockets: 429,
    errors.TooManyAtOnce: 429,
    errors.AnswersTooLarge: 503,
    errors.DatabaseFull: 507,
    errors.TokenRequired: 401,
    errors.TokenRefused: 401,
    errors.TokenExpired: 401,
    errors.TokenRevoked: 401,
    errors.IssuerUnavailable: 503,
    errors.NotGranted: 403,
    errors.WrongPeer: 403,
    errors.Banned: 403,
    errors.Waiting: 409,
    errors.AdmissionRefused: 403,
    errors.NotAdmitted: 403,
    errors.NotWaiting: 404,
    errors.LobbyFull: 409,
    errors.PasswordWanted: 403,
    errors.WrongPassword: 403,
    errors.NoAdmins: 403,
    errors.LinkRefused: 403,
    errors.OriginRefused: 403,
    errors.HostRefused: 400,
    errors.TransportRefused: 400,
    errors.ProtocolRefused: 400,
    errors.SessionUnknown: 400,
    errors.SessionElsewhere: 400,
    errors.SessionUpgraded: 400,
    errors.RequestsOverlap: 400,
    errors.PacketsUnreadable: 400,
    errors.UpgradeRefused: 400,
    errors.NamespaceUnknown: 404,
    errors.HeadersTooLarge: 431,
    errors.NotConnected: 409,
    errors.AlreadyConnected: 409,
    errors.UpgradeIncomplete: 426,
    errors.AddressUnreadable: 400,
    errors.PrefixRefused: 400,
    errors.RequestMalformed: 400,
    errors.RequestTimeout: 408,
    errors.CodingRefused: 415,
    errors.NoWebSocketHere: 404,
    errors.PrefixUnknown: 404,
    errors.BanNotFound: 404,
    errors.RoomClosed: 409,
    errors.InternalError: 500,
    errors.ServerFull: 503,
    errors.NotReady: 503,
    errors.ShuttingDown: 503,
    errors.StorageUnavailable: 503,
    errors.UnderMaintenance: 503,
    errors.PeerUnreachable: 503,
    errors.SignalUnconfirmed: 504,
    errors.StorageFull: 507,
    errors.ServerStorageFull: 507,
    errors.DiskNearlyFull: 507,
    errors.EventsNotKept: 409,
    errors.IdempotencyKeyReused: 422,
    errors.IdempotencyKeyInUse: 409,
    errors.AnswerNotKept: 409,
    errors.TooManyIdempotencyKeys: 429,
    errors.EventsGone: 410,
}

# What Flask and Werkzeug raise by themselves, by status.
_OWN = {404: errors.AddressUnknown(), 405: errors.MethodRefused()}

# Where a request keeps what its lines in the log are found by, and how long that is.
_REF = "presence.ref"
_REF_BYTES = 6


def init_app(app: Flask) -> None:
    """Answer every error of the app in the one shape, and let the log name the request."""
    logs.surroundings.add(_about_request)
    app.register_error_handler(PresenceError, _answer)
    app.register_error_handler(DBAPIError, _answer_storage)
    app.register_error_handler(PoolTimeout, _answer_storage)
    app.register_error_handler(DatabaseBusy, _answer_storage)
    app.register_error_handler(ReadOnly, _answer_storage)
    app.register_error_handler(OSError, _answer_storage)
    app.register_error_handler(HTTPException, answer_http)


def as_presence_error(exception: Exception, **during: str) -> PresenceError:
    """Return the condition that an exception stands for; log one that is the server's own fault.

    What the client is told has a ``ref`` then, by which its line in the log is found. `during` is
    what that line says besides of what was being done; of a request it says so by itself.
    """
    if isinstance(exception, ReadOnly):
        pause = exception.pause
        exception = errors.UnderMaintenance(timestamp(pause.since), pause.note)
    if isinstance(exception, PresenceError):
        return exception
    ref = _ref_of_request() or secrets.token_hex(_REF_BYTES)
    about = {"about": {"ref": ref, **during}}
    if isinstance(exception, OSError) and exception.errno in (errno.ENOSPC, errno.EDQUOT):
        log.error("the disk is full: %s", exception, extra=about)
        return errors.StorageFull(ref)
    if isinstance(exception, DBAPIError) and "disk is full" in str(exception.orig):
        log.error("the disk is full: %s", exception.orig, extra=about)
        return errors.StorageFull(ref)
    if isinstance(exception, DatabaseBusy):
        log.error("the database was locked by another process for too long", extra=about)
        return errors.StorageUnavailable(ref)
    if isinstance(exception, (DBAPIError, PoolTimeout, OSError)):
        log.error("storage failed: %s", exception, exc_info=exception, extra=about)
        return errors.StorageUnavailable(ref)
    log.error("unexpected error", exc_info=exception, extra=about)
    return errors.InternalError(ref)


def _ref_of_request() -> str:
    """Return what the lines about the request that is being handled are found by; "" for none."""
    if not has_request_context():
        return ""
    return str(request.environ.setdefault(_REF, secrets.token_hex(_REF_BYTES)))


def _about_request() -> dict[str, str]:
    """Return what a record says of the request during which it is made."""
    ref = _ref_of_request()
    return {"ref": ref, "request": f"{request.method} {request.path}"} if ref else {}


def headers_of(error: PresenceError) -> dict[str, str]:
    """Return the headers that tell a program what to do: wait, or show a token (RFC 9110)."""
    if "retry_after" in error.extra:
        return {"Retry-After": str(error.extra["retry_after"])}
    if isinstance(error, errors.UpgradeIncomplete):
        return dict(protocol.REQUIRED)
    return {"WWW-Authenticate": "Bearer"} if STATUS[type(error)] == 401 else {}


def http_answer(
    error: PresenceError, environ: WSGIEnvironment
) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the status line, headers and body of an answer that is made outside Flask.

    To HEAD without the body that its headers speak of (RFC 9110, 9.3.2): not every server keeps it
    back, and a client would take it for the beginning of the next answer.
    """
    status = HTTPStatus(STATUS[type(error)])
    if error_page.is_wanted(environ):
        kind, text = error_page.HEADERS, error_page.explaining(error.detail)
    else:
        kind, text = {"Content-Type": "application/json"}, json_codec.dumps(error.body())
    body = text.encode()
    headers = {**kind, "Content-Length": str(len(body)), **headers_of(error)}
    sent = b"" if environ.get("REQUEST_METHOD") == "HEAD" else body
    return f"{status.value} {status.phrase}", list(headers.items()), sent


def _answer(error: PresenceError) -> tuple[Response, int, dict[str, str]]:
    status = STATUS[type(error)]
    if status in (401, 403, 413, 429):
        drain_body()
    if error_page.is_wanted(request.environ):
        page = Response(error_page.explaining(error.detail), headers=error_page.HEADERS)
        return page, status, headers_of(error)
    return jsonify(error.body()), status, headers_of(error)


def _answer_storage(exception: Exception) -> tuple[Response, int, dict[str, str]]:
    return _answer(as_presence_error(exception))


def answer_http(exception: HTTPException) -> ResponseReturnValue:
    """Answer what Flask and Werkzeug raise, keeping headers such as 405's ``Allow``."""
    status = exception.code or 500
    if status < 400:
        return exception.get_response()
    if status == 413:
        return _answer(errors.MessageTooLarge(request.max_content_length or 0))
    if status == 500:
        # Flask has logged it, in a line with the same reference.
        body = errors.InternalError(_ref_of_request()).body()
    elif status in _OWN:
        body = _OWN[status].body()
    else:
        code = exception.name.lower().replace(" ", "_").replace("-", "_")
        body = {"code": code, "detail": exception.description or exception.name}
    response = cast(Response, exception.get_response())
    response.set_data(jsonify(body).get_data())
    response.content_type = "application/json"
    return response


def drain_body() -> None:
    """Read and throw away what the client is still sending; it may have stopped meanwhile."""
    stream = request.environ["wsgi.input"]
    with suppress(BadRequest):
        if request.content_length is not None:
            # Where Flask has begun to read, its stream knows how much is left.
            drain(request.__dict__.get("stream") or stream, request.content_length)
        elif request.environ.get("wsgi.input_terminated"):
            drain(stream, None)


def is_passing(error: PresenceError) -> bool:
    """Tell whether the same may well work a little later, as nobody but the server is at fault."""
    passing = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
    return STATUS[type(error)] in passing
