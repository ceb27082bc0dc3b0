"""Requests with an `Idempotency-Key`: done once, and answered alike however often they come.

The header is that of draft-ietf-httpapi-idempotency-key-header, quoted or not. A key is good for
its caller, method and address: the token's ``sub``, or the address of whoever calls an open server.
What is kept is sealed with a key made of the client's, of which the server keeps a hash only.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import secrets
import time
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import orjson
from flask import Response, current_app, g, request
from sqlalchemy.orm import Session

from presence.domain.permissions import idempotency
from presence.domain.permissions.idempotency import CLAIM_SECONDS, Ask
from presence.errors import AnswerNotKept, DatabaseFull, InvalidField, Waiting
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.admission.client_addresses import address_of
from presence.transport.process.runtime import Runtime
from presence.transport.wire import json_codec
from presence.transport.wire.described import Route
from presence.transport.wire.serializers import Body

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
# Where a request that is a part of another finds that one's `Part`.
PART = "presence.part"
LONGEST_KEY = 255
# Visible characters, but those with a meaning in lists and strings of headers.
_KEY = re.compile(rf'("?)([!#-+\--:<-\[\]-~]{{1,{LONGEST_KEY}}})\1')
# Refusals that stay what they are when the same is sent again. Others may well work later: tokens,
# limits, and whatever is the server's own fault.
_LASTING = {400, 404, 409, 410, 413, 415, 422}
# Bytes of an answer as it is kept, and before it is made smaller.
_MOST_KEPT, _MOST_SEALED = 64 * 1024, 1_000_000
_SWEEP_SECONDS = 60.0


class Part:
    """What a request that is a part of another one inherits: its key, and its place in it."""

    def __init__(self, key: str, place: int) -> None:
        # With a space, which no key has: a request by itself has none of these.
        self.key = f"{place} {key}"
        # Under what the part was kept, if it was.
        self.key_hash: str | None = None


class Once:
    """The current request, which has a key and is being done for the first time."""

    def __init__(self, key: str, environ: Body) -> None:
        grants = request_access.caller()
        who = f"address:{address_of(environ)}" if grants is None else f"token:{grants.peer_id}"
        place = f"{request.method}\n{request.full_path}"
        self._sealing_key = hashlib.sha256(f"seal\n{who}\n{place}\n{key}".encode()).digest()
        self.ask = Ask(
            caller=_hash(who.encode()),
            key_hash=_hash(f"{place}\n{key}".encode()),
            # Keyed: the body may have a password that could be guessed.
            fingerprint=_hash(request.get_data(), self._sealing_key),
            claim=secrets.token_hex(16),
        )
        self.claimed_at = time.monotonic()

    def settle(self, session: Session, status: int, body: bytes) -> None:
        """Keep an answer."""
        idempotency.settle(session, self.ask, status, self._sealed(body))

    def _sealed(self, body: bytes) -> str | None:
        """Return an answer as it is kept, or None where it is too large."""
        if len(body) > _MOST_SEALED:
            return None
        # Only who sends a key needs it, and it is slow to be taken in.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self._sealing_key).encrypt(nonce, zlib.compress(body, 1), None)
        text = base64.b64encode(nonce + sealed).decode()
        return text if len(text) <= _MOST_KEPT else None

    def opened(self, sealed: str) -> bytes:
        """Return the answer that was kept."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        data = base64.b64decode(sealed)
        return zlib.decompress(AESGCM(self._sealing_key).decrypt(data[:12], data[12:], None))


def init_app(run: Runtime, note_sent: Callable[[object], None]) -> None:
    """Answer a request whose key was answered before, and keep what is answered to others.

    `note_sent` is told what a request sent whose answer is repeated, for the hints in it.
    """

    @run.app.before_request
    def look() -> Response | None:
        part: Part | None = request.environ.get(PART)
        if part is None and HEADER not in request.headers:
            return None
        return _look(run, part, note_sent)

    @run.app.after_request
    def keep(response: Response) -> Response:
        once: Once | None = g.get("once")
        if once is not None:
            try:
                _keep(once, response)
            except Exception:
                log.exception("an answer could not be kept for its key")
        return response

    def sweep() -> None:
        with database.writing(upkeep=True) as session:
            idempotency.forget_expired(session)

    run.upkeep.every(_SWEEP_SECONDS, sweep, "old keys of requests could not be forgotten")


