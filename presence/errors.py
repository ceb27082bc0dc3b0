"""The conditions the server reports to a client, each a class named after it.

Every one carries a ``code`` that a program can compare and a ``detail`` that tells a person what
to do. The domain raises them; `presence.transport.admission.error_handlers` turns them into HTTP
answers and Socket.IO events, and holds the HTTP status of each.
"""

from __future__ import annotations

import math
from typing import Any


class PresenceError(Exception):
    """Base of every condition that is reported to a client.

    ``extra`` holds further keys of the answer, such as ``field`` or ``max_peers``; a condition
    declares those it may have, with their types, below its ``code``.
    """

    code = "error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra
        self.__dict__.update(extra)

    def body(self) -> dict[str, Any]:
        """Return the answer's body: ``code``, ``detail`` and the extra keys."""
        return {"code": self.code, "detail": self.detail, **self.extra}


class InvalidJson(PresenceError):
    """The message is not JSON, or not a JSON object."""

    code = "invalid_json"


class InvalidField(PresenceError):
    """A field is missing or its value is not acceptable; ``field`` names it."""

    code = "invalid_field"
    field: str

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}", field=field)
        self.reason = reason


class AddressUnknown(PresenceError):
    """No route has this address; a name with a slash in it makes one that none has."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is nothing at this address. The page /docs/api lists every route.")


class MethodRefused(PresenceError):
    """The address takes other methods than this one; the ``Allow`` header has them."""

    code = "method_not_allowed"

    def __init__(self) -> None:
        super().__init__(
            "This address does not take this method. The Allow header says what it takes."
        )


class UnknownEvent(PresenceError):
    """The server knows no Socket.IO event of this name."""

    code = "unknown_event"


class NotJoined(PresenceError):
    """The socket is in no room, and what it asked for needs one."""

    code = "not_joined"

    def __init__(self) -> None:
        super().__init__("This connection has not joined a room. Send join_room first.")


class RoomNotFound(PresenceError):
    """No room of this name was ever joined."""

    code = "room_not_found"
    room_name: str

    def __init__(self, room_name: str) -> None:
        super().__init__(
            f"There is no room “{room_name}”. A room is made when the first peer joins it.",
            room_name=room_name,
        )


class PeerNotFound(PresenceError):
    """The room never had a peer of this id, or it was erased."""

    code = "peer_not_found"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Room “{room_name}” has no peer “{peer_id}”. Join the room with this peer_id first.",
            room_name=room_name,
            peer_id=peer_id,
        )


class UnknownPeer(PresenceError):
    """A signal is for a peer that the sender's room never had."""

    code = "unknown_peer"
    room_name: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Room “{room_name}” has no peer “{peer_id}”. Signals reach peers of one's own room "
            "only; compare the id with the newest list.",
            room_name=room_name,
        )


class PeerInactive(PresenceError):
    """The peer is known, but there is nobody to hand anything to just now."""

    code = "inactive"
    room_name: str
    peer_id: str


class PeerUnreachable(PresenceError):
    """The peer's connection is held by another process, which cannot be reached just now."""

    code = "unreachable"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"Peer “{peer_id}” is connected to another process of this server, which cannot be "
            "reached at the moment. Nothing was sent; try again in a few seconds.",
            room_name=room_name,
            peer_id=peer_id,
        )


class SignalUnconfirmed(PresenceError):
    """The process that holds the peer's connection did not say whether it delivered a signal."""

    code = "unconfirmed"
    room_name: str
    peer_id: str

    def __init__(self, room_name: str, peer_id: str) -> None:
        super().__init__(
            f"The process that holds the connection of peer “{peer_id}” did not answer in time. "
            "The signal may arrive or not: ask the peer, or send it again if twice does no harm.",
            room_name=room_name,
            peer_id=peer_id,
        )


class SignalTooLarge(PresenceError):
    """The data of a signal or broadcast exceeds the limit."""

    code = "too_large"
    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"data is {size} bytes as JSON; at most {limit} are allowed. Send less at once, or "
            "use a data channel or an upload.",
            size=size,
            limit=limit,
        )


