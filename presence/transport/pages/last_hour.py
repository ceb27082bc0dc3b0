"""What this process was like in the last hour, minute by minute, from figures that it has anyway.

Gathered once a minute by the upkeep: what counts up is compared with a minute ago. It takes a fixed
amount of memory, and nothing of what happens is looked at when it happens.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import cast

from flask import current_app

from presence import errors
from presence.errors import QuotaExceeded, RateExceeded
from presence.transport.admission.error_handlers import STATUS
from presence.transport.engine.connections import EVICTIONS
from presence.transport.process.runtime import Runtime

MINUTES = 60
_EXTENSION = "presence_last_hour"
# What a client is told that asked for more, or sent more, than it may.
_TOO_MUCH = {"413", "429", "507"}
_LIMITS = {
    condition.code
    for condition, status in STATUS.items()
    if issubclass(condition, (RateExceeded, QuotaExceeded)) or str(status) in _TOO_MUCH
} | {errors.RoomFull.code, errors.ServerFull.code}
# From this bound of the histogram on a stall is one that people notice.
_NOTICED_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute: people connected at its end, messages taken, milliseconds to announce a change.

    ``stalls`` are those of a tenth of a second or more, ``limits`` those that were hit.
    """

    people: int
    messages: int
    latency: float
    stalls: int
    limits: Counter[str]


class LastHour:
    """The last sixty minutes of a process."""

    def __init__(self, run: Runtime) -> None:
        self._run = run
        self._minutes: deque[Minute] = deque(maxlen=MINUTES)
        self._before = self._totals()

    def note(self) -> None:
        """Add the minute that ends now."""
        now, before = self._totals(), self._before
        self._before = now
        announced = now.announced - before.announced
        seconds = now.announcing - before.announcing
        self._minutes.append(
            Minute(
                self.people(),
                now.messages - before.messages,
                1000 * seconds / announced if announced else 0,
                now.stalls - before.stalls,
                now.limits - before.limits,
            )
        )

    def people(self) -> int:
        """Return how many people are connected to this process now."""
        return len(set(self._run.switchboard.seats().values()))

    def series(self, name: str) -> list[float]:
        """Return a figure of each of the last 60 minutes, the newest last; 0 before the start."""
        values = [float(getattr(minute, name)) for minute in self._minutes]
        return [0.0] * (MINUTES - len(values)) + values

    def limits(self) -> list[tuple[str, int, int]]:
        """Return each limit that was hit, how often, and how many minutes ago it last was."""
        counts: Counter[str] = Counter()
        last: dict[str, int] = {}
        # What was hit since the last minute ended is part of it too.
        newest = self._totals().limits - self._before.limits
        for ago, hit in enumerate([newest, *(minute.limits for minute in reversed(self._minutes))]):
            counts += hit
            for name in hit:
                last.setdefault(name, ago)
        return [(name, count, last[name]) for name, count in counts.most_common(12)]

    def stalls(self) -> int:
        """Return how often in the last hour everybody waited for a tenth of a second or more."""
        newest = self._totals().stalls - self._before.stalls
        return newest + sum(minute.stalls for minute in self._minutes)

    def _totals(self) -> _Totals:
        counters = self._run.counters
        limits: Counter[str] = Counter()
        for (event, outcome), count in list(counters.events.items()):
            if outcome in _LIMITS:
                limits[f"{event}: {outcome}"] += count
        for (_, route, status), count in list(counters.requests.items()):
            if status in _TOO_MUCH:
                limits[f"{status} {route}"] += count
        for reason, count in list(counters.disconnects.items()):
            if reason in EVICTIONS:
                limits[f"connection ended: {reason}"] += count
        stalls = zip((*counters.stalls.bounds, float("inf")), counters.stalls.counts, strict=True)
        return _Totals(
            sum(counters.events.values()),
            sum(counters.announcing.counts),
            counters.announcing.total,
            # A count is of what was up to its bound.
            sum(count for bound, count in stalls if bound > _NOTICED_SECONDS),
            limits,
        )


@dataclass(frozen=True, slots=True)
class _Totals:
    """What the process has counted since it started."""

    messages: int
    announced: int
    announcing: float
    stalls: int
    limits: Counter[str]


def init_app(run: Runtime) -> None:
    """Begin to gather."""
    hour = run.app.extensions[_EXTENSION] = LastHour(run)
    run.upkeep.every(60, hour.note, "the figures of the last minute could not be kept")


def last_hour() -> LastHour:
    """Return the last hour of the process that handles the current request."""
    return cast(LastHour, current_app.extensions[_EXTENSION])
