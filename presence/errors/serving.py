"""What the server cannot do just now."""

from __future__ import annotations

from presence.errors.base import PresenceError


class DatabaseFull(PresenceError):
    """The database holds as much as it may, or the disk under it is nearly full."""

    code = "database_full"

    def __init__(self) -> None:
        super().__init__(
            "The server's database holds as much as it may, so nothing can be added. What is there "
            "can be read, made smaller and removed. Tell whoever runs the server."
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
    since: str

    def __init__(self, since: str, note: str = "") -> None:
        super().__init__(
            "Nothing can be changed at the moment: whoever runs this server is at work on it. "
            + (f"They say: {note} " if note else "")
            + "Everything can be read; try again in a little while.",
            retry_after=5,
            since=since,
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


class NotReady(PresenceError):
    """The server cannot serve just now; ``reasons`` says why, by what was looked at."""

    code = "not_ready"
    reasons: dict[str, str]

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__(" ".join(reasons.values()), reasons=reasons)


class ShuttingDown(PresenceError):
    """The server is about to stop and takes nobody in."""

    code = "shutting_down"

    def __init__(self) -> None:
        super().__init__("The server is shutting down. Connect again in a few seconds.")
