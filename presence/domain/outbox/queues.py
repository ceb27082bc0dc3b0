"""What waits for webhooks as a whole: hurried, sent once more where it was given up, forgotten."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from presence.storage import database
from presence.storage.models import WebhookFailure, WebhookQueue

# How long what was given up is kept.
FAILED_KEPT = timedelta(days=30)
# How long what waits for a webhook is kept that no worker sends to.
_ABANDONED = timedelta(hours=1)


def hurry(session: Session, hook: str | None = None) -> int:
    """Let everything that waits for a webhook, or for any, be sent now; return how many rooms."""
    now = database.now(session)
    conditions = [WebhookQueue.due_at > now]
    if hook is not None:
        conditions.append(WebhookQueue.hook == hook)
    result = session.execute(
        update(WebhookQueue)
        .where(*conditions)
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def retry_failed(session: Session) -> int:
    """Send what was given up once more, and what followed it in its rooms; return how many rooms.

    In the order of each room, so that what followed is sent again too.
    """
    now = database.now(session)
    failures = session.execute(
        select(
            WebhookFailure.hook,
            WebhookFailure.room_name,
            func.min(WebhookFailure.after),
            func.max(WebhookFailure.last),
        )
        .group_by(WebhookFailure.hook, WebhookFailure.room_name)
        .order_by(WebhookFailure.hook, WebhookFailure.room_name)
    ).all()
    for hook, room_name, first, newest in failures:
        after, last = first, newest
        waiting = (WebhookQueue.hook == hook, WebhookQueue.room_name == room_name)
        row = session.execute(
            select(WebhookQueue.after, WebhookQueue.last).where(*waiting).with_for_update()
        ).one_or_none()
        if row is not None:
            session.execute(delete(WebhookQueue).where(*waiting))
            after, last = min(after, row.after), max(last, row.last)
        session.add(
            WebhookQueue(
                hook=hook, room_name=room_name, after=after, last=last, due_at=now, attempts=0
            )
        )
    session.flush()
    session.execute(delete(WebhookFailure))
    return len(failures)


def tidy(session: Session, hooks: Collection[str]) -> int:
    """Forget what waits for webhooks that are no more, and what was given up long ago.

    Returns in how many rooms something still waited.
    """
    now = database.now(session)
    forgotten = session.execute(
        delete(WebhookQueue)
        .where(WebhookQueue.hook.not_in(hooks), WebhookQueue.due_at < now - _ABANDONED)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(WebhookFailure)
        .where(WebhookFailure.failed_at < now - FAILED_KEPT)
        .execution_options(synchronize_session=False)
    )
    return int(forgotten.rowcount)  # type: ignore[attr-defined]
