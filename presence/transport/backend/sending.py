"""Sending events to a webhook, signed as Standard Webhooks 1.0 has it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import urllib3
from standardwebhooks.webhooks import Webhook
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from presence.config import VERSION
from presence.domain.outbox.event_log import Told
from presence.transport.backend import bounded_requests, event_bodies

_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = bounded_requests.SECONDS
# What is read of an answer, so that its connection can be used again.
_MOST_READ = 16 * 1024
_MOST_RETRY_AFTER = 3600
# What says that the whole backend cannot take anything now, whichever room it is about.
_AWAY = {408, 429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: ``error`` is empty where the events were taken.

    ``is_away`` tells that nobody was there to take any, whichever rooms they are of; ``wait`` is
    for how many seconds the backend wants to be left alone, if it said so.
    """

    error: str = ""
    is_away: bool = False
    wait: float | None = None


def name_of(url: str) -> str:
    """Return a webhook's address without what may be a secret, for people to read."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def key_of(url: str) -> str:
    """Return what stands for a webhook in the database, where its address has no business."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]


class Sender:
    """Sends to one webhook. Certificates are checked; a redirect is a refusal."""

    def __init__(self, url: str, secrets: Sequence[str], connections: int) -> None:
        self.key, self.name = key_of(url), name_of(url)
        self._url = url
        self._signers = [Webhook(secret) for secret in secrets]
        self._credentials = _credentials_of(url)
        self._pool = bounded_requests.pool_manager(
            num_pools=1,
            maxsize=connections,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_ANSWER_SECONDS),
            cert_reqs="CERT_REQUIRED",
        )

    def send(self, events: Sequence[Told]) -> Answer:
        """Send events in their order. Needs an app context."""
        ids = ",".join(event.uid for event in events)
        bodies = [event_bodies.encoded(event) for event in events]
        return self.send_bodies(f"msg_{hashlib.sha256(ids.encode()).hexdigest()[:24]}", bodies)

    def send_bodies(self, message_id: str, bodies: Sequence[bytes]) -> Answer:
        """Send the JSON of events; the same ones have the same `message_id` each time."""
        data = b'{"events":[' + b",".join(bodies) + b"]}"
        headers = self._headers(message_id, data.decode())
        try:
            response = self._pool.request(
                "POST",
                self._url,
                body=data,
                headers=headers,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            return _unanswered(error)
        try:
            _read_a_little(response)
        except (HTTPError, OSError):
            response.close()  # the status has been said
        if 200 <= response.status < 300:
            return Answer()
        return Answer(
            f"it answered {response.status}",
            response.status in _AWAY,
            _retry_after(response.headers.get("Retry-After", "")),
        )

    def _headers(self, message_id: str, text: str) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "Content-Type": "application/json",
            "User-Agent": f"Presence/{VERSION}",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(s.sign(message_id, now, text) for s in self._signers),
            **self._credentials,
        }


def _credentials_of(url: str) -> dict[str, str]:
    """Return what tells the user and password of an address (RFC 7617), if it has any."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _read_a_little(response: urllib3.BaseHTTPResponse) -> None:
    """Read a short answer to its end, and hang up on a long or slow one."""
    until, size = time.monotonic() + _ANSWER_SECONDS, 0
    while True:
        piece = response.read1(_MOST_READ)
        size += len(piece)
        if not piece:
            response.release_conn()
            return
        if size > _MOST_READ or time.monotonic() > until:
            response.close()
            return


def _retry_after(text: str) -> float | None:
    """Return what a header ``Retry-After`` asks for in seconds; dates are not looked at."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(min(int(text), _MOST_RETRY_AFTER))
    return None


def _unanswered(error: Exception) -> Answer:
    """Return why there was no answer, in a few words and without the address.

    A backend that took the connection, and says nothing or what is no answer, may have stumbled
    over one room's events.
    """
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, (ReadTimeoutError, TimeoutError)):
        return Answer("it did not answer in time")
    if isinstance(cause, (ProtocolError, InvalidHeader)):
        return Answer(f"it broke off, or did not answer as HTTP has it ({type(cause).__name__})")
    if isinstance(cause, ConnectTimeoutError) and not isinstance(cause, NewConnectionError):
        return Answer("it cannot be reached in time", is_away=True)
    return Answer(f"it cannot be reached ({type(cause).__name__})", is_away=True)