class SignalExpired(PresenceError):
    """A signal waited for a peer that did not come back in time."""

    code = "expired"

    def __init__(self, peer_id: str) -> None:
        super().__init__(
            f"Peer “{peer_id}” did not come back in time, and the signal that waited for it was "
            "dropped. Send it again when the peer is active."
        )


class UploadedFileNotFound(PresenceError):
    """No uploaded file has this name, or it was deleted."""

    code = "file_not_found"
    filename: str

    def __init__(self, filename: str) -> None:
        super().__init__(
            f"There is no uploaded file “{filename}”. It may have been deleted.", filename=filename
        )


class RoomFull(PresenceError):
    """The room already has as many active peers as it may hold."""

    code = "room_full"
    room_name: str
    max_peers: int

    def __init__(self, room_name: str, max_peers: int) -> None:
        taken = "its only place is" if max_peers == 1 else f"all {max_peers} places are"
        super().__init__(
            f"Room “{room_name}” is full: {taken} taken. Try again when somebody has left.",
            room_name=room_name,
            max_peers=max_peers,
        )


class UserDataTooLarge(PresenceError):
    """A peer's user_data would exceed the limit."""

    code = "user_data_too_large"
    field: str
    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"user_data would be {size} bytes as JSON; at most {limit} are allowed. "
            "Remove keys, or upload large content as a file.",
            field="user_data",
            size=size,
            limit=limit,
        )


class FileTooLarge(PresenceError):
    """An upload exceeds the size limit."""

    code = "file_too_large"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The file is larger than the {_sized(limit)} that are allowed. Send a smaller one.",
            limit=limit,
        )


class MessageTooLarge(PresenceError):
    """A request body exceeds the size limit."""

    code = "message_too_large"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The request is larger than the {limit} bytes that are allowed. Send less at once.",
            limit=limit,
        )


class RateExceeded(PresenceError):
    """Base of the limits on how often something is done; ``retry_after`` is in seconds."""

    limit: int
    retry_after: int
    sentence = "That was more than {limit} within a minute."

    def __init__(self, limit: int, retry_after: float) -> None:
        # Upwards, and never to the very moment, which rounding elsewhere may miss.
        seconds = max(1, math.ceil(retry_after + 0.01))
        super().__init__(
            f"{self.sentence.format(limit=limit)} Wait {seconds} s, then go on more slowly.",
            limit=limit,
            retry_after=seconds,
        )


class TooManyRequests(RateExceeded):
    """An address sends REST requests faster than it may."""

    code = "too_many_requests"
    sentence = "Your address sent more than {limit} requests within a minute."


class TooManyConnects(RateExceeded):
    """An address opens Socket.IO connections faster than it may."""

    code = "too_many_connects"
    sentence = "Your address opened more than {limit} connections within a minute."


class TooManyFailedTokens(RateExceeded):
    """An address goes on showing tokens that are refused."""

    code = "too_many_failed_tokens"
    sentence = "More than {limit} tokens from your address were refused within a minute."


class TooManyUploads(RateExceeded):
    """Files are uploaded for a peer faster than they may be."""

    code = "too_many_uploads"
    sentence = "More than {limit} files were uploaded for this peer within a minute."


class TooManyEvents(PresenceError):
    """A connection sends messages faster than it may; it is slowed down, and loses nothing."""

    code = "too_many_events"
    limit: float
    retry_after: int

    def __init__(self, limit: float, retry_after: float) -> None:
        seconds = max(1, math.ceil(retry_after))
        super().__init__(
            f"This connection sends more than {limit:g} messages a second, so they are handled "
            f"late. Pause for {seconds} s and go on more slowly; else it will be closed.",
            limit=limit,
            retry_after=seconds,
        )


class Flooding(PresenceError):
    """A connection went on sending too fast after it was warned, and is closed."""

    code = "flooding"
    limit: float

    def __init__(self, limit: float) -> None:
        super().__init__(
            f"This connection went on sending more than {limit:g} messages a second, so it is "
            "closed, and what it sent last was not handled. Connect again, and send more slowly.",
            limit=limit,
        )


class TooManyAtOnce(PresenceError):
    """An address has as many requests under way as it may."""

    code = "too_many_at_once"
    limit: int
    retry_after: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your address has {limit} requests under way, and may have no more at once. Wait "
            "until some are answered.",
            limit=limit,
            retry_after=1,
        )


