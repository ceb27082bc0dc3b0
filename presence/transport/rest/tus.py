"""The words of the tus protocol 1.0.0: the headers of its requests, and what they say.

tus.io, “Resumable upload protocol 1.0.x”; the routes are in `resumable`.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Callable
from typing import Any

from flask import request
from pydantic import BaseModel, ConfigDict, Field

from presence.errors import InvalidField
from presence.transport.wire import field_docs

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
PIECE = "application/offset+octet-stream"
# SHA-1 is what every client of tus has; here it only finds faults of the network.
ALGORITHMS: dict[str, Callable[[], Any]] = {
    "sha1": functools.partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "md5": functools.partial(hashlib.md5, usedforsecurity=False),
}
EXPOSED = (
    "Location, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, "
    "Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
)
# Names have 128 characters, file names are shortened; more than this is for nobody.
_MAX_METADATA = 4 * 1024
_MAX_DIGITS = 15

# notes.txt of ada in the room studio, each value in Base64.
_METADATA = "filename bm90ZXMudHh0,room_name c3R1ZGlv,peer_id YWRh"


class TusHeaders(BaseModel):
    """What every request for a resumable upload says."""

    model_config = ConfigDict(json_schema_extra=field_docs.added())

    tus_resumable: str = Field(alias="Tus-Resumable", examples=[VERSION])
    """The version of the protocol: 1.0.0."""


class CreationHeaders(TusHeaders):
    """What begins an upload."""

    upload_length: str = Field(alias="Upload-Length", examples=["1048576"])
    """How many bytes the file has."""
    upload_metadata: str = Field(alias="Upload-Metadata", examples=[_METADATA])
    """``filename``, ``room_name`` and ``peer_id``, each with its value in Base64, by commas."""


class PieceHeaders(TusHeaders):
    """What comes with a piece of an upload."""

    upload_offset: str = Field(alias="Upload-Offset", examples=["0"])
    """Where in the file the piece begins: how many bytes have come before."""
    upload_checksum: str | None = Field(None, alias="Upload-Checksum")
    """The algorithm, and the piece's checksum in Base64: ``sha1``, ``sha256`` or ``md5``."""


class OverrideHeaders(TusHeaders):
    """What stands for another method."""

    method: str = Field(alias="X-HTTP-Method-Override", examples=["DELETE"])
    """PATCH, DELETE or HEAD."""


def number(header: str) -> int:
    """Return a header that is a number; raises `InvalidField`."""
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
        raise InvalidField(header, "must be a whole number of bytes.")
    return int(text)


def metadata(header: str) -> dict[str, str]:
    """Return what ``Upload-Metadata`` says: names, and values in Base64; raises `InvalidField`."""
    if len(header) > _MAX_METADATA:
        raise InvalidField("Upload-Metadata", f"must have at most {_MAX_METADATA} characters.")
    told = {}
    for pair in header.split(","):
        name, _, value = pair.strip().partition(" ")
        try:
            told[name] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidField("Upload-Metadata", f"must have “{name}” in Base64.") from None
    return told


class Checksum:
    """The checksum that came with a piece, and that of what comes."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self._digest = ALGORITHMS[algorithm]()
        self._expected = expected

    @classmethod
    def of_request(cls) -> Checksum | None:
        """Return that of ``Upload-Checksum``, if it was sent; raises `InvalidField`."""
        header = request.headers.get("Upload-Checksum")
        if header is None:
            return None
        algorithm, _, value = header[:_MAX_METADATA].partition(" ")
        try:
            if algorithm in ALGORITHMS:
                return cls(algorithm, base64.b64decode(value, validate=True))
        except binascii.Error:
            pass
        known = ", ".join(ALGORITHMS)
        raise InvalidField("Upload-Checksum", f"must be one of {known} and a value in Base64.")

    def update(self, data: bytes) -> None:
        """Take up some bytes of the piece."""
        self._digest.update(data)

    def matches(self) -> bool:
        """Tell whether all that was taken up has the expected checksum."""
        return bool(self._digest.digest() == self._expected)
