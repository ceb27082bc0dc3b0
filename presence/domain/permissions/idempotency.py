"""Requests that are done once however often they are sent: who does one, and what was answered.

The header ``Idempotency-Key`` is that of draft-ietf-httpapi-idempotency-key-header. A request is
claimed first, in a transaction of its own; the transaction of its change holds the claim and ends
with the answer, so that neither is there without the other. A claim whose holder died ends soon
and may be taken over; one who was only slow finds it gone, and its change is rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from presence.domain.values import clock
from presence.errors import IdempotencyKeyInUse, IdempotencyKeyReused, TooManyIdempotencyKeys
from presence.storage.tables.idempotency_keys import IdempotencyKey

# How long an answer is kept, and how long somebody who says nothing is taken to be doing it. A
# transaction waits for a few seconds at most.
KEPT = timedelta(days=1)
CLAIM_SECONDS = 10.0
_NO_SYNC = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request with a key, all as hashes: whose, which one, and what it says.

    ``claim`` names this attempt to do it.
    """

    caller: str
    key_hash: str
    fingerprint: str
    claim: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What was answered before; without `answer` where that was too large."""

    status: int
    answer: str | None


def begin(session: Session, ask: Ask, most: int) -> Kept | None:
    """Claim a request for whoever asks, or return what was answered to it before.

    A caller has at most so many keys. Raises `IdempotencyKeyReused`, `IdempotencyKeyInUse` or
    `TooManyIdempotencyKeys`.
    """
    now = clock.now()
    claimed = {
        "fingerprint": ask.fingerprint,
        "claim": ask.claim,
        "ends_at": now + timedelta(seconds=CLAIM_SECONDS),
        "status": None,
        "answer": None,
    }
    query = select(IdempotencyKey).where(*_place(ask)).with_for_update()
    row = session.execute(query).scalar_one_or_none()
    if row is None:
        _check_number(session, ask.caller, most)
        is_postgresql = session.get_bind().dialect.name == "postgresql"
        insert = postgresql_insert if is_postgresql else sqlite_insert
        made = session.execute(
            insert(IdempotencyKey)
            .values(caller=ask.caller, key_hash=ask.key_hash, **claimed)
            .on_conflict_do_nothing()
            .returning(IdempotencyKey.key_hash)
        ).first()
        if made is not None:
            return None
        # Another worker was faster by a moment.
        row = session.execute(query).scalar_one_or_none()
        if row is None:
            raise IdempotencyKeyInUse(1)
    is_over = row.ends_at <= now
    if row.fingerprint != ask.fingerprint and not (is_over and row.status is not None):
        raise IdempotencyKeyReused
    if not is_over:
        if row.status is not None:
            return Kept(row.status, row.answer)
        raise IdempotencyKeyInUse((row.ends_at - now).total_seconds())
    session.execute(
        update(IdempotencyKey).where(*_place(ask)).values(**claimed).execution_options(**_NO_SYNC)
    )
    return None


def hold(session: Session, ask: Ask) -> None:
    """Make sure, until the transaction ends, that nobody else does this request.

    To be called before anything else in it, which may else be committed by itself. Raises
    `IdempotencyKeyInUse` where somebody has taken it over.
    """
    held = select(IdempotencyKey.claim).where(*_place(ask)).with_for_update()
    if session.execute(held).scalar_one_or_none() != ask.claim:
        raise IdempotencyKeyInUse(1)


def prolong(session: Session, ask: Ask) -> None:
    """Hold a claim for longer; raises `IdempotencyKeyInUse` where somebody has taken it over."""
    ends_at = clock.now() + timedelta(seconds=CLAIM_SECONDS)
    if not _change(session, ask, ends_at=ends_at):
        raise IdempotencyKeyInUse(1)


def settle(session: Session, ask: Ask, status: int, answer: str | None) -> None:
    """Keep what is answered to a request, if it is still claimed by this attempt."""
    ends_at = clock.now() + KEPT
    _change(session, ask, claim=None, ends_at=ends_at, status=status, answer=answer)


def give_up(session: Session, ask: Ask) -> None:
    """Let a request be done by whoever sends it next, if it is still claimed by this attempt."""
    session.execute(
        delete(IdempotencyKey)
        .where(*_place(ask), IdempotencyKey.claim == ask.claim)
        .execution_options(**_NO_SYNC)
    )


def forget(session: Session, caller: str, key_hashes: list[str]) -> None:
    """Forget requests of a caller that are parts of one which is kept as a whole."""
    session.execute(
        delete(IdempotencyKey)
        .where(IdempotencyKey.caller == caller, IdempotencyKey.key_hash.in_(key_hashes))
        .execution_options(**_NO_SYNC)
    )


def forget_expired(session: Session) -> None:
    """Forget what was kept for a day, and requests that somebody died over as long ago.

    Of those whoever sends the key again still gets to know that the body is another one.
    """
    long_ago = clock.now()
    session.execute(
        delete(IdempotencyKey)
        .where(
            IdempotencyKey.ends_at <= long_ago,
            IdempotencyKey.status.is_not(None) | (IdempotencyKey.ends_at <= long_ago - KEPT),
        )
        .execution_options(**_NO_SYNC)
    )


def _place(ask: Ask) -> tuple[ColumnElement[bool], ...]:
    return (IdempotencyKey.caller == ask.caller, IdempotencyKey.key_hash == ask.key_hash)


def _change(session: Session, ask: Ask, **values: object) -> bool:
    """Change a request that is claimed by this attempt; return whether it is."""
    changed = session.execute(
        update(IdempotencyKey)
        .where(*_place(ask), IdempotencyKey.claim == ask.claim)
        .values(**values)
        .returning(IdempotencyKey.key_hash)
        .execution_options(**_NO_SYNC)
    ).first()
    return changed is not None


def _check_number(session: Session, caller: str, most: int) -> None:
    mine = IdempotencyKey.caller == caller
    number, first = session.execute(
        select(func.count(), func.min(IdempotencyKey.ends_at)).where(mine)
    ).one()
    if number >= most:
        wait = (first - clock.now()).total_seconds() if first else 1
        raise TooManyIdempotencyKeys(most, wait)
