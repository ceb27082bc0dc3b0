"""Uploads that can be resumed (tus)."""

from __future__ import annotations

from presence.errors.base import PresenceError, QuotaExceeded


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


class TooManyUnfinished(QuotaExceeded):
    """A peer, or everybody together, has as many unfinished resumable uploads as there may be."""

    code = "too_many_unfinished"
    sentence = (
        "There are {limit} unfinished uploads already. Finish one or end it (DELETE) first; those "
        "that get nothing more are forgotten by themselves."
    )