class AnswersTooLarge(PresenceError):
    """The answers that are being sent to slow readers take as much memory as they may."""

    code = "answers_too_large"
    retry_after: int

    def __init__(self) -> None:
        super().__init__(
            "The server is sending as much at once as it can hold. Try again in a few seconds, or "
            "ask for less: one room, or one peer.",
            retry_after=5,
        )


class DatabaseFull(PresenceError):
    """The database holds as much as it may, or the disk under it is nearly full."""

    code = "database_full"

    def __init__(self) -> None:
        super().__init__(
            "The server's database holds as much as it may, so nothing can be added. What is there "
            "can be read, made smaller and removed. Tell whoever runs the server."
        )


class TooManySockets(PresenceError):
    """An address holds as many connections as it may."""

    code = "too_many_sockets"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Your address has {limit} connections open already, and may have no more. Close one "
            "first.",
            limit=limit,
        )


class ServerFull(PresenceError):
    """This process holds as many connections as it may."""

    code = "server_full"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"All {limit} connections of the server are taken. Try again in a minute.", limit=limit
        )


class FileTypeRefused(PresenceError):
    """An upload is of a type that is not accepted, or not what its name says."""

    code = "file_type_refused"


class FileTooComplex(PresenceError):
    """Looking at an upload would take more than a file may; ``what`` names what was exceeded."""

    code = "file_too_complex"
    what: str
    limit: int

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"The file is too complex to be checked: it takes more than {limit:,} {what}. Save it "
            "in a simpler form or in parts, and send that.",
            what=what,
            limit=limit,
        )


class FileCheckBusy(PresenceError):
    """So many files are being checked that this one's turn did not come in time."""

    code = "file_check_busy"
    retry_after: int

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "The server is checking other files, so this one was not stored. Send it again in "
            f"{retry_after} s.",
            retry_after=retry_after,
        )


class UploadNotFound(PresenceError):
    """No resumable upload has this address, or it was forgotten."""

    code = "upload_not_found"

    def __init__(self) -> None:
        super().__init__(
            "There is no such upload, or it was forgotten because nothing came for too long. Begin "
            "it anew."
        )


class UploadUnfinished(PresenceError):
    """A resumable upload has not come to its end, so nothing can be said of its file."""

    code = "upload_unfinished"
    offset: int
    length: int

    def __init__(self, offset: int, length: int) -> None:
        super().__init__(
            f"Only {offset} of the {length} bytes of this upload have come. Send the rest.",
            offset=offset,
            length=length,
        )


class UploadOffsetWrong(PresenceError):
    """A piece of a resumable upload does not begin where the last one ended."""

    code = "upload_offset_wrong"
    offset: int

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"{offset} bytes of this upload have come, so the next piece begins there. Ask for the "
            "offset with HEAD, and go on from it.",
            offset=offset,
        )


class UploadLocked(PresenceError):
    """Another request is just sending a piece of a resumable upload, or ending it."""

    code = "upload_locked"

    def __init__(self) -> None:
        super().__init__(
            "Another request is sending a piece of this upload, or its file is being checked. Try "
            "again in a second."
        )


class ChecksumMismatch(PresenceError):
    """A piece of a resumable upload is not what its checksum says, and was thrown away."""

    code = "checksum_mismatch"

    def __init__(self) -> None:
        super().__init__(
            "This piece of the upload does not have the checksum that was sent with it, so it was "
            "thrown away. Send it again."
        )


class TusVersionRefused(PresenceError):
    """A request for a resumable upload does not say that it follows version 1.0.0 of tus."""

    code = "tus_version_refused"

    def __init__(self) -> None:
        super().__init__(
            "Resumable uploads follow the tus protocol, version 1.0.0. Send the header "
            "“Tus-Resumable: 1.0.0”, or use a client of tus."
        )


class NotAPiece(PresenceError):
    """What was sent to a resumable upload is not declared as a piece of it."""

    code = "not_a_piece"

    def __init__(self) -> None:
        super().__init__(
            "A piece of an upload has the Content-Type “application/offset+octet-stream”. Send it "
            "with that."
        )


