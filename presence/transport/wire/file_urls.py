"""The addresses of files: plain where the server is open, signed for a while where it is locked."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

from flask import Flask, current_app
from itsdangerous import Signer

from presence.config import Settings
from presence.errors import LinkRefused

_EXTENSION = "presence_file_links"
# The endpoints by whose addresses files, and pictures as small as theirs, are had.
_SIGNED = {"uploads_api.serve", "pictures.thumbnail", "pictures.preview", "pictures.avatar"}


class FileLinks:
    """Makes and checks the query that signs the address of a file."""

    def __init__(self, settings: Settings) -> None:
        self._seconds = settings.file_url_seconds
        self._signer: Signer | None = None
        if settings.is_locked:
            # The salt keeps these signatures apart from tokens, which the same key may sign.
            self._signer = Signer(
                settings.secret_key,
                salt="presence.file",
                key_derivation="hmac",
                digest_method=hashlib.sha256,
            )

    def query(self, stored_name: str) -> dict[str, Any]:
        """Return what makes the address of a file good for a while: nothing in open mode.

        The same for everybody who asks within that while, so that browsers keep what they have.
        """
        if self._signer is None:
            return {}
        expires = (int(time.time()) // self._seconds + 2) * self._seconds
        return {"expires": expires, "signature": self._sign(stored_name, expires)}

    def check(self, stored_name: str, expires: str, signature: str) -> None:
        """Raise `LinkRefused` unless this server signed the address, for a time not over yet."""
        known = expires.isascii() and expires.isdigit() and len(expires) < 16
        if not (known and self._signer and self._signed(stored_name, int(expires), signature)):
            raise LinkRefused("This server did not sign the file's address")
        if int(expires) <= time.time():
            raise LinkRefused("The file's address was good for a while, which is over")

    def _sign(self, stored_name: str, expires: int) -> str:
        assert self._signer
        return self._signer.get_signature(_subject(stored_name, expires)).decode()

    def _signed(self, stored_name: str, expires: int, signature: str) -> bool:
        assert self._signer
        if not signature.isascii():
            return False
        return self._signer.verify_signature(_subject(stored_name, expires), signature)


def init_app(app: Flask, settings: Settings) -> None:
    """Let the app sign every address of a file that it gives away, in pages too."""
    links = app.extensions[_EXTENSION] = FileLinks(settings)

    @app.url_defaults
    def sign(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint in _SIGNED:
            values.update(links.query(values["filename"]))


def links() -> FileLinks:
    """Return the file links of the current app."""
    return cast(FileLinks, current_app.extensions[_EXTENSION])


def _subject(stored_name: str, expires: int) -> str:
    return f"{stored_name}\n{expires}"
