"""One request for the keys of an issuer: bounded in size and time, over TLS that is checked.

No redirect is followed and nothing else of the answer is heeded. Whoever waits, waits in `socket`,
which eventlet has patched where it serves, so that everybody else goes on.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import time
from urllib.parse import urlsplit

from presence.config import VERSION
from presence.domain.permissions import public_keys
from presence.domain.permissions.public_keys import PublicKey
from presence.storage import system_threads

# Longer than this nobody waits for an answer, whichever part of it is missing.
SECONDS = 5.0
# A hundred keys with their certificates.
_MOST_BYTES = 512 * 1024
_PIECE_BYTES = 16 * 1024


class CannotFetch(Exception):
    """There are no keys at an address; the message says in a few words why."""


class Fetch:
    """One request, which another thread may `cut` when it has taken too long."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self._target = urlsplit(url)
        host, port = str(self._target.hostname), self._target.port
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
            if self._target.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=SECONDS)
        )
        self._until = time.monotonic() + SECONDS

    @property
    def is_overdue(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() > self._until

    def keys(self) -> list[PublicKey]:
        """Ask for the keys and return them; raises `CannotFetch`."""
        try:
            return public_keys.parse_key_set(self._body())
        except CannotFetch:
            raise
        except ssl.SSLCertVerificationError as error:
            raise CannotFetch(f"its certificate is not good ({error.verify_message})") from None
        except TimeoutError:
            raise CannotFetch("it did not answer in time") from None
        except ValueError as error:
            raise CannotFetch(f"what it answered {error}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = "it did not answer in time" if self.is_overdue else type(error).__name__
            raise CannotFetch(f"it cannot be reached ({reason})") from None
        finally:
            self._connection.close()

    def cut(self) -> None:
        """End the connection under whoever reads of it."""
        sock = self._connection.sock
        if sock is None:
            return
        # By the system's own kind of socket: one of TLS, or of eventlet, is in use by the reader.
        plain = system_threads.module("socket")
        with contextlib.suppress(OSError), plain.socket(fileno=os.dup(sock.fileno())) as again:
            again.shutdown(plain.SHUT_RDWR)

    def _body(self) -> bytes:
        path = self._target.path or "/"
        query = f"?{self._target.query}" if self._target.query else ""
        headers = {"Accept": "application/json", "User-Agent": f"Presence/{VERSION}"}
        self._connection.request("GET", path + query, headers=headers)
        answer = self._connection.getresponse()
        if answer.status != http.client.OK:
            raise CannotFetch(f"it answered {answer.status}")
        pieces, size = [], 0
        while piece := answer.read1(_PIECE_BYTES):
            size += len(piece)
            if size > _MOST_BYTES:
                raise CannotFetch(f"it answered with more than {_MOST_BYTES // 1024} KiB")
            if self.is_overdue:
                raise TimeoutError
            pieces.append(piece)
        if self.is_overdue:  # it was cut, which looks like an end
            raise TimeoutError
        return b"".join(pieces)