class ImageTooLarge(PresenceError):
    """An image unfolds to more pixels than the limit."""

    code = "image_too_large"
    width: int
    height: int
    limit: int

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(
            f"The image has {width} × {height} pixels, {_millions(width * height)} megapixels; at "
            f"most {_millions(limit)} are allowed. Send a smaller one.",
            width=width,
            height=height,
            limit=limit,
        )


class QuotaExceeded(PresenceError):
    """Base of the conditions in which more would be kept than a setting allows.

    ``sentence`` says what is wrong and what to do about it, with ``limit``, or ``size`` for bytes.
    """

    limit: int
    sentence = ""

    def __init__(self, limit: int) -> None:
        sentence = self.sentence.format(limit=limit, size=_sized(limit))
        super().__init__(sentence, limit=limit)


class TooManyFiles(QuotaExceeded):
    """A peer already has as many files as it may have."""

    code = "too_many_files"
    sentence = "This peer already has the {limit} files that are allowed. Delete one first."


class TooManyUnfinished(QuotaExceeded):
    """A peer, or everybody together, has as many unfinished resumable uploads as there may be."""

    code = "too_many_unfinished"
    sentence = (
        "There are {limit} unfinished uploads already. Finish one or end it (DELETE) first; those "
        "that get nothing more are forgotten by themselves."
    )


class PeerStorageFull(QuotaExceeded):
    """A peer's files would take more bytes than they may."""

    code = "peer_storage_full"
    sentence = (
        "The files of this peer would take more than the {size} that are allowed. Delete "
        "some of them, or send a smaller one."
    )


class RoomStorageFull(QuotaExceeded):
    """The files of a room would take more bytes than they may."""

    code = "room_storage_full"
    sentence = (
        "The files of this room would take more than the {size} that are allowed. Delete "
        "some of them, or send a smaller one."
    )


class ServerStorageFull(QuotaExceeded):
    """All files of the server would take more bytes than they may."""

    code = "server_storage_full"
    sentence = (
        "The files on this server would take more than the {size} that are allowed. Delete "
        "files that nobody needs, or tell whoever runs the server."
    )


class DiskNearlyFull(QuotaExceeded):
    """An upload would leave less of the disk free than must stay free."""

    code = "disk_nearly_full"
    sentence = (
        "Less than {size} would be left free on the server's disk, so nothing was stored. "
        "Send something smaller, or tell whoever runs the server."
    )


class TooManyRooms(QuotaExceeded):
    """The server already has as many rooms as it may have."""

    code = "too_many_rooms"
    sentence = (
        "The server already has the {limit} rooms that are allowed. Join one of them, or tell "
        "whoever runs the server."
    )


class TooManyRoomsMade(QuotaExceeded):
    """Somebody has made as many rooms as one peer, or one address, may make."""

    code = "too_many_rooms_made"
    sentence = (
        "You have made the {limit} rooms that one may make here. Join one that exists, or have an "
        "admin remove some."
    )


class StorageFull(PresenceError):
    """The disk that holds the uploads or the database is full; `ref` stands in the log."""

    code = "storage_full"
    ref: str

    def __init__(self, ref: str) -> None:
        super().__init__(
            "The server's disk is full, so nothing was stored. Tell whoever runs the server, "
            "then try again.",
            ref=ref,
        )


class StorageUnavailable(PresenceError):
    """The database or the upload folder cannot be used now; `ref` stands in the log."""

    code = "storage_unavailable"
    ref: str

    def __init__(self, ref: str) -> None:
        super().__init__(
            "The server cannot reach its storage at the moment, so nothing was changed. "
            "Try again in a few seconds.",
            ref=ref,
        )


class UnderMaintenance(PresenceError):
    """Whoever runs the server is at work on it, and lets nothing be changed meanwhile."""

    code = "maintenance"
    retry_after: int

    def __init__(self, note: str = "") -> None:
        super().__init__(
            "Nothing can be changed at the moment: whoever runs this server is at work on it. "
            + (f"They say: {note} " if note else "")
            + "Everything can be read; try again in a little while.",
            retry_after=5,
        )


class InternalError(PresenceError):
    """Something failed that nobody foresaw; the log has the details beside `ref`."""

    code = "internal_error"
    ref: str

    def __init__(self, ref: str) -> None:
        super().__init__(
            "Something went wrong on the server, and it was logged. Try again; if it happens "
            "again, tell whoever runs the server.",
            ref=ref,
        )


