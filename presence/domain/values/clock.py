"""The one place that asks what time it is."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current instant in UTC, in whole milliseconds.

    That is as precise as what clients are shown, so that they put things in the server's order:
    of two peers who joined within one millisecond, the first by ``peer_id`` comes first.
    """
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
