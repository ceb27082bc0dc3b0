"""Conditions of events that a backend fetches."""

from __future__ import annotations

from presence.errors.base import PresenceError


class EventsNotKept(PresenceError):
    """Events are asked for on a server that keeps none."""

    code = "events_not_kept"

    def __init__(self) -> None:
        super().__init__("This server keeps no events. Its operator sets PRESENCE_KEEP_EVENTS=7d.")


class BroadcastsNotKept(PresenceError):
    """A broadcast is to be kept on a server that keeps none."""

    code = "broadcasts_not_kept"

    def __init__(self) -> None:
        super().__init__(
            "This server keeps no broadcasts. Leave out “keep”, or have its operator set "
            "PRESENCE_KEEP_BROADCASTS=100."
        )


class EventsGone(PresenceError):
    """Some events after the cursor are no more; ``oldest`` is the cursor before the oldest kept."""

    code = "events_gone"
    oldest: str

    def __init__(self, oldest: str) -> None:
        super().__init__(
            "Some events after this cursor were kept for long enough and are gone. Look at the "
            "rooms as they are now, and read on from “oldest”.",
            oldest=oldest,
        )