class Conflict(PresenceError):
    """A peer's data changed after the version that an update was made for."""

    code = "conflict"
    user_data: dict[str, Any]
    version: int

    def __init__(self, user_data: dict[str, Any], version: int) -> None:
        super().__init__(
            "The user data was changed by somebody else meanwhile. Look at what it is now, and "
            "send the update again with that version.",
            user_data=user_data,
            version=version,
        )


class NotReady(PresenceError):
    """The server cannot serve just now; ``reasons`` says why, by what was looked at."""

    code = "not_ready"
    reasons: dict[str, str]

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__(" ".join(reasons.values()), reasons=reasons)


class MetricsTokenRequired(PresenceError):
    """The figures are for those who have the token of PRESENCE_METRICS_TOKEN."""

    code = "metrics_token_required"

    def __init__(self) -> None:
        super().__init__(
            "The metrics of this server need a token. Send the value of PRESENCE_METRICS_TOKEN "
            "as “Authorization: Bearer <token>”."
        )


class ShuttingDown(PresenceError):
    """The server is about to stop and takes nobody in."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Connect again in a few seconds.")


class TokenRequired(PresenceError):
    """The server is locked, and no token was given."""

    code = "token_required"

    def __init__(self) -> None:
        super().__init__(
            "This server is locked, and no token was given. Send one: over REST as "
            "“Authorization: Bearer <token>”, over Socket.IO as auth: { token }."
        )


class TokenRefused(PresenceError):
    """A token is forged, broken, not valid yet, or signed with a key the server does not have."""

    code = "token_refused"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The token is not good: {fault}. Get another one from whoever gave it.")


class TokenExpired(PresenceError):
    """A token was good, and its time is over."""

    code = "token_expired"

    def __init__(self) -> None:
        super().__init__(
            "The token has expired. Get a fresh one, and connect or ask again with it."
        )


class NotGranted(PresenceError):
    """The token is good, but not for this; ``grant`` says what it would need."""

    code = "not_granted"
    grant: str

    def __init__(self, grant: str, lack: str) -> None:
        super().__init__(
            f"The token does not allow this. {lack} Ask for one that does.", grant=grant
        )


class WrongPeer(PresenceError):
    """The token is for another peer than the one that it was to act as."""

    code = "wrong_peer"
    peer_id: str

    def __init__(self, own: str, peer_id: str) -> None:
        super().__init__(
            f"The token is for peer “{own}”, who cannot act as “{peer_id}”. Use your own peer_id.",
            peer_id=own,
        )


class Banned(PresenceError):
    """An admin has banned the peer from the room; ``until`` is when that ends, or null."""

    code = "banned"
    room_name: str
    peer_id: str
    until: str | None
    reason: str

    def __init__(self, room_name: str, peer_id: str, until: str | None, because: str) -> None:
        super().__init__(
            f"Peer “{peer_id}” is banned from room “{room_name}”"
            f"{_until(until)}.{_because(because)}",
            room_name=room_name,
            peer_id=peer_id,
            until=until,
            reason=because,
        )


class RoomClosed(PresenceError):
    """An admin has closed the room to everybody; ``until`` is when that ends, or null."""

    code = "room_closed"
    room_name: str
    until: str | None
    reason: str

    def __init__(self, room_name: str, until: str | None, because: str) -> None:
        super().__init__(
            f"Room “{room_name}” is closed{_until(until)}.{_because(because)}",
            room_name=room_name,
            until=until,
            reason=because,
        )


class BanNotFound(PresenceError):
    """There is no such ban, or no such closing, to take back."""

    code = "ban_not_found"


class NoAdmins(PresenceError):
    """The server is open, so nobody is more than anybody else, and nobody can be shut out."""

    code = "open_mode"

    def __init__(self) -> None:
        super().__init__(
            "This server is open: it has no tokens and no admins, and anybody could come back "
            "under another name. Whoever runs it can lock it with PRESENCE_MODE=locked."
        )


class LinkRefused(PresenceError):
    """A file's address is not signed by this server, or was signed too long ago."""

    code = "link_refused"

    def __init__(self, fault: str) -> None:
        super().__init__(f"{fault}. Ask the server for the file's address again (file_url).")