@contextmanager
def writing(*, upkeep: bool = False) -> Generator[Session]:
    """Like `database.writing`; where the request has a key, nobody else does it meanwhile.

    What is to be answered is given to `answered` within. Raises `IdempotencyKeyInUse` besides.
    """
    once: Once | None = g.get("once")
    with database.writing(upkeep=upkeep) as session:
        if once is not None:
            idempotency.hold(session, once.ask)
        yield session


def answered(session: Session, body: Body | Callable[[], Body], status: int = 200) -> Body | None:
    """Keep with a change what is answered to it, and return that; None where there is no key.

    `body` is called, if it can be, where it is needed at all.
    """
    once: Once | None = g.get("once")
    if once is None:
        return None
    said = body() if callable(body) else body
    once.settle(session, status, orjson.dumps(said))
    return said


def is_passing(status: int) -> bool:
    """Tell whether a request may be answered otherwise later, so that its answer is not kept."""
    return status >= 300 and status not in _LASTING


def current_key() -> str | None:
    """Return the key of the current request, if it has one."""
    return _key() if HEADER in request.headers else None


def prolong() -> None:
    """Go on holding the claim of the current request, which takes its time."""
    once: Once | None = g.get("once")
    if once is None or time.monotonic() - once.claimed_at < CLAIM_SECONDS / 3:
        return
    with database.writing(upkeep=True) as session:
        idempotency.prolong(session, once.ask)
    once.claimed_at = time.monotonic()


def keep_as_whole(body: Body, parts: list[Part]) -> None:
    """Keep the answer of the current request in the place of those of its parts."""
    once: Once | None = g.get("once")
    if once is None:
        return
    with database.writing() as session:
        idempotency.hold(session, once.ask)
        answered(session, body)
        idempotency.forget(session, once.ask.caller, [p.key_hash for p in parts if p.key_hash])


def release() -> None:
    """Let the current request be done by whoever sends it next, whatever is answered now."""
    once: Once | None = g.pop("once", None)
    if once is not None:
        with database.writing(upkeep=True) as session:
            idempotency.give_up(session, once.ask)


def _look(run: Runtime, part: Part | None, note_sent: Callable[[object], None]) -> Response | None:
    """Claim the request, or return what was answered to it before."""
    view = current_app.view_functions.get(request.endpoint or "")
    declared: Route | None = getattr(view, "declared", None)
    if declared is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    if not declared.takes_key:
        if declared.uses_storage:
            raise InvalidField(
                HEADER,
                "is not taken with uploads. Upload resumably (tus, /api/webrtc/uploads), which can "
                "be repeated without harm, or leave it out.",
            )
        return None
    once = Once(part.key if part else _key(), request.environ)
    if run.limits.is_full:
        raise DatabaseFull
    with database.writing() as session:
        kept = idempotency.begin(session, once.ask, run.settings.max_idempotency_keys)
    if part is not None:
        part.key_hash = once.ask.key_hash
    if kept is None:
        g.once = once
        return None
    if kept.answer is None:
        raise AnswerNotKept(kept.status)
    with suppress(ValueError):
        note_sent(json_codec.loads(request.get_data() or b"{}"))
    response = Response(once.opened(kept.answer), kept.status, mimetype="application/json")
    response.headers[REPLAYED] = "true"
    return response


def _keep(once: Once, response: Response) -> None:
    """Keep an answer that was not kept with a change, or let the request be done again."""
    with database.writing(upkeep=True) as session:
        waits = b'"code":"' + Waiting.code.encode() + b'"' in response.get_data()[:100]
        passes = waits or is_passing(response.status_code)
        if not passes and response.mimetype == "application/json":
            once.settle(session, response.status_code, response.get_data())
        else:
            idempotency.give_up(session, once.ask)


def _key() -> str:
    """Return the key of the current request; raises `InvalidField`."""
    found = _KEY.fullmatch(request.headers[HEADER])
    if found is None:
        raise InvalidField(
            HEADER,
            f"must be 1 to {LONGEST_KEY} visible characters of ASCII, such as a UUID, without "
            "commas, semicolons, quotes and backslashes.",
        )
    return found[2]


def _hash(data: bytes, key: bytes = b"") -> str:
    return hashlib.blake2b(data, digest_size=16, key=key).hexdigest()
