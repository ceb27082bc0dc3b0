"""Uploaded files: what they are, and how much of them there may be."""

from __future__ import annotations

from presence.errors.base import PresenceError, QuotaExceeded, sized


class UploadedFileNotFound(PresenceError):
    """No uploaded file has this name, or it was deleted."""

    code = "file_not_found"
    filename: str

    def __init__(self, filename: str) -> None:
        super().__init__(
            f"There is no uploaded file “{filename}”. It may have been deleted.", filename=filename
        )


class FileTooLarge(PresenceError):
    """An upload exceeds the size limit."""

    code = "file_too_large"
    limit: int

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The file is larger than the {sized(limit)} that are allowed. Send a smaller one.",
            limit=limit,
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


class TooManyFiles(QuotaExceeded):
    """A peer already has as many files as it may have."""

    code = "too_many_files"
    sentence = "This peer already has the {limit} files that are allowed. Delete one first."


class PeerStorageFull(QuotaExceeded):
    """A peer's files would take more bytes than they may."""

    code = "peer_storage_full"
    sentence = (
        "The files of this peer would take more than the {size} that are allowed. Delete "
        "some of them, or send a smaller one."
    )


class RoomStorageFull(QuotaExceeded):
    """The files of a room, its data and what it keeps of broadcasts would take too many bytes."""

    code = "room_storage_full"
    sentence = (
        "The files, data and kept broadcasts of this room would take more than the {size} that "
        "are allowed. Delete files, remove data, or send less."
    )


class ServerStorageFull(QuotaExceeded):
    """All files of the server, and what its rooms keep, would take more bytes than they may."""

    code = "server_storage_full"
    sentence = (
        "The files, and what rooms keep, on this server would take more than the {size} that are "
        "allowed. Delete what nobody needs, or tell whoever runs the server."
    )


class DiskNearlyFull(QuotaExceeded):
    """An upload would leave less of the disk free than must stay free."""

    code = "disk_nearly_full"
    sentence = (
        "Less than {size} would be left free on the server's disk, so nothing was stored. "
        "Send something smaller, or tell whoever runs the server."
    )


def _millions(number: int) -> str:
    return f"{number / 1_000_000:.1f}".removesuffix(".0")