class HostRefused(PresenceError):
    """The server was called by a name that is not its own."""

    code = "host_refused"

    def __init__(self) -> None:
        super().__init__(
            "This server does not answer to that name. Whoever runs it lists its names in "
            "PRESENCE_ALLOWED_HOSTS."
        )


class AddressUnreadable(PresenceError):
    """The path or the query of a request is not in UTF-8."""

    code = "address_unreadable"

    def __init__(self) -> None:
        super().__init__(
            "The address of this request is not in UTF-8. Escape names as encodeURIComponent does: "
            "é is %C3%A9, not %E9."
        )


class RequestMalformed(PresenceError):
    """What came is no request of HTTP/1.1, or its head breaks the rules of one."""

    code = "bad_request"

    def __init__(self, fault: str) -> None:
        super().__init__(
            f"This request is malformed: {fault}. Check what sends it, and what stands on its way."
        )


class RequestTimeout(PresenceError):
    """The rest of a request's head did not come."""

    code = "request_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This request did not come to the end of its head within {seconds:g} s. The head ends "
            "with an empty line, and each of its lines with CR and LF."
        )


class CodingRefused(PresenceError):
    """The body of a request is compressed, which the server does not undo."""

    code = "coding_refused"

    def __init__(self, coding: str) -> None:
        super().__init__(
            f"The body is sent as “{coding[:40]}” (Content-Encoding), which is not undone here. "
            "Send it as it is."
        )


class NoWebSocketHere(PresenceError):
    """A request for a WebSocket is for an address that has none."""

    code = "no_websocket"

    def __init__(self) -> None:
        super().__init__(
            "There is no WebSocket at this address. Clients of Socket.IO find it by the server's "
            "address alone; it is at /socket.io/?EIO=4&transport=websocket."
        )


class PrefixRefused(PresenceError):
    """A proxy says that the server stands below something that is no path."""

    code = "prefix_refused"

    def __init__(self) -> None:
        super().__init__(
            "X-Forwarded-Prefix is not a path such as /presence. The proxy must set it to the path "
            "below which the server stands, or take it away."
        )


class PrefixUnknown(PresenceError):
    """A request is for one of the server's own paths, below another that it does not know of."""

    code = "prefix_unknown"

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"There is nothing below “{prefix}” here, but without it there may be. If a proxy has "
            f"the server stand there, set PRESENCE_PREFIX={prefix}, or let the proxy take it off "
            "or send it as X-Forwarded-Prefix."
        )


class OriginRefused(PresenceError):
    """A web page of an origin that is not allowed has called the server."""

    code = "origin_refused"

    def __init__(self) -> None:
        super().__init__(
            "Pages of that origin may not use this server. Whoever runs it lists those that may "
            "in PRESENCE_ALLOWED_ORIGINS."
        )


class TransportRefused(PresenceError):
    """A request to Socket.IO's path names no transport that it can be served over."""

    code = "transport_refused"

    def __init__(self, transport: str | None) -> None:
        asked = f"“{transport[:40]}”" if transport else "none (transport)"
        super().__init__(
            f"Socket.IO is served over polling, by GET and POST, and over websocket; the request "
            f"asks for {asked}."
        )


class ProtocolRefused(PresenceError):
    """A client speaks another version of Engine.IO, or does not say which."""

    code = "protocol_refused"

    def __init__(self, named: str | None) -> None:
        asked = f"version “{named[:40]}”" if named else "no version (EIO)"
        super().__init__(
            f"This server speaks version 4 of the Engine.IO protocol, and the request names "
            f"{asked}: use socket.io-client 3 or newer, or python-socketio 5 or newer."
        )


class SessionUnknown(PresenceError):
    """A request is for a connection that has ended, or is not this process's."""

    code = "session_unknown"

    def __init__(self, fault: str = "There is no such connection any more") -> None:
        super().__init__(
            f"{fault}. Connect again; where that happens all the time, a proxy does not bring all "
            "requests of a connection to the same process."
        )


class SessionElsewhere(PresenceError):
    """A request is for a connection that another process holds, by the worker's name in its id."""

    code = "session_elsewhere"

    def __init__(self, holder: str, here: str) -> None:
        super().__init__(
            f"This connection is the worker {holder}'s, and the request came to the worker {here}. "
            f"Unless {holder} has just ended, the proxy has to bring every request of a connection "
            "to the worker that its id (sid) begins with, as the files in deploy/ do. Until it "
            "does, only clients that begin with WebSocket can connect."
        )


