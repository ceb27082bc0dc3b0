"""The address of a server, in the parts that its ways in need."""

from __future__ import annotations

import re
from dataclasses import dataclass

from presence_client.errors import PresenceError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: ``https://host:port``, and the path below which it stands."""

    origin: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the parts of an address; raises `PresenceError` (``invalid_address``)."""
        parts = re.fullmatch(r"(https?://[^/?#\s]+)([^?#\s]*)(?:[?#]\S*)?", url, re.IGNORECASE)
        if parts is None:
            raise PresenceError(
                "invalid_address",
                f"“{url}” is not the address of a server, with http:// or https://.",
            )
        return cls(parts[1], parts[2].rstrip("/"))

    @property
    def url(self) -> str:
        """The whole address, without a slash at its end."""
        return self.origin + self.path

    @property
    def socketio_path(self) -> str:
        """Where its Socket.IO is, without slashes around it."""
        return f"{self.path}/socket.io".strip("/")