class SessionUpgraded(PresenceError):
    """A request is for a connection that goes over its WebSocket."""

    code = "session_upgraded"

    def __init__(self) -> None:
        super().__init__("This connection goes over a WebSocket already, and over one only.")


class RequestsOverlap(PresenceError):
    """Two polls, or two POSTs, of one connection came at once, which is closed for it."""

    code = "requests_overlap"

    def __init__(self) -> None:
        super().__init__(
            "This connection had a request of the same kind under way, so the order of what it "
            "carries is lost. It was closed: connect again, and send one request after the other."
        )


class PacketsUnreadable(PresenceError):
    """The body of a polling client's POST is no row of Engine.IO packets."""

    code = "packets_unreadable"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The body holds no Engine.IO packets: {fault}. The connection is closed.")


class HeadersTooLarge(PresenceError):
    """A header of a request exceeds what one may have; most of the time it is ``Cookie``."""

    code = "headers_too_large"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"A header of the request is larger than {limit} bytes, most likely that of cookies. "
            "This server sets none: other programs did, under the same name (on localhost all "
            "ports share them). Delete the cookies of this address, or open it in a private "
            "window or by another name.",
            limit=limit,
        )


class NamespaceUnknown(PresenceError):
    """A client connects to, or sends an event in, a Socket.IO namespace that does not exist."""

    code = "namespace_unknown"

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"There is no namespace “{namespace[:60]}” here, only “/”: connect to the server's "
            "address without a path behind it."
        )


class NotConnected(PresenceError):
    """An event came over a connection on which no socket is connected."""

    code = "not_connected"

    def __init__(self) -> None:
        super().__init__("No socket is connected here: send Socket.IO's CONNECT packet first.")


class AlreadyConnected(PresenceError):
    """A second CONNECT packet came over a connection on which a socket is connected."""

    code = "already_connected"

    def __init__(self) -> None:
        super().__init__("A socket is connected here already, and goes on as before.")


class UpgradeIncomplete(PresenceError):
    """A request for a WebSocket lacks headers that make it one; ``missing`` lists them."""

    code = "upgrade_incomplete"
    missing: list[str]

    def __init__(self, missing: tuple[str, ...], hint: str = "") -> None:
        lacking = "”, “".join(missing)
        super().__init__(
            f"This is no request for a WebSocket: it lacks “{lacking}”{hint and f', and {hint}'}. "
            "A proxy on the way drops what it is not told to pass on; until it is, the connection "
            "goes on by polling.",
            missing=list(missing),
        )


class UpgradeRefused(PresenceError):
    """A request for a WebSocket is not as it must be."""

    code = "upgrade_refused"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The request for a WebSocket cannot be granted: {fault}.")


class EventsNotKept(PresenceError):
    """Events are asked for on a server that keeps none."""

    code = "events_not_kept"

    def __init__(self) -> None:
        super().__init__("This server keeps no events. Its operator sets PRESENCE_KEEP_EVENTS=7d.")


class EventsGone(PresenceError):
    """Some events after the cursor are no more; ``oldest`` is the cursor before the oldest kept."""

    code = "events_gone"
    oldest: str

    def __init__(self, oldest: str) -> None:
        super().__init__(
            "Some events after this cursor were kept for long enough and are gone. Look at the "
            "rooms as they are now, and read on from “oldest”.",
            oldest=oldest,
        )


def told(name: str, detail: str, extra: dict[str, Any]) -> PresenceError:
    """Return the condition of this class name that another process, or an earlier time, told of."""
    kind: type[PresenceError] = globals()[name]
    condition = kind.__new__(kind)
    PresenceError.__init__(condition, detail, **extra)
    return condition


def _sized(size: int) -> str:
    """Return a number of bytes as people read it."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"


def _millions(number: int) -> str:
    return f"{number / 1_000_000:.1f}".removesuffix(".0")


def _until(until: str | None) -> str:
    return f" until {until}" if until else " until further notice"


def _because(reason: str) -> str:
    return f" The reason given: {reason}" if reason else ""
